//! A process that ends, and a disk that fails, at each call by which the journal changes the disk, in turn: whatever was
//! being done, the next start serves what was acknowledged, and so does the one after it.
use std::io::ErrorKind::{self, Other, StorageFull};
use std::time::Duration;

use event_listener::Listener;

use super::super::disk::fault::{self, Fault};
use super::*;

const FAULTS: [Fault; 4] = [Fault::Kill, Fault::KillOnFullDisk, Fault::Error(Other), Fault::Error(StorageFull)];
/// More calls than any of the works below makes.
const CALLS_MAX: usize = 400;

fn small(root: &Path) -> StoreOptions {
    StoreOptions { journal_bytes: 64 << 10, ..StoreOptions::new(root, 2) }
}

fn try_start(root: &Path) -> Result<(Arc<Store>, Replayed), OpenError> {
    Store::open_in(small(root), BOOT)
}

#[track_caller]
fn start(root: &Path, what: &str) -> Arc<Store> {
    match try_start(root) {
        Ok((store, _)) => store,
        Err(error) => panic!("{what}: {error}"),
    }
}

/// Runs `work` on a copy of `origin` with each fault at each of its calls; `check` looks at the stores of two starts after it.
fn walk(origin: &Path, work: impl Fn(&Path), check: impl Fn(&Store, &str)) {
    for fault in FAULTS {
        let calls = (0..CALLS_MAX).find(|call| {
            let root = directory();
            copy_tree(origin, root.path());
            let happened = fault::at(*call, fault, || work(root.path()));
            for start_number in 1..=2 {
                let what = format!("{fault:?} at call {call}, start {start_number}");
                let store = start(root.path(), &what);
                check(&store, &what);
                store_bytes(&store, id(100 + start_number), None, 0, b"it takes more");
            }
            !happened
        });
        let calls = calls.expect("the work ends");
        assert!(calls > 3 || fault != Fault::Kill, "{calls} calls: nothing was walked");
        println!("{fault:?}: {calls} calls");
    }
}

/// What [`filled`] holds.
fn assert_filled(store: &Store, what: &str) {
    for number in 0..6 {
        let look = store.find(id(number)).unwrap_or_else(|| panic!("{what}: object {number} is gone")).look();
        assert!(look.complete && look.received == 50, "{what}: {look:?}");
    }
    assert!(store.is_removed(id(6)) && store.is_removed(id(7)), "{what}: a removal is forgotten");
    assert_eq!(store.find(id(8)).unwrap().look().received, 30, "{what}");
}

/// Objects and tombstones, part in a checkpoint, part behind it.
fn filled() -> tempfile::TempDir {
    let root = directory();
    fill(&start(root.path(), "the first start"));
    root
}

/// The same, as a release without manifests leaves it: headers of version 1, no manifest.
fn filled_by_an_older_release() -> tempfile::TempDir {
    let root = directory();
    // No room for the first manifest: then all goes on as before there were any.
    fault::at(0, Fault::Error(StorageFull), || fill(&start(root.path(), "the first start")));
    assert!(!root.path().join("journal.manifest").exists() && !root.path().join("journal/manifest").exists());
    for path in journal_files(root.path()) {
        assert_eq!(std::fs::read(&path).unwrap()[8..12], [1, 0, 0, 0], "{path:?}");
    }
    root
}

fn fill(store: &Store) {
    (0..3).for_each(|number| store_complete(store, id(number), &[number; 50], true));
    remove(store, id(6), store.journal(0)).unwrap();
    store.compact().unwrap();
    (3..6).for_each(|number| store_complete(store, id(number), &[number; 50], true));
    store_bytes(store, id(8), Some(100), 0, &[8; 30]);
    remove(store, id(7), store.journal(1)).unwrap();
}

#[test]
fn s4_a_fault_at_any_call_of_the_first_start() {
    let nothing = directory();
    walk(
        nothing.path(),
        |root| drop(try_start(root)),
        |store, what| {
            assert!(store.inventory(None, 10).iter().all(|presence| presence.received == 13), "{what}");
        },
    );
}

#[test]
fn s4_a_fault_at_any_call_of_a_later_start() {
    let root = filled();
    walk(root.path(), |root| drop(try_start(root)), assert_filled);
}

/// The upgrade: the directory gets its manifest, at once or at a later start.
#[test]
fn s4_a_fault_at_any_call_of_the_first_start_on_a_directory_of_an_older_release() {
    let root = filled_by_an_older_release();
    walk(
        root.path(),
        |root| drop(try_start(root)),
        |store, what| {
            assert_filled(store, what);
        },
    );
    let store = start(root.path(), "upgraded");
    store_bytes(&store, id(50), None, 0, b"hello");
    drop(store);
    let mut segments = journal_files(root.path()).into_iter().filter(|path| path.extension().unwrap() == "journal");
    std::fs::remove_file(segments.next_back().unwrap()).unwrap();
    assert!(matches!(try_start(root.path()), Err(OpenError::Damaged(_))), "from now on a missing file is noticed");
}

#[test]
fn s4_a_fault_at_any_call_of_the_start_after_a_first_one_that_was_killed() {
    for call in [8, 16, 24] {
        let root = directory();
        fault::at(call, Fault::Kill, || drop(try_start(root.path())));
        walk(root.path(), |root| drop(try_start(root)), |_, _| {});
    }
}

/// Work on an open store: the fault begins after the start.
fn on_open_store(origin: &Path, work: impl Fn(&Store), check: impl Fn(&Store, &str)) {
    for fault in FAULTS {
        let calls = (0..CALLS_MAX).find(|call| {
            let root = directory();
            copy_tree(origin, root.path());
            let what = format!("{fault:?} at call {call}");
            let store = start(root.path(), &what);
            let happened = fault::at(*call, fault, || work(&store));
            if !fault.is_kill() {
                check(&store, &what);
                // The process lives on.
                let _ = store.compact_if_due();
                check(&store, &what);
            }
            drop(store);
            for _ in 0..2 {
                check(&start(root.path(), &what), &what);
            }
            !happened
        });
        let calls = calls.expect("the work ends");
        assert!(calls > 3 || fault != Fault::Kill, "{calls} calls: nothing was walked");
        println!("{fault:?}: {calls} calls");
    }
}

#[test]
fn s4_a_fault_at_any_call_of_a_compaction() {
    let root = filled();
    let compact = |store: &Store| {
        let _ = store.compact().and_then(|()| store.compact());
    };
    on_open_store(root.path(), compact, assert_filled);
}

/// Some 2,000 records of 66 bytes, over two rotations: what was written is there after the fault. A batch whose write failed
/// may be there as well, whole.
#[test]
fn s4_s6_a_fault_at_any_call_of_a_rotation() {
    let root = filled();
    let (appended, written) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let rotate = |store: &Store| {
        appended.set(0);
        written.set(0);
        let object = store.find_or_create(id(40), None).unwrap();
        write_file(store, id(40), 0, &[1; 4000]);
        let mut claim = object.claim(Want { offset: 0, body: None, parallel: false }).unwrap();
        for batch in 0..40 {
            let spans: Vec<_> =
                (0..50).map(|at| (span(batch * 50 + at, batch * 50 + at + 1), crc32fast::hash(&[1]))).collect();
            let journal = store.journal(0);
            if journal.make_room_blocking(50, false).is_err() || claim.commit_all(journal, &spans, true).is_err() {
                break;
            }
            appended.set((batch + 1) * 50);
            match journal.flush_blocking() {
                Ok(()) => written.set((batch + 1) * 50),
                Err(_) => break,
            }
            let _ = store.compact_if_due();
        }
    };
    on_open_store(root.path(), rotate, |store, what| {
        assert_filled(store, what);
        let found = store.find(id(40)).map_or(0, |object| object.look().contiguous);
        assert!(found == written.get() || found == appended.get(), "{what}: {found} of {}", written.get());
    });
}

#[test]
fn s4_a_fault_at_any_call_of_an_orderly_end() {
    let root = filled();
    on_open_store(root.path(), |store| drop(store.close()), assert_filled);
}

/// More pieces than one record takes: an import that is cut off between two of them is finished by the next one.
#[test]
fn s4_a_fault_at_any_call_of_an_import_and_the_next_import_finishes_it() {
    let root = filled();
    let bytes: Vec<u8> = (0..6000u32).map(|at| (at / 10) as u8).collect();
    let source = root.path().join("source");
    std::fs::write(&source, &bytes).unwrap();
    let pieces: Vec<_> =
        (0..600).map(|at| Foreign { path: source.clone(), from: at * 10, span: span(at * 10, at * 10 + 10) }).collect();
    let mut finished = 0;
    for placing in [Placing::Link, Placing::Copy] {
        for fault in [Fault::Kill, Fault::Error(Other)] {
            let calls = (0..CALLS_MAX).find(|call| {
                let what = format!("{placing:?}, {fault:?} at call {call}");
                let copy = directory();
                copy_tree(root.path(), copy.path());
                let store = start(copy.path(), &what);
                let happened = fault::at(*call, fault, || drop(store.adopt(id(60), 6000, &pieces, placing)));
                drop(store);
                let store = start(copy.path(), &what);
                assert_filled(&store, &what);
                let before = store.find(id(60)).map_or(0, |object| object.look().received);
                finished += u32::from(before > 0 && before < 6000);
                match store.adopt(id(60), 6000, &pieces, placing) {
                    Ok(Adopted::Now(now)) => assert_eq!(now, 6000 - before, "{what}"),
                    Ok(Adopted::Before) => assert_eq!(before, 6000, "{what}"),
                    Err(error) => panic!("{what}: {error}"),
                }
                assert_eq!(store.verify(id(60)).unwrap().good, 6000, "{what}");
                assert_eq!(read_file(copy.path(), id(60)), bytes, "{what}");
                !happened
            });
            assert!(calls.is_some_and(|calls| calls > 2));
        }
    }
    assert!(finished > 0, "none was cut off between two records");
}

/// Fewer bytes than the source has, from somewhere else: they are not overwritten.
#[test]
fn s4_what_is_here_and_is_no_part_of_the_import_is_left_as_it_is() {
    let root = directory();
    let store = start(root.path(), "first");
    let source = root.path().join("source");
    std::fs::write(&source, [7; 100]).unwrap();
    let pieces = [Foreign { path: source, from: 0, span: span(0, 100) }];
    store_bytes(&store, id(1), Some(100), 0, &[1; 50]);
    assert!(matches!(store.adopt(id(1), 100, &pieces, Placing::Copy), Err(AdoptError::Differs)));
    assert_eq!((store.find(id(1)).unwrap().look().received, read_file(root.path(), id(1))), (50, vec![1; 50]));
}

/// The write of a batch stops half-way: the rest is a torn tail, whatever stands in it.
#[test]
fn s6_half_a_batch_is_no_damage_and_no_record() {
    let root = directory();
    let store = start(root.path(), "first");
    let object = store.find_or_create(id(1), Some(1000)).unwrap();
    write_file(&store, id(1), 0, &[1; 1000]);
    let mut claim = object.claim(sequential(0, 1000)).unwrap();
    let spans: Vec<_> = (0..100).map(|at| (span(at * 10, at * 10 + 10), crc32fast::hash(&[1; 10]))).collect();
    fault::at(0, Fault::Kill, || {
        claim.commit_all(store.journal(0), &spans, true).unwrap();
        assert!(store.journal(0).flush_blocking().is_err());
    });
    drop((claim, object, store));
    for name in ["first", "second"] {
        let store = start(root.path(), name);
        assert!(store.find(id(1)).is_none_or(|object| object.look().received == 0), "none of the batch counts");
    }
}

/// A checkpoint is written between the record of a removal and its place in the index.
#[test]
fn s7_a_checkpoint_keeps_the_tombstone_of_what_is_removed_and_not_buried() {
    let root = directory();
    let store = start(root.path(), "first");
    store_complete(&store, id(1), b"hello", true);
    let object = store.find(id(1)).unwrap();
    object.entomb(&mut object.state.hold(), store.journal(0)).unwrap();
    store.compact().unwrap();
    drop((object, store));
    for name in ["second", "third"] {
        let store = start(root.path(), name);
        assert!(store.is_removed(id(1)), "{name}: it may live again");
        assert_eq!((store.audit().objects, store.audit().tombstones), (0, 1), "{name}");
    }
}

/// One sync of a journal at a time, and its failure is everybody's.
#[test]
fn e4_a_failed_sync_is_seen_by_who_waits_for_it_and_by_who_comes_later() {
    let root = directory();
    let store = start(root.path(), "first");
    store_bytes(&store, id(1), None, 0, b"hello");
    let (journal, position) = (store.journal(0), store.journal(0).position());
    let syncing = journal.begin_sync().unwrap();
    let waits = journal.synced_changed();
    assert!(journal.begin_sync().is_none(), "another core has to wait for this one");
    syncing.failed();
    waits.wait_timeout(Duration::from_secs(60)).expect("who waits is woken");
    assert!(journal.is_distrusted() && journal.needs_sync(position));
    // The kernel reported the error, so the next sync of the same description succeeds; it proves nothing.
    journal.begin_sync().unwrap().succeeded();
    assert!(journal.needs_sync(position) && journal.sync_blocking().is_err());
    assert!(store.compact_if_due().unwrap() && !journal.needs_sync(position));
    // A sync of unknown outcome counts as failed; one that was not begun does not.
    journal.begin_sync().unwrap().not_begun();
    assert!(!journal.is_distrusted());
    drop(journal.begin_sync().unwrap());
    assert!(journal.is_distrusted());
}

#[test]
fn e4_a_segment_that_was_given_up_is_synced_with_the_others() {
    let root = directory();
    let store = start(root.path(), "first");
    store_bytes(&store, id(1), None, 0, b"hello");
    fault::at(0, Fault::Error(ErrorKind::Other), || {
        assert!(remove(&store, id(2), store.journal(0)).is_err());
    });
    assert_eq!(store.journal(0).begin_sync().unwrap().files().len(), 2, "what was appended before waits for its sync");
}

/// faults.md E7: what a core does to an object or a journal touches no disk; the writer does that.
#[test]
fn e7_no_change_asks_the_disk() {
    let root = filled();
    let store = start(root.path(), "first");
    let object = store.find_or_create(id(1), None).unwrap();
    assert!(object.look().complete);
    let object = store.find_or_create(id(41), None).unwrap();
    write_file(&store, id(41), 0, &[1; 10_000]);
    let asked = fault::at(0, Fault::Error(Other), || {
        let journal = store.journal(0);
        let mut claim = object.claim(Want { offset: 0, body: None, parallel: false }).unwrap();
        // Beyond the end of the segment, and as far as the spare one goes.
        let refused = (0..10_000).find(|at| claim.commit(journal, span(*at, at + 1), 0).is_err());
        let refused = refused.expect("there is room for two segments");
        assert!(refused > 1500);
        drop(claim);
        object.synced(object.mark(), journal).unwrap();
        let journal = store.journal(1);
        object.declare_length(refused, journal).unwrap();
        object.try_complete().unwrap().finish(journal, false).unwrap();
        store.confirm(1, &store.unconfirmed()[0]);
        store.condemn(id(8), journal).unwrap().unwrap();
        journal.distrust();
    });
    assert!(!asked, "a disk was asked");
    flush(&store);
    drop((object, store));
    let store = start(root.path(), "second");
    assert!(store.find(id(41)).unwrap().look().complete && store.is_removed(id(8)));
}

/// A write is on its way while the journal goes on in another segment: it counts in the one it went to, and when it fails it
/// goes to the other.
#[test]
fn e7_a_write_that_is_on_its_way_while_a_generation_begins() {
    for fails in [false, true] {
        let root = directory();
        let store = start(root.path(), "first");
        let journal = store.journal(0);
        store_bytes(&store, id(1), None, 0, b"before");
        let object = store.find_or_create(id(2), Some(100)).unwrap();
        write_file(&store, id(2), 0, b"hello");
        let mut claim = object.claim(sequential(0, 5)).unwrap();
        let first = claim.commit(journal, span(0, 3), crc32fast::hash(b"hel")).unwrap();
        let Flush::Begun(mut flushing) = journal.begin_flush() else { panic!("no other writer") };
        let bytes = flushing.take_bytes();
        let second = claim.commit(journal, span(3, 5), crc32fast::hash(b"lo")).unwrap();
        assert!(matches!(journal.begin_flush(), Flush::Busy), "one at a time");
        store.compact().unwrap();
        match fails {
            true => flushing.failed(&ErrorKind::Other.into()),
            false => {
                flushing.file().write_all_at(&bytes, flushing.at()).unwrap();
                flushing.succeeded();
            }
        }
        assert_eq!((journal.is_written(first), journal.is_written(second)), (!fails, false));
        assert_eq!(journal.failure_since(0).is_some(), fails, "who waited for it learns of it");
        flush(&store);
        assert!(journal.is_written(second));
        journal.begin_sync().unwrap().succeeded();
        assert!(journal.is_synced());
        drop((claim, object, store));
        for name in ["second", "third"] {
            let store = start(root.path(), name);
            assert_eq!(store.find(id(2)).unwrap().look().contiguous, 5, "{name} {fails}");
        }
    }
}

/// After a write of unknown outcome the same bytes go to the same place, whatever was appended and synced meanwhile.
#[test]
fn e7_a_write_without_an_outcome_is_repeated() {
    let root = directory();
    let store = start(root.path(), "first");
    let journal = store.journal(0);
    store_bytes(&store, id(1), None, 0, b"before");
    let append = |number| {
        let object = store.find_or_create(id(number), None).unwrap();
        write_file(&store, id(number), 0, b"hello");
        object.claim(sequential(0, 5)).unwrap().commit(journal, span(0, 5), crc32fast::hash(b"hello")).unwrap()
    };
    append(2);
    let Flush::Begun(mut flushing) = journal.begin_flush() else { panic!("no other writer") };
    let (bytes, at) = (flushing.take_bytes(), flushing.at());
    drop(flushing);
    let last = append(3);
    journal.begin_sync().unwrap().succeeded();
    let Flush::Begun(mut flushing) = journal.begin_flush() else { panic!("no other writer") };
    assert_eq!((flushing.take_bytes(), flushing.at()), (bytes, at));
    assert_eq!(journal.failures(), 0);
    drop(flushing);
    flush(&store);
    assert!(journal.is_written(last));
    drop(store);
    assert_eq!(start(root.path(), "second").find(id(3)).unwrap().look().received, 5);
}

/// A core that ends in the middle of a sync does not spoil the orderly end of the node.
#[test]
fn a_sync_without_an_outcome_is_cured_by_the_orderly_end() {
    let root = directory();
    let store = start(root.path(), "first");
    store_bytes(&store, id(1), None, 0, b"hello");
    drop(store.journal(0).begin_sync().unwrap());
    assert!(store.journal(0).is_distrusted());
    store.close().unwrap();
    assert!(store.journal(0).is_synced());
    drop(store);
    assert_eq!(start(root.path(), "second").find(id(1)).unwrap().look().received, 5);
}

/// A store that takes nothing refuses at once instead of waiting for room.
#[test]
fn e7_a_read_only_store_refuses_at_once() {
    let root = directory();
    let store = start(root.path(), "first");
    store.common().read_only.store(true, std::sync::atomic::Ordering::Relaxed);
    store.journal(0).make_room_blocking(1, false).unwrap();
    let refused = store.journal(0).append(id(1), &[super::super::record::Change::Remove]);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
}

/// A disk on which no record can be written costs no segment after the other.
#[test]
fn e7_failing_again_and_again_makes_no_files() {
    let root = directory();
    let store = start(root.path(), "first");
    store_bytes(&store, id(1), None, 0, b"before");
    let journal = store.journal(0);
    journal.append(id(2), &[super::super::record::Change::Remove]).unwrap();
    for _ in 0..20 {
        let Flush::Begun(flushing) = journal.begin_flush() else { panic!("it is tried again") };
        flushing.failed(&ErrorKind::Other.into());
        let _ = store.compact_if_due();
    }
    assert!(journal_files(root.path()).len() <= 6, "{:?}", journal_files(root.path()));
    flush(&store);
}
