//! The client against a server that misbehaves on demand ([`fake`]): what is lost is found again, what is said is true.
//!
//! The real server has its own black-box suite in the workspace's `tests`; here the faults are exact.
#![allow(missing_docs, reason = "tests")]

mod command;
mod download;
mod fake;
mod fake_door;
mod fake_people;
mod login;
mod nics;
#[cfg(feature = "server")]
mod reload;
mod top;
mod upload;
mod user;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use etransfer_client::{Note, Progress};

/// Bytes that differ at every offset a mistake could confuse.
pub fn pattern(size: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; size];
    random.fill(&mut bytes);
    bytes
}

pub fn write_file(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Waits for a condition, never for a time.
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < end, "still not: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Keeps what a transfer told.
#[derive(Default)]
pub struct Listener {
    pub notes: Mutex<Vec<Note>>,
    pub last: Mutex<(u64, u64)>,
}

impl Listener {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    pub fn heard(&self, test: impl Fn(&Note) -> bool) -> bool {
        self.notes.lock().unwrap().iter().any(test)
    }
}

impl Progress for Listener {
    fn at(&self, done: u64, total: u64) {
        assert!(done <= total, "{done} of {total}");
        *self.last.lock().unwrap() = (done, total);
    }

    fn note(&self, note: Note) {
        self.notes.lock().unwrap().push(note);
    }
}
