//! What counted chunks leave in the catalogue, and what that costs; the data plane is told by hand.

use std::sync::Arc;

use tokio::sync::watch;

use super::*;
use crate::app::App;
use crate::authority::Authority;
use crate::bounds::CHUNKS_PER_PAGE;
use crate::catalogue::Owner;
use crate::catalogue::tests::{Cost, Counting};
use crate::config::Config;
use crate::core::SurfaceId;
use crate::link::meta::{BodyKind, Call};
use crate::node::Edit;
use crate::surface::stream_upload::upload::About;

/// A node over a catalogue that outlives it.
struct Bench {
    app: Service,
    disk: Arc<Counting>,
    headers: HeaderMap,
    _stop: watch::Sender<bool>,
}

impl Bench {
    fn new() -> Self {
        Self::on(Arc::default())
    }

    fn on(disk: Arc<Counting>) -> Self {
        let (app, stop) = App::for_tests_from(Config::defaults(), Authority::open(None), disk.snapshot());
        Self { app: Service::of(&app), disk, headers: HeaderMap::new(), _stop: stop }
    }

    fn chunk(&self, about: &About, index: u64) -> Chunk<'_> {
        let owner = Owner::Member(SurfaceId::StreamUpload, "user:ann".into());
        Chunk {
            app: &self.app,
            user: User { key: "user:ann".into(), owner, quota: None },
            head: ChunkHead { id: "up".into(), index, about: about.clone() },
            headers: &self.headers,
            meta: meta(),
            base: String::new(),
        }
    }

    /// A chunk whose bytes were stored.
    async fn send(&self, about: &About, index: u64, bytes: u64, place: Place, object: ObjectId) -> Result<(), Refusal> {
        let coming = Coming { object, place, upload: None, is_second_try: false };
        let told = StepReport::Received { bytes, digests: Vec::new() };
        self.chunk(about, index).data(coming, 0, told).await.map(drop)
    }
}

impl Bench {
    /// What a kill leaves, started again.
    fn start_again(self) -> Self {
        Self::on(self.disk)
    }

    /// The upload with all its pages.
    fn upload(&self) -> Upload {
        let Some(State::Open(mut upload)) = store::read(&self.app, "user:ann/up").unwrap() else { panic!("not open") };
        store::read_pages(&self.app.node, &mut upload).unwrap();
        *upload
    }
}

fn meta() -> Meta {
    Meta { call: Call::Outcome, peer: None, listener: None, body: BodyKind::Length(1), is_head: false }
}

fn about(size: u64, total: u64) -> About {
    About { name: "a".into(), mime: "text/plain".into(), size, total }
}

/// In place, and each in an object of its own.
#[tokio::test]
async fn b8_a_chunk_costs_what_it_brings_and_not_the_whole_upload() {
    const CHUNKS: u64 = 1200;
    for is_aside in [false, true] {
        let bench = Bench::new();
        let about = about(CHUNKS * 2, CHUNKS * 2);
        let base = bench.app.node.new_id();
        for number in 0..CHUNKS {
            let index = 2 * number;
            let (place, object) = match is_aside {
                true => (Place::Separate, bench.app.node.new_id()),
                false => (Place::InPlace { at: index }, base),
            };
            bench.send(&about, index, 1, place, object).await.unwrap();
        }
        let Cost { docs, bytes } = bench.disk.cost();
        assert!(bytes as u64 <= CHUNKS * 4096, "{} bytes for each chunk, aside: {is_aside}", bytes as u64 / CHUNKS);
        assert!(docs as u64 <= CHUNKS * 2, "{docs} documents written for {CHUNKS} chunks");
    }
}

#[tokio::test]
async fn b8_a_kill_after_any_chunk_loses_none_that_was_counted() {
    let total = 3 * CHUNKS_PER_PAGE;
    let about = about(2 * total, total);
    let mut bench = Bench::new();
    let base = bench.app.node.new_id();
    let mut there = Vec::new();
    for number in 0..total - 1 {
        // Every index once, in no order; some of them in objects of their own.
        let index = number * 7 % total;
        let (place, object) = match number % 3 {
            0 if number > 0 => (Place::Separate, bench.app.node.new_id()),
            _ => (Place::InPlace { at: 2 * index }, base),
        };
        bench.send(&about, index, 2, place, object).await.unwrap();
        there.push(index);
        bench = bench.start_again();
        let upload = bench.upload();
        let mut sorted = there.clone();
        sorted.sort_unstable();
        assert_eq!((upload.indices(), upload.count(), upload.received()), (sorted, number + 1, 2 * (number + 1)));
    }
    let upload = bench.upload();
    assert_eq!(bench.disk.objects().len(), upload.objects().len());
    // Cancelled, nothing of it is left.
    let state = State::Open(Box::new(upload));
    let edit = store::change(&bench.app.node, "user:ann/up", Some(&state), None).unwrap();
    bench.app.node.edit(edit).await.unwrap();
    assert_eq!(bench.disk.keys(SurfaceId::StreamUpload), [""; 0], "no page is left");
    assert_eq!(bench.disk.objects(), []);
}

/// Chunks that were on their way together before the upload began lie in one object that is not its base.
#[tokio::test]
async fn b8_an_object_of_several_chunks_stays_when_one_of_them_is_replaced() {
    let total = 3 * CHUNKS_PER_PAGE;
    let about = about(total, total);
    let bench = Bench::new();
    let (first, shared, second) = (bench.app.node.new_id(), bench.app.node.new_id(), bench.app.node.new_id());
    bench.send(&about, 0, 1, Place::Separate, first).await.unwrap();
    for index in [1, CHUNKS_PER_PAGE + 1] {
        bench.send(&about, index, 1, Place::InPlace { at: index }, shared).await.unwrap();
    }
    bench.send(&about, 1, 1, Place::Separate, second).await.unwrap();
    assert!(bench.disk.objects().contains(&shared), "the other chunk is in it");
    bench.send(&about, 0, 1, Place::Separate, bench.app.node.new_id()).await.unwrap();
    assert!(!bench.disk.objects().contains(&first), "nothing is in it any more");
}

#[tokio::test]
async fn b8_a_document_of_an_earlier_release_is_read_and_goes_on() {
    let total = 3 * CHUNKS_PER_PAGE;
    let bench = Bench::new();
    let [base, alone, shared] = [(); 3].map(|()| bench.app.node.new_id());
    let placed: etransfer_contract::SpanSet = [(0, 70), (100, 120)]
        .into_iter()
        .filter_map(|(start, end)| etransfer_contract::Span::new(start, end))
        .collect();
    let text = format!(
        r#"{{"open":{{"about":{{"name":"a","mime":"text/plain","size":{total},"total":{total}}},"base":"{base}","step":1,
            "placed":{},"aside":{{"90":{{"object":"{alone}","from":0,"bytes":1}},
            "91":{{"object":"{shared}","from":91,"bytes":1}},"130":{{"object":"{shared}","from":130,"bytes":1}}}},
            "version":"{base}","last_ms":{}}}}}"#,
        serde_json::to_string(&placed).unwrap(),
        bench.app.node.clock.now_ms(),
    );
    let records = [base, alone, shared].map(|object| {
        let (user, about) = (bench.chunk(&about(total, total), 0).user, about(total, total));
        store::chunk_record(&user, &about, object, None, 0)
    });
    let edit = Edit::default().write(SurfaceId::StreamUpload, "user:ann/up", text);
    bench.app.node.edit(records.into_iter().fold(edit, Edit::put)).await.unwrap();
    let bench = bench.start_again();
    let old = bench.upload();
    assert_eq!((old.count(), old.received(), old.indices().len()), (93, 93, 93));
    let about = about(total, total);
    // One that was in place, one in an object of its own, one in an object with others, and a new one.
    for index in [1, 90, 91, 131] {
        bench.send(&about, index, 1, Place::Separate, bench.app.node.new_id()).await.unwrap();
    }
    let left = bench.disk.objects();
    assert!(left.contains(&base) && left.contains(&shared) && !left.contains(&alone));
    let bench = bench.start_again();
    let new = bench.upload();
    assert_eq!((new.count(), new.received()), (94, 94));
    assert_eq!(new.indices(), [old.indices(), vec![131]].concat());
}
