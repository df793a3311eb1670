//! What this dialect keeps and sends along, as ever: documents, records, memos.

use etransfer_contract::{ObjectId, Span};
use etransfer_tests::examples;
use serde_json::json;
use tokio::sync::watch;

use super::build::After;
use super::chunk::Chunk;
use super::content::{Extent, Source};
use super::name::{Arrived, File, Name, Place, Step, Upload, Verdict};
use super::store::{self, Kept};
use super::{Job, Memo, Note, Service};
use crate::app::App;
use crate::authority::Authority;
use crate::bounds::PIECES_MAX;
use crate::catalogue::{Docs, Record, Snapshot};
use crate::config::Config;
use crate::core::SurfaceId;
use crate::golden::{NAME, TIME, check_json, check_json_text, documents, object, put_documents};

fn golden(name: &str, about: &str) -> etransfer_tests::golden::Golden {
    crate::golden::golden("surface/secure_file_transfer", name, about)
}

fn app(docs: Docs) -> (Service, watch::Sender<bool>) {
    let snapshot = Snapshot { docs, ..Snapshot::of_memory() };
    let (app, stop) = App::for_tests_from(Config::defaults(), Authority::open(None), snapshot);
    (Service::of(&app), stop)
}

fn job(name: &str) -> Job {
    Job { device: "device1".into(), name: name.into() }
}

fn span(start: u64, end: u64) -> Span {
    Span::new(start, end).unwrap()
}

fn arrived(start: u64, end: u64, total: Option<u64>, object: ObjectId, place: Place) -> Arrived {
    let chunk = Chunk { span: span(start, end), sum: 7, total };
    let fresh = [crate::golden::object(0x12), crate::golden::object(0x13)];
    Arrived { chunk, object, place, is_same: None, now_ms: TIME, fresh }
}

fn accepted(name: &Name, arrived: &Arrived) -> Step {
    match name.judge(arrived, PIECES_MAX).unwrap() {
        Verdict::Accepted(step) => step,
        other => panic!("{other:?}"),
    }
}

fn file(is_partial: bool, whole: Option<ObjectId>) -> File {
    let sources = examples!(Source:
        Source::Object(..) => { "object": Source::Object(object(0x21), 5) },
        Source::Zeros => { "zeros": Source::Zeros },
    );
    let extent = |(at, (_, from))| Extent { span: span(10 * at, 10 * at + 10), from };
    let extents: Vec<Extent> = (0_u64..).zip(sources).map(extent).collect();
    File {
        content: extents.into(),
        length: 20,
        base: object(0x22),
        whole,
        version: object(0x23),
        modified_ms: TIME,
        is_partial,
    }
}

fn upload(total: Option<u64>) -> Upload {
    let extents = vec![Extent { span: span(10, 20), from: Source::Object(object(0x31), 10) }];
    Upload { content: extents.into(), total, base: object(0x32), last_ms: TIME }
}

#[tokio::test]
async fn documents_are_stored_as_ever() {
    let names = [
        ("a", Name { file: Some(file(false, Some(object(0x24)))), upload: None }),
        ("b", Name { file: Some(file(false, None)), upload: Some(upload(Some(300))) }),
        ("c", Name { file: None, upload: Some(upload(None)) }),
        ("d.partial", Name { file: Some(file(true, None)), upload: None }),
    ];
    let (app, _stop) = app(Docs::new());
    for (name, is) in &names {
        app.node.edit(store::change(&job(name).key(), &Kept::default(), is)).await.unwrap();
    }
    // A name, and the steps since: an upload begins, goes on, and is the file.
    let key = job(NAME).key();
    for chunk in [
        arrived(0, 10, Some(30), object(0x11), Place::InPlace(object(0x11))),
        arrived(20, 30, Some(30), object(0x14), Place::Separate),
        arrived(10, 20, Some(30), object(0x11), Place::InPlace(object(0x11))),
    ] {
        let before = store::read(&app, &key).unwrap();
        let edit = store::add(&key, &before, &accepted(&before, &chunk)).unwrap();
        app.node.edit(edit).await.unwrap();
    }
    let grown = Name::clone(&store::read(&app, &key).unwrap());
    assert!(grown.file.is_some() && grown.upload.is_none());
    let mut golden = golden("documents.txt", "Documents of the catalogue: names, and the steps since.");
    put_documents(&mut golden, &app.node, SurfaceId::SecureFileTransfer);
    let docs = documents(&golden.check(), SurfaceId::SecureFileTransfer);
    let (app, _stop) = self::app(docs);
    for (name, is) in names.into_iter().chain([(NAME, grown)]) {
        assert_eq!(*store::read(&app, &job(name).key()).unwrap(), is, "{name}");
    }
}

#[test]
fn records_are_stored_as_ever() {
    let whole = arrived(0, 10, None, object(0x11), Place::Separate);
    let in_place = arrived(0, 10, Some(30), object(0x11), Place::InPlace(object(0x11)));
    let aside = arrived(5, 10, Some(30), object(0x14), Place::Separate);
    let step = |arrived: &Arrived| accepted(&Name::default(), arrived);
    let record = |arrived: &Arrived| store::record_of("device1", NAME, &step(arrived), arrived);
    let all: Vec<(&str, Record)> = vec![
        ("the file", record(&whole)),
        ("an upload's base", record(&in_place)),
        ("a piece", record(&aside)),
        ("a file that was built", store::file_record("device1", NAME, &file(false, None), object(0x41))),
        ("a piece that waits to be compared", store::waiting_record("device1", NAME, &aside)),
    ];
    check_json(golden("records.txt", "Records of the catalogue."), &all);
}

#[test]
fn memos_are_sent_along_as_ever() {
    let coming = |place: Place| {
        json!({"chunk": {"span": [0, 10], "sum": 7, "total": 30}, "object": object(0x11), "place": place,
            "is_second_try": true})
    };
    let places = examples!(Place:
        Place::InPlace(_) => { "in place": Place::InPlace(object(0x12)) },
        Place::Separate => { "aside": Place::Separate },
    );
    let coming: Vec<_> = places.into_iter().map(|(_, place)| coming(place)).collect();
    let building = |after: After| {
        let after = serde_json::to_value(after).unwrap();
        let building = json!({"version": object(0x13), "object": object(0x14), "is_sealed": true, "after": after});
        Memo::Build(serde_json::from_value(building).unwrap())
    };
    let held = json!([{"span": [0, 10], "from": {"object": [object(0x21), 5]}}, {"span": [10, 20], "from": "zeros"}]);
    let comparing = json!({"coming": coming[0], "held": held, "theirs": "00ff"});
    let afters = examples!(After:
        After::Status => { "built after a chunk": After::Status },
        After::Download => { "built for a download": After::Download },
        After::Chunk(_) => {
            "built for a comparison": After::Chunk(serde_json::from_value(coming[1].clone()).unwrap()),
        },
    );
    let mut memos = examples!(Memo:
        Memo::Header => { "header": Memo::Header },
        Memo::Data(_) => {
            "data, in place": Memo::Data(serde_json::from_value(coming[0].clone()).unwrap()),
            "data, aside": Memo::Data(serde_json::from_value(coming[1].clone()).unwrap()),
        },
        Memo::Compare(_) => { "compare": Memo::Compare(serde_json::from_value(comparing).unwrap()) },
        Memo::Build(_) => { "build": building(After::Status) },
    );
    memos.extend(afters.into_iter().map(|(name, after)| (name, building(after))));
    let all: Vec<_> = memos.into_iter().map(|(name, memo)| (name, Note { job: job(NAME), memo })).collect();
    assert_eq!(crate::golden::json(&all[0].1), job(NAME).note(Memo::Header));
    check_json_text(
        golden("memos.txt", "Memos of steps: what must hold between two requests of the data plane."),
        &all,
    );
}
