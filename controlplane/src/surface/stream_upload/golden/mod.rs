//! What this dialect keeps and sends along, as ever: documents, records, memos.

use etransfer_tests::examples;
use serde_json::json;

use super::store::{self, Digests, State};
use super::upload::{About, Arrived, Place, Upload};
use super::user::User;
use super::{Memo, Note};
use crate::bounds::CHUNKS_PER_PAGE;
use crate::catalogue::{Docs, Owner};
use crate::core::SurfaceId;
use crate::golden::{NAME, TIME, check_json, check_json_text, documents, json, node, object, put_documents};

fn golden(name: &str, about: &str) -> etransfer_tests::golden::Golden {
    crate::golden::golden("surface/stream_upload", name, about)
}

fn user() -> User {
    let owner = Owner::Member(SurfaceId::StreamUpload, "ann".into());
    User { key: "ann".into(), owner, quota: Some(1000) }
}

fn about() -> About {
    About { name: NAME.into(), mime: "text/plain".into(), size: 10 * CHUNKS_PER_PAGE + 95, total: CHUNKS_PER_PAGE + 10 }
}

/// Chunks in place and aside, on two pages.
fn upload() -> Upload {
    let mut upload = Upload::new(about(), object(0x11), object(0x12), TIME);
    let last = CHUNKS_PER_PAGE + 9;
    for (index, bytes, place) in [
        (0, 10, Place::InPlace { at: 0 }),
        (1, 10, Place::InPlace { at: 10 }),
        (3, 10, Place::InPlace { at: 30 }),
        (4, 7, Place::Separate),
        (last, 5, Place::Separate),
    ] {
        let object = if place == Place::Separate { object(0x20 + index as u8) } else { upload.base };
        let version = crate::golden::object(0x40 + index as u8);
        upload.accept(&Arrived { index, bytes, object, place, version, now_ms: TIME + index }).unwrap();
    }
    upload
}

fn states() -> Vec<(&'static str, State)> {
    let done = State::Done { asset: object(0x31), about: about(), at_ms: TIME };
    examples!(State:
        State::Open(_) => { "open": State::Open(Box::new(upload())) },
        State::Done { .. } => { "done": done },
        State::Cancelled { .. } => { "cancelled": State::Cancelled { at_ms: TIME } },
    )
}

#[tokio::test]
async fn documents_are_stored_as_ever() {
    let node = node(Docs::new());
    for (id, state) in states() {
        let edit = store::change(&node, &store::key(&user(), id), None, Some(&state)).unwrap();
        node.edit(edit).await.unwrap();
    }
    let mut golden = golden("documents.txt", "Documents of the catalogue: uploads, and pages of chunks of open ones.");
    put_documents(&mut golden, &node, SurfaceId::StreamUpload);
    let node = crate::golden::node(documents(&golden.check(), SurfaceId::StreamUpload));
    for (id, state) in states() {
        let mut read = store::read_any(&node, &store::key(&user(), id)).unwrap().unwrap();
        if let State::Open(upload) = &mut read {
            store::read_pages(&node, upload).unwrap();
        }
        assert_eq!(read, state, "{id}");
    }
}

#[test]
fn an_upload_that_was_stored_before_there_were_pages_is_read() {
    let document = json!({
        "about": about(), "base": object(0x11), "step": 10, "placed": [[0, 2], [3, 4]],
        "aside": {"4": {"object": object(0x24), "from": 0, "bytes": 7}}, "version": object(0x12), "last_ms": TIME,
    });
    let read: Upload = serde_json::from_value(document).unwrap();
    let expected = json!({
        "about": about(), "base": object(0x11), "bases": [object(0x11)], "step": 10, "count": 4, "received": 37,
        "version": object(0x12), "last_ms": TIME,
    });
    assert_eq!(serde_json::to_value(&read).unwrap(), expected);
    let page =
        json!({"0": {"placed": [[0, 2], [3, 4]], "aside": {"4": {"object": object(0x24), "from": 0, "bytes": 7}}}});
    assert_eq!(serde_json::to_value(read.pages()).unwrap(), page);
}

#[test]
fn records_are_stored_as_ever() {
    let digests = Digests { md5: "00".repeat(16), sha256: "ff".repeat(32) };
    let all = [
        ("an upload's base", store::chunk_record(&user(), &about(), object(0x11), None, TIME)),
        ("a chunk by itself", store::chunk_record(&user(), &about(), object(0x11), Some(7), TIME)),
        ("an asset", store::asset_record(&user(), &about(), object(0x11), &digests, TIME)),
    ];
    check_json(golden("records.txt", "Records of the catalogue."), &all);
}

#[test]
fn memos_are_sent_along_as_ever() {
    let coming = |place: Place, upload: Option<_>| {
        let coming = json!({"object": object(0x11), "place": place, "upload": upload, "is_second_try": false});
        Memo::Data(serde_json::from_value(coming).unwrap())
    };
    let places = examples!(Place:
        Place::InPlace { .. } => { "data, in place": Place::InPlace { at: 10 } },
        Place::Separate => { "data, aside": Place::Separate },
    );
    let building = json!({"id": "id", "version": object(0x12), "object": object(0x13)});
    let mut memos = examples!(Memo:
        Memo::FormFields => { "preface": Memo::FormFields },
        Memo::Data(_) => { "data, which begins an upload": coming(Place::Separate, None) },
        Memo::Build(_) => { "build": Memo::Build(serde_json::from_value(building).unwrap()) },
    );
    memos.extend(places.into_iter().map(|(name, place)| (name, coming(place, Some(object(0x14))))));
    let of_person = User { key: "u7".into(), owner: Owner::Person(7), quota: None };
    let mut all: Vec<_> = memos.into_iter().map(|(name, memo)| (name, Note { user: user(), memo })).collect();
    all.push(("of a person", Note { user: of_person, memo: Memo::FormFields }));
    assert_eq!(all[0].1.text(), json(&all[0].1));
    check_json_text(
        golden("memos.txt", "Memos of steps: what must hold between two requests of the data plane."),
        &all,
    );
}
