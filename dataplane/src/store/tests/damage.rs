//! PROMISES.md P18: a torn tail is dropped; anything else that is not what was written stops the start and names file
//! and position.
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::super::manifest;
use super::super::replay::{Replay, Slot, replay};
use super::super::segment::{DamageKind, HEADER_BYTES};
use super::*;

/// Ten records in one segment, and where each starts.
fn ten_records() -> (tempfile::TempDir, PathBuf, Vec<usize>) {
    let root = directory();
    let (store, _) = open(root.path());
    let mut starts = vec![HEADER_BYTES];
    for number in 0..10 {
        store_bytes(&store, id(number), None, 0, &[number; 100]);
        let tail = std::fs::read(present_segment(root.path())).unwrap().iter().rposition(|byte| *byte != 0).unwrap();
        starts.push((tail + 1 - HEADER_BYTES).div_ceil(RECORD) * RECORD + HEADER_BYTES);
    }
    drop(store);
    let segment = present_segment(root.path());
    (root, segment, starts)
}

/// Bytes of a range record with its frame.
const RECORD: usize = 29 + 16 + 21;

fn replay_of(root: &Path) -> Replay {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let [above, handle] =
        [root.to_owned(), root.join("journal")].map(|path| Os.open(&path, flags, Mode::empty()).unwrap());
    let manifest = manifest::read(&above, &handle).unwrap().unwrap();
    replay(&handle, BOOT, manifest.as_ref()).unwrap()
}

fn objects(replay: &Replay) -> usize {
    replay.slots.iter().filter(|(_, slot)| matches!(slot, Slot::Live(_))).count()
}

#[test]
fn every_flipped_byte_of_a_segment_is_damage_or_a_torn_tail() {
    let (root, segment, starts) = ten_records();
    let good = std::fs::read(&segment).unwrap();
    assert_eq!(objects(&replay_of(root.path())), 10);
    let last = starts[9];
    for position in 0..starts[10] + 40 {
        for bit in [0x01, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[position] ^= bit;
            std::fs::write(&segment, &bad).unwrap();
            let replay = replay_of(root.path());
            let damage = replay.damage.first();
            if position < last {
                let damage = damage.unwrap_or_else(|| panic!("byte {position} passes"));
                let name = segment.file_name().unwrap().to_str().unwrap();
                assert_eq!(damage.file, format!("journal/{name}"));
                let record = starts.iter().rfind(|start| **start <= position).map_or(0, |start| *start as u64);
                assert_eq!(damage.position, record, "byte {position}");
            } else {
                assert_eq!(damage, None, "byte {position}");
                assert_eq!(objects(&replay), if position < starts[10] { 9 } else { 10 });
                assert!(replay.torn_bytes > 0);
            }
        }
    }
}

#[test]
fn a_segment_cut_anywhere_keeps_every_whole_record() {
    let (root, segment, starts) = ten_records();
    let good = std::fs::read(&segment).unwrap();
    for cut in HEADER_BYTES..=starts[10] {
        let mut cut_off = good.clone();
        cut_off[cut..].fill(0);
        // Whatever a disk leaves of a write: a record that ends with zeros is whole without them.
        cut_off[cut] = if starts.contains(&cut) { 0 } else { 0xee };
        std::fs::write(&segment, cut_off).unwrap();
        let replay = replay_of(root.path());
        assert!(replay.damage.is_empty(), "cut at {cut}: {:?}", replay.damage);
        assert_eq!(objects(&replay), starts.iter().filter(|start| **start <= cut).count() - 1);
    }
}

#[test]
fn every_flipped_or_missing_byte_of_a_checkpoint_is_damage() {
    let root = directory();
    let (store, _) = open(root.path());
    (0..5).for_each(|number| store_bytes(&store, id(number), Some(200), 0, &[number; 100]));
    remove(&store, id(4), store.journal(0)).unwrap();
    store.compact().unwrap();
    drop(store);
    let checkpoint =
        journal_files(root.path()).into_iter().find(|path| path.extension().unwrap() == "checkpoint").unwrap();
    let good = std::fs::read(&checkpoint).unwrap();
    assert!(replay_of(root.path()).damage.is_empty());
    for position in 0..good.len() {
        let mut bad = good.clone();
        bad[position] ^= 0x10;
        std::fs::write(&checkpoint, &bad).unwrap();
        assert!(!replay_of(root.path()).damage.is_empty(), "byte {position} passes");
        std::fs::write(&checkpoint, &good[..position]).unwrap();
        assert!(!replay_of(root.path()).damage.is_empty(), "cut at {position} passes");
    }
    std::fs::remove_file(&checkpoint).unwrap();
    assert!(!replay_of(root.path()).damage.is_empty(), "a missing checkpoint passes");
}

#[test]
fn an_unknown_version_is_named() {
    let (root, segment, _) = ten_records();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[8] = 3;
    let crc = crc32fast::hash(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&segment, &bytes).unwrap();
    match Store::open_in(options(root.path(), 1), BOOT) {
        Err(OpenError::Damaged(Damage { what: DamageKind::Version(3), .. })) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn damage_stops_the_start_or_makes_it_read_only() {
    let (root, segment, starts) = ten_records();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[starts[5] + 30] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let Err(OpenError::Damaged(damage)) = Store::open_in(options(root.path(), 1), BOOT) else { panic!() };
    assert_eq!((damage.position, damage.what), (starts[5] as u64, DamageKind::Frame));
    let before = journal_files(root.path());
    let lenient = StoreOptions { read_only_on_damage: true, ..options(root.path(), 1) };
    let (store, replayed) = Store::open_in(lenient, BOOT).unwrap();
    assert!(store.degraded().unwrap().contains("read-only"));
    assert_eq!(replayed.objects, 5);
    let object = store.find(id(0)).unwrap();
    assert!(object.read().is_some());
    let mut claim = object.claim(sequential(100, 1)).unwrap();
    assert!(matches!(claim.commit(store.journal(0), span(100, 101), 0), Err(CommitError::Journal(_))));
    assert!(object.remove(store.journal(0)).is_err());
    assert!(!store.compact_if_due().unwrap());
    assert_eq!(journal_files(root.path()), before, "nothing is written");
    assert!(root.path().join("objects").join(ObjectPath::of(id(9)).as_str()).exists(), "nothing is removed");
}

#[test]
fn recorded_bytes_that_are_not_in_the_file_isolate_the_object() {
    for complete in [false, true] {
        for missing in [false, true] {
            let root = directory();
            let (store, _) = open(root.path());
            store_bytes(&store, id(1), Some(100), 0, &[1; 100]);
            store_bytes(&store, id(2), Some(100), 0, &[2; 100]);
            if complete {
                store.find(id(1)).unwrap().try_complete().unwrap().finish(store.journal(0), true).unwrap();
            }
            flush(&store);
            drop(store);
            let path = root.path().join("objects").join(ObjectPath::of(id(1)).as_str());
            if missing {
                std::fs::remove_file(&path).unwrap()
            } else {
                std::fs::write(&path, [1; 99]).unwrap()
            }
            let (store, replayed) = open(root.path());
            assert_eq!((replayed.objects, replayed.damaged, store.degraded()), (2, 1, None));
            let object = store.find(id(1)).unwrap();
            let what = object.damage().unwrap();
            assert!(
                what.contains("100 bytes are recorded") && what.contains(if missing { "no file" } else { "99" }),
                "{what}"
            );
            assert_eq!(store.damaged(), [(id(1), what)]);
            assert!(object.read().is_none() && object.try_complete().is_none(), "neither read nor completed");
            assert!(matches!(object.claim(sequential(100, 0)), Err(Refused::Damaged)), "nor written");
            let other = store.find(id(2)).unwrap();
            assert!(!other.is_damaged() && other.read().is_some(), "the rest is served");
            drop((object, other, store));
            // Put right, it is what it was; removed, it is gone and no start minds.
            std::fs::write(&path, [1; 100]).unwrap();
            let (store, replayed) = open(root.path());
            assert_eq!((replayed.damaged, store.find(id(1)).unwrap().damage()), (0, None));
            assert_eq!(store.find(id(1)).unwrap().look().complete, complete);
            drop(store);
            std::fs::remove_file(&path).unwrap();
            let (store, _) = open(root.path());
            erase(&store, id(1));
            assert!(store.damaged().is_empty());
            drop(store);
            assert_eq!(open(root.path()).1.damaged, 0);
        }
    }
}

/// Whatever stands in a segment behind its header: no panic, and nothing is believed that was not written.
#[test]
fn any_bytes_in_a_segment_are_damage_or_a_tail() {
    let (root, segment, starts) = ten_records();
    let good = std::fs::read(&segment).unwrap();
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    let garbage = prop::collection::vec(any::<u8>(), 1..300);
    let changed = TestRunner::new(config).run(&(garbage, 0..10usize, 0..RECORD), |(garbage, record, shift)| {
        let mut bytes = good.clone();
        let from = starts[record] + shift;
        bytes[from..from + garbage.len()].copy_from_slice(&garbage);
        std::fs::write(&segment, bytes).unwrap();
        let replay = replay_of(root.path());
        for (object, slot) in replay.slots.iter() {
            let Slot::Live(known) = slot else { panic!("{slot:?}") };
            prop_assert!((0..10).any(|number| id(number) == *object) && known.received.bytes() == 100);
        }
        Ok(())
    });
    changed.unwrap();
}
