//! What every backend must do, whatever it keeps its records in: one list of checks, run against each of them. Memory takes
//! those that hold while it is open.

use std::collections::{BTreeMap, HashSet};

use etransfer_contract::ObjectId;
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};

use super::redis::tests::server::Server;
use super::tests::{record, told};
use super::{Change, Docs, Snapshot, file, redis};
use crate::core::SurfaceId;

/// Somewhere to keep a catalogue.
trait Place {
    /// Opens it as a start does; what was opened before is closed.
    fn open(&self) -> Snapshot;
}

macro_rules! conforms {
    ($backend:ident: $place:expr; $($check:ident),* $(,)?) => {
        mod $backend {
            use super::*;
            $(#[test]
            fn $check() {
                super::$check(|| $place);
            })*
        }
    };
}

conforms!(in_memory: Nowhere;
    everybody_who_asks_at_once_is_told, ten_thousand_records_in_one_write, an_empty_write_is_told_too);
conforms!(in_a_file: FilePlace::new(true);
    everybody_who_asks_at_once_is_told, ten_thousand_records_in_one_write, an_empty_write_is_told_too,
    what_was_committed_is_there_again, it_is_new_until_it_is_trusted, what_is_kept_stays_kept,
    documents_are_kept_by_surface_and_name,
    the_last_change_of_each_object_holds, changes_nobody_waits_for_are_made_too);
conforms!(in_a_file_without_sync: FilePlace::new(false);
    what_was_committed_is_there_again, the_last_change_of_each_object_holds, documents_are_kept_by_surface_and_name);
conforms!(in_redis: RedisPlace::new();
    everybody_who_asks_at_once_is_told, ten_thousand_records_in_one_write, an_empty_write_is_told_too,
    what_was_committed_is_there_again, it_is_new_until_it_is_trusted, what_is_kept_stays_kept,
    documents_are_kept_by_surface_and_name,
    the_last_change_of_each_object_holds, changes_nobody_waits_for_are_made_too);

fn everybody_who_asks_at_once_is_told<P: Place>(place: impl Fn() -> P) {
    let place = place();
    let opened = place.open();
    std::thread::scope(|scope| {
        for asker in 0..8 {
            let backend = &opened.backend;
            scope.spawn(move || {
                for number in 0..40 {
                    let one = id(asker * 1000 + number);
                    told(backend.write(vec![put(one, 1)])).unwrap();
                    told(backend.write(vec![if number % 2 == 0 { put(one, 2) } else { Change::Delete(one) }])).unwrap();
                }
            });
        }
    });
    reopened_holds(&place, opened, |records| {
        assert_eq!(records.len(), 8 * 20);
        assert!(records.values().all(|version| *version == 2));
    });
}

fn ten_thousand_records_in_one_write<P: Place>(place: impl Fn() -> P) {
    let place = place();
    let opened = place.open();
    told(opened.backend.write((0..10_000).map(|number| put(id(number), 1)).collect())).unwrap();
    reopened_holds(&place, opened, |records| assert_eq!(records.len(), 10_000));
}

fn an_empty_write_is_told_too<P: Place>(place: impl Fn() -> P) {
    let place = place();
    told(place.open().backend.write(Vec::new())).unwrap();
}

fn what_was_committed_is_there_again<P: Place>(place: impl Fn() -> P) {
    let place = place();
    let opened = place.open();
    assert!(opened.records.is_empty() && opened.kept.is_empty());
    let whole =
        super::Record { idempotency_key: Some("\0 ключ".into()), mime: Some("a/b".into()), ..record(id(1), 7) };
    told(opened.backend.write(vec![Change::Put(Box::new(whole.clone())), put(id(2), 1)])).unwrap();
    told(opened.backend.write(vec![Change::Delete(id(2)), Change::Delete(id(3))])).unwrap();
    drop(opened);
    for _ in 0..2 {
        assert_eq!(place.open().records, [whole.clone()].into_iter().collect(), "each start finds it");
    }
}

fn it_is_new_until_it_is_trusted<P: Place>(place: impl Fn() -> P) {
    let place = place();
    let opened = place.open();
    assert!(opened.is_new_file);
    told(opened.backend.write(vec![put(id(1), 1)])).unwrap();
    drop(opened);
    let opened = place.open();
    assert!(opened.is_new_file, "it was not compared with the disk yet");
    told(opened.backend.write(vec![Change::Trust])).unwrap();
    drop(opened);
    let opened = place.open();
    assert_eq!((opened.is_new_file, opened.records.len()), (false, 1));
}

fn what_is_kept_stays_kept<P: Place>(place: impl Fn() -> P) {
    let place = place();
    let opened = place.open();
    told(opened.backend.write(vec![Change::Keep(vec![id(1), id(2)])])).unwrap();
    told(opened.backend.write(vec![Change::Keep(vec![id(2), id(3)])])).unwrap();
    drop(opened);
    assert_eq!(place.open().kept, HashSet::from([id(1), id(2), id(3)]));
}

fn documents_are_kept_by_surface_and_name<P: Place>(place: impl Fn() -> P) {
    let place = place();
    let (cloud, blob) = (SurfaceId::CloudBackend, SurfaceId::PyBlobServer);
    let opened = place.open();
    assert!(opened.docs.is_empty());
    let long = vec![0xff; 100_000];
    let first = vec![
        doc(cloud, "a", Some(b"{}")),
        doc(blob, "a", Some(b"other")),
        doc(cloud, "a:b/\u{fc}\0 c", Some(&long)),
        doc(cloud, "", Some(b"")),
        put(id(1), 1),
    ];
    told(opened.backend.write(first)).unwrap();
    let second = vec![doc(cloud, "a", None), doc(cloud, "not-there", None), doc(blob, "a", Some(b"[1]"))];
    told(opened.backend.write(second)).unwrap();
    drop(opened);
    let contents: [(SurfaceId, &str, &[u8]); 3] =
        [(cloud, "a:b/\u{fc}\0 c", &long), (cloud, "", b""), (blob, "a", b"[1]")];
    let expected: Docs =
        contents.into_iter().map(|(surface, key, content)| ((surface, key.to_owned()), content.into())).collect();
    for _ in 0..2 {
        let opened = place.open();
        assert_eq!((opened.records.len(), &opened.docs), (1, &expected));
    }
}

/// Any changes of records and documents, in any grouping, with any number of restarts in between, against maps.
fn the_last_change_of_each_object_holds<P: Place>(place: impl Fn() -> P) {
    let change = (0u32..6, any::<bool>(), prop::option::weighted(0.7, 0u64..1000));
    let writes = prop::collection::vec((prop::collection::vec(change, 1..5), prop::bool::weighted(0.15)), 1..16);
    let mut runner = TestRunner::new(Cases { cases: 24, ..Cases::default() });
    let outcome = runner.run(&writes, |writes| {
        let place = place();
        let (mut opened, mut model) = (place.open(), Versions::default());
        for (changes, restart) in writes {
            for (number, is_doc, version) in &changes {
                let versions = if *is_doc { &mut model.docs } else { &mut model.records };
                match version {
                    Some(version) => versions.insert(id(*number), *version),
                    None => versions.remove(&id(*number)),
                };
            }
            let change = |(number, is_doc, version): &(u32, bool, Option<u64>)| match (is_doc, version) {
                (true, version) => {
                    let content = version.map(|version| version.to_string());
                    let content = content.as_ref().map(String::as_bytes);
                    doc(SurfaceId::StreamUpload, &id(*number).to_string(), content)
                }
                (false, Some(version)) => put(id(*number), *version),
                (false, None) => Change::Delete(id(*number)),
            };
            prop_assert_eq!(told(opened.backend.write(changes.iter().map(change).collect())), Ok(()));
            if restart {
                drop(opened);
                opened = place.open();
                prop_assert_eq!(&versions(&opened), &model);
            }
        }
        drop(opened);
        prop_assert_eq!(versions(&place.open()), model);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

fn changes_nobody_waits_for_are_made_too<P: Place>(place: impl Fn() -> P) {
    let place = place();
    let opened = place.open();
    for number in 0..100 {
        drop(opened.backend.write(vec![put(id(number), 1)]));
    }
    drop(opened);
    assert_eq!(place.open().records.len(), 100, "closing waits for them");
}

/// Checks what a second start finds, where there is one.
fn reopened_holds(place: &impl Place, opened: Snapshot, check: impl Fn(&BTreeMap<ObjectId, u64>)) {
    let is_durable = opened.is_new_file;
    drop(opened);
    if is_durable {
        check(&versions(&place.open()).records);
    }
}

/// What is there, by its version.
#[derive(Debug, Default, PartialEq)]
struct Versions {
    records: BTreeMap<ObjectId, u64>,
    docs: BTreeMap<ObjectId, u64>,
}

fn versions(opened: &Snapshot) -> Versions {
    let version = |content: &[u8]| std::str::from_utf8(content).unwrap().parse().unwrap();
    Versions {
        records: opened.records.iter().map(|record| (record.id, record.created_ms)).collect(),
        docs: opened.docs.iter().map(|((_, key), content)| (key.parse().unwrap(), version(content))).collect(),
    }
}

fn doc(surface: SurfaceId, key: &str, value: Option<&[u8]>) -> Change {
    Change::Doc { surface, key: key.to_owned(), value: value.map(Into::into) }
}

fn id(number: u32) -> ObjectId {
    let mut bytes = [7; 16];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    ObjectId::from_bytes(bytes)
}

fn put(id: ObjectId, version: u64) -> Change {
    Change::Put(Box::new(record(id, version)))
}

struct Nowhere;

impl Place for Nowhere {
    fn open(&self) -> Snapshot {
        Snapshot::of_memory()
    }
}

struct FilePlace {
    dir: tempfile::TempDir,
    sync: bool,
}

impl FilePlace {
    fn new(sync: bool) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), sync }
    }
}

impl Place for FilePlace {
    fn open(&self) -> Snapshot {
        file::open(&self.dir.path().join("catalogue.redb"), self.sync).unwrap()
    }
}

struct RedisPlace {
    server: Server,
    state: tempfile::TempDir,
}

impl RedisPlace {
    fn new() -> Self {
        Self { server: Server::start(), state: tempfile::tempdir().unwrap() }
    }
}

impl Place for RedisPlace {
    fn open(&self) -> Snapshot {
        redis::open(&etransfer_disk::Os, &self.server.url(), self.state.path()).unwrap()
    }
}
