//! The durable catalogue: one redb file, one writer thread, one commit for everything that waits (group commit).
//!
//! A change without a waiter goes along with one that has a waiter, or a moment later; while many wait at once, a
//! commit begins a moment after the first of them, because it costs much the same for one as for ten.
//!
//! Order: the change enters the index in memory, the writer commits it together with whatever else waits, then its asker
//! is told. A crash before the commit loses a change that was not acknowledged; redb's own pages are checksummed and
//! its commit is one switch of the root, so a torn commit is the previous state.
//!
//! Every commit ends with a sync, also for a creation at level `complete`: a completion that was acknowledged is worth
//! nothing when the name of the file is gone. At `durability: none` no caller waits for a commit: changes are appended
//! to [`recent`] without a sync and told, and committed within [`CATALOGUE_SETTLE`]. A killed process loses nothing,
//! since the pages are the kernel's; a power cut loses what was recent, never the catalogue.
//!
//! The file appears complete or not at all: it is made under another name, synced, and renamed.
//!
//! A catalogue that is *new* beside objects that are not (the file was lost or moved) must not cost them: they are noted
//! as kept and never taken for orphans.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use etransfer_contract::ObjectId;
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use tokio::sync::oneshot;

use super::backing::{Backing, Ballast};
use super::codec::{self, Damaged};
use super::health::{BackendHealth, HealthCell};
use super::recent::{self, Recent};
use super::{Backend, Change, Commit, Entry, Held, Records, Snapshot, WriteError};
use crate::bounds::{CATALOGUE_BATCH_MAX, CATALOGUE_SETTLE, CATALOGUE_UNSETTLED_MAX};

/// Records by id; values as [`codec`] writes them.
const RECORDS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("records.1");
/// Documents by surface and key; values as [`codec`] writes them.
const DOCS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("docs.1");
/// Objects that are never taken for orphans.
const KEPT: TableDefinition<'_, &[u8; 16], ()> = TableDefinition::new("kept.1");
/// What is known about the catalogue itself.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta.1");
/// Set once an inventory was compared with this catalogue to the end.
const TRUSTED: &str = "trusted";
/// Sequence number of the last of the recent changes that are committed.
const SEQUENCE: &str = "recent";
/// How late a commit of changes without a waiter begins.
const NOTES_WAIT: Duration = Duration::from_millis(20);
/// How late any begins, when as many as this waited for the last one.
const CROWD_WAIT: Duration = Duration::from_millis(1);
const CROWD: usize = 3;
/// Pause before a commit that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often room that was given up is looked for again.
const BALLAST_AGAIN: Duration = Duration::from_secs(10);
/// Page cache of redb; the index in memory answers every read, so it only helps writes.
const CACHE_BYTES: usize = 16 << 20;

/// The catalogue file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be opened or created.
    #[error("open the catalogue {path}: {reason}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What redb or the disk said.
        reason: String,
    },
    /// One of its records is damaged (PROMISES.md P18, P19).
    #[error("the catalogue {path} has a damaged record for {id:?}: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Whose record.
        id: ObjectId,
        /// How.
        reason: Damaged,
    },
    /// One of its documents is damaged, or of a surface this node does not know.
    #[error("the catalogue {path} has a damaged document {key:?} of {surface}: {reason}")]
    DamagedDoc {
        /// The file.
        path: PathBuf,
        /// Whose.
        surface: String,
        /// Which.
        key: String,
        /// How.
        reason: Damaged,
    },
}

/// Hands changes to the writer thread; dropping it lets the writer finish and end.
pub struct FileBackend {
    queue: Option<mpsc::Sender<Waiting>>,
    writer: Option<std::thread::JoinHandle<()>>,
    health: Arc<HealthCell>,
}

struct Waiting {
    changes: Vec<Change>,
    tell: oneshot::Sender<Result<(), WriteError>>,
}

impl Waiting {
    /// A caller waits for it; no other one begins to wait later.
    fn is_awaited(&self) -> bool {
        !self.tell.is_closed()
    }
}

/// Opens or creates the catalogue at `path`.
pub fn open(path: &Path, sync: bool) -> Result<Snapshot, OpenError> {
    let wrong = |error: &dyn std::fmt::Display| OpenError::Open { path: path.to_owned(), reason: error.to_string() };
    set_aside_unfinished(path).map_err(|error| wrong(&error))?;
    if !path.exists() {
        create(path).map_err(|error| wrong(&error))?;
    }
    let ballast = Ballast::beside(path);
    let database = open_database(path).map_err(|error| wrong(&error))?;
    let (database, sequence) = take_recent(database, path, &ballast)?;
    let held = read_all(&database, path)?;
    let recent = Recent::begin(&recent::path_beside(path), sequence).map_err(|error| wrong(&error))?;
    let recent = (!sync).then_some(recent);
    let (queue, waiting) = mpsc::channel();
    ballast.take();
    let health = Arc::<HealthCell>::default();
    let mut writer = Writer {
        path: path.to_owned(),
        database: Some(database),
        unkept: Vec::new(),
        unkept_since: None,
        is_unnoted: false,
        recent,
        ballast,
        last_ballast: Instant::now(),
        health: Arc::clone(&health),
    };
    let thread = std::thread::Builder::new()
        .name("catalogue".into())
        .spawn(move || writer.run(&waiting))
        .map_err(|error| wrong(&error))?;
    let backend = Box::new(FileBackend { queue: Some(queue), writer: Some(thread), health });
    Ok(held.go_on(backend))
}

impl Backend for FileBackend {
    fn write(&self, changes: Vec<Change>) -> Commit {
        let (tell, told) = oneshot::channel();
        if let Some(queue) = &self.queue {
            // A send that fails drops `tell`, which the waiter sees as "its writer has ended".
            let _ = queue.send(Waiting { changes, tell });
        }
        Commit::Waiting(told)
    }

    fn health(&self) -> BackendHealth {
        self.health.health()
    }
}

impl Drop for FileBackend {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

struct Writer {
    path: PathBuf,
    /// `None` after an error: redb does not trust a file that failed once, so it is opened afresh.
    database: Option<Database>,
    /// Changes of failed commits, and those that are only in `recent`, oldest first; written before anything newer.
    unkept: Vec<Change>,
    unkept_since: Option<Instant>,
    /// Some of them are not in `recent` either: what is newer must not be there without them.
    is_unnoted: bool,
    /// At `durability: none`.
    recent: Option<Recent>,
    ballast: Ballast,
    last_ballast: Instant,
    health: Arc<HealthCell>,
}

impl Writer {
    fn run(&mut self, queue: &mpsc::Receiver<Waiting>) {
        let mut waited = 0;
        loop {
            let first = if self.unkept.is_empty() {
                queue.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected)
            } else {
                queue.recv_timeout(RETRY)
            };
            let mut batch: Vec<Waiting> = match first {
                Ok(waiting) => vec![waiting],
                Err(mpsc::RecvTimeoutError::Timeout) => Vec::new(),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            };
            gather(queue, &mut batch, NOTES_WAIT, |newest| !newest.is_awaited());
            if waited >= CROWD {
                gather(queue, &mut batch, CROWD_WAIT, |_| true);
            }
            batch.extend(queue.try_iter().take(CATALOGUE_BATCH_MAX.saturating_sub(batch.len())));
            waited = batch.iter().filter(|waiting| waiting.is_awaited()).count();
            let changes: Vec<_> = batch.iter_mut().flat_map(|waiting| std::mem::take(&mut waiting.changes)).collect();
            let is_noted = !batch.is_empty() && self.note(&changes);
            self.is_unnoted |= !is_noted && !changes.is_empty();
            self.unkept.extend(changes);
            let outcome = if is_noted { Ok(()) } else { self.commit() };
            self.unkept_since = self.unkept_since.or((!self.unkept.is_empty()).then(Instant::now));
            self.complain(&outcome);
            for waiting in batch {
                // The caller may be gone; the change stands all the same.
                let _ = waiting.tell.send(outcome.clone());
            }
            if outcome.is_ok() && self.unkept_since.is_some_and(|since| since.elapsed() >= CATALOGUE_SETTLE) {
                let outcome = self.commit();
                self.complain(&outcome);
            }
        }
        if !self.unkept.is_empty() && self.commit().is_err() {
            tracing::error!(path = %self.path.display(), changes = self.unkept.len(), "changes were not kept");
        }
    }

    fn complain(&self, outcome: &Result<(), WriteError>) {
        if let Err(error) = outcome {
            tracing::error!(path = %self.path.display(), %error, "write the catalogue");
        }
    }

    /// Writes the changes down where a killed process leaves them, if that is enough. `false`: they have to be committed.
    fn note(&mut self, changes: &[Change]) -> bool {
        let since = Instant::now();
        let Some(recent) = &mut self.recent else { return false };
        if self.is_unnoted || self.unkept.len() >= CATALOGUE_UNSETTLED_MAX {
            return false;
        }
        if changes.is_empty() {
            return true;
        }
        match recent.append(changes) {
            Ok(()) => {
                self.health.committed(since.elapsed());
                true
            }
            Err(error) => {
                tracing::debug!(%error, "the list of recent changes takes nothing");
                false
            }
        }
    }

    /// Commits all that waits; on a full disk once more with the ballast gone.
    fn commit(&mut self) -> Result<(), WriteError> {
        let since = Instant::now();
        let mut outcome = self.try_commit();
        if outcome.as_ref().is_err_and(is_full) && self.ballast.release() {
            tracing::warn!("the disk is full; the catalogue lives on the room set aside");
            self.database = None;
            outcome = self.try_commit();
        } else if outcome.is_ok() && self.last_ballast.elapsed() >= BALLAST_AGAIN {
            self.last_ballast = Instant::now();
            self.ballast.take();
        }
        match &outcome {
            Ok(()) => {
                self.health.committed(since.elapsed());
                self.unkept.clear();
                (self.unkept_since, self.is_unnoted) = (None, false);
                self.recent.iter_mut().for_each(Recent::clear);
            }
            Err(_) => {
                self.health.failed();
                self.database = None;
            }
        }
        outcome.map_err(|error| WriteError { is_full: is_full(&error), reason: error.to_string() })
    }

    fn try_commit(&mut self) -> Result<(), redb::Error> {
        let database = match &mut self.database {
            Some(database) => database,
            none => none.insert(open_database(&self.path)?),
        };
        commit_changes(database, &self.unkept, self.recent.as_ref().map(Recent::sequence))
    }
}

/// All of the changes, or none; `sequence` is the last one's, if they were in the list of recent ones.
fn commit_changes(database: &Database, changes: &[Change], sequence: Option<u64>) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut records = write.open_table(RECORDS)?;
        let mut docs = write.open_table(DOCS)?;
        let mut kept = write.open_table(KEPT)?;
        let mut meta = write.open_table(META)?;
        for change in changes {
            match change {
                Change::Put(record) => {
                    records.insert(record.id.as_bytes(), codec::encode(record).as_slice())?;
                }
                Change::Delete(id) => {
                    records.remove(id.as_bytes())?;
                }
                Change::Doc { surface, key, value: Some(value) } => {
                    docs.insert((surface.name(), key.as_str()), codec::seal(value).as_slice())?;
                }
                Change::Doc { surface, key, value: None } => {
                    docs.remove((surface.name(), key.as_str()))?;
                }
                Change::Trust => {
                    meta.insert(TRUSTED, 1)?;
                }
                Change::Keep(ids) => {
                    for id in ids {
                        kept.insert(id.as_bytes(), ())?;
                    }
                }
            }
        }
        if let Some(sequence) = sequence {
            meta.insert(SEQUENCE, sequence)?;
        }
    }
    write.commit()?;
    Ok(())
}

/// Takes what comes within `limit`, while the newest `wants` company; a batch of nothing wants none.
fn gather(
    queue: &mpsc::Receiver<Waiting>,
    batch: &mut Vec<Waiting>,
    limit: Duration,
    wants: impl Fn(&Waiting) -> bool,
) {
    let end = Instant::now() + limit;
    while batch.len() < CATALOGUE_BATCH_MAX && batch.last().is_some_and(&wants) {
        match queue.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(waiting) => batch.push(waiting),
            Err(mpsc::RecvTimeoutError::Timeout | mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
}

/// A file that an older release left in the middle of making it, as a kill or a full disk does: redb writes its magic number
/// last, and all behind the first page is zeros. There is nothing in it; it is set aside, not deleted.
fn set_aside_unfinished(path: &Path) -> io::Result<()> {
    /// redb's first page, and the length of its magic number.
    const PAGE: u64 = 4096;
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut page = Vec::new();
    file.by_ref().take(PAGE).read_to_end(&mut page)?;
    if page.starts_with(b"redb") {
        return Ok(());
    }
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            count if chunk[..count].iter().any(|byte| *byte != 0) => return Ok(()),
            _ => {}
        }
    }
    let aside = free_name(path, "unfinished");
    tracing::warn!(from = %path.display(), to = %aside.display(), "this catalogue was never finished; it is set aside");
    std::fs::rename(path, aside)
}

/// A name beside `path` that nothing has.
fn free_name(path: &Path, what: &str) -> PathBuf {
    let name = |number: u32| path.with_extension(format!("{what}.{number}"));
    (1..).map(name).find(|name| !name.exists()).expect("there are not that many files")
}

/// The file, whole: made under another name, synced, renamed. *Crash before: only the other name, which is made afresh.*
fn create(path: &Path) -> Result<(), redb::Error> {
    let making = path.with_extension("making");
    match std::fs::remove_file(&making) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    drop(open_database(&making)?);
    File::open(&making)?.sync_all()?;
    std::fs::rename(&making, path)?;
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Commits what an earlier run at `durability: none` only noted. Returns the sequence number that the catalogue has now.
fn take_recent(mut database: Database, path: &Path, ballast: &Ballast) -> Result<(Database, u64), OpenError> {
    let list = recent::path_beside(path);
    let wrong = |error: &dyn std::fmt::Display| OpenError::Open { path: list.clone(), reason: error.to_string() };
    let known = sequence_of(&database).map_err(|error| wrong(&error))?;
    let found = recent::read(&list, known).map_err(|error| wrong(&error))?.map_err(|error| wrong(&error))?;
    if found.is_ahead {
        let aside = free_name(path, "recent");
        tracing::warn!(to = %aside.display(), "the recent changes are newer than the catalogue; they are set aside");
        std::fs::rename(&list, aside).map_err(|error| wrong(&error))?;
    }
    if found.changes.is_empty() {
        return Ok((database, found.sequence));
    }
    let mut committed = commit_changes(&database, &found.changes, Some(found.sequence));
    if committed.as_ref().is_err_and(is_full) && ballast.release() {
        // redb does not trust a file that failed once.
        drop(database);
        database = open_database(path).map_err(|error| wrong(&error))?;
        committed = commit_changes(&database, &found.changes, Some(found.sequence));
    }
    committed.map_err(|error| wrong(&error))?;
    Ok((database, found.sequence))
}

fn sequence_of(database: &Database) -> Result<u64, redb::Error> {
    let meta = database.begin_read()?.open_table(META)?;
    Ok(meta.get(SEQUENCE)?.map_or(0, |sequence| sequence.value()))
}

fn open_database(path: &Path) -> Result<Database, redb::Error> {
    let backing = Backing::open(path)?;
    let database = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backing)?;
    // The tables exist from the start, so a reader never meets a file without them.
    let write = database.begin_write()?;
    write.open_table(RECORDS)?;
    write.open_table(DOCS)?;
    write.open_table(KEPT)?;
    write.open_table(META)?;
    write.commit()?;
    Ok(database)
}

fn is_full(error: &redb::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error, redb::Error::Io(error) if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge))
}

fn read_all(database: &Database, path: &Path) -> Result<Held, OpenError> {
    fn wrong<E: Into<redb::Error>>(path: &Path) -> impl Fn(E) -> OpenError {
        move |error| OpenError::Open { path: path.to_owned(), reason: error.into().to_string() }
    }
    let read = database.begin_read().map_err(wrong(path))?;
    let mut held = Held::default();
    let records = read.open_table(RECORDS).map_err(wrong(path))?;
    held.records = Records::with_capacity(records.len().map_err(wrong(path))? as usize);
    for row in records.iter().map_err(wrong(path))? {
        let (id, bytes) = row.map_err(wrong(path))?;
        let id = ObjectId::from_bytes(*id.value());
        let damaged = |reason| OpenError::Damaged { path: path.to_owned(), id, reason };
        held.records.put(&Entry { record: codec::decode(bytes.value()).map_err(damaged)?, presence: None });
    }
    for row in read.open_table(DOCS).map_err(wrong(path))?.iter().map_err(wrong(path))? {
        let (place, bytes) = row.map_err(wrong(path))?;
        let (surface, key) = place.value();
        let damaged = |reason| {
            let (surface, key) = (surface.to_owned(), key.to_owned());
            OpenError::DamagedDoc { path: path.to_owned(), surface, key, reason }
        };
        let place = (surface.parse().map_err(Damaged::from).map_err(damaged)?, key.to_owned());
        held.docs.insert(place, codec::unseal(bytes.value()).map_err(damaged)?.into());
    }
    for row in read.open_table(KEPT).map_err(wrong(path))?.iter().map_err(wrong(path))? {
        let (id, _) = row.map_err(wrong(path))?;
        held.kept.insert(ObjectId::from_bytes(*id.value()));
    }
    let meta = read.open_table(META).map_err(wrong(path))?;
    held.is_trusted = meta.get(TRUSTED).map_err(wrong(path))?.is_some();
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Record;
    use crate::catalogue::tests::{record, told};

    fn id(byte: u8) -> ObjectId {
        ObjectId::from_bytes([byte; 16])
    }

    fn write(snapshot: &Snapshot, changes: Vec<Change>) {
        told(snapshot.backend.write(changes)).unwrap();
    }

    #[test]
    fn p1_an_acknowledged_change_survives_without_a_clean_close() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalogue.redb");
        let opened = open(&path, false).unwrap();
        write(&opened, vec![Change::Put(Box::new(record(id(1), 1)))]);
        // What a killed process leaves behind is what the kernel has of the files now.
        let copy = dir.path().join("copy.redb");
        for sync in [false, true] {
            std::fs::copy(&path, &copy).unwrap();
            std::fs::copy(dir.path().join("catalogue.recent"), dir.path().join("copy.recent")).unwrap();
            assert_eq!(open(&copy, sync).unwrap().records.len(), 1, "started at another level");
        }
        // It has them for good, and takes more.
        assert_eq!(open(&copy, false).unwrap().records.len(), 1);
        write(&open(&copy, false).unwrap(), vec![Change::Put(Box::new(record(id(2), 1)))]);
        assert_eq!(open(&copy, true).unwrap().records.len(), 2);
    }

    /// Whatever a power cut leaves of the list of recent changes, the catalogue opens with the beginning of them.
    #[test]
    fn s4c_a_power_cut_costs_recent_changes_and_never_the_catalogue() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalogue.redb");
        drop(open(&path, true).unwrap());
        let opened = open(&path, false).unwrap();
        (0..4).for_each(|number| write(&opened, vec![Change::Put(Box::new(record(id(number), 1)))]));
        let (catalogue, recent) =
            (std::fs::read(&path).unwrap(), std::fs::read(path.with_extension("recent")).unwrap());
        let mut most = 0;
        for left in (0..=recent.len()).step_by(recent.len() / 16) {
            let cut = dir.path().join("cut.redb");
            std::fs::write(&cut, &catalogue).unwrap();
            std::fs::write(cut.with_extension("recent"), &recent[..left]).unwrap();
            let records = open(&cut, false).unwrap().records;
            assert!(records.ids().all(|id| id.as_bytes()[0] < records.len() as u8), "a beginning of them");
            assert!(records.len() >= most);
            most = records.len();
        }
    }

    /// Every sync reaches the disk at every level: redb's order of writes is what keeps its file readable.
    #[test]
    fn s4c_a_commit_is_synced_at_every_level() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalogue.redb");
        let opened = open(&path, false).unwrap();
        write(&opened, vec![Change::Put(Box::new(record(id(1), 1)))]);
        drop(opened);
        assert_eq!(std::fs::metadata(path.with_extension("recent")).unwrap().len(), 0, "committed at an orderly end");
        let database = open_database(&path).unwrap();
        assert_eq!(sequence_of(&database).unwrap(), 1);
    }

    #[test]
    fn s4b_what_a_kill_leaves_of_a_catalogue_that_is_made_is_no_catalogue() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalogue.redb");
        std::fs::write(path.with_extension("making"), b"half of it").unwrap();
        assert!(open(&path, true).unwrap().is_new_file);
        assert!(!path.with_extension("making").exists());
        // What an older release left: no magic number, and nothing behind the first page. Empty counts as well.
        let unfinished = [&[0; 320][..], &vec![0; 1 << 20]].concat();
        let mut headed = unfinished.clone();
        headed[20..300].fill(7);
        for (number, bytes) in [&Vec::new(), &unfinished, &headed].into_iter().enumerate() {
            std::fs::write(&path, bytes).unwrap();
            let opened = open(&path, true).unwrap();
            assert!(opened.is_new_file && opened.records.is_empty());
            let aside = path.with_extension(format!("unfinished.{}", number + 1));
            assert_eq!(&std::fs::read(aside).unwrap(), bytes, "set aside, not deleted");
        }
        // One that holds something is damaged, and stays.
        let mut damaged = unfinished;
        damaged[100_000] = 1;
        std::fs::write(&path, &damaged).unwrap();
        assert!(open(&path, true).is_err());
        assert!(std::fs::read(&path).unwrap() == damaged);
    }

    /// A small file system of its own; `None`: the test is skipped.
    fn small_disk() -> Option<(tempfile::TempDir, impl Drop)> {
        struct Unmount(PathBuf);
        impl Drop for Unmount {
            fn drop(&mut self) {
                let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
            }
        }
        if !etransfer_tests::has_root() {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(dir.path()).output();
        assert!(mounted.as_ref().is_ok_and(|output| output.status.success()), "{mounted:?}");
        let unmount = Unmount(dir.path().to_owned());
        Some((dir, unmount))
    }

    #[test]
    fn p7_deleting_works_on_a_full_disk_and_creating_again_when_there_is_room() {
        let Some((dir, _unmount)) = small_disk() else { return };
        let path = dir.path().join("catalogue.redb");
        let opened = open(&path, true).unwrap();
        let try_write = |changes| told(opened.backend.write(changes));
        write(&opened, (0..200).map(|byte| Change::Put(Box::new(record(id(byte), 1)))).collect());
        // Another process takes all that is left.
        let mut filler = File::create(dir.path().join("filler")).unwrap();
        while io::Write::write_all(&mut filler, &[1; 4096]).is_ok() {}
        for byte in 0..100 {
            assert_eq!(try_write(vec![Change::Delete(id(byte))]), Ok(()), "{byte}");
        }
        let many = |number: u64| {
            let record = Record { metadata: Some("x".repeat(200_000)), ..record(id(250), number) };
            vec![Change::Put(Box::new(record))]
        };
        let refused = (0..200).find_map(|number| try_write(many(number)).err());
        assert!(refused.as_ref().is_none_or(|refused| refused.is_full));
        assert_eq!(opened.backend.health().is_failing, refused.is_some());
        std::fs::remove_file(dir.path().join("filler")).unwrap();
        assert_eq!(try_write(many(1)), Ok(()), "without a restart");
        let health = opened.backend.health();
        assert!(!health.is_failing && health.commits.count() >= 102, "{health:?}");
        assert_eq!(health.failures > 0, refused.is_some());
        drop(opened);
        assert_eq!(open(&path, true).unwrap().records.len(), 101);
    }

    #[test]
    fn p18_a_damaged_record_stops_the_start_and_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalogue.redb");
        let database = open_database(&path).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(RECORDS).unwrap().insert(id(5).as_bytes(), [1u8, 0, 0, 0, 0, b'{'].as_slice()).unwrap();
        write.commit().unwrap();
        drop(database);
        let error = open(&path, false).err().unwrap().to_string();
        assert!(error.contains("0505"), "{error}");
    }

    #[test]
    fn p18_a_damaged_document_stops_the_start_and_is_named() {
        let sealed = codec::seal(b"{}");
        let mut flipped = sealed.clone();
        flipped[6] ^= 1;
        for (surface, bytes, told) in [
            ("cloudbackend", &flipped, "\"a/b\" of cloudbackend: checksum"),
            ("gopher", &sealed, "no surface \"gopher\""),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("catalogue.redb");
            let database = open_database(&path).unwrap();
            let write = database.begin_write().unwrap();
            write.open_table(DOCS).unwrap().insert((surface, "a/b"), bytes.as_slice()).unwrap();
            write.commit().unwrap();
            drop(database);
            let error = open(&path, false).err().unwrap().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
