//! The load: workers that create, append (sized, chunked, in parallel slices, cut short), ask, delete and consume, each
//! writing what it was told to the common log before it does anything else.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::tus::{Upload, head, metadata, patch, post, tus};
use crate::support::{Conn, Oracle, Reply, Request, TOKEN};

/// One line per acknowledgement, in the order in which they arrived.
#[derive(Clone)]
pub struct Log {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

impl Log {
    pub fn create(path: PathBuf) -> Self {
        let file = File::create(&path).expect("create the log");
        Self { path, file: Arc::new(Mutex::new(file)) }
    }
    pub fn path(&self) -> &Path {
        &self.path
    }
    fn say(&self, line: String) {
        writeln!(self.file.lock().expect("the log"), "{line}").expect("write the log");
    }
}

/// Running workers.
pub struct Load {
    gate: Arc<RwLock<()>>,
    over: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn start(addr: SocketAddr, log: Log, count: u64, seed: u64) -> Self {
        let (gate, over) = (Arc::new(RwLock::new(())), Arc::new(AtomicBool::new(false)));
        let workers = (0..count)
            .map(|number| {
                let (gate, over, log) = (Arc::clone(&gate), Arc::clone(&over), log.clone());
                let rng = fastrand::Rng::with_seed(seed * 1_000 + number);
                std::thread::spawn(move || {
                    let mut worker = Worker { addr, log, rng, uploads: Vec::new() };
                    while !over.load(Ordering::SeqCst) {
                        let _open = gate.read().expect("the gate");
                        if worker.step().is_none() {
                            // The server is down, or has cut us off: again, a little later.
                            std::thread::sleep(Duration::from_millis(5));
                        }
                    }
                })
            })
            .collect();
        Self { gate, over, workers }
    }

    /// Waits until no request is running, and keeps it so until the guard is dropped.
    pub fn pause(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().expect("the gate")
    }

    pub fn stop(self) {
        self.over.store(true, Ordering::SeqCst);
        for worker in self.workers {
            worker.join().expect("a worker of the load failed");
        }
    }
}

/// What a worker knows of an upload of its own.
#[derive(Clone)]
struct Mine {
    upload: Upload,
    oracle: Oracle,
    length: u64,
    offset: u64,
    parallel: bool,
    once: bool,
}

struct Worker {
    addr: SocketAddr,
    log: Log,
    rng: fastrand::Rng,
    uploads: Vec<Mine>,
}

const UNIT: u64 = 64 * 1024;
/// Ten times what easytransfer/CONTRACT.md §3 rule 5 allows; machines are slow at times.
const PATIENCE: Duration = Duration::from_secs(10);

impl Worker {
    fn ask(&self, request: &Request) -> Option<Reply> {
        Conn::try_open(self.addr).ok()?.try_ask(request).ok()
    }

    /// One action; `None` when it got no answer.
    fn step(&mut self) -> Option<()> {
        if self.uploads.len() < 4 {
            return self.create();
        }
        let at = self.rng.usize(0..self.uploads.len());
        let mine = self.uploads[at].clone();
        match self.rng.u32(0..100) {
            _ if mine.offset >= mine.length => self.farewell(at, &mine),
            0..75 if mine.parallel => self.slice(at, &mine),
            0..60 => self.append(at, &mine),
            60..75 => self.cut(&mine),
            75..92 => self.look(at, &mine),
            92..96 => self.delete(at, &mine),
            _ => self.create(),
        }
    }

    fn create(&mut self) -> Option<()> {
        let length = [0, 1, 4_095, 70_000, 300_000, 1_000_003, 3_000_000][self.rng.usize(0..7)];
        let (parallel, once) = (self.rng.bool(), self.rng.u32(0..5) == 0);
        let seed = self.rng.u64(..);
        let policy = if once { "download_once" } else { "permanent" };
        let pairs = metadata(&[("filename", "load.bin"), ("retention", policy), ("seed", &seed.to_string())]);
        let request = post().header("Upload-Length", length.to_string()).header("Upload-Metadata", pairs);
        let reply = self.ask(&request)?;
        if reply.status != 201 {
            assert_eq!(reply.status, 503, "{reply:?}");
            return None;
        }
        let upload = Upload::at(reply.field("Location"));
        self.log.say(format!("created {} {seed} {length}", upload.id));
        self.uploads.push(Mine { upload, oracle: Oracle(seed), length, offset: 0, parallel, once });
        Some(())
    }

    fn body(&mut self, mine: &Mine, from: u64) -> Request {
        let most = (mine.length - from).min(if self.rng.bool() { 1_000_000 } else { 20_000 });
        let to = from + self.rng.u64(1..=most);
        let request = patch(&mine.upload, from, &mine.oracle.bytes(from..to));
        if self.rng.u32(0..3) == 0 { request.chunked(self.rng.usize(1_000..200_000)) } else { request }
    }

    fn append(&mut self, at: usize, mine: &Mine) -> Option<()> {
        let request = self.body(mine, mine.offset);
        let reply = self.ask(&request)?;
        self.told(at, mine, &reply)
    }

    /// An aligned slice anywhere, as the parallel client sends them.
    fn slice(&mut self, at: usize, mine: &Mine) -> Option<()> {
        let from = self.rng.u64(0..mine.length.div_ceil(UNIT)) * UNIT;
        let to = mine.length.min(from + UNIT);
        let reply = self.ask(&patch(&mine.upload, from, &mine.oracle.bytes(from..to)))?;
        if matches!(reply.status, 204 | 409) {
            // A 409 says that the slice is stored: the parallel client believes it.
            self.log.say(format!("range {} {from} {to}", mine.upload.id));
        }
        self.told(at, mine, &reply)
    }

    fn told(&mut self, at: usize, mine: &Mine, reply: &Reply) -> Option<()> {
        match reply.status {
            200 | 204 | 409 => {
                let offset = reply.number("Upload-Offset");
                self.log.say(format!("offset {} {offset}", mine.upload.id));
                self.uploads[at].offset = offset;
                Some(())
            }
            423 | 503 => None,
            _ => panic!("{reply:?}"),
        }
    }

    /// A body that ends in the middle.
    fn cut(&mut self, mine: &Mine) -> Option<()> {
        let request = self.body(mine, mine.offset);
        let mut conn = Conn::try_open(self.addr).ok()?;
        let bytes = request.bytes(conn.host());
        let sent = self.rng.usize(0..bytes.len());
        conn.try_send(&bytes[..sent]).ok()?;
        if self.rng.bool() {
            conn.reset();
        }
        Some(())
    }

    fn look(&mut self, at: usize, mine: &Mine) -> Option<()> {
        let mut conn = Conn::try_open(self.addr).ok()?;
        let reply = conn.try_ask(&head(&mine.upload)).ok()?;
        if let Some(ranges) = reply.header("X-Received-Ranges").filter(|_| reply.status == 200) {
            for range in ranges.split(',') {
                let (from, to) = range.split_once('-').expect("start-end");
                self.log.say(format!("range {} {from} {to}", mine.upload.id));
            }
        }
        self.told(at, mine, &reply)
    }

    fn delete(&mut self, at: usize, mine: &Mine) -> Option<()> {
        self.log.say(format!("deleting {}", mine.upload.id));
        self.uploads.remove(at);
        let reply = self.ask(&tus("DELETE", &mine.upload.path))?;
        if matches!(reply.status, 204 | 404 | 410) {
            self.log.say(format!("deleted {}", mine.upload.id));
            return Some(());
        }
        assert_eq!(reply.status, 503, "{reply:?}");
        None
    }

    /// A complete file is read, consumed when it is of that kind, and left behind or deleted.
    fn farewell(&mut self, at: usize, mine: &Mine) -> Option<()> {
        if mine.once {
            self.log.say(format!("consuming {}", mine.upload.id));
        }
        let reply = self.ask(&Request::get(&mine.upload.download()).header("X-API-Token", TOKEN))?;
        match reply.status {
            200 => {
                mine.oracle.check(0, &reply.body).unwrap_or_else(|wrong| panic!("{}: {wrong}", mine.upload.id));
                assert_eq!(reply.body.len() as u64, mine.length);
            }
            404 if mine.once => {}
            503 => return None,
            _ => panic!("{reply:?}"),
        }
        if mine.once {
            // A kill right behind the last byte leaves the file bound to this receiver, who may fetch it again: no side
            // knows whether the byte arrived. What was answered 404 is consumed, forever.
            // (Gone within a second of the last byte: easytransfer/CONTRACT.md §3 rule 5.)
            let asked = Instant::now();
            loop {
                let reply = self.ask(&tus("HEAD", &mine.upload.path))?;
                match reply.status {
                    404 | 410 => break,
                    503 => return None,
                    _ => assert!(asked.elapsed() < PATIENCE, "received whole and still there: {reply:?}"),
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            self.log.say(format!("consumed {}", mine.upload.id));
            self.uploads.remove(at);
        } else if self.rng.bool() {
            self.delete(at, mine)?;
        } else {
            self.uploads.remove(at);
        }
        Some(())
    }
}
