//! Downloads: the file under its final name is whole and of one version, whatever happened before.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use etransfer_client::download::{DownloadOptions, Downloaded, Downloader, Target};
use etransfer_client::{Cancel, Error, Note, Result, Why};
use etransfer_contract::Span;

use crate::fake::{Fake, Fault};
use crate::{Listener, pattern, until};

const MIB: usize = 1024 * 1024;

struct Bench {
    fake: Fake,
    dir: tempfile::TempDir,
    options: DownloadOptions,
    listener: Arc<Listener>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = DownloadOptions {
            slice_bytes: Some(MIB as u64),
            patience: Duration::from_secs(10),
            follow_poll: Duration::from_millis(5),
            records: Some(dir.path().join("records")),
            ..DownloadOptions::default()
        };
        Self { fake: Fake::start(), dir, options, listener: Listener::new() }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn downloader(&self) -> Downloader {
        Downloader::new(self.fake.client(), self.options.clone(), self.listener.clone())
    }

    fn download(&self, id: &str) -> Result<Downloaded> {
        self.downloader().download(id, &Target::Directory(self.out()), &Cancel::new())
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.out()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn files_of_every_size_come_back_whole() {
    for size in [0, 1, 4095, MIB - 1, MIB, MIB + 1, 9 * MIB + 5] {
        let bench = Bench::new();
        let bytes = pattern(size, 5);
        let id = bench.fake.put("a.bin", &bytes);
        let done = bench.download(&id).unwrap();
        assert_eq!((done.path.clone(), done.size, done.already), (bench.out().join("a.bin"), size as u64, false));
        assert!(std::fs::read(&done.path).unwrap() == bytes, "{size}");
        assert_eq!(bench.names(), ["a.bin"], "no traces");
        assert_eq!(bench.fake.state().sent_bytes, size as u64, "each byte once");
    }
}

#[test]
fn a_hostile_name_stays_in_its_directory() {
    let bench = Bench::new();
    for (name, expected) in [("../../evil", "evil"), ("/etc/cron.d/x", "x"), (".ssh", "ssh"), ("..", "file-00000000")] {
        bench.fake.state().files.clear();
        let id = bench.fake.put(name, b"x");
        assert_eq!(bench.download(&id).unwrap().path, bench.out().join(expected), "{name:?}");
        std::fs::remove_file(bench.out().join(expected)).unwrap();
    }
}

#[test]
fn a_broken_connection_costs_nothing_twice() {
    let bench = Bench::new();
    let bytes = pattern(4 * MIB, 5);
    let id = bench.fake.put("a.bin", &bytes);
    bench.fake.state().get_faults = [Fault::CutAfter(300_001), Fault::CutAfter(0), Fault::Refuse(503, None)].into();
    let done = bench.download(&id).unwrap();
    assert!(std::fs::read(done.path).unwrap() == bytes);
    assert_eq!(bench.fake.state().sent_bytes, 4 * MIB as u64);
}

#[test]
fn a_restarted_server_is_found_again() {
    let bench = Bench::new();
    let bytes = pattern(5 * MIB, 5);
    let id = bench.fake.put("a.bin", &bytes);
    bench.fake.state().get_faults = [Fault::None, Fault::DieAfter(100_000)].into();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            until("the server died", || bench.fake.is_down());
            bench.fake.restart();
        });
        let done = bench.download(&id).unwrap();
        assert!(std::fs::read(done.path).unwrap() == bytes);
    });
}

#[test]
fn dropping_a_transfer_ends_it_and_the_next_run_continues() {
    let mut bench = Bench::new();
    bench.options.connections = 1; // the first range is whole before the second is asked for
    let bytes = pattern(8 * MIB, 5);
    let id = bench.fake.put("a.bin", &bytes);
    bench.fake.state().get_faults = [Fault::None, Fault::DieAfter(100_000)].into();
    let transfer = bench.downloader().start(id.clone(), Target::Directory(bench.out()));
    until("the server died", || bench.fake.is_down());
    drop(transfer);
    assert_eq!(bench.names(), ["a.bin.part", "a.bin.part.json"]);
    bench.fake.restart();
    let before = bench.fake.state().sent_bytes;
    let done = bench.download(&id).unwrap();
    assert!(std::fs::read(done.path).unwrap() == bytes);
    assert!(bench.listener.heard(|note| matches!(note, Note::Resumed { present } if *present >= MIB as u64)));
    let again = bench.fake.state().sent_bytes - before;
    assert!(again <= 7 * MIB as u64, "{again} bytes more for 8 MiB");
    assert_eq!(bench.names(), ["a.bin"]);
}

#[test]
fn a_server_gone_for_good_is_given_up() {
    let mut bench = Bench::new();
    bench.options.patience = Duration::from_millis(300);
    let id = bench.fake.put("a.bin", &pattern(4 * MIB, 5));
    bench.fake.state().get_faults = [Fault::DieAfter(1000)].into();
    match bench.download(&id) {
        Err(Error::Stuck { source, .. }) => assert!(matches!(*source, Error::Unreachable { .. }), "{source:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn versions_never_mix() {
    let mut bench = Bench::new();
    bench.options.connections = 1;
    let (old, new) = (pattern(3 * MIB, 5), pattern(3 * MIB, 6));
    let id = bench.fake.put("a.bin", &old);
    bench.fake.state().get_faults = vec![Fault::None, Fault::Refuse(503, None), Fault::Refuse(503, None)].into();
    let transfer = bench.downloader().start(id.clone(), Target::Directory(bench.out()));
    until("a range is there", || bench.fake.state().gets >= 2);
    {
        let mut state = bench.fake.state();
        let stored = state.files.get_mut(&id).unwrap();
        (stored.data, stored.etag) = (new.clone(), "\"v2\"".into());
    }
    let done = transfer.wait().unwrap();
    assert!(std::fs::read(done.path).unwrap() == new);
    assert!(bench.listener.heard(|note| *note == Note::StartedAnew(Why::RemoteChanged)));
}

#[test]
fn what_is_there_is_not_replaced_unasked_and_not_fetched_twice() {
    let mut bench = Bench::new();
    let bytes = pattern(100, 5);
    let id = bench.fake.put("a.bin", &bytes);
    std::fs::create_dir(bench.out()).unwrap();
    let path = bench.out().join("a.bin");
    std::fs::write(&path, "mine").unwrap();
    assert!(matches!(bench.download(&id), Err(Error::Exists { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    assert_eq!(bench.fake.state().gets, 0);

    bench.options.overwrite = true;
    assert!(!bench.download(&id).unwrap().already);
    assert!(std::fs::read(&path).unwrap() == bytes);
    bench.options.overwrite = false;
    assert!(bench.download(&id).unwrap().already, "said, not fetched");
    assert_eq!(bench.fake.state().gets, 1);
    std::fs::write(&path, "mine again").unwrap();
    assert!(matches!(bench.download(&id), Err(Error::Exists { .. })), "touched since");
}

#[test]
fn a_running_upload_is_followed_to_its_end() {
    let bench = Bench::new();
    let bytes = pattern(4 * MIB + 77, 5);
    let id = bench.fake.put("a.bin", &bytes);
    let give = |end: usize| {
        let mut state = bench.fake.state();
        let stored = state.files.get_mut(&id).unwrap();
        stored.received = Span::new(0, end as u64).into_iter().collect();
        stored.active = true;
    };
    give(0);
    let transfer = bench.downloader().start(id.clone(), Target::Directory(bench.out()));
    for end in [1, 5000, MIB + 1, 3 * MIB, 4 * MIB + 77] {
        give(end);
        until("all that is there was fetched", || bench.fake.state().sent_bytes == end as u64);
        assert!(!bench.out().join("a.bin").exists() || end == bytes.len());
    }
    let done = transfer.wait().unwrap();
    assert!(std::fs::read(done.path).unwrap() == bytes);
}

#[test]
fn an_upload_that_stopped_is_not_followed_for_ever() {
    let bench = Bench::new();
    let id = bench.fake.put("a.bin", &pattern(2 * MIB, 5));
    bench.fake.state().files.get_mut(&id).unwrap().received = Span::new(0, MIB as u64).into_iter().collect();
    let error = bench.download(&id).unwrap_err();
    assert!(matches!(error, Error::UploadIdle { available: 1048576, size: 2097152 }), "{error:?}");
    assert_eq!(bench.names(), ["a.bin.part", "a.bin.part.json"], "kept for the next run");
}

/// As after a kill between the last byte and the rename: everything is in the part, which has no name yet.
fn download_without_a_name(bench: &Bench, id: &str) {
    std::fs::create_dir(bench.out()).unwrap();
    std::thread::scope(|scope| {
        let faults = [Fault::Refuse(503, None), Fault::Refuse(503, None), Fault::Refuse(503, None)];
        bench.fake.state().get_faults = faults.into();
        scope.spawn(|| {
            until("it runs", || bench.out().join("a.bin.part").exists());
            std::fs::write(bench.out().join("a.bin"), "in the way").unwrap();
        });
        assert!(matches!(bench.download(id), Err(Error::Exists { .. })));
    });
    std::fs::remove_file(bench.out().join("a.bin")).unwrap();
}

#[test]
fn a_file_that_vanished_after_its_last_byte_is_still_ours() {
    let bench = Bench::new();
    let bytes = pattern(2 * MIB, 5);
    let id = bench.fake.put("a.bin", &bytes);
    download_without_a_name(&bench, &id);
    bench.fake.state().files.clear();
    let done = bench.download(&id).unwrap();
    assert!(std::fs::read(done.path).unwrap() == bytes);
    assert!(bench.download(&id).unwrap().already);
}

#[test]
fn a_download_killed_right_after_the_rename_is_known() {
    let bench = Bench::new();
    let id = bench.fake.put("a.bin", &pattern(2 * MIB, 5));
    download_without_a_name(&bench, &id);
    std::fs::rename(bench.out().join("a.bin.part"), bench.out().join("a.bin")).unwrap();
    assert!(bench.download(&id).unwrap().already);
}

#[test]
fn what_is_not_there_is_not_found() {
    let bench = Bench::new();
    assert!(matches!(bench.download(&"0".repeat(32)), Err(Error::NotFound { .. })));
}
