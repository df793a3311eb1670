//! What accepted chunks leave in the catalogue, and what that costs; the data plane is told by hand.

use std::sync::Arc;

use tokio::sync::watch;

use super::*;
use crate::app::App;
use crate::authority::Authority;
use crate::bounds::{PIECES_MAX, STEPS_KEPT_MIN};
use crate::catalogue::tests::{Cost, Counting};
use crate::config::Config;
use crate::surface::secure_file_transfer::content::Content;
use crate::surface::secure_file_transfer::store::Kept;

/// A node over a catalogue that outlives it.
struct Bench {
    app: Service,
    job: Job,
    disk: Arc<Counting>,
    _stop: watch::Sender<bool>,
}

impl Bench {
    fn new() -> Self {
        Self::on(Arc::default())
    }

    fn on(disk: Arc<Counting>) -> Self {
        let (app, stop) = App::for_tests_from(Config::defaults(), Authority::open(None), disk.snapshot());
        Self { app: Service::of(&app), job: Job { device: "device1".into(), name: "a".into() }, disk, _stop: stop }
    }

    /// What a kill leaves, started again.
    fn start_again(self) -> Self {
        Self::on(self.disk)
    }

    fn name(&self) -> Kept {
        store::read(&self.app, &self.job.key()).unwrap()
    }

    /// Whether bytes are there, one after the other.
    fn received(&self, length: u64) -> Vec<bool> {
        let name = self.name();
        let content = name.upload.as_ref().map(|upload| &upload.content);
        let nothing = Content::default();
        let content = content.or(name.file.as_ref().map(|file| &file.content)).unwrap_or(&nothing);
        (0..length).map(|at| content.touches(Span::at(at, 1).unwrap())).collect()
    }

    /// A chunk whose bytes were stored where it was planned.
    async fn send(&self, start: u64, bytes: u64, total: Option<u64>) -> Result<(), Refusal> {
        let chunk = Chunk { span: Span::at(start, bytes).unwrap(), sum: 0, total };
        let place = self.name().plan(&chunk, self.app.openings.base(&self.job.key(), &self.app.node), PIECES_MAX)?;
        let object = match place {
            Place::InPlace(base) => base,
            Place::Separate => self.app.node.new_id(),
        };
        let coming = Coming { chunk, object, place, is_second_try: false };
        let told = StepReport::Received { bytes, digests: Vec::new() };
        data(&self.app, &self.job, &HeaderMap::new(), coming, 0, told).await.map(drop)
    }
}

#[tokio::test]
async fn b8_a_chunk_costs_what_it_brings_and_not_the_whole_upload() {
    const CHUNKS: u64 = 1200;
    let bench = Bench::new();
    let mut costs = vec![bench.disk.cost()];
    for number in 0..CHUNKS {
        bench.send(2 * number, 1, Some(1 << 30)).await.unwrap();
        costs.push(bench.disk.cost());
    }
    let Cost { docs, bytes } = bench.disk.cost();
    assert!(bytes as u64 <= CHUNKS * 600, "{} bytes for each chunk", bytes as u64 / CHUNKS);
    assert!(docs as u64 <= CHUNKS * 3, "{docs} documents written or erased for {CHUNKS} chunks");
    // Where each chunk writes all there is, the second half costs three times the first.
    let half = costs[CHUNKS as usize / 2].bytes;
    assert!(bytes - half <= half * 5 / 2, "{half} for the first half, {} for the second", bytes - half);
}

/// After every chunk, across documents that are written again.
#[tokio::test]
async fn b8_a_kill_after_any_chunk_loses_none_that_was_acknowledged() {
    let chunks = 3 * STEPS_KEPT_MIN as u64;
    let length = 2 * chunks;
    let mut bench = Bench::new();
    let mut there = vec![false; length as usize];
    // Every second byte, from the end; then what is between.
    let offsets = (0..chunks).rev().map(|number| 2 * number + 1).chain((0..chunks).map(|number| 2 * number));
    for (sent, at) in offsets.enumerate() {
        bench.send(at, 1, Some(length + 1)).await.unwrap();
        there[at as usize] = true;
        assert_eq!(bench.received(length), there, "after {sent} chunks");
        bench = bench.start_again();
        assert_eq!(bench.received(length), there, "after {sent} chunks and a kill");
    }
    // All of them are in one object, and in one piece.
    assert_eq!(bench.disk.objects().len(), 1);
    assert_eq!(bench.name().pieces(), 1);
    status::delete(&bench.app, &bench.job).await.unwrap();
    assert_eq!(bench.disk.keys(SurfaceId::SecureFileTransfer), [""; 0], "no step is left");
    assert_eq!(bench.disk.objects(), []);
}

/// Files that grow and are patched, which change more than one thing with each chunk.
#[tokio::test]
async fn b8_what_is_read_again_is_what_was_there() {
    let mut bench = Bench::new();
    for number in 0..4 * STEPS_KEPT_MIN as u64 {
        bench.send(4 * number, 4, None).await.unwrap();
        // Beyond the end: an upload over the file. What is between makes it the file.
        if number % 5 == 4 {
            bench.send(4 * number + 6, 2, None).await.unwrap();
            assert!(bench.name().upload.is_some());
        }
        let before = bench.name();
        bench = bench.start_again();
        let after = bench.name();
        assert_eq!((&after.file, &after.upload), (&before.file, &before.upload), "{number}");
    }
    let name = bench.name();
    let mut recorded = bench.disk.objects();
    recorded.sort();
    let referred = name.objects();
    assert!(recorded.iter().all(|object| referred.contains(object)), "no record is left of what nothing refers to");
}

#[tokio::test]
async fn b8_a_document_of_an_earlier_release_is_read_and_goes_on() {
    let bench = Bench::new();
    let base = bench.app.node.new_id();
    let text = format!(
        r#"{{"upload":{{"content":[{{"span":{},"from":{{"object":["{base}",0]}}}},{{"span":{},"from":{{"object":["{base}",20]}}}}],
            "total":30,"base":"{base}","last_ms":1}}}}"#,
        serde_json::to_string(&Span::new(0, 10)).unwrap(),
        serde_json::to_string(&Span::new(20, 30)).unwrap(),
    );
    let edit = Edit::default().write(SurfaceId::SecureFileTransfer, bench.job.key(), text);
    bench.app.node.edit(edit).await.unwrap();
    let bench = bench.start_again();
    assert_eq!(bench.name().upload.as_ref().unwrap().content.contiguous(), 10);
    bench.send(12, 2, Some(30)).await.unwrap();
    let bench = bench.start_again();
    assert_eq!(bench.name().upload.as_ref().unwrap().content.bytes(), 22);
    assert_eq!(bench.name().pieces(), 3);
}

#[tokio::test]
async fn b8_what_could_not_be_written_is_not_remembered() {
    let bench = Bench::new();
    bench.send(0, 1, Some(100)).await.unwrap();
    bench.send(2, 1, Some(100)).await.unwrap();
    let bytes = || bench.name().upload.as_ref().unwrap().content.bytes();
    bench.disk.go_away();
    let mut third = Box::pin(bench.send(4, 1, Some(100)));
    tokio::select! {
        biased;
        _ = &mut third => panic!("it is not written"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(bytes(), 3, "the next reader remembers it");
    bench.disk.come_back();
    assert!(third.await.is_err());
    assert_eq!(bytes(), 2);
    bench.send(6, 1, Some(100)).await.unwrap();
    let there: Vec<bool> = (0..8).map(|at| [0, 2, 6].contains(&at)).collect();
    assert_eq!(bench.received(8), there);
    assert_eq!(bench.start_again().received(8), there);
}
