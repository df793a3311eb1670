//! PROMISES.md P7: on a full disk bodies are refused, and everything that gives room back or ends something goes on.
//! PROMISES.md P6: a failed write of the journal is believed.
use std::process::Command;

use super::*;

/// As if the disk were full: no new segment can be made, because its name is taken.
fn block_new_segments(root: &Path, store: &Store) {
    let generation = store.common().generation.load(std::sync::atomic::Ordering::Acquire);
    for part in 0..100 {
        let name = format!("{generation:010}-0000-{part:06}.journal");
        let _ = std::fs::File::create_new(root.join("journal").join(name));
    }
}

#[test]
fn removing_and_completing_go_on_when_no_segment_can_be_made() {
    let root = directory();
    let options = StoreOptions { journal_bytes: 64 << 10, ..StoreOptions::new(root.path(), 1) };
    let (store, _) = Store::open_in(options, BOOT).unwrap();
    store_bytes(&store, id(1), Some(10), 0, &[1; 10]);
    store_bytes(&store, id(2), Some(20), 0, &[1; 10]);
    block_new_segments(root.path(), &store);
    let object = store.find_or_create(id(3), None).unwrap();
    write_file(&store, id(3), 0, &[1; 10_000]);
    let mut claim = object.claim(Want { offset: 0, body: None, parallel: false }).unwrap();
    let mut refused_at = (0..10_000).find(|at| claim.commit(store.journal(0), span(*at, at + 1), 0).is_err()).unwrap();
    assert!(refused_at > 1500, "two segments were there: {refused_at}");
    assert_eq!(object.look().contiguous, refused_at, "the prefix is kept");
    flush(&store);
    // A part of what was kept for others was free again; there is no other segment.
    while store.journal(0).make_room_blocking(1, false).is_ok() {
        claim.commit(store.journal(0), span(refused_at, refused_at + 1), 0).unwrap();
        refused_at += 1;
    }
    store.find(id(1)).unwrap().try_complete().unwrap().finish(store.journal(0), true).unwrap();
    assert!(remove(&store, id(2), store.journal(0)).unwrap());
    for number in 10..60 {
        assert!(remove(&store, id(number), store.journal(0)).unwrap());
    }
    drop((claim, object));
    flush(&store);
    let copy = directory();
    copy_tree(root.path(), copy.path());
    for path in journal_files(copy.path()).into_iter().filter(|path| std::fs::metadata(path).unwrap().len() == 0) {
        std::fs::remove_file(path).unwrap();
    }
    let (reopened, _) = open(copy.path());
    assert!(reopened.find(id(1)).unwrap().look().complete && reopened.is_removed(id(59)));
    assert_eq!(reopened.find(id(3)).unwrap().look().contiguous, refused_at);
    store.compact().expect("a new generation has free names: room appeared");
    store_bytes(&store, id(4), None, 0, &[1; 10]);
}

#[test]
fn after_a_failed_write_the_journal_goes_on_in_another_segment() {
    let root = directory();
    let (store, _) = open(root.path());
    store_bytes(&store, id(1), None, 0, b"before");
    let object = store.find_or_create(id(2), None).unwrap();
    let mut claim = object.claim(sequential(0, 5)).unwrap();
    write_file(&store, id(2), 0, b"after");
    let position = claim.commit(store.journal(0), span(0, 5), crc32fast::hash(b"after")).unwrap();
    store.journal(0).break_segment();
    assert!(store.journal(0).flush_blocking().is_err());
    assert!(!store.journal(0).is_written(position), "who waits for it is not told that it is safe");
    store.journal(0).flush_blocking().unwrap();
    assert!(store.journal(0).is_written(position), "it waited in memory, and went to the spare segment");
    drop((claim, object, store));
    let (store, _) = open(root.path());
    assert_eq!(store.find(id(1)).unwrap().look().received, 6);
    assert_eq!(store.find(id(2)).unwrap().look().received, 5);
}

#[test]
fn after_a_failed_sync_of_a_journal_only_a_checkpoint_makes_it_durable() {
    let root = directory();
    let (store, _) = open(root.path());
    let journal = store.journal(0);
    store_bytes(&store, id(1), None, 0, b"before");
    let position = journal.position();
    let syncing = journal.begin_sync().unwrap();
    journal.distrust();
    syncing.succeeded();
    store_bytes(&store, id(1), None, 6, b"after");
    journal.begin_sync().unwrap().succeeded();
    assert!(journal.needs_sync(position) && journal.needs_sync(journal.position()), "a second success is no success");
    assert!(store.compact_if_due().unwrap(), "due at once");
    assert!(!journal.needs_sync(position) && !journal.is_distrusted());
    store_bytes(&store, id(1), None, 11, b"later");
    journal.begin_sync().unwrap().succeeded();
    assert!(journal.is_synced());
}

/// A small file system of its own; goes with its guard.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(bytes: u64) -> Option<Self> {
        if !etransfer_tests::has_root() {
            return None;
        }
        let disk = Self(directory());
        let size = format!("size={bytes}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(disk.0.path()).output();
        assert!(mounted.as_ref().is_ok_and(|output| output.status.success()), "{mounted:?}");
        Some(disk)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_stops_neither_removal_nor_the_next_starts() {
    let Some(disk) = SmallDisk::mount(4 << 20) else { return };
    let root = disk.0.path().join("storage");
    let (store, _) = open(&root);
    store_bytes(&store, id(1), Some(1000), 0, &[1; 500]);
    store_complete(&store, id(2), &[2; 64 << 10], true);
    let ballast = disk.0.path().join("ballast");
    let filled = std::fs::write(&ballast, vec![0; 4 << 20]);
    assert_eq!(filled.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    for _ in 0..20 {
        assert!(store.compact().is_err(), "no room for a checkpoint");
    }
    assert!(journal_files(&root).len() <= 4, "failing again and again costs nothing");
    store.find(id(2)).unwrap().remove(store.journal(0)).unwrap();
    flush(&store);
    drop(store);
    for start in 0..4 {
        let (store, _) = open(&root);
        assert_eq!(store.find(id(1)).unwrap().look().contiguous, 500, "start {start}");
        assert!(store.is_removed(id(2)));
        assert!(remove(&store, id(10 + start), store.journal(0)).unwrap());
    }
    std::fs::remove_file(ballast).unwrap();
    let (store, _) = open(&root);
    assert!((10..14).all(|number| store.is_removed(id(number))));
    store.compact().unwrap();
    store_bytes(&store, id(1), None, 500, &[1; 500]);
    assert!(store.find(id(1)).unwrap().try_complete().is_some());
    assert_eq!(journal_files(&root).len(), 3);
}
