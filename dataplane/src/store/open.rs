//! Opening a store: lock, replay, doubts settled, files compared, a new checkpoint; only then does anything go on.
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use etransfer_contract::ObjectId;
use rustix::fs::{FlockOperation, Mode, OFlags};

use super::index::Index;
use super::journal::{Common, Journal};
use super::replay::{Replay, Slot, replay};
use super::room::is_full;
use super::segment::{BootId, Damage};
use super::verify::{is_doubtful, settle_all};
use super::walk::{Walked, make_directories, walk};
use super::whole::Store;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The storage directory; `objects/` and `journal/` are made below it.
    pub root: PathBuf,
    /// How many journals.
    pub cores: usize,
    /// Size of a journal segment; each core has one in use and one in reserve.
    pub journal_bytes: u64,
    /// Journal bytes since the last checkpoint that make a new one due.
    pub compact_above: u64,
    /// Serve what can be read when the journal is damaged, instead of refusing to start.
    pub read_only_on_damage: bool,
}

impl StoreOptions {
    /// With the defaults.
    pub fn new(root: impl Into<PathBuf>, cores: usize) -> Self {
        Self { root: root.into(), cores, journal_bytes: 16 << 20, compact_above: 64 << 20, read_only_on_damage: false }
    }
}

/// What opening did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Records read, those of the checkpoint included.
    pub records: u64,
    /// Live objects.
    pub objects: usize,
    /// Bytes of torn writes that were dropped.
    pub torn_bytes: u64,
    /// Bytes that were recorded, lost with a power loss, and are given up.
    pub lost_bytes: u64,
    /// Files that no record named, removed.
    pub orphans: u64,
    /// Names below `objects/` that are none of ours.
    pub strangers: u64,
    /// How long it took.
    pub took: Duration,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{0}: another server uses this storage directory")]
    Locked(PathBuf),
    /// The disk and the journal do not agree with what was written.
    #[error("damaged store: {0}")]
    Damaged(#[from] Damage),
    /// A system call failed.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Store {
    /// Opens or makes the store below `options.root`. Blocking; may take seconds.
    pub fn open(options: StoreOptions) -> Result<(Arc<Self>, Replayed), OpenError> {
        Self::open_in(options, BootId::current())
    }

    /// As [`Store::open`], in this boot of the machine; tests choose it.
    pub(super) fn open_in(options: StoreOptions, boot: BootId) -> Result<(Arc<Self>, Replayed), OpenError> {
        let started = Instant::now();
        let root = &options.root;
        let failed =
            |action: &'static str| move |source: io::Error| OpenError::Io { action, path: root.clone(), source };
        let objects = make_directory(&root.join("objects")).map_err(failed("open objects/ below"))?;
        let directory = make_directory(&root.join("journal")).map_err(failed("open journal/ below"))?;
        let lock = take_lock(&directory, root)?;
        make_directories(&objects).map_err(failed("make object directories below"))?;

        let mut found = replay(&directory, boot).map_err(failed("read the journal below"))?;
        let mut damage = std::mem::take(&mut found.damage);
        refuse(&options, &damage)?;
        let lost_bytes = settle(&objects, &mut found);
        let index = Arc::new(Index::new());
        fill(&index, std::mem::take(&mut found.slots));
        let walked = walk(&objects, &index, damage.is_empty()).map_err(failed("compare the objects below"))?;
        damage.extend(walked.damage.iter().map(|(_, damage)| damage.clone()));
        refuse(&options, &damage)?;
        walked.damage.iter().for_each(|(id, _)| index.forget(*id));

        let common = Common {
            directory,
            boot,
            sequence: AtomicU64::new(found.sequence),
            generation: AtomicU64::new(found.generation + 1),
            segment_bytes: options.journal_bytes,
            appended: AtomicU64::new(0),
            read_only: AtomicBool::new(!damage.is_empty()),
        };
        let mut replayed = report(&found, &walked, lost_bytes);
        replayed.objects = index.count().0;
        let store = Self::assemble(options.clone(), index, common, objects, lock);
        match damage.first() {
            Some(first) => store.degrade(format!("read-only: {first}")),
            None => store.begin(&found).map_err(failed("start the journal below"))?,
        }
        replayed.took = started.elapsed();
        Ok((store, replayed))
    }

    /// First segments of a new generation, then a checkpoint of what was replayed. A disk too full for that is no reason not
    /// to start: then the old files stay, and are appended to if need be, until there is room.
    fn begin(&self, found: &Replay) -> io::Result<()> {
        let mut unused = found.unused.iter().copied();
        let mut used = found.used.clone();
        used.sort_unstable_by_key(|segment| std::cmp::Reverse(segment.end));
        let mut resumed = false;
        for journal in self.journals() {
            match (journal.start_generation(unused.next()), used.pop()) {
                (Ok(()), spared) => used.extend(spared),
                (Err(error), Some(emptiest)) if is_full(&error) => {
                    journal.resume(emptiest)?;
                    resumed = true;
                }
                (Err(error), _) => return Err(error),
            }
        }
        // A checkpoint would replace the files that are appended to.
        let written = if resumed { Err(io::ErrorKind::StorageFull.into()) } else { self.write_checkpoint() };
        match written.and_then(|()| self.journals().iter().try_for_each(Journal::refill)) {
            Err(error) if is_full(&error) => {
                tracing::warn!(%error, "no room for a checkpoint and spare journal segments; the old ones stay");
                Ok(())
            }
            written => written,
        }
    }
}

/// Damage stops the start, unless told otherwise.
fn refuse(options: &StoreOptions, damage: &[Damage]) -> Result<(), OpenError> {
    match damage.first() {
        Some(first) if !options.read_only_on_damage => Err(OpenError::Damaged(first.clone())),
        Some(_) | None => Ok(()),
    }
}

fn settle(objects: &OwnedFd, found: &mut Replay) -> u64 {
    let doubtful = found.slots.iter_mut().filter_map(|(id, slot)| match slot {
        Slot::Live(known) if is_doubtful(known) => Some((*id, known)),
        Slot::Live(_) | Slot::Gone(_) => None,
    });
    let doubtful: Vec<_> = doubtful.collect();
    if doubtful.is_empty() { 0 } else { settle_all(objects, doubtful) }
}

fn fill(index: &Arc<Index>, slots: HashMap<ObjectId, Slot>) {
    for (id, slot) in slots {
        match slot {
            Slot::Live(known) => index.restore(id, known),
            Slot::Gone(tombstone) => index.bury(id, tombstone),
        }
    }
}

fn report(found: &Replay, walked: &Walked, lost_bytes: u64) -> Replayed {
    Replayed {
        records: found.records,
        objects: 0,
        torn_bytes: found.torn_bytes,
        lost_bytes,
        orphans: walked.orphans,
        strangers: walked.strangers,
        took: Duration::ZERO,
    }
}

/// Makes the directory and its parents, for this user only, and opens it.
fn make_directory(path: &Path) -> io::Result<OwnedFd> {
    for part in path.ancestors().collect::<Vec<_>>().into_iter().rev().filter(|part| !part.as_os_str().is_empty()) {
        match rustix::fs::mkdir(part, Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(_) if rustix::fs::stat(part).is_ok() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Keeps other processes out while it lives.
#[derive(Debug)]
pub(super) struct DirectoryLock(OwnedFd);

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Said, not left to the closing: a child that was just forked holds a copy of the descriptor until it execs.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

/// A lock of the kernel: it dies with the process, and no PID can be mistaken for it.
fn take_lock(directory: &OwnedFd, root: &Path) -> Result<DirectoryLock, OpenError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let failed = |source: rustix::io::Errno| OpenError::Io {
        action: "lock",
        path: root.join("journal/lock"),
        source: source.into(),
    };
    let file = rustix::fs::openat(directory, "lock", flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(DirectoryLock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked(root.to_path_buf())),
        Err(error) => Err(failed(error)),
    }
}
