//! A data plane to test, on either engine.

use std::fs::File;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use etransfer_contract::ObjectId;
use etransfer_dataplane::config::{Config, Durability, EngineChoice, Limits, WriteMode};
use etransfer_dataplane::{Node, start};
use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, IoSliceMut, ReadWriteFlags, preadv2};

use super::client::Client;
use super::control::Control;

/// A data plane of two cores with its control plane; ended when dropped.
pub struct Bed {
    node: Option<Node>,
    /// Its control plane.
    pub control: Control,
    /// Where it listens.
    pub address: SocketAddr,
    dir: tempfile::TempDir,
}

/// Runs a test on both engines, side by side.
pub fn on_both(limits: &Limits, test: impl Fn(&mut Bed) + Sync) {
    thread::scope(|scope| {
        for engine in [EngineChoice::Ring, EngineChoice::Readiness] {
            let test = &test;
            let run = move || test(&mut Bed::start(engine, limits.clone()));
            thread::Builder::new().name(format!("{engine:?}")).spawn_scoped(scope, run).unwrap();
        }
    });
}

impl Bed {
    /// Starts one.
    pub fn start(engine: EngineChoice, limits: Limits) -> Self {
        Self::start_at(engine, limits, Durability::None)
    }

    /// Starts one that makes its bytes durable.
    pub fn start_at(engine: EngineChoice, limits: Limits, durability: Durability) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let control = Control::start(dir.path());
        let config = Config {
            addresses: vec!["127.0.0.1:0".parse().unwrap()],
            separate: Vec::new(),
            devices: Default::default(),
            cores: Some(2),
            storage: dir.path().join("storage"),
            control_socket: control.socket().to_owned(),
            proxies: Vec::new(),
            durability,
            write_mode: WriteMode::Auto,
            serve_damaged: false,
            quarantine: None,
            engine,
            grace: Duration::from_secs(60),
            limits,
        };
        let node = start(config).unwrap();
        let address = node.addresses()[0];
        Self { node: Some(node), control, address, dir }
    }

    /// Uploads an object without a limit.
    pub fn store(&self, number: u8, bytes: &[u8]) {
        self.control.set_rate(None);
        let mut client = Client::connect(self.address);
        client.upload("PATCH", &path("append", number, bytes.len()), 0, bytes.len() as u64, bytes).unwrap();
        assert_eq!(client.head().unwrap().status, 204);
    }

    /// Where the file of an object is.
    pub fn file(&self, number: u8) -> std::path::PathBuf {
        let id = ObjectId::from_bytes([number; 16]).to_string();
        self.dir.path().join("storage/objects").join(&id[..2]).join(&id)
    }

    /// The bytes of an object, on the disk and nowhere else; [`evict`] keeps them there.
    pub fn cold(&self, number: u8) -> File {
        let file = File::open(self.file(number)).unwrap();
        file.sync_all().unwrap();
        evict(&file);
        let mut byte = [0];
        let probe = preadv2(&file, &mut [IoSliceMut::new(&mut byte)], 0, ReadWriteFlags::NOWAIT);
        assert_eq!(probe, Err(Errno::AGAIN), "TMPDIR must be on a disk: this file system holds everything in memory");
        file
    }

    /// Ends the node; how long that took.
    pub fn stop(&mut self) -> Duration {
        let since = Instant::now();
        if let Some(node) = self.node.take() {
            node.stop();
            node.join().unwrap();
        }
        since.elapsed()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.stop();
        }
    }
}

/// Empties the page cache of a file that was synced.
pub fn evict(file: &File) {
    fadvise(file, 0, None, Advice::DontNeed).unwrap();
}

/// What the control plane grants for this path.
pub fn path(act: &str, object: u8, length: usize) -> String {
    format!("/{act}/{}/{length}", ObjectId::from_bytes([object; 16]))
}

/// Bytes that look like nothing.
pub fn content(bytes: u64) -> Vec<u8> {
    (0..bytes).map(|at| (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}
