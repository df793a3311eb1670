//! Each law of the table by itself; then any sequence of calls against the obvious slow version.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn begun(state: &str) -> Begun {
    let proof = Proof { nonce: Secret::new("nonce"), verifier: Secret::new("verifier") };
    Begun { authorize_url: format!("https://id.example/?state={state}"), state: Secret::new(state), proof }
}

fn profile(name: &str) -> Profile {
    Profile {
        subject: name.into(),
        username: name.into(),
        display_name: None,
        email: None,
        avatar_url: None,
        is_admin: false,
        groups: Vec::new(),
    }
}

fn start(pending: &mut Pending<u32>, state: &str, now: Instant) -> Secret {
    start_both(pending, state, now).poll
}

fn start_both(pending: &mut Pending<u32>, state: &str, now: Instant) -> Ids {
    pending.start_command_line(begun(state), "https://node/cb".into(), now)
}

#[track_caller]
fn arrived(pending: &mut Pending<u32>, state: &str, now: Instant) -> LoginId {
    match pending.arrive(state, None, now) {
        Ok(Arrival::CommandLine(login, sent)) if sent.redirect == "https://node/cb" => login,
        other => panic!("{other:?}"),
    }
}

#[test]
fn section_6_1_a_command_lines_login_from_start_to_token() {
    let now = Instant::now();
    let mut pending = Pending::default();
    let Ids { poll, link } = start_both(&mut pending, "s1", now);
    assert_ne!(poll.expose(), "s1");
    assert_eq!(pending.link(&link, now), Ok("https://id.example/?state=s1"));
    assert_eq!(pending.collect(poll.expose(), now), Ok(None));
    let login = arrived(&mut pending, "s1", now);
    assert_eq!(pending.arrive("s1", None, now).unwrap_err(), PendingError::Used);
    assert_eq!(pending.link(&link, now), Err(PendingError::Used));
    assert_eq!(pending.complete(login, 7, now), Err(PendingError::Used));
    let Question { confirmation, cookie } = pending.ask(login, profile("ada"), now).unwrap();
    assert_eq!(pending.ask(login, profile("eve"), now).unwrap_err(), PendingError::Used);
    for foreign in [None, Some(""), Some(confirmation.expose()), Some(poll.expose())] {
        assert_eq!(pending.confirm(confirmation.expose(), foreign, now), Err(PendingError::Foreign));
    }
    assert_eq!(pending.collect(poll.expose(), now), Ok(None));
    let (confirmed, person) = pending.confirm(confirmation.expose(), Some(cookie.expose()), now).unwrap();
    assert_eq!((confirmed, person.subject.as_str()), (login, "ada"));
    let again = pending.confirm(confirmation.expose(), Some(cookie.expose()), now);
    assert_eq!(again, Err(PendingError::Used));
    assert_eq!(pending.collect(poll.expose(), now), Ok(None));
    assert_eq!(pending.complete(login, 7, now), Ok(()));
    assert_eq!(pending.collect(poll.expose(), now), Ok(Some(7)));
    assert_eq!(pending.collect(poll.expose(), now), Err(PendingError::Unknown));
    assert!(pending.index.is_empty() && pending.logins.is_empty());
}

#[test]
fn section_5_a_browsers_login_needs_its_cookie_and_works_once() {
    let now = Instant::now();
    let mut pending = Pending::<u32>::default();
    let cookie = pending.start_browser(begun("s1"), "https://node/cb".into(), now);
    let other = pending.start_browser(begun("s2"), "https://node/cb".into(), now);
    for foreign in [None, Some(""), Some("s1"), Some(other.expose())] {
        assert_eq!(pending.arrive("s1", foreign, now).unwrap_err(), PendingError::Foreign);
    }
    assert!(matches!(pending.arrive("s1", Some(cookie.expose()), now), Ok(Arrival::Browser(_))));
    assert_eq!(pending.arrive("s1", Some(cookie.expose()), now).unwrap_err(), PendingError::Used);
    assert_eq!(pending.arrive("s3", Some(cookie.expose()), now).unwrap_err(), PendingError::Unknown);
}

#[test]
fn section_6_1_everything_ends_after_ten_minutes() {
    let begin = Instant::now();
    let mut pending = Pending::default();
    let Ids { poll: late, link } = start_both(&mut pending, "late", begin);
    let ready = start(&mut pending, "ready", begin);
    let login = arrived(&mut pending, "ready", begin);
    let Question { confirmation, cookie } = pending.ask(login, profile("ada"), begin).unwrap();
    pending.confirm(confirmation.expose(), Some(cookie.expose()), begin).unwrap();
    pending.complete(login, 7, begin).unwrap();
    let now = begin + LIFE - SECOND;
    assert!(pending.link(&link, now).is_ok() && pending.collect(late.expose(), now).is_ok());
    let now = begin + LIFE;
    assert_eq!(pending.link(&link, now), Err(PendingError::Expired));
    assert_eq!(pending.collect(ready.expose(), now), Err(PendingError::Expired));
    assert_eq!(pending.arrive("late", None, now).unwrap_err(), PendingError::Expired);
    // An expired link says so for a while; what came later is untouched.
    let young = start_both(&mut pending, "young", begin + REMEMBERED - SECOND).link;
    assert_eq!(pending.link(&link, begin + REMEMBERED - SECOND), Err(PendingError::Expired));
    start(&mut pending, "last", begin + REMEMBERED);
    assert_eq!(pending.link(&link, begin + REMEMBERED), Err(PendingError::Unknown));
    assert!(pending.link(&young, begin + REMEMBERED).is_ok());
}

#[test]
fn section_4_the_table_is_bounded_and_the_oldest_goes_first() {
    let now = Instant::now();
    let mut pending = Pending::default();
    let polls: Vec<Secret> = (0..LOGINS_PENDING_MAX + 2).map(|n| start(&mut pending, &format!("s{n}"), now)).collect();
    assert_eq!((pending.logins.len(), pending.index.len()), (LOGINS_PENDING_MAX, 3 * LOGINS_PENDING_MAX));
    assert_eq!(pending.collect(polls[1].expose(), now), Err(PendingError::Unknown));
    assert_eq!(pending.arrive("s1", None, now).unwrap_err(), PendingError::Unknown);
    assert_eq!(pending.collect(polls[2].expose(), now), Ok(None));
}

#[test]
fn an_abandoned_login_is_gone() {
    let now = Instant::now();
    let mut pending = Pending::default();
    let poll = start(&mut pending, "s", now);
    let login = arrived(&mut pending, "s", now);
    pending.abandon(login);
    assert_eq!(pending.collect(poll.expose(), now), Err(PendingError::Unknown));
    assert_eq!(pending.ask(login, profile("ada"), now).unwrap_err(), PendingError::Unknown);
}

#[test]
fn section_5_a_value_of_one_kind_opens_nothing_of_another() {
    let now = Instant::now();
    let mut pending = Pending::default();
    let poll = start(&mut pending, "s", now);
    assert_eq!(pending.collect("s", now), Err(PendingError::Unknown));
    assert_eq!(pending.arrive(poll.expose(), None, now).unwrap_err(), PendingError::Unknown);
    let login = arrived(&mut pending, "s", now);
    let question = pending.ask(login, profile("ada"), now).unwrap();
    for value in [poll.expose(), "s", question.cookie.expose()] {
        assert_eq!(pending.confirm(value, Some(question.cookie.expose()), now), Err(PendingError::Unknown));
    }
    assert_eq!(pending.collect(question.confirmation.expose(), now), Err(PendingError::Unknown));
}

#[test]
fn who_sees_the_short_link_collects_nothing() {
    let now = Instant::now();
    let mut pending = Pending::default();
    let Ids { poll, link } = start_both(&mut pending, "s", now);
    assert_ne!(poll.expose(), link);
    assert_eq!(pending.collect(&link, now), Err(PendingError::Unknown));
    assert_eq!(pending.link(poll.expose(), now), Err(PendingError::Unknown));
}

#[test]
fn section_5_nothing_that_opens_a_login_is_printed() {
    let now = Instant::now();
    let mut pending = Pending::default();
    let begun = begun("canary");
    let printed = format!("{begun:?}");
    let poll = pending.start_command_line(begun, "https://node/cb".into(), now).poll;
    let login = arrived(&mut pending, "canary", now);
    let question = pending.ask(login, profile("ada"), now).unwrap();
    let printed = format!("{printed}{pending:?}{poll:?}{question:?}");
    for secret in ["canary", poll.expose(), question.confirmation.expose(), question.cookie.expose()] {
        assert!(!printed.contains(secret), "{printed}");
    }
    pending.complete(login, 1, now).unwrap_err();
}

/// One call; the index chooses among the logins started so far.
#[derive(Debug, Clone)]
enum Call {
    Start,
    Arrive(Index),
    Ask(Index),
    Confirm(Index, bool),
    Complete(Index),
    Collect(Index),
    Abandon(Index),
    Wait(u64),
}

fn call() -> impl Strategy<Value = Call> {
    let one = any::<Index>;
    prop_oneof![
        1 => Just(Call::Start),
        3 => one().prop_map(Call::Arrive),
        3 => one().prop_map(Call::Ask),
        3 => (one(), prop::bool::weighted(0.8)).prop_map(|(of, right)| Call::Confirm(of, right)),
        3 => one().prop_map(Call::Complete),
        3 => one().prop_map(Call::Collect),
        1 => one().prop_map(Call::Abandon),
        1 => (0..200u64).prop_map(Call::Wait),
    ]
}

/// What the slow version knows of a login: how far it came, and when it began.
struct Model {
    poll: Secret,
    id: Option<LoginId>,
    question: Option<Question>,
    started_s: u64,
    steps: [bool; 5],
    is_gone: bool,
}

const ARRIVED: usize = 0;
const ASKED: usize = 1;
const CONFIRMED: usize = 2;
const COMPLETED: usize = 3;
const COLLECTED: usize = 4;

impl Model {
    /// A step works once, in order, in time.
    fn step(&mut self, step: usize, now_s: u64) -> bool {
        let is_next = self.steps[..step].iter().all(|done| *done) && !self.steps[step];
        let works = is_next && self.is_live(now_s);
        self.steps[step] |= works;
        works
    }

    fn is_live(&self, now_s: u64) -> bool {
        !self.is_gone && now_s - self.started_s < 600
    }
}

proptest! {
    #[test]
    fn no_order_of_calls_gives_a_token_twice_unconfirmed_or_late(calls in prop::collection::vec(call(), 1..80)) {
        let begin = Instant::now();
        let mut now_s = 0;
        let mut pending = Pending::<u32>::default();
        let mut models: Vec<Model> = Vec::new();
        for call in calls {
            let now = begin + SECOND * now_s as u32;
            let at = match &call {
                Call::Start => {
                    let poll = start(&mut pending, &format!("s{}", models.len()), now);
                    let (steps, started_s) = ([false; 5], now_s);
                    models.push(Model { poll, id: None, question: None, started_s, steps, is_gone: false });
                    continue;
                }
                Call::Wait(seconds) => {
                    now_s += seconds;
                    continue;
                }
                _ if models.is_empty() => continue,
                Call::Arrive(of) | Call::Ask(of) | Call::Confirm(of, _) | Call::Complete(of) | Call::Collect(of)
                | Call::Abandon(of) => of.index(models.len()),
            };
            let model = &mut models[at];
            match call {
                Call::Start | Call::Wait(_) => {}
                Call::Arrive(_) => {
                    let got = pending.arrive(&format!("s{at}"), None, now);
                    prop_assert_eq!(got.is_ok(), model.step(ARRIVED, now_s));
                    if let Ok(Arrival::CommandLine(id, _)) = got {
                        model.id = Some(id);
                    }
                }
                Call::Ask(_) => {
                    let Some(id) = model.id else { continue };
                    let got = pending.ask(id, profile(&format!("p{at}")), now);
                    prop_assert_eq!(got.is_ok(), model.step(ASKED, now_s));
                    model.question = got.ok().or(model.question.take());
                }
                Call::Confirm(_, right) => {
                    let Some(Question { confirmation, cookie }) = &model.question else { continue };
                    let (confirmation, cookie) = (confirmation.clone(), cookie.clone());
                    let cookie = if right { cookie.expose() } else { "another" };
                    let got = pending.confirm(confirmation.expose(), Some(cookie), now);
                    prop_assert_eq!(got.is_ok(), right && model.step(CONFIRMED, now_s));
                    let own = (model.id.unwrap(), profile(&format!("p{at}")));
                    prop_assert!(got.is_err() || got == Ok(own));
                }
                Call::Complete(_) => {
                    let Some(id) = model.id else { continue };
                    prop_assert_eq!(pending.complete(id, at as u32, now).is_ok(), model.step(COMPLETED, now_s));
                }
                Call::Collect(_) => {
                    let got = pending.collect(model.poll.expose(), now);
                    let is_live = model.is_live(now_s);
                    let expected = if model.step(COLLECTED, now_s) { Some(at as u32) } else { None };
                    prop_assert_eq!(got.as_ref().is_ok(), is_live);
                    prop_assert_eq!(got.ok().flatten(), expected);
                    model.is_gone |= expected.is_some();
                }
                Call::Abandon(_) => {
                    let Some(id) = model.id else { continue };
                    pending.abandon(id);
                    model.is_gone = true;
                }
            }
        }
    }
}
