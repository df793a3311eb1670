//! PROMISES.md P15 against a real server: away, slow, full, empty, older than it was, and taken over. What every
//! backend must do is in `conformance.rs`.

mod golden;
pub mod server;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use etransfer_contract::ObjectId;
use rustix::process::Signal;

use super::*;
use crate::catalogue::tests::{record, told};
use crate::catalogue::{Held, WriteError};
use crate::core::SurfaceId;
use dirty_set::Batch;
use server::{Server, until};

/// One attempt, with room for a loaded machine; no caller waits without an end.
const LIMIT: Duration = Duration::from_secs(10);

/// A node's part of a server.
struct Place {
    server: Server,
    state: tempfile::TempDir,
}

impl Place {
    fn new(server: Server) -> Self {
        Self { server, state: tempfile::tempdir().unwrap() }
    }

    fn open(&self) -> Snapshot {
        open(&etransfer_disk::Os, &self.server.url(), self.state.path()).unwrap()
    }

    /// What a start finds: ids and versions.
    fn holds(&self) -> BTreeMap<u8, u64> {
        self.open().records.iter().map(|record| (record.id.as_bytes()[0], record.created_ms)).collect()
    }

    fn key(&self, name: &str) -> String {
        format!(
            "etransfer:2:{{{}}}:{name}",
            HighWaterMarkFile::load_or_make(&etransfer_disk::Os, self.state.path()).unwrap().name()
        )
    }
}

fn id(byte: u8) -> ObjectId {
    ObjectId::from_bytes([byte; 16])
}

fn put(byte: u8, version: u64) -> Change {
    Change::Put(Box::new(record(id(byte), version)))
}

fn write(opened: &Snapshot, changes: Vec<Change>) -> Result<(), WriteError> {
    let since = Instant::now();
    let outcome = told(opened.backend.write(changes));
    assert!(since.elapsed() < LIMIT, "an asker waited {:?}", since.elapsed());
    outcome
}

/// Until a change is accepted again, without a restart.
fn recover(opened: &Snapshot) {
    until("the catalogue is written again", || write(opened, Vec::new()).ok());
}

#[test]
fn p15_killed_and_started_again_with_its_file_everything_acknowledged_is_there() {
    let mut place = Place::new(Server::with("--appendonly yes"));
    let opened = place.open();
    for byte in 0..20 {
        write(&opened, vec![put(byte, 1)]).unwrap();
    }
    place.server.kill();
    assert!(write(&opened, vec![put(20, 1)]).is_err());
    place.server.run();
    recover(&opened);
    drop(opened);
    assert_eq!(place.holds(), (0..21).map(|byte| (byte, 1)).collect(), "what was refused is written later");
}

#[test]
fn p15_empty_again_everything_acknowledged_is_written_again() {
    let mut place = Place::new(Server::start());
    let opened = place.open();
    write(&opened, vec![Change::Keep(vec![id(99)]), Change::Trust]).unwrap();
    for (round, flush) in [false, true, false].into_iter().enumerate() {
        write(&opened, (0..10).map(|byte| put(byte, round as u64)).collect()).unwrap();
        let round_text = round.to_string();
        let doc = Change::Doc {
            surface: SurfaceId::CloudBackend,
            key: "round".into(),
            value: Some(round_text.as_bytes().into()),
        };
        write(&opened, vec![Change::Delete(id(round as u8)), doc]).unwrap();
        if flush {
            let _: () = place.server.ask("FLUSHALL");
        } else {
            place.server.kill();
            place.server.run();
        }
        // No caller writes: the catalogue looks after itself.
        let key = format!("HLEN {}", place.key("records"));
        until("it is all there again", || (place.server.ask::<usize>(&key) == 9).then_some(()));
        recover(&opened);
    }
    drop(opened);
    let again = place.open();
    assert!(!again.is_new_file && again.kept.contains(&id(99)));
    assert_eq!(again.docs[&(SurfaceId::CloudBackend, "round".to_owned())][..], *b"2");
    drop(again);
    assert_eq!(place.holds(), (0..10).filter(|byte| *byte != 2).map(|byte| (byte, 2)).collect());
    for beside in ["KEYS *:records:*", "KEYS *:docs:*"] {
        assert_eq!(place.server.ask::<Vec<String>>(beside), Vec::<String>::new(), "nothing is left beside");
    }
}

#[test]
fn p15_older_than_it_was_it_is_brought_up_to_date() {
    for restart_in_between in [false, true] {
        let mut place = Place::new(Server::start());
        let mut opened = place.open();
        write(&opened, vec![put(1, 1), put(2, 1), Change::Trust]).unwrap();
        let _: () = place.server.ask("SAVE");
        if restart_in_between {
            drop(opened);
            opened = place.open();
        }
        write(&opened, vec![put(1, 2), Change::Delete(id(2)), put(3, 1)]).unwrap();
        place.server.kill();
        place.server.run();
        recover(&opened);
        drop(opened);
        assert_eq!(place.holds(), BTreeMap::from([(1, 2), (3, 1)]), "restart in between: {restart_in_between}");
    }
}

#[test]
fn p15_a_start_sees_that_redis_is_older_and_believes_it_no_more() {
    let mut place = Place::new(Server::start());
    let opened = place.open();
    write(&opened, vec![put(1, 1), Change::Trust]).unwrap();
    let _: () = place.server.ask("SAVE");
    write(&opened, vec![put(2, 1)]).unwrap();
    drop(opened);
    assert!(!place.open().is_new_file, "as new as it was");
    place.server.kill();
    place.server.run();
    for start in 0..2 {
        let opened = place.open();
        assert!(opened.is_new_file, "start {start}: objects it does not know are kept");
        assert_eq!(opened.records.len(), 1);
    }
    let _: () = place.server.ask("FLUSHALL");
    let opened = place.open();
    assert!(opened.is_new_file && opened.records.is_empty(), "empty at the start");
    write(&opened, vec![Change::Trust]).unwrap();
    drop(opened);
    assert!(!place.open().is_new_file);
}

#[test]
fn p15_stopped_for_a_while_nobody_waits_for_long_and_the_order_holds() {
    let place = Place::new(Server::start());
    let opened = place.open();
    write(&opened, vec![put(1, 1), put(2, 1), put(3, 1)]).unwrap();
    place.server.signal(Signal::STOP);
    // Sent, and carried out who knows when.
    assert!(write(&opened, vec![put(1, 2), put(4, 2)]).unwrap_err().reason.contains("no answer"));
    // Known to be away: not even tried, and kept all the same.
    assert!(write(&opened, vec![Change::Delete(id(1)), Change::Delete(id(4)), put(2, 3)]).is_err());
    assert!(write(&opened, vec![put(3, 4), put(5, 4)]).is_err());
    place.server.signal(Signal::CONT);
    recover(&opened);
    write(&opened, vec![put(5, 5)]).unwrap();
    drop(opened);
    assert_eq!(place.holds(), BTreeMap::from([(2, 3), (3, 4), (5, 5)]));
}

#[test]
fn p15_a_paused_server_is_a_slow_one() {
    let place = Place::new(Server::start());
    let opened = place.open();
    let _: () = place.server.ask("CLIENT PAUSE 3500 ALL");
    assert!(write(&opened, vec![put(1, 1)]).is_err());
    assert!(opened.backend.health().is_failing);
    recover(&opened);
    let health = opened.backend.health();
    assert!(!health.is_failing && health.failures > 0 && health.commits.count() > 0, "{health:?}");
    drop(opened);
    assert_eq!(place.holds(), BTreeMap::from([(1, 1)]));
}

/// The order of attempts, without chance: one that is carried out late changes nothing.
#[test]
fn p15_a_late_attempt_changes_nothing() {
    let place = Place::new(Server::start());
    let mut link = Link::new(&place.server.url(), "node").unwrap();
    let mut lease = link.take_over("run", HighWaterMark::default()).unwrap();
    let mut late = lease.clone();
    let batch = |puts: Vec<Change>| {
        let mut dirty_set = DirtySet::new(&Held::default());
        dirty_set.note(puts);
        dirty_set.take().unwrap()
    };
    assert_eq!(link.write(&batch(vec![put(1, 2)]), &mut lease), Ok(true));
    assert_eq!(link.write(&batch(vec![put(1, 1)]), &mut late), Ok(false));
    let found = link.look().unwrap();
    let whole = Batch { is_everything: true, ..batch(vec![put(1, 3)]) };
    assert_eq!(link.write(&batch(vec![put(2, 1)]), &mut lease), Ok(true));
    assert_eq!(link.replace(&whole, &mut lease.clone(), &found), Ok(false), "something happened since it looked");
    let found = link.look().unwrap();
    assert_eq!(link.replace(&whole, &mut lease, &found), Ok(true));
    let held = link.read().unwrap();
    assert_eq!(held.records, [record(id(1), 3)].into_iter().collect());
}

#[test]
fn p15_who_was_taken_over_writes_nothing_any_more() {
    for forgets in [false, true] {
        let place = Place::new(Server::start());
        let first = place.open();
        write(&first, vec![put(1, 1)]).unwrap();
        let second = place.open();
        if forgets {
            let _: () = place.server.ask("FLUSHALL");
        }
        let refused = until("it is told", || write(&first, vec![put(1, 2), put(9, 9)]).err());
        let refused = if forgets {
            // A moment of "it is being written again" may come first; never a yes.
            until("it is told why", || write(&first, vec![put(9, 9)]).err().filter(|e| e.reason.contains("taken")))
        } else {
            refused
        };
        assert!(refused.reason.contains("another control plane has taken"), "{refused}");
        recover(&second);
        write(&second, vec![put(2, 1)]).unwrap();
        assert!(write(&first, vec![Change::Delete(id(2))]).is_err(), "for good");
        drop(first);
        drop(second);
        assert_eq!(place.holds(), BTreeMap::from([(1, 1), (2, 1)]), "Redis forgets: {forgets}");
    }
}

#[test]
fn p7_without_memory_deleting_works_and_creating_again_when_there_is_some() {
    let place = Place::new(Server::start());
    let opened = place.open();
    write(&opened, vec![put(1, 1), put(2, 1)]).unwrap();
    let _: () = place.server.ask("CONFIG SET maxmemory 1");
    assert!(write(&opened, vec![put(3, 1)]).unwrap_err().is_full);
    assert_eq!(write(&opened, vec![Change::Delete(id(1))]), Ok(()));
    assert!(write(&opened, vec![put(4, 1)]).unwrap_err().is_full);
    let _: () = place.server.ask("CONFIG SET maxmemory 0");
    recover(&opened);
    write(&opened, vec![put(5, 1)]).unwrap();
    drop(opened);
    assert_eq!(place.holds().into_keys().collect::<Vec<_>>(), [2, 3, 4, 5]);
}

#[test]
fn more_changes_than_one_script_takes_are_written_in_one_step_too() {
    let place = Place::new(Server::start());
    let opened = place.open();
    write(&opened, vec![put(255, 1)]).unwrap();
    let many = (0..crate::bounds::REDIS_SEPARATE_MAX as u64 + 100).map(|number| {
        let mut bytes = [255; 16];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Change::Put(Box::new(record(ObjectId::from_bytes(bytes), number)))
    });
    told(opened.backend.write(many.collect())).unwrap();
    drop(opened);
    let opened = place.open();
    assert_eq!(opened.records.len(), crate::bounds::REDIS_SEPARATE_MAX + 101);
    write(&opened, vec![put(254, 1)]).unwrap();
    let lives: i64 = place.server.ask(&format!("TTL {}", place.key("records")));
    assert_eq!(lives, -1, "what was put into place does not expire");
}

#[test]
fn p16_the_queue_is_bounded_and_what_is_refused_is_kept() {
    let commit_queue = CommitQueue::new(DirtySet::new(&Held::default()));
    let waiting: Vec<Commit> = (0..crate::bounds::REDIS_QUEUE_MAX).map(|_| commit_queue.leave(Vec::new())).collect();
    assert!(told(commit_queue.leave(vec![put(1, 1)])).is_err());
    let turn = commit_queue.next(Duration::ZERO);
    assert_eq!(turn.batch.as_ref().unwrap().puts.len(), 1);
    commit_queue.settle(turn, Ok(()));
    assert!(waiting.into_iter().all(|commit| told(commit).is_ok()));
}

#[test]
fn nodes_share_a_server_without_meeting() {
    let place = Place::new(Server::start());
    let other = tempfile::tempdir().unwrap();
    let (first, second) = (place.open(), open(&etransfer_disk::Os, &place.server.url(), other.path()).unwrap());
    write(&first, vec![put(1, 1)]).unwrap();
    write(&second, vec![put(2, 1)]).unwrap();
    drop((first, second));
    assert_eq!(place.holds(), BTreeMap::from([(1, 1)]));
    assert_eq!(
        open(&etransfer_disk::Os, &place.server.url_with("db=3"), other.path()).unwrap().records.len(),
        0,
        "another database"
    );
}

#[test]
fn p18_a_damaged_record_stops_the_start_and_is_named() {
    let place = Place::new(Server::start());
    drop(place.open());
    let _: () = place.server.ask(&format!("HSET {} {} nonsense", place.key("records"), id(5)));
    let error = open(&etransfer_disk::Os, &place.server.url(), place.state.path()).err().unwrap().to_string();
    assert!(error.contains("0505") && error.contains("redis.sock"), "{error}");
}

#[test]
fn p22_what_stops_the_start_is_named_and_the_password_never() {
    const CANARY: &str = "canary-5f3a";
    let server = Server::with("--requirepass right");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let socket = server.url().expose().trim_end_matches('?').to_owned();
    let rows = [
        (format!("redis://:{CANARY}@{free}/0"), format!("{free}: Connection refused")),
        (format!("unix:///nowhere/redis.sock?pass={CANARY}"), "/nowhere/redis.sock".into()),
        (format!("{socket}?pass={CANARY}"), "refuses the user or password".into()),
        (format!("{socket}?user=another&pass={CANARY}"), "refuses the user or password".into()),
        (socket.clone(), "wants a password".into()),
        (format!("{socket}?pass=right&db=999"), "database".into()),
        (format!("rediss://:{CANARY}@localhost/0"), "TLS".into()),
        (format!("http://:{CANARY}@localhost/0"), "is not redis://".into()),
        (format!("redis://:{CANARY}@localhost/{CANARY}"), "is not redis://".into()),
        (format!("redis://:pass#{CANARY}@localhost/0"), "is not redis://".into()),
        (format!("redis://:pass/{CANARY}@localhost/0"), "is not redis://".into()),
        (CANARY.into(), "is not redis://".into()),
    ];
    for (url, part) in rows {
        let state = tempfile::tempdir().unwrap();
        let error = open(&etransfer_disk::Os, &Secret::new(url.clone()), state.path())
            .err()
            .unwrap_or_else(|| panic!("{url} works"));
        let text = error.to_string();
        assert!(text.contains(&part), "{url}: {text}");
        assert!(!text.contains(CANARY) && !format!("{error:?}").contains(CANARY), "{text} {error:?}");
    }
    let state = tempfile::tempdir().unwrap();
    assert!(open(&etransfer_disk::Os, &Secret::new(format!("{socket}?pass=right")), state.path()).is_ok());
}

#[test]
fn servers_that_cannot_keep_a_catalogue_are_refused() {
    for (options, part) in [
        ("--maxmemory-policy allkeys-lru", "noeviction"),
        ("--cluster-enabled yes", "cluster"),
        ("--replicaof 127.0.0.1 1", "replica"),
    ] {
        let place = Place::new(Server::with(options));
        let error = open(&etransfer_disk::Os, &place.server.url(), place.state.path()).err().unwrap().to_string();
        assert!(error.contains(part), "{error}");
    }
}
