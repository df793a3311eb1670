//! What a start may find in place of what it left, and what it does then: the rows of `dataplane/START.md` that need no
//! process. Nothing is unlinked, whatever the row.
use etransfer_contract::Fact;

use super::super::disk::fault::{self, Fault};
use super::super::segment::DamageKind;
use super::*;
use crate::config::Durability;
use crate::recover::complete_what_is_whole;

/// Every file below a directory that is an object's, wherever it is.
fn contents(root: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for place in ["objects", "quarantine"] {
        let mut rest = vec![root.join(place)];
        while let Some(directory) = rest.pop() {
            for entry in std::fs::read_dir(directory).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() { rest.push(path) } else { found.push(std::fs::read(path).unwrap()) }
            }
        }
    }
    found.sort();
    found
}

fn three_objects() -> (tempfile::TempDir, Vec<Vec<u8>>) {
    let root = directory();
    let (store, _) = open(root.path());
    for number in 1..4 {
        store_complete(&store, id(number), &[number; 100], true);
    }
    drop(store);
    let contents = contents(root.path());
    (root, contents)
}

fn refused(root: &Path) -> String {
    match Store::open_in(options(root, 1), BOOT) {
        Ok((_, replayed)) => panic!("it started: {replayed:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn objects_without_a_journal_refuse_the_start_and_stay() {
    let (root, before) = three_objects();
    let journal = root.path().join("journal");
    let aside = root.path().join("aside");
    std::fs::rename(&journal, &aside).unwrap();
    for what in ["is missing", "is empty"] {
        let said = refused(root.path());
        assert!(said.contains(&*root.path().to_string_lossy()) && said.contains(what), "{said}");
        assert!(said.contains("restore"), "it says what to do: {said}");
        assert_eq!(contents(root.path()), before);
        std::fs::create_dir_all(&journal).unwrap();
        std::fs::write(journal.join("lock"), "").unwrap();
    }
    // Other programs' files are no journal, and neither are segments that lost their content.
    std::fs::write(journal.join("notes.txt"), "not ours").unwrap();
    assert!(refused(root.path()).contains("is empty"));
    for path in std::fs::read_dir(&aside).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension == "journal") {
            std::fs::write(journal.join(path.file_name().unwrap()), "").unwrap();
        }
    }
    refused(root.path());
    assert_eq!(contents(root.path()), before);
    std::fs::remove_dir_all(&journal).unwrap();
    std::fs::rename(&aside, &journal).unwrap();
    let (store, replayed) = open(root.path());
    assert_eq!((replayed.objects, replayed.orphans, replayed.damaged), (3, 0, 0));
    assert_eq!(store.verify(id(1)).unwrap().good, 100);
}

#[test]
fn a_checkpoint_without_segments_refuses_the_start_when_it_does_not_name_every_file() {
    let root = directory();
    let (store, _) = open(root.path());
    store_complete(&store, id(1), &[1; 100], true);
    drop(store);
    for path in journal_files(root.path()) {
        if path.extension().unwrap() == "journal" {
            std::fs::remove_file(path).unwrap();
        }
    }
    refused(root.path());
    assert_eq!(contents(root.path()), [vec![1; 100]]);
}

#[test]
fn a_journal_without_its_objects_refuses_the_start() {
    let (root, before) = three_objects();
    let (objects, aside) = (root.path().join("objects"), root.path().join("aside"));
    std::fs::rename(&objects, &aside).unwrap();
    for _ in 0..2 {
        let said = refused(root.path());
        assert!(said.contains("objects/ is missing or empty") && said.contains("3 objects"), "{said}");
    }
    std::fs::remove_dir(&objects).unwrap();
    std::fs::rename(&aside, &objects).unwrap();
    assert_eq!(open(root.path()).1.damaged, 0);
    assert_eq!(contents(root.path()), before);
}

#[test]
fn a_refused_start_leaves_everything_where_it_is() {
    let (root, _) = three_objects();
    let (store, _) = open(root.path());
    write_file(&store, id(9), 0, b"no record names this");
    store_bytes(&store, id(4), Some(100), 0, &[4; 50]);
    drop(store);
    let before = contents(root.path());
    let segment = present_segment(root.path());
    let good = std::fs::read(&segment).unwrap();
    let mut bad = good.clone();
    bad[8] ^= 0xff;
    std::fs::write(&segment, &bad).unwrap();
    refused(root.path());
    assert_eq!(contents(root.path()), before);
    assert!(!root.path().join("quarantine").exists());
    std::fs::write(&segment, &good).unwrap();
    assert_eq!(open(root.path()).1.orphans, 1);
    assert_eq!(contents(root.path()), before, "set aside, not unlinked");
}

#[test]
fn a_file_comes_back_from_the_quarantine_when_a_record_names_it() {
    let (root, before) = three_objects();
    let (right, wrong) = (root.path().join("right"), root.path().join("wrong"));
    // The start with another journal takes all three for orphans.
    let elsewhere = directory();
    drop(open(elsewhere.path()));
    copy_tree(&elsewhere.path().join("journal"), &wrong);
    let manifest = root.path().join("journal.manifest");
    std::fs::rename(root.path().join("journal"), &right).unwrap();
    std::fs::rename(&manifest, root.path().join("right.manifest")).unwrap();
    std::fs::rename(&wrong, root.path().join("journal")).unwrap();
    std::fs::copy(elsewhere.path().join("journal.manifest"), &manifest).unwrap();
    assert_eq!(open(root.path()).1.orphans, 3);
    assert_eq!(contents(root.path()), before);
    // The right journal finds them there; one that changed meanwhile is not believed.
    std::fs::remove_dir_all(root.path().join("journal")).unwrap();
    std::fs::rename(&right, root.path().join("journal")).unwrap();
    std::fs::rename(root.path().join("right.manifest"), &manifest).unwrap();
    let quarantine = std::fs::read_dir(root.path().join("quarantine")).unwrap();
    let changed =
        quarantine.map(|entry| entry.unwrap().path()).find(|path| path.to_string_lossy().contains(&id(2).to_string()));
    std::fs::write(changed.unwrap(), [0; 100]).unwrap();
    let (store, replayed) = open(root.path());
    assert_eq!((replayed.put_back, replayed.damaged), (2, 1));
    assert_eq!(store.damaged()[0].0, id(2));
    for number in [1, 3] {
        assert_eq!(store.verify(id(number)).unwrap().good, 100);
        assert!(store.find(id(number)).unwrap().read().is_some());
    }
    assert!(store.quarantined().unwrap().is_empty());
}

#[test]
fn an_orphan_that_cannot_be_moved_is_reported_and_the_rest_is_served() {
    let (root, _) = three_objects();
    let (store, _) = open(root.path());
    write_file(&store, id(9), 0, b"stays");
    drop(store);
    // What is in the way of the directory cannot become one.
    std::fs::write(root.path().join("quarantine"), "in the way").unwrap();
    let (store, replayed) = open(root.path());
    assert_eq!((replayed.objects, replayed.orphans), (3, 1));
    assert_eq!(store.strays(), [id(9)]);
    assert_eq!(read_file(root.path(), id(9)), b"stays");
    assert!(store.find(id(9)).is_none() && store.find(id(1)).unwrap().read().is_some());
}

#[test]
fn whatever_is_in_an_objects_place_hurts_that_object_alone() {
    let (root, _) = three_objects();
    let place = |number| root.path().join("objects").join(ObjectPath::of(id(number)).as_str());
    std::fs::remove_file(place(1)).unwrap();
    std::fs::create_dir(place(1)).unwrap();
    std::fs::remove_file(place(2)).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", place(2)).unwrap();
    let (store, replayed) = open(root.path());
    assert_eq!((replayed.objects, replayed.damaged, replayed.orphans), (3, 2, 0));
    assert!(store.find(id(1)).unwrap().damage().unwrap().contains("no regular file"));
    assert!(store.find(id(3)).unwrap().read().is_some());
    drop(store);
    // A directory of the 256 that is none hurts what was in it.
    let shard = place(3).parent().unwrap().to_owned();
    std::fs::remove_dir_all(&shard).unwrap();
    std::fs::write(&shard, "in the way").unwrap();
    let (store, replayed) = open(root.path());
    assert_eq!(replayed.damaged, 3);
    assert!(store.find(id(3)).unwrap().damage().unwrap().contains("cannot be read"));
}

#[test]
fn the_loss_of_an_unsynced_tombstone_is_one_damaged_object() {
    // Power loss after the unlink reached the disk and the record did not: what the tombstone would have said is gone.
    let root = directory();
    let (store, _) = open(root.path());
    store_complete(&store, id(1), &[1; 100], true);
    store_complete(&store, id(2), &[2; 100], true);
    drop(store);
    std::fs::remove_file(root.path().join("objects").join(ObjectPath::of(id(1)).as_str())).unwrap();
    let (store, replayed) = Store::open_in(options(root.path(), 1), BootId([7; 16])).unwrap();
    assert_eq!((replayed.objects, replayed.damaged), (2, 1));
    assert!(store.find(id(2)).unwrap().read().is_some());
    erase(&store, id(1));
    assert!(store.find(id(1)).is_none());
}

#[test]
fn an_empty_upload_that_was_whole_needs_no_file_to_be_completed() {
    let root = directory();
    let (store, _) = open(root.path());
    store.find_or_create(id(1), None).unwrap().declare_length(0, store.journal(0)).unwrap();
    store_bytes(&store, id(2), Some(100), 0, &[2; 100]);
    drop(store);
    let (store, replayed) = open(root.path());
    assert_eq!(replayed.damaged, 0);
    complete_what_is_whole(&store, Durability::Complete);
    assert!(store.find(id(1)).unwrap().look().complete && store.find(id(2)).unwrap().look().complete);
}

#[test]
fn an_upload_that_cannot_be_completed_at_the_start_is_left_alone() {
    let root = directory();
    let (store, _) = open(root.path());
    store_bytes(&store, id(1), Some(100), 0, &[1; 100]);
    store_bytes(&store, id(2), Some(100), 0, &[2; 100]);
    // The file is replaced between the walk and the completion: as good as any error of this one file.
    let path = root.path().join("objects").join(ObjectPath::of(id(1)).as_str());
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    complete_what_is_whole(&store, Durability::Complete);
    assert!(store.find(id(1)).unwrap().is_damaged() && !store.find(id(1)).unwrap().look().complete);
    assert!(store.find(id(2)).unwrap().look().complete);
}

/// An error at each call by which completing at the start changes the disk: it costs one upload at most, and the node starts.
#[test]
fn an_error_while_an_upload_is_completed_at_the_start_stays_with_that_upload() {
    let origin = directory();
    let (store, _) = open(origin.path());
    store_bytes(&store, id(1), Some(100), 0, &[1; 100]);
    store_bytes(&store, id(2), Some(100), 0, &[2; 100]);
    drop(store);
    let (mut call, mut fell_back) = (0, 0);
    loop {
        let root = directory();
        copy_tree(origin.path(), root.path());
        let (store, _) = open(root.path());
        let error = Fault::Error(std::io::ErrorKind::Other);
        let happened = fault::at(call, error, || complete_what_is_whole(&store, Durability::Complete));
        let looks = [1, 2].map(|number| store.find(id(number)).unwrap().look());
        assert!(looks.iter().any(|look| look.complete), "call {call}: {looks:?}");
        assert!(looks.iter().all(|look| look.complete || look.contiguous == 0 || look.contiguous == 100));
        fell_back += usize::from(looks.iter().any(|look| look.contiguous == 0) && store.degraded().is_some());
        assert!(store.damaged().is_empty());
        drop(store);
        let (store, _) = open(root.path());
        complete_what_is_whole(&store, Durability::Complete);
        for (number, look) in [1, 2].map(|number| (number, store.find(id(number)).unwrap().look())) {
            assert!(look.complete || look.contiguous == 0, "call {call}, the next start: {look:?}");
            if look.complete {
                assert_eq!(store.verify(id(number)).unwrap().good, 100);
            }
        }
        if !happened {
            break;
        }
        call += 1;
    }
    assert!(call > 2 && fell_back >= 2, "{call} calls, {fell_back} of them syncs of an object");
}

#[test]
fn the_objects_of_another_node_are_set_aside_and_ours_are_damaged_until_they_are_back() {
    let ((ours, before), theirs) = (three_objects(), directory());
    let (store, _) = open(theirs.path());
    (5..8).for_each(|number| store_complete(&store, id(number), &[number; 100], true));
    drop(store);
    let (objects, aside) = (ours.path().join("objects"), ours.path().join("aside"));
    std::fs::rename(&objects, &aside).unwrap();
    copy_tree(&theirs.path().join("objects"), &objects);
    let (store, replayed) = open(ours.path());
    assert_eq!((replayed.objects, replayed.damaged, replayed.orphans), (3, 3, 3));
    assert_eq!(store.quarantined().unwrap().len(), 3, "not one of them is lost");
    drop(store);
    std::fs::remove_dir_all(&objects).unwrap();
    std::fs::rename(&aside, &objects).unwrap();
    assert_eq!(open(ours.path()).1.damaged, 0);
    std::fs::remove_dir_all(ours.path().join("quarantine")).unwrap();
    assert_eq!(contents(ours.path()), before);
}

#[test]
fn a_read_only_store_completes_nothing_and_serves_what_is_whole() {
    let root = directory();
    let (store, _) = open(root.path());
    store_complete(&store, id(1), &[1; 100], true);
    store_bytes(&store, id(2), Some(100), 0, &[2; 100]);
    store.journal(0).begin_sync().unwrap().succeeded();
    store_bytes(&store, id(3), None, 0, &[3; 10]);
    store_bytes(&store, id(4), None, 0, &[4; 10]);
    drop(store);
    let segment = present_segment(root.path());
    let mut bytes = std::fs::read(&segment).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 80] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let before = contents(root.path());
    assert!(matches!(
        Store::open_in(options(root.path(), 1), BOOT),
        Err(OpenError::Damaged(Damage { what: DamageKind::Frame, .. }))
    ));
    let lenient = StoreOptions { read_only_on_damage: true, ..options(root.path(), 1) };
    let (store, _) = Store::open_in(lenient, BOOT).unwrap();
    assert!(store.is_read_only());
    complete_what_is_whole(&store, Durability::Complete);
    assert!(store.find(id(1)).unwrap().read().is_some());
    let look = store.find(id(2)).unwrap().look();
    assert_eq!((look.complete, look.contiguous), (false, 100));
    assert!(store.find(id(2)).unwrap().read().is_some(), "an upload is read as it is");
    assert_eq!(contents(root.path()), before);
}

#[test]
fn a_removal_stays_due_across_restarts_and_compactions_until_its_file_is_gone() {
    let root = directory();
    let (store, _) = open(root.path());
    store_complete(&store, id(1), &[1; 100], true);
    let condemned = store.condemn(id(1), store.journal(0)).unwrap().unwrap();
    assert!(
        store.journal(0).needs_sync(condemned.recorded_at().unwrap()),
        "the record is to be synced before the unlink"
    );
    let again = store.condemn(id(1), store.journal(0)).unwrap().unwrap();
    assert_eq!(again.recorded_at(), condemned.recorded_at(), "asked again, it is the same decision");
    flush(&store);
    drop(store);
    for _ in 0..3 {
        let (store, replayed) = open(root.path());
        assert_eq!((replayed.objects, replayed.leftovers, replayed.orphans), (0, 1, 0));
        assert!(store.unconfirmed().is_empty(), "not told while the file is there");
        assert_eq!(store.inventory(None, 10).iter().map(|left| left.received).sum::<u64>(), 100, "and it counts");
        // However long ago: its tombstone is needed.
        store.confirm(0, &Fact::Removed { object: id(1) });
        store.index().sweep(u64::MAX);
        store.compact().unwrap();
        assert!(store.is_removed(id(1)));
    }
    let (store, _) = open(root.path());
    erase(&store, id(1));
    assert_eq!(store.unconfirmed(), [Fact::Removed { object: id(1) }]);
    assert!(store.inventory(None, 10).is_empty());
    drop(store);
    assert_eq!(open(root.path()).1.leftovers, 0);
}
