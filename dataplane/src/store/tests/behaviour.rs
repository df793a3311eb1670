//! What the byte path relies on, one fact per test, most of them across a restart.
use std::time::Duration;

use etransfer_contract::Fact;
use etransfer_contract::fact::Presence;
use event_listener::Listener;

use super::*;
use crate::bounds::SPANS_MAX;

#[test]
fn a_committed_byte_is_seen_at_once_and_after_a_restart() {
    let root = directory();
    let (store, first) = open(root.path());
    assert_eq!((first.records, first.objects), (0, 0));
    store_bytes(&store, id(1), Some(10), 0, b"hello");
    let look = store.find(id(1)).unwrap().look();
    assert_eq!((look.length, look.contiguous, look.received, look.complete), (Some(10), 5, 5, false));
    assert!(look.written_unix_ms > 0);
    drop(store);
    let (store, replayed) = open(root.path());
    assert_eq!((replayed.objects, replayed.torn_bytes, replayed.orphans), (1, 0, 0));
    assert_eq!(store.find(id(1)).unwrap().look(), look);
    assert_eq!(store.verify(id(1)).unwrap(), Verified { good: 5, ..Verified::default() });
}

#[test]
fn a_second_start_on_one_directory_is_refused_until_the_first_ends() {
    let root = directory();
    let (store, _) = open(root.path());
    assert!(matches!(Store::open(options(root.path(), 1)), Err(OpenError::Locked(_))));
    drop(store);
    Store::open(options(root.path(), 1)).unwrap();
}

#[test]
fn directories_are_private_and_all_subdirectories_exist() {
    use std::os::unix::fs::PermissionsExt;
    let root = directory();
    let _store = open(root.path());
    for name in ["objects", "journal", "objects/00", "objects/ff"] {
        let mode = std::fs::metadata(root.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{name}");
    }
}

#[test]
fn wanted_bytes_of_another_writer_mean_waiting_for_exactly_that_writer() {
    let root = directory();
    let (store, _) = open(root.path());
    let object = store.find_or_create(id(1), Some(16384)).unwrap();
    let mut first = object.claim(parallel(0, 4096)).unwrap();
    let second = object.claim(parallel(8192, 4096)).unwrap();
    let Err(Refused::Busy { silent: false, listener }) = object.claim(parallel(0, 8192)) else { panic!() };
    drop(second);
    assert!(listener.wait_timeout(Duration::from_secs(5)).is_some(), "any change of the object wakes");
    let Err(Refused::Busy { listener, .. }) = object.claim(parallel(0, 8192)) else { panic!() };
    write_file(&store, id(1), 0, &[7; 4096]);
    first.commit(store.journal(0), span(0, 4096), crc32fast::hash(&[7; 4096])).unwrap();
    listener.wait_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(object.claim(parallel(0, 8192)).unwrap().owned(), [span(4096, 8192)], "committed bytes are dropped");
    assert!(matches!(object.claim(sequential(0, 1)), Err(Refused::Mismatch { contiguous: 4096 })));
    assert_eq!(first.stored(), 4096);
}

#[test]
fn an_ended_writer_keeps_its_bytes_until_it_lets_go_and_may_commit_its_prefix() {
    let root = directory();
    let (store, _) = open(root.path());
    let object = store.find_or_create(id(1), Some(100)).unwrap();
    let mut claim = object.claim(sequential(0, 100)).unwrap();
    assert_eq!(object.end_writers(None, Some(Duration::from_secs(1000))), 0, "it is not that silent");
    let ended = claim.ended();
    assert!(!claim.is_ended());
    assert_eq!(object.end_writers(Some(span(50, 60)), Some(Duration::ZERO)), 1);
    ended.wait_timeout(Duration::from_secs(5)).unwrap();
    assert!(claim.is_ended());
    assert!(matches!(object.claim(sequential(0, 100)), Err(Refused::Busy { .. })));
    write_file(&store, id(1), 0, b"prefix");
    claim.commit(store.journal(0), span(0, 6), crc32fast::hash(b"prefix")).unwrap();
    drop(claim);
    assert_eq!(object.look().writers, 0);
    assert_eq!(object.claim(sequential(6, 94)).unwrap().owned(), [span(6, 100)]);
}

#[test]
fn silence_of_a_second_is_reported() {
    let root = directory();
    let (store, _) = open(root.path());
    let object = store.find_or_create(id(1), Some(100)).unwrap();
    let claim = object.claim(sequential(0, 100)).unwrap();
    let silent = || matches!(object.claim(sequential(0, 1)), Err(Refused::Busy { silent: true, .. }));
    let started = std::time::Instant::now();
    while !silent() {
        assert!(started.elapsed() < Duration::from_secs(10));
        std::thread::yield_now();
    }
    assert!(started.elapsed() >= Duration::from_millis(900));
    claim.touch();
    assert!(!silent());
}

#[test]
fn commits_outside_the_claim_are_refused_and_change_nothing() {
    let root = directory();
    let (store, _) = open(root.path());
    let object = store.find_or_create(id(1), None).unwrap();
    let mut claim = object.claim(Want { offset: 0, body: None, parallel: false }).unwrap();
    write_file(&store, id(1), 0, &[1; 30]);
    claim.commit(store.journal(0), span(0, 10), 0).unwrap();
    assert!(matches!(claim.commit(store.journal(0), span(5, 15), 0), Err(CommitError::NotOwned(_))));
    assert!(matches!(object.declare_length(9, store.journal(0)), Err(LengthRefused::Below { present: 10 })));
    object.declare_length(20, store.journal(0)).unwrap();
    object.declare_length(20, store.journal(0)).unwrap();
    assert!(matches!(object.declare_length(21, store.journal(0)), Err(LengthRefused::Other { declared: 20 })));
    assert!(matches!(claim.commit(store.journal(0), span(10, 21), 0), Err(CommitError::BeyondLength { length: 20 })));
    claim.commit(store.journal(0), span(10, 20), 0).unwrap();
    assert!(object.try_complete().is_none(), "the chunked writer may still be writing beyond the new length");
    drop(claim);
    assert!(object.try_complete().is_some());
    flush(&store);
    drop((object, store));
    let (store, _) = open(root.path());
    assert_eq!(store.find(id(1)).unwrap().look().length, Some(20));
}

#[test]
fn completion_is_given_once_and_found_again_after_a_crash_before_it() {
    let root = directory();
    let (store, _) = open(root.path());
    store_bytes(&store, id(1), Some(4), 0, b"data");
    drop(store);
    let (store, _) = open(root.path());
    let object = store.find(id(1)).unwrap();
    let completion = object.try_complete().unwrap();
    assert!(object.try_complete().is_none(), "one at a time");
    drop(completion);
    let completion = object.try_complete().expect("dropped unfinished: the next may try");
    assert_eq!(completion.length(), 4);
    completion.finish(store.journal(0), true).unwrap();
    assert!(object.try_complete().is_none(), "once");
    assert!(object.look().complete);
    assert!(matches!(object.claim(sequential(0, 4)), Err(Refused::Complete { inside: true, .. })));
    flush(&store);
    drop((object, store));
    let (store, _) = open(root.path());
    let object = store.find(id(1)).unwrap();
    assert!(object.look().complete && object.try_complete().is_none());
}

#[test]
fn an_empty_object_completes_without_a_file() {
    let root = directory();
    let (store, _) = open(root.path());
    let object = store.find_or_create(id(1), Some(0)).unwrap();
    object.try_complete().unwrap().finish(store.journal(0), true).unwrap();
    flush(&store);
    drop((object, store));
    let (store, _) = open(root.path());
    assert!(store.find(id(1)).unwrap().look().complete);
}

#[test]
fn facts_are_owed_until_confirmed_across_restarts() {
    let root = directory();
    let (store, _) = open(root.path());
    store_complete(&store, id(1), b"one", true);
    store_complete(&store, id(2), b"two", true);
    assert!(remove(&store, id(3), store.journal(0)).unwrap(), "also what never was can be removed");
    erase(&store, id(2));
    let name = |fact: &Fact| match fact {
        Fact::Completed(Presence { object, complete: true, .. }) => ("completed", *object),
        Fact::Removed { object } => ("removed", *object),
        other => panic!("{other:?}"),
    };
    let owed = [("completed", id(1)), ("removed", id(3)), ("removed", id(2))];
    assert_eq!(store.unconfirmed().iter().map(name).collect::<Vec<_>>(), owed);
    drop(store);
    let (store, _) = open(root.path());
    assert_eq!(store.unconfirmed().iter().map(name).collect::<Vec<_>>(), owed);
    for fact in store.unconfirmed().iter().take(2) {
        store.confirm(0, fact);
        store.confirm(0, fact);
    }
    flush(&store);
    drop(store);
    let (store, _) = open(root.path());
    assert_eq!(store.unconfirmed().iter().map(name).collect::<Vec<_>>(), owed[2..]);
    store.compact().unwrap();
    drop(store);
    let (store, _) = open(root.path());
    assert_eq!(store.unconfirmed().iter().map(name).collect::<Vec<_>>(), owed[2..]);
}

#[test]
fn removed_stays_removed() {
    let root = directory();
    let (store, _) = open(root.path());
    store_bytes(&store, id(1), Some(8), 0, b"data");
    let object = store.find(id(1)).unwrap();
    let mut claim = object.claim(sequential(4, 4)).unwrap();
    let reader = object.read().unwrap();
    assert!(object.remove(store.journal(0)).unwrap());
    assert!(!object.remove(store.journal(0)).unwrap(), "the first removal only");
    assert!(reader.is_cut() && claim.is_ended());
    assert!(matches!(claim.commit(store.journal(0), span(4, 8), 0), Err(CommitError::Removed)));
    assert!(matches!(object.claim(sequential(4, 4)), Err(Refused::Removed)));
    assert!(object.read().is_none() && object.try_complete().is_none());
    for _ in 0..2 {
        assert!(store.find(id(1)).is_none() && store.is_removed(id(1)) && !store.is_removed(id(2)));
        assert_eq!(store.find_or_create(id(1), None).unwrap_err(), Gone);
        let counted: Vec<_> = store.inventory(None, 10).iter().map(|left| (left.object, left.received)).collect();
        assert_eq!(counted, [(id(1), 4)], "its bytes count while its file is there");
        assert!(store.unconfirmed().is_empty(), "and the control plane is not told that they are gone");
        store.compact().unwrap();
    }
    drop((claim, reader, object, store));
    let (store, replayed) = open(root.path());
    assert_eq!((replayed.orphans, replayed.leftovers), (0, 1), "its file was not unlinked before the crash");
    assert!(store.is_removed(id(1)) && read_file(root.path(), id(1)) == b"data", "a start unlinks nothing");
    assert_eq!(store.condemned().iter().map(Condemned::id).collect::<Vec<_>>(), [id(1)], "the node does");
    erase(&store, id(1));
    assert!(store.condemned().is_empty() && store.inventory(None, 10).is_empty());
    assert_eq!(store.unconfirmed(), [Fact::Removed { object: id(1) }]);
    assert_eq!(store.audit().writers + store.audit().readers + store.audit().completions, 0);
}

#[test]
fn a_gentle_removal_lets_running_deliveries_finish() {
    let root = directory();
    let (store, _) = open(root.path());
    store_complete(&store, id(1), b"data", true);
    let object = store.find(id(1)).unwrap();
    let reader = object.read().unwrap();
    assert!(object.retire(store.journal(0)).unwrap());
    assert!(!reader.is_cut() && object.read().is_none());
    let changed = object.writers_changed();
    drop(reader);
    changed.wait_timeout(Duration::from_secs(5)).expect("the last reader tells");
    assert_eq!(object.readers(), 0);
}

#[test]
fn the_inventory_is_paged_in_order_and_names_only_what_is_recorded() {
    let root = directory();
    let (store, _) = open(root.path());
    let mut ids: Vec<_> = (0..100).map(id).collect();
    ids.iter().for_each(|id| store_bytes(&store, *id, None, 0, b"x"));
    store.find_or_create(id(200), Some(7)).unwrap();
    ids.sort();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.inventory(after, 7);
        seen.extend(page.iter().map(|presence| presence.object));
        after = seen.last().copied();
        if page.len() < 7 {
            break;
        }
    }
    assert_eq!(seen, ids);
    assert_eq!(store.audit().objects, 101);
    store.compact().unwrap();
    assert_eq!(store.audit().objects, 100, "what no record names is forgotten when it is not held");
}

#[test]
fn a_failed_sync_falls_back_to_what_was_synced_and_fences_the_writers() {
    let root = directory();
    let (store, _) = open(root.path());
    let object = store.find_or_create(id(1), Some(100)).unwrap();
    let mut claim = object.claim(sequential(0, 100)).unwrap();
    write_file(&store, id(1), 0, &[9; 100]);
    claim.commit(store.journal(0), span(0, 10), crc32fast::hash(&[9; 10])).unwrap();
    let mark = object.mark();
    claim.commit(store.journal(0), span(10, 30), crc32fast::hash(&[9; 20])).unwrap();
    object.synced(mark, store.journal(0)).unwrap();
    claim.commit(store.journal(0), span(30, 50), crc32fast::hash(&[9; 20])).unwrap();
    object.doubt();
    assert!(matches!(object.claim(sequential(50, 5)), Err(Refused::InDoubt)), "no claim before the disk was read");
    assert_eq!(object.fall_back(&store.objects_dir(), store.journal(0)).unwrap(), Fallen::Kept(10));
    assert_eq!(object.spans(), [span(0, 10)].into_iter().collect());
    assert!(matches!(claim.commit(store.journal(0), span(50, 60), 0), Err(CommitError::Ended)));
    drop(claim);
    assert_eq!(object.look().contiguous, 10);
    let mut claim = object.claim(sequential(10, 5)).unwrap();
    claim.commit_synced(store.journal(0), span(10, 15), crc32fast::hash(&[9; 5])).unwrap();
    flush(&store);
    drop((claim, object, store));
    let (store, _) = open(root.path());
    let object = store.find(id(1)).unwrap();
    assert_eq!(object.spans(), [span(0, 15)].into_iter().collect());
    let fallen = object.fall_back(&store.objects_dir(), store.journal(0)).unwrap();
    assert_eq!(fallen, Fallen::Kept(15), "both were synced");
}

#[test]
fn what_a_sync_covered_counts_only_if_the_disk_still_has_it() {
    let root = directory();
    let (store, _) = open(root.path());
    let object = store.find_or_create(id(1), Some(100)).unwrap();
    let mut claim = object.claim(sequential(0, 100)).unwrap();
    write_file(&store, id(1), 0, &[9; 100]);
    claim.commit_synced(store.journal(0), span(0, 10), crc32fast::hash(&[9; 10])).unwrap();
    // Kept apart from the first: extents of one trust are combined where they touch.
    claim.commit_synced(store.journal(0), span(20, 30), crc32fast::hash(&[9; 10])).unwrap();
    drop(claim);
    write_file(&store, id(1), 25, &[0]);
    assert_eq!(object.fall_back(&store.objects_dir(), store.journal(0)).unwrap(), Fallen::Kept(10));
    drop((object, store));
    let (store, _) = open(root.path());
    assert_eq!(store.find(id(1)).unwrap().spans(), [span(0, 10)].into_iter().collect(), "it is recorded");
}

#[test]
fn a_complete_object_that_the_disk_does_not_have_is_damaged_and_stays_closed() {
    let root = directory();
    let (store, _) = open(root.path());
    store_complete(&store, id(1), &[7; 50], true);
    let object = store.find(id(1)).unwrap();
    assert_eq!(object.fall_back(&store.objects_dir(), store.journal(0)).unwrap(), Fallen::Kept(50));
    write_file(&store, id(1), 25, &[0]);
    assert_eq!(object.fall_back(&store.objects_dir(), store.journal(0)).unwrap(), Fallen::Damaged { lost: 50 });
    assert!(object.look().complete, "no claim may write it");
}

#[test]
fn a_completion_is_seen_once_it_is_published() {
    let root = directory();
    let (store, _) = open(root.path());
    store_bytes(&store, id(1), Some(4), 0, b"four");
    let object = store.find(id(1)).unwrap();
    let mut completion = object.try_complete().unwrap();
    completion.record(store.journal(0), true).unwrap();
    assert!(!object.look().complete && !object.presence(false).complete && store.unconfirmed().is_empty());
    // Its journal's sync failed: the next request goes on where this one stopped.
    drop(completion);
    let completion = object.try_complete().unwrap();
    assert!(completion.is_recorded() && object.try_complete().is_none());
    completion.publish();
    assert!(object.look().complete && object.try_complete().is_none());
    assert_eq!(store.unconfirmed().len(), 1);
}

#[test]
fn a_file_that_is_another_one_or_too_short_is_not_recognized() {
    let root = directory();
    let (store, _) = open(root.path());
    store_bytes(&store, id(1), None, 0, b"four");
    let object = store.find(id(1)).unwrap();
    assert_eq!(object.recognize(11, 4, 4), Ok(()));
    assert_eq!(object.recognize(11, 3, 4), Err(Strange::Short { recorded: 4, found: 3 }));
    assert_eq!(object.recognize(12, 4, 4), Err(Strange::Replaced));
    // Its size was asked, then another writer stored more: it was long enough for what was recorded before.
    let (recorded, found) = (object.end(), 4);
    store_bytes(&store, id(1), None, 4, b"more");
    assert_eq!(object.recognize(11, found, recorded), Ok(()));
    assert_eq!(object.recognize(11, found, object.end()), Err(Strange::Short { recorded: 8, found: 4 }));
}

#[test]
fn group_commit_knows_what_is_durable() {
    let root = directory();
    let (store, _) = open(root.path());
    let journal = store.journal(0);
    store_bytes(&store, id(1), None, 0, b"one");
    let position = journal.position();
    assert_eq!(store.find(id(1)).unwrap().positions(), [position]);
    assert!(journal.needs_sync(position));
    let syncing = journal.begin_sync().unwrap();
    assert_eq!(syncing.files().len(), 1);
    store_bytes(&store, id(1), None, 3, b"two");
    let listener = journal.synced_changed();
    syncing.succeeded();
    listener.wait_timeout(Duration::from_secs(5)).unwrap();
    assert!(!journal.needs_sync(position) && journal.needs_sync(journal.position()));
    store.compact().unwrap();
    assert!(!journal.needs_sync(store.find(id(1)).unwrap().positions()[0]), "a checkpoint is durable");
}

#[test]
fn orphans_are_set_aside_and_strangers_stay() {
    let root = directory();
    let (store, _) = open(root.path());
    store_bytes(&store, id(1), None, 0, b"kept");
    write_file(&store, id(2), 0, b"created, never recorded");
    std::fs::write(root.path().join("objects/00/readme"), "not ours").unwrap();
    drop(store);
    let (store, replayed) = open(root.path());
    assert_eq!((replayed.orphans, replayed.strangers), (1, 1));
    let aside = store.quarantined().unwrap();
    assert_eq!((aside.len(), aside[0].object, aside[0].bytes), (1, id(2), 23));
    let file = root.path().join(format!("quarantine/{}.{}", id(2), aside[0].at_unix_ms));
    assert_eq!(std::fs::read(&file).unwrap(), b"created, never recorded");
    assert!(store.sweep_quarantine(aside[0].at_unix_ms).unwrap().is_empty() && file.exists(), "not before its time");
    assert_eq!(store.sweep_quarantine(aside[0].at_unix_ms + 1).unwrap(), aside);
    assert!(!file.exists() && store.quarantined().unwrap().is_empty());
    assert_eq!(read_file(root.path(), id(1)), b"kept");
    assert!(!root.path().join("objects").join(ObjectPath::of(id(2)).as_str()).exists());
    assert!(root.path().join("objects/00/readme").exists());
}

#[test]
fn a_flipped_byte_is_found() {
    let root = directory();
    let (store, _) = open(root.path());
    store_complete(&store, id(1), &[5; 1000], true);
    write_file(&store, id(1), 700, &[4]);
    assert_eq!(store.verify(id(1)).unwrap().damaged, [span(0, 1000)]);
}

/// A million objects have to fit into memory beside everything else (PROMISES.md P16).
#[test]
fn an_object_is_small() {
    assert!(size_of::<Object>() <= 360, "{}", size_of::<Object>());
}

#[test]
fn an_upload_has_few_separate_ranges_and_its_gaps_can_always_be_filled() {
    const BLOCK: u64 = 4096;
    let root = directory();
    let (store, _) = open(root.path());
    let object = store.find_or_create(id(1), Some(4 * BLOCK * SPANS_MAX as u64)).unwrap();
    let every_second = |number: usize| parallel((2 * number as u64 + 1) * BLOCK, BLOCK);
    let store_all = |mut claim: Claim| {
        let span = claim.owned()[0];
        store.journal(0).make_room_blocking(1, false).unwrap();
        claim.commit(store.journal(0), span, 0).unwrap();
    };
    // The last one counts while it runs; when it ends without a byte, its place is free again.
    (0..SPANS_MAX - 1).for_each(|number| store_all(object.claim(every_second(number)).unwrap()));
    let last = object.claim(every_second(SPANS_MAX - 1)).unwrap();
    let beyond = Span::at(every_second(SPANS_MAX).offset, BLOCK).unwrap();
    assert!(matches!(object.claim(every_second(SPANS_MAX)), Err(Refused::Scattered)));
    assert!(object.claim_free(beyond).is_err());
    drop(last);
    store_all(object.claim(every_second(SPANS_MAX)).unwrap());
    let full = object.spans();
    assert_eq!(full.count(), SPANS_MAX);
    let open_ended = Want { body: None, ..every_second(SPANS_MAX + 2) };
    assert!(matches!(object.claim(open_ended), Err(Refused::Scattered)));
    assert!(matches!(object.claim(every_second(SPANS_MAX + 2)), Err(Refused::Scattered)));
    assert_eq!(object.spans(), full, "a refusal changes nothing");
    // At the true offset, in a gap, behind the last range.
    store_all(object.claim(parallel(0, 1)).unwrap());
    store_all(object.claim(parallel(2 * BLOCK, BLOCK)).unwrap());
    store_all(object.claim(parallel(beyond.end(), BLOCK)).unwrap());
    assert_eq!(object.spans().count(), SPANS_MAX);
    store_all(object.claim(sequential(1, BLOCK - 1)).unwrap());
    assert_eq!(object.spans().count(), SPANS_MAX - 1);
    store_all(object.claim_free(Span::at(every_second(SPANS_MAX + 2).offset, 1).unwrap()).unwrap());
    assert!(matches!(object.claim(every_second(SPANS_MAX + 4)), Err(Refused::Scattered)));
}
