//! PROMISES.md P15, K7: a server that hangs, dies and comes back, seen by the same handle all the time.

use std::time::{Duration, Instant};

use super::super::{People, PeopleError};
use super::places::{Place, profile};
use super::servers::{Kind, Server};
use crate::bounds::PEOPLE_ANSWER_WAIT;

/// An answer comes a little after the limit at the latest: timers and a loaded machine are not exact.
const PATIENCE: Duration = PEOPLE_ANSWER_WAIT.saturating_mul(2);

async fn is_away(people: &People, when: &str) {
    let before = Instant::now();
    let calls = (0..12).map(|_| {
        let people = people.clone();
        tokio::spawn(async move { people.session("no-session").await })
    });
    // All at once: more than there are connections.
    for call in calls.collect::<Vec<_>>() {
        let told = call.await.unwrap();
        assert!(matches!(told, Err(PeopleError::Away { .. })), "{when}: {told:?}");
    }
    assert!(before.elapsed() < PATIENCE, "{when}: {:?}", before.elapsed());
    let told = people.sign_in(&profile("late", &[])).await;
    assert!(matches!(told, Err(PeopleError::Away { .. })), "{when}: {told:?}");
}

/// Until the handle works again, and no longer than a person would wait.
async fn is_back(people: &People, token: &str, when: &str) {
    let deadline = Instant::now() + 2 * PATIENCE;
    loop {
        match people.session(token).await {
            Ok(session) => return assert!(session.is_some(), "{when}: the session is lost"),
            Err(PeopleError::Away { .. }) if Instant::now() < deadline => {}
            Err(error) => panic!("{when}: {error}"),
        }
    }
}

pub async fn hang_die_and_come_back(kind: Kind) {
    let mut server = Server::start(kind);
    let place = Place::on(&server, "faults").await;

    server.kill();
    let people = place.people();
    is_away(&people, "away at the start").await;

    server.start_again();
    let deadline = Instant::now() + PATIENCE;
    let token = loop {
        match people.sign_in(&profile("ann", &["staff"])).await {
            Ok(made) => break made.token,
            Err(error) => assert!(Instant::now() < deadline, "started late: {error}"),
        }
    };
    let token = token.expose();
    is_back(&people, token, "started late").await;

    server.stop();
    is_away(&people, "stopped").await;
    server.go_on();
    is_back(&people, token, "going on").await;

    server.kill();
    is_away(&people, "killed").await;
    server.start_again();
    is_back(&people, token, "started again").await;

    server.stop();
    is_away(&people, "stopped again").await;
    server.kill();
    server.start_again();
    is_back(&people, token, "killed while stopped").await;
    assert_eq!(people.count_users().await, Ok(1), "what was answered Away was not done");
}
