//! faults.md S1: whatever is missing, cut or another store's below `journal/` is named, and nothing is unlinked; a torn
//! tail stays what it is, and yesterday's directories start.
use std::collections::BTreeSet;

use super::super::segment::{DamageKind, Header, Name};
use super::*;

/// A store with a checkpoint, records in two segments of one journal and in one of the other; ended as by a kill.
fn killed() -> tempfile::TempDir {
    let root = directory();
    let options = StoreOptions { journal_bytes: 64 << 10, ..StoreOptions::new(root.path(), 2) };
    let (store, _) = Store::open_in(options, BOOT).unwrap();
    (0..4).for_each(|number| store_complete(&store, id(number), &[number; 50], true));
    store.compact().unwrap();
    (4..8).for_each(|number| store_complete(&store, id(number), &[number; 50], true));
    let object = store.find_or_create(id(9), None).unwrap();
    write_file(&store, id(9), 0, &[9; 1500]);
    let mut claim = object.claim(Want { offset: 0, body: None, parallel: false }).unwrap();
    for at in 0..1500 {
        claim.commit(store.journal(0), span(at, at + 1), crc32fast::hash(&[9])).unwrap();
    }
    flush(&store);
    store.compact_if_due().unwrap();
    remove(&store, id(10), store.journal(1)).unwrap();
    drop(claim);
    root
}

/// Every file below `root`.
fn files(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(root).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => drop(found.insert(entry.path())),
        }
    }
    found
}

fn start(root: &Path) -> Result<(Arc<Store>, Replayed), OpenError> {
    Store::open_in(StoreOptions { journal_bytes: 64 << 10, ..StoreOptions::new(root, 2) }, BOOT)
}

/// There is no journal at all: refused in any case, and removed nothing.
#[track_caller]
fn refused_for_good(root: &Path) {
    let before = files(root);
    for read_only_on_damage in [false, true] {
        let options = StoreOptions { read_only_on_damage, ..StoreOptions::new(root, 2) };
        match Store::open_in(options, BOOT) {
            Err(OpenError::NoJournal { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(files(root).is_superset(&before), "something was unlinked");
}

/// The start is refused, names `file`, and removed nothing; told to serve what is left, it removes nothing either.
#[track_caller]
fn refused(root: &Path, file: &str) -> DamageKind {
    let before = files(root);
    let Err(OpenError::Damaged(damage)) = start(root) else { panic!("{file}: it started") };
    assert!(damage.file.contains(file), "{damage}, not {file}");
    assert!(files(root).is_superset(&before), "{file}: something was unlinked");
    let lenient = StoreOptions { read_only_on_damage: true, ..StoreOptions::new(root, 2) };
    let (store, _) = Store::open_in(lenient, BOOT).unwrap();
    assert!(store.degraded().unwrap().contains("read-only") && files(root).is_superset(&before), "{file}");
    damage.what
}

fn segments(root: &Path) -> Vec<PathBuf> {
    journal_files(root).into_iter().filter(|path| path.extension().unwrap() == "journal").collect()
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn s1b_one_segment_missing_or_cut_is_named_and_nothing_is_unlinked() {
    let root = killed();
    let all = segments(root.path());
    assert!(all.len() >= 5, "two spares, three with records: {all:?}");
    for path in &all {
        for left in [None, Some(0), Some(64), Some(32 << 10)] {
            let copy = directory();
            copy_tree(root.path(), copy.path());
            let path = copy.path().join("journal").join(name(path));
            match left {
                None => std::fs::remove_file(&path).unwrap(),
                Some(left) => std::fs::File::options().write(true).open(&path).unwrap().set_len(left).unwrap(),
            }
            match (left, refused(copy.path(), name(&path))) {
                (None, DamageKind::Missing) => {}
                (Some(left), DamageKind::Short { made, found }) => assert_eq!((made, found), (64 << 10, left)),
                (_, what) => panic!("{what}"),
            }
        }
    }
    let (store, _) = start(root.path()).unwrap();
    assert_eq!(store.inventory(None, 100).len(), 9);
}

#[test]
fn s1_a_missing_journal_is_named_whatever_part_of_it_is_missing() {
    let root = killed();
    let without = |keep: &dyn Fn(&str) -> bool| {
        let copy = directory();
        copy_tree(root.path(), copy.path());
        for entry in std::fs::read_dir(copy.path().join("journal")).unwrap().map(Result::unwrap) {
            if !keep(entry.file_name().to_str().unwrap()) {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        copy
    };
    let copy = without(&|_| false);
    refused_for_good(copy.path());
    std::fs::remove_dir_all(copy.path().join("journal")).unwrap();
    refused_for_good(copy.path());
    // Also when only removals are in it.
    let gone = directory();
    let (store, _) = start(gone.path()).unwrap();
    remove(&store, id(1), store.journal(0)).unwrap();
    drop(store);
    std::fs::remove_dir_all(gone.path().join("journal")).unwrap();
    assert_eq!(refused(gone.path(), "journal/"), DamageKind::Missing);
    let copy = without(&|name| name.ends_with(".checkpoint"));
    assert_eq!(refused(copy.path(), ".journal"), DamageKind::Missing);
    let copy = without(&|name| !name.ends_with(".checkpoint"));
    assert_eq!(refused(copy.path(), ".checkpoint"), DamageKind::Missing);
}

#[test]
fn s1_a_manifest_that_is_lost_or_damaged_is_named_and_one_copy_is_enough() {
    let root = killed();
    let (inner, outer) = ("journal/manifest", "journal.manifest");
    for (damaged, starts) in [(vec![inner], true), (vec![outer], true), (vec![inner, outer], false)] {
        for remove in [true, false] {
            let copy = directory();
            copy_tree(root.path(), copy.path());
            for file in &damaged {
                let path = copy.path().join(file);
                match remove {
                    true => std::fs::remove_file(path).unwrap(),
                    false => std::fs::write(path, b"etmanife, or half of it").unwrap(),
                }
            }
            match starts {
                true => {
                    assert_eq!(start(copy.path()).unwrap().1.objects, 9);
                    std::fs::remove_file(&segments(copy.path())[0]).unwrap();
                    assert_eq!(refused(copy.path(), ".journal"), DamageKind::Missing, "it is whole again");
                }
                false => assert_eq!(refused(copy.path(), outer), DamageKind::Manifest),
            }
        }
    }
}

#[test]
fn s1_a_journal_of_yesterday_or_of_another_store_is_not_this_one() {
    let root = killed();
    let yesterday = directory();
    copy_tree(&root.path().join("journal"), yesterday.path());
    let (store, _) = start(root.path()).unwrap();
    store_complete(&store, id(20), &[20; 50], true);
    drop(store);
    std::fs::remove_dir_all(root.path().join("journal")).unwrap();
    copy_tree(yesterday.path(), &root.path().join("journal"));
    refused(root.path(), "journal/");
    // One file of another store, under a name this one has or has not.
    let (ours, theirs) = (killed(), killed());
    let foreign = segments(theirs.path()).into_iter().next().unwrap();
    std::fs::copy(&foreign, ours.path().join("journal").join(name(&foreign))).unwrap();
    assert_eq!(refused(ours.path(), name(&foreign)), DamageKind::Foreign);
    let ours = directory();
    drop(start(ours.path()).unwrap());
    std::fs::copy(&foreign, ours.path().join("journal/0000000009-0000-000000.journal")).unwrap();
    refused(ours.path(), "0000000009-0000-000000.journal");
}

/// An orderly end notes what was synced: a tail that is gone after it was no torn write.
#[test]
fn s1_a_tail_that_was_synced_is_missed() {
    let root = directory();
    let (store, _) = open(root.path());
    (0..5).for_each(|number| store_complete(&store, id(number), &[number; 50], true));
    store.close().unwrap();
    drop(store);
    let path = present_segment(root.path());
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 200..].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let before = files(root.path());
    let Err(OpenError::Damaged(damage)) = Store::open_in(options(root.path(), 1), BOOT) else { panic!("it started") };
    assert!(matches!(damage.what, DamageKind::Lost { .. }), "{damage}");
    assert_eq!(files(root.path()), before);
}

/// A store as a release without manifests leaves it: headers of version 1, no manifest.
fn as_version_1(root: &Path) {
    for path in journal_files(root) {
        let Some(name) = Name::parse(name(&path)) else { continue };
        let bytes = std::fs::read(&path).unwrap();
        let sequence = u64::from_le_bytes(bytes[48..56].try_into().unwrap());
        assert!(bytes[64..].iter().all(|byte| *byte == 0), "records are sealed by the header");
        let (header, _) = Header { name, boot: BOOT, sequence, tag: 0 }.encode();
        std::fs::write(&path, [&header[..], &bytes[64..]].concat()).unwrap();
    }
    std::fs::remove_file(root.join("journal/manifest")).unwrap();
    std::fs::remove_file(root.join("journal.manifest")).unwrap();
}

#[test]
fn two_first_starts_of_an_older_release_that_were_cut_short_are_no_damage() {
    let root = directory();
    drop(start(root.path()).unwrap());
    for path in journal_files(root.path()).into_iter().filter(|path| path.extension().unwrap() == "checkpoint") {
        std::fs::remove_file(path).unwrap();
    }
    as_version_1(root.path());
    for path in segments(root.path()) {
        let renamed = path.with_file_name(name(&path).replacen('1', "2", 1));
        let Some(name) = Name::parse(name(&renamed)) else { panic!("{renamed:?}") };
        let (header, _) = Header { name, boot: BOOT, sequence: 0, tag: 0 }.encode();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(renamed, [&header[..], &bytes[64..]].concat()).unwrap();
    }
    let (store, _) = start(root.path()).unwrap();
    store_complete(&store, id(1), b"hello", true);
}
