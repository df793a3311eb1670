//! PROMISES.md P2 and P3: after a power loss, what was synced is there without a look, and what was not counts only if
//! it reads back.
use super::super::segment::DamageKind;
use super::*;

const NEXT_BOOT: BootId = BootId([2; 16]);

fn reboot(root: &Path) -> (Arc<Store>, Replayed) {
    Store::open_in(options(root, 1), NEXT_BOOT).unwrap()
}

#[test]
fn unsynced_bytes_are_compared_and_synced_ones_are_not() {
    let root = directory();
    let (store, _) = open(root.path());
    store_bytes(&store, id(1), Some(12288), 0, &[1; 4096]);
    let object = store.find(id(1)).unwrap();
    object.synced(object.mark(), store.journal(0)).unwrap();
    store_bytes(&store, id(1), None, 4096, &[2; 2000]);
    store_bytes(&store, id(2), Some(100), 0, &[3; 50]);
    store_bytes(&store, id(3), Some(100), 0, &[4; 50]);
    drop((object, store));
    // The disk lost a page of the first and the third; the synced byte is changed to show that the start does not read it.
    for (object, at) in [(1, 5000), (1, 10), (3, 20)] {
        let path = root.path().join("objects").join(ObjectPath::of(id(object)).as_str());
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at] = 0xee;
        std::fs::write(path, bytes).unwrap();
    }
    let (store, replayed) = reboot(root.path());
    assert_eq!(replayed.lost_bytes, 2050);
    assert_eq!(store.find(id(1)).unwrap().spans(), [span(0, 4096)].into_iter().collect());
    assert_eq!(store.find(id(2)).unwrap().look().contiguous, 50);
    assert_eq!(store.find(id(3)).unwrap().look().contiguous, 0);
    assert_eq!(store.verify(id(1)).unwrap().damaged, [span(0, 4096)]);
    drop(store);
    let (_, replayed) = reboot(root.path());
    assert_eq!(replayed.lost_bytes, 0, "settled once");
}

#[test]
fn a_short_or_missing_file_after_a_power_loss_is_lost_bytes_not_damage() {
    let root = directory();
    let (store, _) = open(root.path());
    store_bytes(&store, id(1), Some(100), 0, &[1; 60]);
    store_complete(&store, id(2), &[2; 60], false);
    store_complete(&store, id(3), &[3; 60], false);
    drop(store);
    std::fs::remove_file(root.path().join("objects").join(ObjectPath::of(id(1)).as_str())).unwrap();
    std::fs::write(root.path().join("objects").join(ObjectPath::of(id(2)).as_str()), [2; 59]).unwrap();
    let (store, replayed) = reboot(root.path());
    assert_eq!(replayed.lost_bytes, 120);
    assert_eq!(store.find(id(1)).unwrap().look().received, 0);
    let look = store.find(id(2)).unwrap().look();
    assert_eq!(
        (look.complete, look.received, look.length),
        (false, 0, Some(60)),
        "completed without a sync, not whole"
    );
    assert!(store.find(id(3)).unwrap().look().complete, "completed without a sync, still whole");
}

#[test]
fn a_completion_that_was_synced_is_not_read_back_and_its_file_must_be_there() {
    let root = directory();
    let (store, _) = open(root.path());
    store_complete(&store, id(1), &[1; 60], true);
    drop(store);
    let path = root.path().join("objects").join(ObjectPath::of(id(1)).as_str());
    std::fs::write(&path, [9; 60]).unwrap();
    let (store, replayed) = reboot(root.path());
    assert_eq!(replayed.lost_bytes, 0);
    assert!(store.find(id(1)).unwrap().look().complete);
    drop(store);
    std::fs::remove_file(path).unwrap();
    let (store, replayed) = Store::open_in(options(root.path(), 1), BootId([3; 16])).unwrap();
    assert_eq!((replayed.damaged, store.find(id(1)).unwrap().is_damaged()), (1, true));
}

#[test]
fn after_an_orderly_end_nothing_is_read_back() {
    let root = directory();
    let (store, _) = open(root.path());
    store_bytes(&store, id(1), Some(100), 0, &[1; 60]);
    store.compact().unwrap();
    store_bytes(&store, id(2), Some(100), 0, &[1; 60]);
    store.close().unwrap();
    drop(store);
    for number in [1, 2] {
        std::fs::write(root.path().join("objects").join(ObjectPath::of(id(number)).as_str()), [9; 60]).unwrap();
    }
    let (_, replayed) = reboot(root.path());
    assert_eq!(replayed.lost_bytes, 0);
}

#[test]
fn an_unknown_boot_is_never_the_same_boot() {
    let root = directory();
    let unknown = BootId([0; 16]);
    let (store, _) = Store::open_in(options(root.path(), 1), unknown).unwrap();
    store_bytes(&store, id(1), Some(100), 0, &[1; 60]);
    drop(store);
    std::fs::write(root.path().join("objects").join(ObjectPath::of(id(1)).as_str()), [9; 60]).unwrap();
    let (_, replayed) = Store::open_in(options(root.path(), 1), unknown).unwrap();
    assert_eq!(replayed.lost_bytes, 60);
}

/// Pages that were never synced may be missing while later ones arrived; synced ones may not.
#[test]
fn a_hole_in_the_journal_is_a_tail_if_it_was_never_synced_and_damage_if_it_was() {
    for synced in [false, true] {
        let root = directory();
        let (store, _) = open(root.path());
        for number in 0..6 {
            store_bytes(&store, id(number), None, 0, &[number; 10]);
            if synced && number == 3 {
                store.journal(0).begin_sync().unwrap().succeeded();
            }
        }
        drop(store);
        let segment = present_segment(root.path());
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes[64 + 2 * 66..64 + 3 * 66].fill(0);
        std::fs::write(&segment, &bytes).unwrap();
        assert!(
            matches!(Store::open_in(options(root.path(), 1), BOOT), Err(OpenError::Damaged(_))),
            "without a power loss"
        );
        match (synced, Store::open_in(options(root.path(), 1), NEXT_BOOT)) {
            (false, Ok((_, replayed))) => assert_eq!((replayed.objects, replayed.orphans), (2, 4)),
            (true, Err(OpenError::Damaged(damage))) => assert_eq!(damage.what, DamageKind::Frame),
            (_, other) => panic!("{other:?}"),
        }
    }
}
