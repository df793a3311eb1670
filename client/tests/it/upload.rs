//! Uploads: whatever happens on the way, the bytes arrive once and whole, or the error says what is true.

use std::path::{Path, PathBuf};
use std::time::Duration;

use etransfer_client::upload::{UploadOptions, Uploaded, Uploader};
use etransfer_client::{Cancel, Error, Note, Result, Retention, Why};

use crate::fake::{Fake, Fault};
use crate::{Listener, pattern, until, write_file};

const MIB: usize = 1024 * 1024;

struct Bench {
    fake: Fake,
    dir: tempfile::TempDir,
    options: UploadOptions,
    listener: std::sync::Arc<Listener>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = UploadOptions {
            slice_bytes: Some(MIB as u64),
            patience: Duration::from_secs(10),
            space_poll: Duration::from_millis(5),
            records: Some(dir.path().join("records")),
            ..UploadOptions::default()
        };
        Self { fake: Fake::start(), dir, options, listener: Listener::new() }
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        write_file(self.dir.path(), "file.bin", bytes)
    }

    fn uploader(&self) -> Uploader {
        Uploader::new(self.fake.client(), self.options.clone(), self.listener.clone())
    }

    fn upload(&self, path: &Path) -> Result<Uploaded> {
        self.uploader().upload(path, &Cancel::new())
    }

    fn records(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("records")).unwrap().count()
    }

    /// Uploads with these faults on the way and checks that the bytes arrived.
    fn survives(&self, size: usize, faults: &[Fault]) {
        let bytes = pattern(size, 1);
        let path = self.file(&bytes);
        self.fake.state().patch_faults = faults.iter().cloned().collect();
        let uploaded = self.upload(&path).unwrap();
        let (id, stored) = self.fake.only();
        assert_eq!((uploaded.id, uploaded.size), (id, size as u64));
        assert!(stored.data == bytes, "the bytes differ");
        assert_eq!(*self.listener.last.lock().unwrap(), (size as u64, size as u64));
        assert_eq!(self.records(), 0, "nothing left to continue");
    }
}

#[test]
fn files_of_every_size_arrive_whole() {
    for size in [0, 1, 4095, 4096, MIB - 1, MIB, MIB + 1, 9 * MIB + 5] {
        Bench::new().survives(size, &[]);
    }
}

#[test]
fn the_name_and_the_retention_travel_with_the_file() {
    let mut bench = Bench::new();
    bench.options.retention = Some(Retention::Ttl { seconds: 60 });
    let path = write_file(bench.dir.path(), "报告 \"1\".pdf", b"x");
    bench.upload(&path).unwrap();
    let (_, stored) = bench.fake.only();
    let expected = [("filename", "报告 \"1\".pdf"), ("retention", "ttl"), ("retention_ttl", "60")];
    assert_eq!(stored.metadata, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
}

#[test]
fn a_broken_connection_costs_no_more_than_what_was_not_stored() {
    let bench = Bench::new();
    let cut = 300_001; // not a multiple of 4096: the rest of the slice has to be widened
    bench.survives(4 * MIB, &[Fault::CutAfter(cut), Fault::CutAfter(cut), Fault::CutAfter(0)]);
    let state = bench.fake.state();
    assert!(state.body_bytes < 4 * MIB as u64 + 3 * 4096, "{} bytes for 4 MiB", state.body_bytes);
    assert!(state.patches.iter().all(|(offset, ..)| offset % 4096 == 0));
}

#[test]
fn a_lost_answer_sends_nothing_twice() {
    let bench = Bench::new();
    bench.survives(3 * MIB, &[Fault::LoseAnswer, Fault::LoseAnswer, Fault::LoseAnswer]);
    assert_eq!(bench.fake.state().body_bytes, 3 * MIB as u64);
}

#[test]
fn passing_refusals_are_waited_out() {
    for status in [409, 423, 429, 500, 503] {
        Bench::new().survives(2 * MIB, &[Fault::Refuse(status, Some(("Retry-After", "0")))]);
    }
}

#[test]
fn a_server_that_asks_for_time_gets_it() {
    let bench = Bench::new();
    let started = std::time::Instant::now();
    bench.survives(10, &[Fault::Refuse(503, Some(("Retry-After", "1")))]);
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_restarted_server_is_found_again() {
    let bench = Bench::new();
    let fake = &bench.fake;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            until("the server died", || fake.is_down());
            fake.restart();
        });
        bench.survives(5 * MIB, &[Fault::None, Fault::DieAfter(123_456)]);
    });
    assert_eq!(fake.state().creations, 1);
}

#[test]
fn a_server_gone_for_good_is_given_up_and_the_upload_remembered() {
    let mut bench = Bench::new();
    bench.options.patience = Duration::from_millis(300);
    let path = bench.file(&pattern(5 * MIB, 1));
    bench.fake.state().patch_faults = [Fault::None, Fault::DieAfter(1000)].into();
    match bench.upload(&path) {
        Err(Error::Stuck { source, .. }) => assert!(matches!(*source, Error::Unreachable { .. }), "{source:?}"),
        other => panic!("{other:?}"),
    }
    assert!(bench.listener.heard(|note| matches!(note, Note::Retrying { .. })));
    bench.fake.restart();
    bench.upload(&path).unwrap();
    assert_eq!(bench.fake.state().creations, 1);
    assert!(bench.fake.only().1.data == pattern(5 * MIB, 1));
}

#[test]
fn a_full_server_is_waited_for_at_creation_and_on_the_way() {
    let bench = Bench::new();
    bench.fake.state().creations_without_room = 2;
    bench.fake.state().storage_full = 9;
    bench.survives(
        2 * MIB,
        &[Fault::Refuse(507, None), Fault::Refuse(507, None), Fault::None, Fault::Refuse(507, None)],
    );
    assert!(bench.listener.heard(|note| *note == Note::WaitingForSpace { used: Some(9), max: Some(10) }));
    assert_eq!(bench.fake.state().storage_full, 0, "it was polled until there was room");
}

#[test]
fn a_full_server_is_an_error_when_told_not_to_wait_or_for_too_long() {
    for (wait, limit) in [(false, Duration::from_secs(3600)), (true, Duration::from_millis(50))] {
        let mut bench = Bench::new();
        (bench.options.wait_for_space, bench.options.space_wait_max) = (wait, limit);
        bench.fake.state().patch_faults = vec![Fault::Refuse(507, None); 1000].into();
        let path = bench.file(&pattern(2 * MIB, 1));
        assert!(matches!(bench.upload(&path), Err(Error::NoSpace { .. })), "{wait}");
        bench.fake.state().patch_faults.clear();
        bench.upload(&path).unwrap();
        assert_eq!(bench.fake.state().creations, 1, "continued");
    }
}

#[test]
fn a_refused_token_ends_the_upload_at_once() {
    let bench = Bench::new();
    bench.fake.state().token = Some("another".into());
    assert!(matches!(bench.upload(&bench.file(b"x")), Err(Error::Unauthorized { .. })));
    assert_eq!(bench.fake.state().creations, 0);
}

#[test]
fn a_server_that_writes_in_order_gets_one_connection() {
    for announces in [false, true] {
        let mut bench = Bench::new();
        bench.options.slice_bytes = Some(64 * 1024); // enough that some arrive out of order
        bench.fake.state().takes_parallel = false;
        bench.fake.state().announces_parallel = announces;
        bench.survives(4 * MIB + 100, &[Fault::CutAfter(300_001), Fault::LoseAnswer]);
        assert_eq!(bench.listener.heard(|note| *note == Note::InOrderOnly), announces);
    }
}

#[test]
fn dropping_a_transfer_ends_it_and_the_next_run_continues() {
    let bench = Bench::new();
    let bytes = pattern(8 * MIB, 3);
    let path = bench.file(&bytes);
    bench.fake.state().patch_faults = [Fault::None, Fault::None]
        .into_iter()
        .chain(vec![Fault::Refuse(503, Some(("Retry-After", "30"))); 20])
        .collect();
    let transfer = bench.uploader().start(path.clone());
    until("two slices are there", || bench.fake.state().patches.iter().filter(|patch| patch.2 == 204).count() == 2);
    drop(transfer); // although every connection sleeps for half a minute
    bench.fake.state().patch_faults.clear();
    assert!(bench.records() > 0);

    bench.upload(&path).unwrap();
    let state = bench.fake.state();
    assert_eq!(state.creations, 1);
    // What was in flight may travel again: at most one slice per connection.
    assert!(state.body_bytes <= 12 * MIB as u64, "{} bytes for 8 MiB", state.body_bytes);
    drop(state);
    assert!(bench.fake.only().1.data == bytes);
    assert!(bench.listener.heard(|note| matches!(note, Note::Resumed { present } if *present >= 2 * MIB as u64)));
}

#[test]
fn a_whole_upload_that_was_not_told_is_told_without_sending() {
    let bench = Bench::new();
    let path = bench.file(&pattern(MIB, 3));
    bench.fake.state().patch_faults = [Fault::DieAfter(MIB as u64)].into();
    let transfer = bench.uploader().start(path.clone());
    until("the server died", || bench.fake.is_down());
    drop(transfer);
    bench.fake.restart();
    let before = bench.fake.state().patches.len();
    let uploaded = bench.upload(&path).unwrap();
    assert_eq!(uploaded.id, bench.fake.only().0);
    assert_eq!(bench.fake.state().patches.len(), before);
}

#[test]
fn an_upload_the_server_lost_starts_anew() {
    let bench = Bench::new();
    let path = bench.file(&pattern(2 * MIB, 3));
    bench.fake.state().patch_faults = [Fault::Refuse(404, None)].into();
    bench.upload(&path).unwrap();
    assert!(bench.listener.heard(|note| *note == Note::StartedAnew(Why::Gone)));
    assert_eq!(bench.fake.state().creations, 2);
}

#[test]
fn a_changed_file_is_another_upload() {
    let bench = Bench::new();
    let path = bench.file(&pattern(MIB, 3));
    bench.fake.state().patch_faults = [Fault::DieAfter(10)].into();
    let transfer = bench.uploader().start(path.clone());
    until("the server died", || bench.fake.is_down());
    drop(transfer);
    bench.fake.restart();
    let bytes = pattern(MIB, 4);
    std::fs::write(&path, &bytes).unwrap();
    let uploaded = bench.upload(&path).unwrap();
    assert!(bench.listener.heard(|note| *note == Note::StartedAnew(Why::SourceChanged)));
    assert!(bench.fake.state().files[&uploaded.id].data == bytes);
}

#[test]
fn a_file_that_changes_on_the_way_leaves_no_mixture_behind() {
    let bench = Bench::new();
    let path = bench.file(&pattern(4 * MIB, 3));
    bench.fake.state().patch_faults = vec![Fault::None, Fault::Refuse(503, None), Fault::Refuse(503, None)].into();
    let transfer = bench.uploader().start(path.clone());
    until("a slice is there", || !bench.fake.state().patches.is_empty());
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().set_len(MIB as u64).unwrap();
    assert!(matches!(transfer.wait(), Err(Error::SourceChanged { .. })));
    assert!(bench.fake.state().files.is_empty(), "removed");
    assert_eq!(bench.records(), 0);
}

#[test]
fn a_location_elsewhere_does_not_take_the_token_there() {
    let bench = Bench::new();
    bench.fake.state().foreign_location = true;
    bench.survives(100, &[]);
}

#[test]
fn only_regular_files_travel() {
    let bench = Bench::new();
    assert!(matches!(bench.upload(bench.dir.path()), Err(Error::NotAFile { .. })));
    assert!(matches!(bench.upload(Path::new("/dev/null")), Err(Error::NotAFile { .. })));
    assert!(matches!(bench.upload(&bench.dir.path().join("absent")), Err(Error::File { .. })));
}
