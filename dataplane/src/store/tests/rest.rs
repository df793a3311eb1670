//! Objects that are not in use take little memory, and behave as any other.
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::super::extent::Trust;
use super::super::index::Entry;
use super::super::known::{Known, Stamp};
use super::super::record::{Change, Confirmable};
use super::super::rest::Rest;
use super::*;

fn is_at_rest(store: &Store, wanted: ObjectId) -> bool {
    let mut entries = store.index().entries_in(wanted.as_bytes()[0]);
    entries.any(|(id, entry)| id == wanted && matches!(entry, Entry::Rest(_)))
}

/// The journals are synced, and no object is held.
fn let_all_rest(store: &Store) {
    store.journals().iter().for_each(|journal| journal.sync_blocking().unwrap());
    store.let_rest();
}

#[test]
fn b5_a_complete_object_is_at_rest_after_a_start_and_when_nobody_uses_it_any_more() {
    let root = directory();
    let (store, _) = open(root.path());
    store_complete(&store, id(1), b"whole", true);
    let empty = store.find_or_create(id(2), Some(0)).unwrap();
    empty.try_complete().unwrap().finish(store.journal(0), true).unwrap();
    drop(empty);
    store_bytes(&store, id(3), Some(10), 0, b"begun");
    store.let_rest();
    assert!(!is_at_rest(&store, id(1)), "an answer may still have to wait for its records");
    let_all_rest(&store);
    let at_rest = |store: &Store| [1, 2, 3].map(|number| is_at_rest(store, id(number)));
    assert_eq!(at_rest(&store), [true, true, false]);
    // Reporting, verifying and counting wake no object.
    let before = (store.inventory(None, 10), store.unconfirmed(), store.bytes());
    assert_eq!((before.0.len(), before.1.len(), before.2), (3, 2, 10));
    assert_eq!(store.verify(id(1)).unwrap().good, 5);
    assert_eq!(at_rest(&store), [true, true, false]);
    let used = store.find(id(1)).unwrap();
    assert!(used.look().complete);
    let_all_rest(&store);
    assert_eq!(at_rest(&store), [false, true, false], "it is held");
    drop(used);
    let_all_rest(&store);
    assert_eq!(at_rest(&store), [true, true, false]);
    drop(store);
    let (store, _) = open(root.path());
    assert_eq!(at_rest(&store), [true, true, false]);
    assert_eq!((store.inventory(None, 10), store.unconfirmed(), store.bytes()), before);
    assert_eq!(store.incomplete().len(), 1);
}

#[test]
fn b5_what_this_run_learned_of_an_object_outlives_its_rest() {
    let root = directory();
    let (store, _) = open(root.path());
    store_complete(&store, id(1), b"whole", true);
    let object = store.find(id(1)).unwrap();
    object.recognize(77, 5, 5).unwrap();
    object.count_download(3);
    drop(object);
    let_all_rest(&store);
    assert!(is_at_rest(&store, id(1)));
    let object = store.find(id(1)).unwrap();
    assert_eq!(object.downloads(0), 4);
    assert_eq!(object.recognize(78, 5, 5), Err(Strange::Replaced));
    object.report_damage("a bad disk");
    drop(object);
    let_all_rest(&store);
    assert_eq!(store.find(id(1)).unwrap().damage().as_deref(), Some("a bad disk"));
    erase(&store, id(1));
    let_all_rest(&store);
    assert!(store.is_removed(id(1)) && store.find(id(1)).is_none());
}

#[test]
fn b5_objects_that_are_used_while_others_go_to_rest_miss_nothing() {
    const DOWNLOADS: u64 = 2_000;
    let root = directory();
    let (store, _) = open(root.path());
    (0..3).for_each(|number| store_complete(&store, id(number), b"whole", true));
    let_all_rest(&store);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let resting = scope.spawn(|| {
            while !ended.load(Ordering::Acquire) {
                store.let_rest();
            }
        });
        let users: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for number in 0..DOWNLOADS {
                        let object = store.find(id((number % 2) as u8)).unwrap();
                        object.read().unwrap();
                        object.count_download(0);
                    }
                })
            })
            .collect();
        users.into_iter().for_each(|user| user.join().unwrap());
        erase(&store, id(2));
        ended.store(true, Ordering::Release);
        resting.join().unwrap();
    });
    let_all_rest(&store);
    let downloads: u64 = (0..2).map(|number| store.find(id(number)).unwrap().downloads(0)).sum();
    assert_eq!(downloads, 4 * DOWNLOADS);
    assert!(store.is_removed(id(2)));
    assert_eq!(store.audit().readers, 0);
}

#[test]
fn a_checkpoint_of_more_objects_than_one_batch_holds_them_all() {
    let root = directory();
    let (store, _) = open(root.path());
    let number_of = |number: u16| {
        let mut bytes = [0; 16];
        bytes[1..3].copy_from_slice(&number.to_be_bytes());
        ObjectId::from_bytes(bytes)
    };
    // All in one shard.
    (0..1200).for_each(|number| store.plant(number_of(number), &[1]).unwrap());
    (0..1200).step_by(7).for_each(|number| erase(&store, number_of(number)));
    store_bytes(&store, number_of(1200), Some(9), 0, b"begun");
    store.keep_planted().unwrap();
    let before = (store.inventory(None, 2000), store.audit().tombstones);
    assert_eq!((before.0.len(), before.1), (1200 - 172 + 1, 172));
    drop(store);
    let (store, replayed) = open(root.path());
    assert_eq!((store.inventory(None, 2000), store.audit().tombstones), before);
    assert_eq!((replayed.objects, replayed.damaged, replayed.orphans), (1029, 0, 0));
}

fn change() -> impl Strategy<Value = Change> {
    let piece = (0..3u64, any::<u32>(), any::<bool>());
    prop_oneof![
        4 => piece.prop_map(|(at, crc, synced)| Change::Range { span: span(at * 100, at * 100 + 100), crc, synced }),
        1 => (0..4u64).prop_map(|length| Change::Length { length: length * 100 }),
        4 => (0..4u64, any::<bool>()).prop_map(|(length, synced)| Change::Complete { length: length * 100, synced }),
        1 => (0..20u64).prop_map(|upto| Change::Synced { upto }),
        1 => Just(Change::Fallback { kept: vec![span(0, 100)] }),
        2 => Just(Change::Confirmed { what: Confirmable::Completed }),
    ]
}

proptest! {
    /// Whatever records add up to: what rests says the same as what is awake.
    #[test]
    fn b5_what_is_at_rest_says_what_was_known(
        changes in prop::collection::vec((change(), 0..3u8), 1..8),
        inode in any::<u64>(),
        downloads in any::<u64>(),
    ) {
        let mut known = Known::default();
        for (sequence, (change, trust)) in (1..).zip(&changes) {
            let trust = [Trust::Durable, Trust::Cached, Trust::Suspect][usize::from(*trust)];
            known.apply(Stamp { sequence, at_unix_ms: 1000 + sequence, trust }, change);
            let Some(rest) = Rest::of(&known, inode, downloads) else { continue };
            prop_assert!(known.complete && !super::super::verify::is_doubtful(&known));
            prop_assert_eq!(&rest.known(), &known);
            prop_assert_eq!((rest.inode, u64::from(rest.downloads)), (inode, downloads));
            prop_assert_eq!(rest.presence(id(1)), known.presence(id(1), known.length, false));
            let (snapshot, piece) = rest.snapshot();
            prop_assert_eq!((snapshot, piece.into_iter().collect::<Vec<_>>()), known.snapshot());
            prop_assert_eq!((rest.sequence(), rest.written_unix_ms()), (known.sequence, known.written_unix_ms));
            prop_assert_eq!((rest.length(), rest.is_confirmed()), (known.received.bytes(), known.confirmed));
        }
    }

    /// And an ordinary object rests.
    #[test]
    fn b5_a_complete_object_under_one_checksum_can_rest(
        length in 0..1u64 << 26, crc in any::<u32>(), synced in any::<bool>(), confirmed in any::<bool>(), downloads in any::<u32>(),
    ) {
        let mut known = Known::default();
        let mut changes = Vec::new();
        changes.extend(Span::new(0, length).map(|span| Change::Range { span, crc, synced: false }));
        changes.push(Change::Complete { length, synced });
        changes.extend(confirmed.then_some(Change::Confirmed { what: Confirmable::Completed }));
        for (sequence, change) in (1..).zip(&changes) {
            known.apply(Stamp { sequence, at_unix_ms: 5, trust: Trust::Cached }, change);
        }
        prop_assert_eq!(Rest::of(&known, 1, downloads.into()).map(|rest| rest.known()), Some(known));
    }
}
