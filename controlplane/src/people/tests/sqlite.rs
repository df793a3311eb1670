//! What only a file can do: be private, locked, read-only, damaged, or not there.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use sqlx::{Connection, SqliteConnection};

use super::super::{People, PeopleError};
use super::places::{Place, profile};
use crate::bounds::PEOPLE_ANSWER_WAIT;
use crate::config::Config;

fn people(path: &Path) -> People {
    People::open(&Config::defaults().user_system.database, path)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn p22_a_new_file_is_private_and_an_old_one_keeps_its_mode() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users.db");
    let people = people(&path);
    assert!(!path.exists(), "nothing happens before the first call");
    people.sign_in(&profile("ann", &[])).await.unwrap();
    for name in ["users.db", "users.db-wal", "users.db-shm"] {
        assert_eq!(mode(&dir.path().join(name)), 0o600, "{name}");
    }
    let old = dir.path().join("old.db");
    std::fs::write(&old, "").unwrap();
    std::fs::set_permissions(&old, PermissionsExt::from_mode(0o640)).unwrap();
    self::people(&old).sign_in(&profile("ann", &[])).await.unwrap();
    assert_eq!(mode(&old), 0o640);
}

#[tokio::test]
async fn p15_a_directory_that_comes_late() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("later/users.db");
    let people = people(&path);
    let told = people.count_users().await.unwrap_err();
    assert!(matches!(&told, PeopleError::Away { reason } if reason.contains("later/users.db")), "{told}");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    assert_eq!(people.count_users().await, Ok(0));
}

#[tokio::test]
async fn p15_k7_a_locked_file_is_away_for_writers_and_readers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users.db");
    let people = people(&path);
    let token = people.sign_in(&profile("ann", &[])).await.unwrap().token;
    let mut other = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let before = std::time::Instant::now();
    let told = people.sign_in(&profile("bob", &[])).await.unwrap_err();
    assert!(matches!(told, PeopleError::Away { .. }), "{told}");
    assert!(before.elapsed() < 2 * PEOPLE_ANSWER_WAIT, "{:?}", before.elapsed());
    assert!(people.session(token.expose()).await.unwrap().is_some());
    // A lock that ends while a caller waits for it costs nothing but time.
    let waiting = tokio::spawn({
        let people = people.clone();
        async move { people.sign_in(&profile("bob", &[])).await }
    });
    tokio::task::yield_now().await;
    lock.rollback().await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(people.count_users().await, Ok(2));
}

/// Even root obeys modes once the capability to ignore them is gone; it is a thread's own, and SQLite's threads inherit
/// it from the one that starts them.
#[test]
fn p15_k7_a_read_only_file_is_away_until_it_is_writable() {
    let obedient = std::thread::spawn(|| {
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::DAC_OVERRIDE);
        set_capabilities(None, sets).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let place = Place::sqlite();
            place.people().sign_in(&profile("ann", &[])).await.unwrap();
            place.run("PRAGMA wal_checkpoint(TRUNCATE)").await;
            // A copy: SQLite lends open files to later connections of the same process, whatever their mode is by then.
            let path = place.path.with_file_name("copy.db");
            std::fs::copy(&place.path, &path).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
            let people = people(&path);
            let told = people.sign_in(&profile("bob", &[])).await.unwrap_err();
            assert!(matches!(&told, PeopleError::Away { reason } if reason.contains("readonly")), "{told}");
            assert_eq!(people.count_users().await, Ok(1), "what is there can be read");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            // The first try may still meet what an older connection shares with newer ones.
            let deadline = std::time::Instant::now() + PEOPLE_ANSWER_WAIT;
            while let Err(error) = people.sign_in(&profile("bob", &[])).await {
                assert!(std::time::Instant::now() < deadline, "{error}");
            }
            assert_eq!(people.count_users().await, Ok(2));
        });
    });
    obedient.join().unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users.db");
    std::fs::write(&path, "no database ".repeat(1000)).unwrap();
    let told = people(&path).count_users().await.unwrap_err();
    assert!(matches!(told, PeopleError::Damaged { .. }), "{told}");
}
