//! Opening a store: lock, replay, doubts settled, files compared, a new checkpoint; only then does anything go on.
//!
//! A start unlinks no object's file, and changes nothing before it has decided that it runs. What it may find, and what it
//! does then, is the table in `dataplane/START.md`.
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use etransfer_contract::ObjectId;
use etransfer_disk::{Disk, File, Mode, OFlags, PRIVATE};

use super::checkpoint::{self, list};
use super::clock::Clock;
use super::index::{Index, Leftover};
use super::journal::Common;
use super::manifest::{self, List, Manifest};
use super::quarantine;
use super::replay::{Replay, Slot, Slots, replay};
use super::room::is_full;
use super::segment::{BootId, Damage};
use super::verify::{is_doubtful, settle_all, verify};
use super::walk::{Walked, any_file, has_directories, make_directories, walk};
use super::whole::Store;
use crate::driver::Machine;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The machine that has the storage directory.
    pub machine: Machine,
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
    /// Only bytes that a sync covered are reported to the control plane: `durability: every`.
    pub only_synced: bool,
}

impl StoreOptions {
    /// With the defaults.
    pub fn new(root: impl Into<PathBuf>, cores: usize) -> Self {
        Self {
            machine: Machine::default(),
            root: root.into(),
            cores,
            journal_bytes: 16 << 20,
            compact_above: 64 << 20,
            read_only_on_damage: false,
            only_synced: false,
        }
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
    /// Files that no record names: moved to the quarantine, or left where they are in a read-only store.
    pub orphans: u64,
    /// Files that came back from the quarantine, because a record names them.
    pub put_back: u64,
    /// Objects whose bytes are not what was recorded; they are known, and not served.
    pub damaged: usize,
    /// Files whose removal is recorded and not carried out yet: the running node unlinks them.
    pub leftovers: usize,
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
    /// There are objects, and no journal that describes them. Nothing was changed.
    #[error(
        "{root}: objects/ holds files ({example} is one), and journal/ {what}. Nothing was changed. Mount or restore the \
         journal/ that belongs to these objects and start again. If it is lost for good, move objects/ elsewhere: each \
         file there is the content of one upload, under its id; then the node starts empty"
    )]
    NoJournal {
        /// The storage directory.
        root: PathBuf,
        /// One of the files.
        example: ObjectId,
        /// What the journal is like.
        what: &'static str,
    },
    /// There is a journal that names objects, and no directory of theirs. Nothing was changed.
    #[error(
        "{root}: the journal names {objects} objects with bytes ({example} is one), and objects/ is missing or empty. \
         Nothing was changed. Mount or restore the objects/ that belongs to this journal and start again. If it is lost \
         for good, move journal/ and state/ elsewhere as well; then the node starts empty"
    )]
    NoObjects {
        /// The storage directory.
        root: PathBuf,
        /// How many.
        objects: usize,
        /// One of them.
        example: ObjectId,
    },
    /// A part of the journal cannot be what was written.
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
        Self::open_in(options, None)
    }

    /// As [`Store::open`], in this boot of the machine; tests choose it.
    pub(super) fn open_in(
        options: StoreOptions,
        boot: impl Into<Option<BootId>>,
    ) -> Result<(Arc<Self>, Replayed), OpenError> {
        let started = options.machine.now();
        let root = &options.root;
        let failed =
            |action: &'static str| move |source: io::Error| OpenError::Io { action, path: root.clone(), source };
        let disk = options.machine.disk();
        refuse_objects_without_journal(disk, root)?;
        let objects = make_directory(disk, &root.join("objects")).map_err(failed("open objects/ below"))?;
        let directory = make_directory(disk, &root.join("journal")).map_err(failed("open journal/ below"))?;
        let lock = take_lock(&directory, root)?;
        let boot = boot.into().unwrap_or_else(|| BootId::of(disk, &objects, &directory));

        let above = make_directory(disk, root).map_err(failed("open"))?;
        let (mut listed, mut damage) = (None, Vec::new());
        match manifest::read(&above, &directory).map_err(failed("read the manifest of the journal below"))? {
            Ok(list) => listed = list,
            Err(lost) => damage.push(lost),
        }
        let mut found = replay(&directory, boot, listed.as_ref()).map_err(failed("read the journal below"))?;
        damage.append(&mut found.damage);
        refuse(&options, &damage)?;
        refuse_journal_without_objects(root, &objects, &found)?;
        make_directories(&objects).map_err(failed("make object directories below"))?;
        let lost_bytes = settle(&options.machine, &objects, &mut found);
        let clock = Clock::of(&options.machine);
        let index = Arc::new(Index::new(options.only_synced, clock.clone()));
        fill(&index, std::mem::take(&mut found.slots));
        let walked = walk(&options.machine, &objects, &index);
        if damage.is_empty() {
            refuse_objects_of_another_journal(root, &found, &walked)?;
        }

        let manifest = match damage.is_empty() {
            true => begin_manifest(&options.machine, &above, &directory, listed, &found)
                .map_err(failed("write the manifest of"))?,
            false => Manifest::none(),
        };
        let common = Common {
            directory,
            manifest,
            boot,
            clock,
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
            Some(first) => {
                store.degrade_for_good(format!("read-only: {first}"));
                store.isolate(&walked.damaged);
            }
            None => {
                store.begin(&found).map_err(failed("start the journal below"))?;
                store.act_on(&walked, &mut replayed);
            }
        }
        replayed.damaged = store.damaged().len();
        replayed.took = store.machine().now().saturating_duration_since(started);
        Ok((store, replayed))
    }

    /// The start has decided that it runs: now what the walk found is acted upon. Nothing here can stop it any more.
    fn act_on(&self, walked: &Walked, replayed: &mut Replayed) {
        for (id, bytes) in &walked.leftovers {
            self.index().leave(*id, Leftover { bytes: *bytes, position: None });
        }
        let hurt = self.put_back(&walked.damaged);
        replayed.put_back = (walked.damaged.len() - hurt.len()) as u64;
        self.isolate(&hurt);
        let now = self.common().clock.unix_ms();
        for id in &walked.orphans {
            match self.root().and_then(|root| quarantine::take(&root, &self.objects_dir(), *id, now)) {
                Ok(()) => tracing::warn!(object = %id, "no record names this file; it is in quarantine/ now"),
                Err(error) => {
                    tracing::error!(object = %id, %error, "no record names this file, and it cannot be moved to quarantine/; it stays");
                    self.strays.hold().push(*id);
                }
            }
        }
        if let Err(error) = self.quarantined() {
            tracing::error!(%error, "the quarantine cannot be read");
        }
    }

    /// Objects without a file whose file an earlier start set aside, with another journal: it is theirs if its bytes are
    /// what was recorded. Returns those that are still hurt.
    fn put_back(&self, damaged: &[(ObjectId, String)]) -> Vec<(ObjectId, String)> {
        let aside = match self.quarantined() {
            Ok(aside) if !damaged.is_empty() => aside,
            // Unreadable: reported when the orphans were moved.
            Ok(_) | Err(_) => return damaged.to_vec(),
        };
        let is_still_hurt = |(id, _): &&(ObjectId, String)| {
            let Some(entry) = aside.iter().rfind(|entry| entry.object == *id) else { return true };
            let objects = self.objects_dir();
            let put = self.root().and_then(|root| quarantine::put_back(&root, &objects, entry));
            let is_whole = put.is_ok()
                && self.find(*id).is_some_and(|object| {
                    let known = object.state.hold().known.clone();
                    verify(&objects, *id, &known).damaged.is_empty()
                });
            tracing::warn!(object = %id, is_whole, "a record names this file of quarantine/; it is back in its place");
            !is_whole
        };
        damaged.iter().filter(is_still_hurt).cloned().collect()
    }

    fn isolate(&self, damaged: &[(ObjectId, String)]) {
        for (id, what) in damaged {
            if let Some(object) = self.find(*id) {
                object.report_damage(what);
            }
        }
    }

    /// First segments of a new generation, then a checkpoint of what was replayed. A disk too full for that is no reason not
    /// to start: then the old files stay, and are appended to if need be, until there is room.
    fn begin(&self, found: &Replay) -> io::Result<()> {
        if let Err(error) = checkpoint::delete_temporaries(&self.common().directory) {
            tracing::warn!(%error, "unfinished files below journal/ stay");
        }
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
        match written.and_then(|()| self.refill()) {
            Err(error) if is_full(&error) => {
                tracing::warn!(%error, "no room for a checkpoint and spare journal segments; the old ones stay");
                Ok(())
            }
            written => written,
        }
    }
}

/// Continues the manifest, or makes the first one from what a release without manifests left. When the disk is too full for a
/// first one, the store runs without it until the next start.
fn begin_manifest(
    machine: &Machine,
    above: &File,
    directory: &File,
    listed: Option<List>,
    found: &Replay,
) -> io::Result<Manifest> {
    let is_first = listed.is_none();
    let list = match listed {
        Some(list) => list,
        None => List::new(random_tag(machine)?, found.checkpoint, found.segments.clone()),
    };
    match Manifest::begin(above, directory, list) {
        Err(error) if is_first && is_full(&error) => {
            // The next start would trust one that is not kept up to date.
            manifest::undo(above, directory)?;
            tracing::warn!(%error, "no room for the manifest of the journal; a missing journal file would not be noticed");
            Ok(Manifest::none())
        }
        begun => begun,
    }
}

/// Never 0, which is no tag.
fn random_tag(machine: &Machine) -> io::Result<u32> {
    Ok((machine.random()? as u32).max(1))
}

/// Damage stops the start, unless `read_only_on_damage` permits it.
fn refuse(options: &StoreOptions, damage: &[Damage]) -> Result<(), OpenError> {
    match damage.first() {
        Some(first) if !options.read_only_on_damage => Err(OpenError::Damaged(first.clone())),
        Some(_) | None => Ok(()),
    }
}

/// A journal that is missing or empty knows no object: it would take every file for an orphan.
fn refuse_objects_without_journal(disk: &dyn Disk, root: &Path) -> Result<(), OpenError> {
    let failed =
        |source: io::Error| OpenError::Io { action: "compare objects/ and journal/ below", path: root.into(), source };
    let Some(objects) = open_directory(disk, &root.join("objects")).map_err(failed)? else { return Ok(()) };
    let what = match open_directory(disk, &root.join("journal")).map_err(failed)? {
        None => "is missing",
        Some(journal) if list(&journal).map_err(failed)?.is_empty() => "is empty",
        Some(_) => return Ok(()),
    };
    match any_file(&objects) {
        Some(example) => Err(OpenError::NoJournal { root: root.to_path_buf(), example, what }),
        None => Ok(()),
    }
}

/// A lost mount: an `objects/` that never was one of a store, under a journal that names objects.
fn refuse_journal_without_objects(root: &Path, objects: &File, found: &Replay) -> Result<(), OpenError> {
    if has_directories(objects) {
        return Ok(());
    }
    let has_bytes = |(id, slot): (&ObjectId, &Slot)| match slot {
        Slot::Live(known) if known.received.bytes() > 0 => Some(*id),
        Slot::Rest(rest) if rest.length() > 0 => Some(*id),
        Slot::Live(_) | Slot::Rest(_) | Slot::Gone(_) => None,
    };
    let mut named = found.slots.iter().filter_map(has_bytes);
    match named.next() {
        Some(example) => {
            let objects = 1 + named.count();
            Err(OpenError::NoObjects { root: root.to_path_buf(), objects, example })
        }
        None => Ok(()),
    }
}

/// Every start of a store writes a checkpoint and begins a segment. A journal without either is a part of one: what it does
/// not name need not be an orphan.
fn refuse_objects_of_another_journal(root: &Path, found: &Replay, walked: &Walked) -> Result<(), OpenError> {
    let Some(example) = walked.orphans.first().copied() else { return Ok(()) };
    let root = root.to_path_buf();
    if found.records == 0 {
        return Err(OpenError::NoJournal { root, example, what: "has no record" });
    }
    if found.unused.is_empty() && found.used.is_empty() && found.damage.is_empty() {
        return Err(OpenError::NoJournal { root, example, what: "has a checkpoint and no segment" });
    }
    Ok(())
}

fn settle(machine: &Machine, objects: &File, found: &mut Replay) -> u64 {
    let doubtful = found.slots.iter_mut().filter_map(|(id, slot)| match slot {
        Slot::Live(known) if is_doubtful(known) => Some((*id, &mut **known)),
        // What is in doubt is not at rest.
        Slot::Live(_) | Slot::Rest(_) | Slot::Gone(_) => None,
    });
    let doubtful: Vec<_> = doubtful.collect();
    if doubtful.is_empty() {
        return 0;
    }
    // What is compared with its CRC counts as durable afterwards, so it has to be on the disk, not only in the page cache.
    if let Err(error) = objects.sync_file_system() {
        tracing::warn!(%error, "sync the file system of objects/ before unsynced bytes are compared with their checksums");
    }
    settle_all(machine, objects, doubtful)
}

fn fill(index: &Arc<Index>, slots: Slots) {
    for (byte, slots) in slots.into_shards() {
        index.restore_all(byte, slots);
    }
}

fn report(found: &Replay, walked: &Walked, lost_bytes: u64) -> Replayed {
    Replayed {
        records: found.records,
        objects: 0,
        torn_bytes: found.torn_bytes,
        lost_bytes,
        orphans: walked.orphans.len() as u64,
        put_back: 0,
        damaged: 0,
        leftovers: walked.leftovers.len(),
        strangers: walked.strangers,
        took: Duration::ZERO,
    }
}

/// Makes the directory and its parents, for this user only, and opens it.
fn make_directory(disk: &dyn Disk, path: &Path) -> io::Result<File> {
    for part in path.ancestors().collect::<Vec<_>>().into_iter().rev().filter(|part| !part.as_os_str().is_empty()) {
        match disk.make_directory(part) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists || disk.is_there(part) => {}
            Err(error) => return Err(error),
        }
    }
    open_directory(disk, path)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// `None`: there is none.
pub(super) fn open_directory(disk: &dyn Disk, path: &Path) -> io::Result<Option<File>> {
    match disk.open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(directory) => Ok(Some(directory)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Keeps other processes out while it lives.
#[derive(Debug)]
pub(super) struct DirectoryLock(File);

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Said, not left to the closing: a child that was just forked holds a copy of the descriptor until it execs.
        let _ = self.0.unlock();
    }
}

/// A lock of the kernel: it dies with the process, and no PID can be mistaken for it.
fn take_lock(directory: &File, root: &Path) -> Result<DirectoryLock, OpenError> {
    let failed = |source| OpenError::Io { action: "lock", path: root.join("journal/lock"), source };
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW;
    let file = directory.open_at("lock", flags, PRIVATE).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(DirectoryLock(file)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(OpenError::Locked(root.to_path_buf())),
        Err(error) => Err(failed(error)),
    }
}
