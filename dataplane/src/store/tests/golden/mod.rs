//! The journal as it is on the disk, byte for byte: every record, header, frame and manifest, and back; and a whole store of
//! such files, which a start reads, and compacts into a checkpoint that is golden too.
use std::sync::atomic::AtomicU64;

use etransfer_contract::Fact;
use etransfer_tests::examples;
use etransfer_tests::golden::Golden;

use super::super::manifest::{self, Entry, INNER, List, Manifest, OUTER};
use super::super::open::open_directory;
use super::super::record::{Change, Confirmable, Piece, Record, Snapshot};
use super::super::segment::{Frames, HEADER_BYTES, Header, Loaded, Name, frame, load, put_frame};
use super::*;

const TIME: u64 = 1_700_000_000_123;
const TAG: u32 = 0x0ddb_a115;
const CRC: u32 = 0x89ab_cdef;

fn golden(name: &str, about: &str) -> Golden {
    Golden::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/tests/golden").join(name), about)
}

fn object(byte: u8) -> ObjectId {
    ObjectId::from_bytes([byte; 16])
}

fn change(change: Change) -> Record {
    let object = ObjectId::from_bytes([0, 17, 34, 51, 68, 85, 102, 119, 136, 153, 170, 187, 204, 221, 238, 255]);
    Record::Change { object, change }
}

fn snapshot(length: Option<u64>, [complete, synced, confirmed]: [bool; 3]) -> Snapshot {
    Snapshot { length, complete, synced, confirmed }
}

fn piece(start: u64, end: u64, crc: Option<u32>, sequence: u64, durable: bool) -> Piece {
    Piece { span: span(start, end), crc, sequence, durable }
}

fn records() -> Vec<(&'static str, Record)> {
    let range = |synced| change(Change::Range { span: span(0x0102_0304, 0x0102_0304_0506_0708), crc: CRC, synced });
    let complete = |synced| change(Change::Complete { length: 0x0102_0304_0506_0708, synced });
    let fallback = |kept| change(Change::Fallback { kept });
    let confirmed = |what| change(Change::Confirmed { what });
    let restored = |length, flags| Record::Snapshot { object: object(7), snapshot: snapshot(length, flags) };
    let pieces = vec![piece(0, 10, Some(CRC), 5, true), piece(10, 12, None, 6, true), piece(20, 30, Some(1), 7, false)];
    examples!(Record:
        Record::Change { change: Change::Range { .. }, .. } => {
            "1 range": range(false),
            "1 range, its data synced before": range(true),
        },
        Record::Change { change: Change::Length { .. }, .. } => {
            "2 length": change(Change::Length { length: u64::MAX }),
        },
        Record::Change { change: Change::Complete { .. }, .. } => {
            "3 complete": complete(false),
            "3 complete, its data synced before": complete(true),
        },
        Record::Change { change: Change::Remove, .. } => { "4 remove": change(Change::Remove) },
        Record::Change { change: Change::Synced { .. }, .. } => { "5 synced": change(Change::Synced { upto: 9 }) },
        Record::Change { change: Change::Fallback { .. }, .. } => {
            "6 fallback": fallback(vec![span(0, 10), span(20, 30)]),
            "6 fallback to nothing": fallback(Vec::new()),
        },
        Record::Change { change: Change::Confirmed { what: Confirmable::Completed }, .. } => {
            "7 confirmed, the completion": confirmed(Confirmable::Completed),
        },
        Record::Change { change: Change::Confirmed { what: Confirmable::Removed }, .. } => {
            "7 confirmed, the removal": confirmed(Confirmable::Removed),
        },
        Record::Clean { .. } => { "8 clean": Record::Clean { upto: 9 } },
        Record::Snapshot { .. } => {
            "16 snapshot": restored(Some(100), [false; 3]),
            "16 snapshot of unknown length": restored(None, [false; 3]),
            "16 snapshot, complete": restored(Some(100), [true, false, false]),
            "16 snapshot, complete and synced": restored(Some(100), [true, true, false]),
            "16 snapshot, complete, synced and confirmed": restored(Some(100), [true; 3]),
        },
        Record::Pieces { .. } => { "17 pieces": Record::Pieces { object: object(7), pieces } },
        Record::Tombstone { .. } => {
            "18 tombstone": Record::Tombstone { object: object(7), confirmed: false },
            "18 tombstone, confirmed": Record::Tombstone { object: object(7), confirmed: true },
        },
        Record::End { .. } => { "19 end": Record::End { count: 9 } },
    )
}

#[test]
fn each_record_is_on_the_disk_as_ever() {
    let mut golden = golden("records.txt", "Records of the journal: kind, then payload (store/record.rs).");
    let all = records();
    for (name, record) in &all {
        let mut bytes = vec![record.kind()];
        record.encode(&mut bytes);
        golden.bytes(name, &bytes);
    }
    let batch: Vec<Record> = all.iter().take(4).map(|(_, record)| record.clone()).collect();
    let mut bytes = Vec::new();
    Record::encode_batch(&batch, &mut bytes);
    golden.bytes("9 batch, its payload", &bytes);
    let mut entries = golden.check();
    assert_eq!(Record::decode_batch(&entries.pop().unwrap().bytes()), Some(batch));
    for (entry, (name, record)) in entries.iter().zip(all) {
        let bytes = entry.bytes();
        assert!(name.starts_with(&format!("{} ", bytes[0])), "{name}");
        assert_eq!(Record::decode(bytes[0], &bytes[1..]), Some(record), "{name}");
    }
}

/// A directory with one file of the journal in it.
fn load_file(name: Name, bytes: &[u8]) -> Loaded {
    let root = directory();
    std::fs::write(root.path().join(name.to_string()), bytes).unwrap();
    load(&handle(root.path()), name, BOOT).unwrap().unwrap()
}

#[test]
fn headers_and_frames_are_on_the_disk_as_ever() {
    let mut golden =
        golden("files.txt", "Headers and frames of the journal's files, and the files' names (store/segment.rs).");
    let segment = Name::Segment { generation: 0x0102_0304, core: 5, part: 6 };
    let checkpoint = Name::Checkpoint { generation: 7 };
    for (name, is) in [("name of a segment", segment), ("name of a checkpoint", checkpoint)] {
        golden.text(name, &is.to_string());
    }
    let boot = BootId([0, 17, 34, 51, 68, 85, 102, 119, 136, 153, 170, 187, 204, 221, 238, 255]);
    let headers = [
        ("header of a segment", Header { name: segment, boot, sequence: 0x0102_0304_0506_0708, tag: TAG }),
        ("header of a segment, version 1", Header { name: segment, boot, sequence: 9, tag: 0 }),
        ("header of a checkpoint", Header { name: checkpoint, boot, sequence: 9, tag: TAG }),
    ];
    headers.iter().for_each(|(name, header)| golden.bytes(name, &header.encode().0));
    let (header, seed) = headers[0].1.encode();
    let frames = [vec![Record::Clean { upto: 3 }], vec![change(Change::Remove), Record::Clean { upto: 4 }]];
    for (name, records) in ["frame of one record", "frame of a batch"].into_iter().zip(&frames) {
        let mut bytes = Vec::new();
        put_frame(&mut bytes, seed, 5, TIME, HEADER_BYTES as u32, records);
        golden.bytes(name, &bytes);
    }
    let entries = golden.check();
    for (entry, is) in entries.iter().zip([segment, checkpoint]) {
        assert_eq!(Name::parse(entry.line()), Some(is));
    }
    for (entry, (_, header)) in entries[2..5].iter().zip(&headers) {
        assert_eq!(load_file(header.name, &entry.bytes()).header, *header);
    }
    for (entry, records) in entries[5..].iter().zip(frames) {
        let file = load_file(segment, &[&header[..], &entry.bytes()].concat());
        let frame = frame(file.seed, &file.bytes[HEADER_BYTES..]).expect("a good frame");
        assert_eq!((frame.sequence, frame.at_unix_ms), (5, TIME));
        assert_eq!(frame.records().unwrap(), (5u64..).zip(records).collect::<Vec<_>>());
    }
}

fn listed(name: Name, made: u64, synced: u64) -> Entry {
    Entry { name, made, synced: Arc::new(AtomicU64::new(synced)) }
}

fn handle(path: &Path) -> File {
    std::fs::create_dir_all(path).unwrap();
    open_directory(&Os, path).unwrap().unwrap()
}

#[test]
fn the_manifest_is_on_the_disk_as_ever() {
    let mut golden = golden("manifest.txt", "The manifest of the journal: which files count (store/manifest.rs).");
    let segments = || {
        let one = Name::Segment { generation: 7, core: 0, part: 0 };
        vec![listed(one, 256 << 10, 128), listed(Name::Segment { generation: 8, core: 1, part: 2 }, 64 << 10, 64)]
    };
    for (name, list) in [
        ("of a new store", List::new(TAG, None, Vec::new())),
        ("with a checkpoint", List::new(TAG, Some(7), segments())),
    ] {
        let root = directory();
        let (outer, inner) = (handle(root.path()), handle(&root.path().join("journal")));
        Manifest::begin(&outer, &inner, list).unwrap();
        let both =
            [root.path().join(OUTER), root.path().join("journal").join(INNER)].map(|path| std::fs::read(path).unwrap());
        assert_eq!(both[0], both[1], "two copies");
        let used = both[0].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1).next_multiple_of(8);
        assert_eq!(both[0].len(), 16 << 10, "room from the start");
        golden.bytes(name, &both[0][..used]);
    }
    golden.text("names", &format!("{OUTER}\njournal/{INNER}"));
    let entries = golden.check();
    let root = directory();
    let (outer, inner) = (handle(root.path()), handle(&root.path().join("journal")));
    std::fs::write(root.path().join(OUTER), entries[1].bytes()).unwrap();
    let list = manifest::read(&outer, &inner).unwrap().unwrap().expect("a list");
    assert_eq!((list.tag, list.checkpoint), (TAG, Some(7)));
    let told = |entry: &Entry| (entry.name, entry.made, entry.synced.load(std::sync::atomic::Ordering::Relaxed));
    assert_eq!(list.segments.iter().map(told).collect::<Vec<_>>(), segments().iter().map(told).collect::<Vec<_>>());
}

/// A checkpoint with each of its kinds of records, objects in the order of their ids.
fn checkpoint_frames(seed: u32) -> Vec<u8> {
    let crc = crc32fast::hash(&[7; 10]);
    let state = |byte, length, flags| Record::Snapshot { object: object(byte), snapshot: snapshot(length, flags) };
    let pieces = |byte, pieces| Record::Pieces { object: object(byte), pieces };
    let whole = |crc| vec![piece(0, 10, crc, 9, true)];
    let records = [
        (10, state(0x11, Some(100), [false; 3])),
        (10, pieces(0x11, vec![piece(0, 10, Some(crc), 8, true), piece(20, 30, Some(crc), 10, false)])),
        (11, state(0x22, Some(10), [true; 3])),
        (11, pieces(0x22, whole(Some(crc)))),
        (12, state(0x33, Some(10), [true, true, false])),
        (12, pieces(0x33, whole(None))),
        (13, state(0x44, Some(0), [true, false, false])),
        (14, state(0x55, None, [false; 3])),
        (15, Record::Tombstone { object: object(0x66), confirmed: true }),
        (16, Record::Tombstone { object: object(0x77), confirmed: false }),
        (16, Record::End { count: 10 }),
    ];
    let mut bytes = Vec::new();
    for (sequence, record) in records {
        put_frame(&mut bytes, seed, sequence, TIME, 0, &[record]);
    }
    bytes
}

/// What came after it: each kind of change.
fn segment_frames(seed: u32) -> Vec<u8> {
    let crc = crc32fast::hash(&[7; 10]);
    let range = |start, synced| Change::Range { span: span(start, start + 10), crc, synced };
    let frames = [
        vec![(0x11, range(10, false))],
        vec![(0x11, Change::Synced { upto: 17 })],
        vec![(0x11, Change::Fallback { kept: vec![span(0, 20)] })],
        vec![(0x22, Change::Remove)],
        vec![
            (0x55, Change::Length { length: 10 }),
            (0x55, range(0, true)),
            (0x55, Change::Complete { length: 10, synced: true }),
        ],
        vec![(0x55, Change::Confirmed { what: Confirmable::Completed })],
        vec![(0x77, Change::Confirmed { what: Confirmable::Removed })],
        vec![(0x88, range(90, false))],
    ];
    let (mut bytes, mut sequence) = (Vec::new(), 17);
    for changes in frames {
        let record = |(byte, change)| Record::Change { object: object(byte), change };
        let records: Vec<Record> = changes.into_iter().map(record).collect();
        put_frame(&mut bytes, seed, sequence, TIME + sequence, HEADER_BYTES as u32, &records);
        sequence += records.len() as u64;
    }
    put_frame(&mut bytes, seed, sequence, TIME, HEADER_BYTES as u32, &[Record::Clean { upto: sequence - 1 }]);
    bytes
}

fn facts(facts: &[Fact]) -> String {
    let line = |fact: &Fact| serde_json::to_string(fact).unwrap() + "\n";
    let mut lines: Vec<String> = facts.iter().map(line).collect();
    lines.sort();
    lines.concat()
}

#[test]
fn a_store_of_golden_files_is_read_and_compacted_as_ever() {
    const GENERATION: u64 = 7;
    let mut golden =
        golden("store.txt", "A store on the disk, what a start makes of it, and the checkpoint it writes.");
    let (checkpoint, segment) =
        (Name::Checkpoint { generation: GENERATION }, Name::Segment { generation: GENERATION, core: 0, part: 0 });
    let file = |name, frames: fn(u32) -> Vec<u8>| {
        let (header, seed) = Header { name, boot: BOOT, sequence: 7, tag: TAG }.encode();
        [&header[..], &frames(seed)].concat()
    };
    let files = [(checkpoint, file(checkpoint, checkpoint_frames)), (segment, file(segment, segment_frames))];
    for (name, bytes) in &files {
        golden.bytes(&format!("journal/{name}"), bytes);
    }

    let root = directory();
    let (outer, inner) = (handle(root.path()), handle(&root.path().join("journal")));
    files
        .iter()
        .for_each(|(name, bytes)| std::fs::write(root.path().join("journal").join(name.to_string()), bytes).unwrap());
    let listed = listed(segment, HEADER_BYTES as u64, HEADER_BYTES as u64);
    Manifest::begin(&outer, &inner, List::new(TAG, Some(GENERATION), vec![listed])).unwrap();
    for (byte, length) in [(0x11, 100), (0x22, 10), (0x33, 10), (0x44, 0), (0x55, 10), (0x88, 100)] {
        let path = root.path().join("objects").join(ObjectPath::of(object(byte)).as_str());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, vec![7; length]).unwrap();
    }
    let (store, replayed) = open(root.path());
    let counts = (replayed.records, replayed.objects, replayed.torn_bytes, replayed.lost_bytes, replayed.damaged);
    assert_eq!(counts, (22, 5, 0, 0, 0), "records, objects, torn, lost, damaged");
    let inventory: Vec<Fact> = store.inventory(None, 1000).into_iter().map(Fact::Progress).collect();
    golden.text("what there is", &facts(&inventory));
    golden.text("what the control plane has not confirmed", &facts(&store.unconfirmed()));
    let next = Name::Checkpoint { generation: GENERATION + 1 };
    let written = std::fs::read(root.path().join("journal").join(next.to_string())).unwrap();
    golden.bytes(&format!("journal/{next}"), &written);
    golden.check();

    drop(store);
    let mut frames = Frames::open(&inner, next).unwrap().unwrap();
    let mut last = None;
    while let Some((_, frame)) = frames.next().unwrap() {
        last = Some(frame.record().unwrap());
    }
    assert!(matches!(last, Some(Record::End { .. })) && frames.is_at_end(), "{last:?}");
}
