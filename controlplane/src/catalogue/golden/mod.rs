//! The catalogue as it is on the disk and in Redis, byte for byte, and back: records and documents as they are sealed, the
//! tables of the file, the list of recent changes; and how the index packs an entry.

use etransfer_contract::fact::Presence;
use etransfer_contract::{ObjectId, Span};
use etransfer_tests::examples;
use etransfer_tests::golden::Golden;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};
use serde_json::json;

use super::backing::Backing;
use super::packed::Packed;
use super::recent::{self, Recent};
use super::record::{Kind, Record};
use super::tests::told;
use super::{Change, Entry, Owner, codec, file};
use crate::core::Policy;
use crate::core::SurfaceId;
use crate::golden::{NAME, TIME, object};
use crate::retention::once::Once;
use crate::retention::policy::Keep;

fn golden(name: &str, about: &str) -> Golden {
    crate::golden::golden("catalogue", name, about)
}

/// A record that says nothing beyond what it has to.
fn bare() -> Record {
    Record {
        id: object(0x11),
        created_ms: TIME,
        filename: NAME.into(),
        mime: None,
        checksum: String::new(),
        metadata: None,
        length: None,
        keep: Keep { policy: Policy::Permanent, ttl_s: None },
        kind: Kind::File,
        completed_ms: None,
        download_count: 0,
        once: Once::default(),
        idempotency_key: None,
        owner: None,
        maker: String::new(),
        surface: SurfaceId::EasyTransfer,
        key: String::new(),
        detail: serde_json::Value::Null,
    }
}

/// A `download_once` file of which each kind of knowledge is there.
fn once() -> Once {
    let once = r#"{"delivered":{"u7":[[0,10]]},"doubtful":{"t00ff00ff00ff00ff":[[10,20],[30,40]]},"others":[[0,5]],
        "consumed":[[20,30]],"chunks_consumed":1,
        "promises":[{"ticket":1,"run":2,"who":"p192.0.2.1","span":[0,9],"by_chunk":true},
        {"ticket":3,"run":2,"who":"u7","span":null,"by_chunk":false}]}"#;
    serde_json::from_str(once).unwrap()
}

fn records() -> Vec<(&'static str, Record)> {
    let mut all = vec![("bare", bare())];
    let full = Record {
        mime: Some("text/plain".into()),
        checksum: "md5:00ff".into(),
        metadata: Some("filename bmHDr3Zl,filetype dGV4dC9wbGFpbg==".into()),
        length: Some(100),
        keep: Keep { policy: Policy::Ttl, ttl_s: Some(3600) },
        completed_ms: Some(TIME + 1),
        download_count: 300,
        once: once(),
        idempotency_key: Some("key".into()),
        owner: Some(Owner::Person(-7)),
        maker: "p192.0.2.1".into(),
        surface: SurfaceId::SecureFileTransfer,
        key: "a/b".into(),
        detail: json!({"md5": "00ff", "number": 1}),
        ..bare()
    };
    all.push(("everything said", full));
    let kinds = examples!(Kind:
        Kind::File => { "a file": Kind::File },
        Kind::Partial => { "a partial": Kind::Partial },
        Kind::Final { .. } => { "a final": Kind::Final { header: "final;/tus/files/1 /tus/files/2".into() } },
    );
    all.extend(kinds.into_iter().map(|(name, kind)| (name, Record { kind, ..bare() })));
    let policies = examples!(Policy:
        Policy::Permanent => { "permanent": Policy::Permanent },
        Policy::DownloadOnce => { "download_once": Policy::DownloadOnce },
        Policy::Ttl => { "ttl": Policy::Ttl },
    );
    let keep = |policy| Keep { policy, ttl_s: None };
    all.extend(policies.into_iter().map(|(name, policy)| (name, Record { keep: keep(policy), ..bare() })));
    let owners = examples!(Owner:
        Owner::Person(_) => { "of a person": Owner::Person(7) },
        Owner::Member(..) => { "of a member": Owner::Member(SurfaceId::PyBlobServer, "ann".into()) },
    );
    all.extend(owners.into_iter().map(|(name, owner)| (name, Record { owner: Some(owner), ..bare() })));
    let surfaces = examples!(SurfaceId:
        SurfaceId::EasyTransfer => { "of easytransfer": SurfaceId::EasyTransfer },
        SurfaceId::SecureFileTransfer => { "of secure_file_transfer": SurfaceId::SecureFileTransfer },
        SurfaceId::CloudBackend => { "of cloudbackend": SurfaceId::CloudBackend },
        SurfaceId::StreamUpload => { "of stream_upload": SurfaceId::StreamUpload },
        SurfaceId::PyBlobServer => { "of pyblobserver": SurfaceId::PyBlobServer },
    );
    all.extend(surfaces.into_iter().map(|(name, surface)| (name, Record { surface, ..bare() })));
    all
}

#[test]
fn records_are_stored_as_ever() {
    crate::golden::check_json(golden("records.txt", "Records of the catalogue: JSON, one line each."), &records());
    let mut sealed = golden("sealed.txt", "A record and a document as they are stored: version, CRC-32, content.");
    sealed.bytes("record", &codec::encode(&bare()));
    sealed.bytes("document", &codec::seal(b"{}"));
    let entries = sealed.check();
    assert_eq!(codec::decode(&entries[0].bytes()), Ok(bare()));
    assert_eq!(codec::unseal(&entries[1].bytes()), Ok(&b"{}"[..]));
}

#[test]
fn records_of_older_releases_are_read() {
    let older = json!({
        "id": object(0x11), "created_ms": TIME, "filename": NAME, "mime": null, "checksum": "", "metadata": null,
        "length": null, "keep": {"policy": "permanent", "ttl_s": null}, "kind": "File", "completed_ms": null,
        "download_count": 0,
    });
    assert_eq!(codec::decode(&codec::seal(older.to_string().as_bytes())), Ok(bare()));
    let older = r#"{"delivered":{"u7":[[0,10]]},"consumed":[],"chunks_consumed":0,"promises":[]}"#;
    let once: Once = serde_json::from_str(older).unwrap();
    assert_eq!(serde_json::to_value(once).unwrap()["delivered"], json!({"u7": [[0, 10]]}));
}

#[test]
fn entries_are_packed_as_ever() {
    let presence = |complete, length, spans: &[(u64, u64)]| Presence {
        object: object(0x11),
        received: spans.iter().map(|(start, end)| end - start).sum(),
        contiguous: 10,
        spans: spans.iter().filter_map(|(start, end)| Span::new(*start, *end)).collect(),
        length,
        complete,
        at_unix_ms: TIME,
    };
    let whole = Record { length: Some(100), completed_ms: Some(TIME), ..bare() };
    let told = Presence { received: 100, contiguous: 100, ..presence(true, Some(100), &[]) };
    let mut all: Vec<_> =
        records().into_iter().map(|(name, record)| (name, Entry { record, presence: None })).collect();
    all.extend([
        ("incomplete, told", Entry { record: bare(), presence: Some(presence(false, None, &[(0, 10), (20, 300)])) }),
        ("whole, told", Entry { record: whole, presence: Some(told) }),
    ]);
    let mut golden = golden("packed.txt", "Entries of the index in memory (catalogue/packed.rs), each without its id.");
    all.iter().for_each(|(name, entry)| golden.bytes(name, Packed::of(entry).bytes()));
    for (stored, (name, entry)) in golden.check().iter().zip(all) {
        let again = Packed::of_bytes(&stored.bytes()).entry(entry.record.id);
        assert_eq!((again.record, again.presence), (entry.record, entry.presence), "{name}");
    }
}

fn changes() -> Vec<(&'static str, Change)> {
    let doc = |value: Option<&[u8]>| Change::Doc {
        surface: SurfaceId::CloudBackend,
        key: "a/0000000000000007".into(),
        value: value.map(Into::into),
    };
    examples!(Change:
        Change::Put(_) => { "put": Change::Put(Box::new(bare())) },
        Change::Delete(_) => { "delete": Change::Delete(object(0x22)) },
        Change::Doc { value: Some(_), .. } => { "document": doc(Some(b"{}")) },
        Change::Doc { value: None, .. } => { "document, taken away": doc(None) },
        Change::Keep(_) => { "keep": Change::Keep(vec![object(0x33), object(0x44)]) },
        Change::Trust => { "trust": Change::Trust },
    )
}

#[test]
fn recent_changes_are_appended_as_ever() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalogue.recent");
    let mut golden = golden("recent.txt", "The list of recent changes (catalogue/recent.rs): one frame each.");
    let mut recent = Recent::begin(&path, 41).unwrap();
    let mut before = 0;
    for (name, change) in changes() {
        recent.append(&[change]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        golden.bytes(name, &bytes[before..]);
        before = bytes.len();
    }
    let all: Vec<Change> = changes().into_iter().map(|(_, change)| change).collect();
    recent.append(&all).unwrap();
    golden.bytes("all in one frame", &std::fs::read(&path).unwrap()[before..]);
    let bytes: Vec<u8> = golden.check().iter().flat_map(etransfer_tests::golden::Entry::bytes).collect();
    std::fs::write(&path, bytes).unwrap();
    let found = recent::read(&path, 41).unwrap().unwrap();
    let (sequence, again) = (found.sequence, found.changes.iter().map(|change| format!("{change:?}")));
    let expected = all.iter().chain(&all).map(|change| format!("{change:?}"));
    assert_eq!((sequence, again.collect::<Vec<_>>()), (41 + all.len() as u64 + 1, expected.collect::<Vec<_>>()));
}

/// Every row of every table, as redb holds it.
fn put_tables(golden: &mut Golden, database: &Database) {
    let read = database.begin_read().unwrap();
    let mut names: Vec<String> = read.list_tables().unwrap().map(|table| table.name().to_owned()).collect();
    names.sort();
    golden.text("tables", &names.join("\n"));
    let records: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("records.1");
    for row in read.open_table(records).unwrap().iter().unwrap() {
        let (id, bytes) = row.unwrap();
        golden.bytes(&format!("records.1 {}", ObjectId::from_bytes(*id.value())), bytes.value());
    }
    let docs: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("docs.1");
    for row in read.open_table(docs).unwrap().iter().unwrap() {
        let (place, bytes) = row.unwrap();
        let (surface, key) = place.value();
        golden.bytes(&format!("docs.1 {surface} {key}"), bytes.value());
    }
    let kept: TableDefinition<'_, &[u8; 16], ()> = TableDefinition::new("kept.1");
    for row in read.open_table(kept).unwrap().iter().unwrap() {
        golden.text(&format!("kept.1 {}", ObjectId::from_bytes(*row.unwrap().0.value())), "");
    }
    let meta: TableDefinition<'_, &str, u64> = TableDefinition::new("meta.1");
    for row in read.open_table(meta).unwrap().iter().unwrap() {
        let (name, number) = row.unwrap();
        golden.text(&format!("meta.1 {}", name.value()), &number.value().to_string());
    }
}

#[test]
fn the_tables_of_the_file_are_as_ever() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalogue.redb");
    let snapshot = file::open(&path, true).unwrap();
    for (_, change) in changes().into_iter().filter(|(name, _)| *name != "document, taken away") {
        told(snapshot.backend.write(vec![change])).unwrap();
    }
    drop(snapshot);
    let mut golden = golden("file.txt", "Tables of the catalogue's file (catalogue/file.rs): names, keys, values.");
    let database = Database::builder().create_with_backend(Backing::open(&path).unwrap()).unwrap();
    put_tables(&mut golden, &database);
    drop(database);
    golden.check();
    let again = file::open(&path, true).unwrap();
    assert_eq!(again.records.iter().collect::<Vec<_>>(), [bare()]);
    assert_eq!((again.docs.len(), again.kept.len(), again.is_new_file), (1, 2, false));
}
