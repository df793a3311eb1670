//! An unfinished download on disk: `<target>.part` and the journal `<target>.part.json` of the ranges that are in it.
//!
//! # What a crash leaves
//!
//! * Bytes are written, then recorded: a recorded range is in the file as the kernel sees it. After a kill that is
//!   enough.
//! * After a power cut it is not, because nothing was synced. So the journal names the boot it was written in, and
//!   holds two sets: `written`, good within the same boot, and `synced`, good forever (its ranges were synced before
//!   they were recorded).
//! * Whole blocks of large files go past the page cache ([`Part::write`]), partial ones through it: the kernel keeps the
//!   two coherent, and a sync covers both.
//! * The final name appears by rename after a sync of the whole file: it never names a file with holes.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use etransfer_contract::{Span, SpanSet};
use rustix::fs::{CWD, OFlags, RenameFlags};
use serde::{Deserialize, Serialize};

use super::window::BLOCK_BYTES;
use crate::files::{Identity, boot_id, open_locked, reserve};
use crate::private::{read_json, remove, sync_dir, write_passing_json};
use crate::{Address, Cancel, Error, Result};

/// Format of the journal; another number is treated as no journal.
const VERSION: u32 = 1;
/// How stale the journal may be.
const RECORD_INTERVAL: Duration = Duration::from_millis(100);
/// How much time a power cut may cost. Syncing keeps the disk busy beside the network instead of after it: the shorter,
/// the less is left for the sync at the end, which everybody waits for.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// From this size on a file is written past the page cache: filling that with what is not read soon costs more than the
/// disk, and pushes out what is.
const DIRECT_BYTES_MIN: u64 = 64 << 20;

/// On disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Journal {
    version: u32,
    server: String,
    id: String,
    size: u64,
    etag: Option<String>,
    boot: String,
    written: SpanSet,
    synced: SpanSet,
}

/// Open and locked.
#[derive(Debug)]
pub(super) struct Part {
    pub file: File,
    pub path: PathBuf,
    /// The same file past the page cache; `None` for small files, and where the file system has no such way.
    direct: Option<File>,
    target: PathBuf,
    journal_path: PathBuf,
    journal: Mutex<Journal>,
}

impl Part {
    /// What an earlier run left for this very object, or an empty start.
    pub fn open(target: &Path, server: &Address, id: &str, size: u64) -> Result<Self> {
        let (path, journal_path) = (beside(target, ".part"), beside(target, ".part.json"));
        let file = open_locked(&path)?;
        let length = file.metadata().map_err(|source| Error::file("inspect", &path, source))?.len();
        let left = read_json::<Journal>(&journal_path)?
            .filter(|journal| journal.is_about(&server.to_string(), id) && journal.size == size && length == size);
        let journal = match left {
            Some(journal) => journal.after_restart(),
            None => {
                remove(&journal_path)?; // before the file is emptied: it must never claim what is not there
                file.set_len(0).map_err(|source| Error::file("empty", &path, source))?;
                reserve(&file, size).map_err(|source| Error::file("reserve room for", &path, source))?;
                Journal::new(server, id, size)
            }
        };
        let direct = if size >= DIRECT_BYTES_MIN { open_direct(&path) } else { None };
        Ok(Self { file, path, direct, target: target.to_owned(), journal_path, journal: Mutex::new(journal) })
    }

    /// What an earlier run left, when not a byte is missing.
    pub fn open_whole(target: &Path, server: &Address, id: &str) -> Result<Option<Self>> {
        let journal = read_json::<Journal>(&beside(target, ".part.json"))?;
        let Some(journal) = journal.filter(|journal| journal.is_about(&server.to_string(), id)) else {
            return Ok(None);
        };
        let part = Self::open(target, server, id, journal.size)?;
        Ok(part.missing().is_empty().then_some(part))
    }

    pub fn size(&self) -> u64 {
        self.journal().size
    }

    /// Bytes in the file.
    pub fn bytes(&self) -> u64 {
        self.journal().written.bytes()
    }

    pub fn written(&self) -> SpanSet {
        self.journal().written.clone()
    }

    pub fn missing(&self) -> Vec<Span> {
        let journal = self.journal();
        Span::new(0, journal.size).map(|whole| journal.written.missing(whole)).unwrap_or_default()
    }

    /// Writes `bytes` at `at`. Past the page cache go whole blocks that lie in memory as they do in the file.
    pub fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let end = at + bytes.len() as u64;
        let (first, last) = (at.next_multiple_of(BLOCK_BYTES), end / BLOCK_BYTES * BLOCK_BYTES);
        let agree = bytes.as_ptr().addr() as u64 % BLOCK_BYTES == at % BLOCK_BYTES;
        let Some(direct) = self.direct.as_ref().filter(|_| agree && first < last) else {
            return self.file.write_all_at(bytes, at);
        };
        let part = |from: u64, to: u64| &bytes[(from - at) as usize..(to - at) as usize];
        self.file.write_all_at(part(at, first), at)?;
        match direct.write_all_at(part(first, last), first) {
            // A disk that asks for larger blocks, or a write that ended inside one.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.file.write_all_at(part(first, last), first)?;
            }
            other => other?,
        }
        self.file.write_all_at(part(last, end), last)
    }

    /// These bytes are in the file now.
    pub fn wrote(&self, span: Span) {
        self.journal().written.insert(span);
    }

    pub fn etag(&self) -> Option<String> {
        self.journal().etag.clone()
    }

    /// Holds the first validator seen; `false` when this is another one.
    pub fn admits(&self, etag: Option<&str>) -> bool {
        let mut journal = self.journal();
        match (&journal.etag, etag) {
            (Some(known), Some(etag)) => known == etag,
            (None, Some(etag)) => {
                journal.etag = Some(etag.to_owned());
                true
            }
            (_, None) => true,
        }
    }

    /// Everything fetched so far belongs to another version.
    pub fn start_over(&self) -> Result<()> {
        let mut journal = self.journal();
        (journal.written, journal.synced, journal.etag) = (SpanSet::new(), SpanSet::new(), None);
        remove(&self.journal_path)
    }

    /// Keeps the journal fresh until `done`, and writes it a last time.
    pub fn keep_journal(&self, done: &Cancel) -> Result<()> {
        let mut synced_at = Instant::now();
        let mut recorded = 0;
        while done.sleep(RECORD_INTERVAL).is_ok() {
            if synced_at.elapsed() >= SYNC_INTERVAL {
                let before = self.written();
                self.file.sync_data().map_err(|source| Error::file("sync", &self.path, source))?;
                self.journal().synced = before;
                synced_at = Instant::now();
            }
            let bytes = self.bytes();
            if bytes != recorded {
                self.record()?;
                recorded = bytes;
            }
        }
        self.record()
    }

    fn record(&self) -> Result<()> {
        let journal = self.journal().clone();
        write_passing_json(&self.journal_path, &journal)
    }

    /// Makes the whole file durable, and tells what it will be known by under its name.
    pub fn seal(&self) -> Result<Identity> {
        let failed = |action, source| Error::file(action, &self.path, source);
        self.file.set_len(self.size()).map_err(|source| failed("cut", source))?;
        self.file.sync_all().map_err(|source| failed("sync", source))?;
        let metadata: Metadata = self.file.metadata().map_err(|source| failed("inspect", source))?;
        Ok(Identity::of(&metadata))
    }

    /// Gives the sealed file its name.
    pub fn finish(self, overwrite: bool) -> Result<()> {
        match rename(&self.path, &self.target, overwrite) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(Error::Exists { path: self.target.clone() });
            }
            other => other.map_err(|source| Error::file("rename", &self.path, source))?,
        }
        remove(&self.journal_path)?;
        let directory = self.target.parent().unwrap_or(Path::new("."));
        sync_dir(directory).map_err(|source| Error::file("sync", directory, source))
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    fn new(server: &Address, id: &str, size: u64) -> Self {
        Self {
            version: VERSION,
            server: server.to_string(),
            id: id.to_owned(),
            size,
            etag: None,
            boot: boot_id(),
            written: SpanSet::new(),
            synced: SpanSet::new(),
        }
    }

    fn is_about(&self, server: &str, id: &str) -> bool {
        self.version == VERSION && self.server == server && self.id == id
    }

    /// What of it can be believed now, and nothing beyond the file.
    fn after_restart(mut self) -> Self {
        let boot = boot_id();
        if self.boot != boot || boot.is_empty() {
            self.written = self.synced.clone();
        }
        let beyond = Span::new(self.size, etransfer_contract::span::OFFSET_MAX);
        beyond.into_iter().for_each(|beyond| self.written.remove(beyond));
        self.boot = boot;
        self
    }
}

/// `None`: not here.
fn open_direct(path: &Path) -> Option<File> {
    let flags = OFlags::DIRECT | OFlags::NOFOLLOW;
    OpenOptions::new().write(true).custom_flags(flags.bits() as i32).open(path).ok()
}

/// Renames; without `overwrite` never onto something, even when it appeared a moment ago.
fn rename(from: &Path, to: &Path, overwrite: bool) -> std::io::Result<()> {
    if !overwrite {
        match rustix::fs::renameat_with(CWD.as_fd(), from, CWD.as_fd(), to, RenameFlags::NOREPLACE) {
            // A file system that cannot promise it: what was checked at the start must do.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            other => return Ok(other?),
        }
    }
    std::fs::rename(from, to)
}

fn beside(target: &Path, suffix: &str) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    target.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn the_journal_is_stored_as_ever() {
        use etransfer_tests::golden::Golden;

        let spans = |spans: &[(u64, u64)]| spans.iter().filter_map(|(start, end)| Span::new(*start, *end)).collect();
        let journal = |etag: Option<&str>| Journal {
            version: VERSION,
            server: server().to_string(),
            id: ID.into(),
            size: 300,
            etag: etag.map(str::to_owned),
            boot: "boot".into(),
            written: spans(&[(0, 10), (20, 30)]),
            synced: spans(&[(0, 10)]),
        };
        let mut golden = Golden::new(
            concat!(env!("CARGO_MANIFEST_DIR"), "/src/golden/part.txt"),
            "FILE.part.json: what of a download is in FILE.part.",
        );
        let all = [journal(Some("\"ab\"")), journal(None)].map(|journal| serde_json::to_string(&journal).unwrap());
        golden.text("journal", &all[0]);
        golden.text("journal without a tag", &all[1]);
        for entry in golden.check() {
            let again: Journal = serde_json::from_str(entry.line()).unwrap();
            assert_eq!(serde_json::to_string(&again).unwrap(), entry.line());
        }
    }

    fn server() -> Address {
        "node:1".parse().unwrap()
    }

    fn write(part: &Part, at: u64, bytes: &[u8]) {
        part.file.write_all_at(bytes, at).unwrap();
        part.wrote(Span::at(at, bytes.len() as u64).unwrap());
    }

    #[test]
    fn recorded_ranges_survive_and_belong_to_one_object() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("x");
        let part = Part::open(&target, &server(), ID, 10).unwrap();
        write(&part, 4, b"4567");
        assert!(part.admits(Some("\"a\"")) && !part.admits(Some("\"b\"")) && part.admits(None));
        part.record().unwrap();
        write(&part, 0, b"0"); // not recorded: lost with a kill
        drop(part);

        let part = Part::open(&target, &server(), ID, 10).unwrap();
        assert_eq!((part.written().to_string().as_str(), part.etag().as_deref()), ("4-8", Some("\"a\"")));
        drop(part);
        for (server, id, size) in [(server(), "another", 10), (server(), ID, 11), ("node:2".parse().unwrap(), ID, 10)] {
            let part = Part::open(&target, &server, id, size).unwrap();
            assert_eq!(part.bytes(), 0, "{server} {id} {size}");
            write(&part, 0, b"x");
            part.record().unwrap();
        }
    }

    #[test]
    fn after_another_boot_only_synced_ranges_count() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("x");
        let part = Part::open(&target, &server(), ID, 10).unwrap();
        write(&part, 0, b"01");
        part.journal().synced = part.written();
        write(&part, 4, b"45");
        part.journal().boot = "an earlier one".into();
        part.record().unwrap();
        drop(part);
        assert_eq!(Part::open(&target, &server(), ID, 10).unwrap().written().to_string(), "0-2");
    }

    #[test]
    fn a_journal_without_its_file_counts_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("x");
        let part = Part::open(&target, &server(), ID, 10).unwrap();
        write(&part, 0, b"0123456789");
        part.record().unwrap();
        drop(part);
        fs::remove_file(dir.path().join("x.part")).unwrap();
        assert!(Part::open_whole(&target, &server(), ID).unwrap().is_none());
        assert_eq!(Part::open(&target, &server(), ID, 10).unwrap().bytes(), 0);
    }

    #[test]
    fn what_goes_past_the_page_cache_meets_what_goes_through_it() {
        let dir = tempfile::tempdir().unwrap();
        let size = DIRECT_BYTES_MIN + 5;
        let part = Part::open(&dir.path().join("x"), &server(), ID, size).unwrap();
        let (mut rng, mut memory) = (fastrand::Rng::with_seed(7), Vec::new());
        let mut oracle = vec![0; size as usize];
        for round in 0..300 {
            // Near each other, so that blocks are shared, and at the end of the file.
            let base = if rng.bool() { 0 } else { size - (3 << 20) };
            let at = base + rng.u64(0..(3 << 20));
            let window = super::super::window::at(&mut memory, at, size.min(at + rng.u64(1..20_000)));
            window.fill(round as u8);
            // One byte further in memory nothing agrees any more.
            let skip = usize::from(rng.u8(0..4) == 0).min(window.len());
            part.write(&window[skip..], at).unwrap();
            oracle[at as usize..at as usize + window.len() - skip].fill(round as u8);
        }
        part.seal().unwrap();
        assert!(fs::read(&part.path).unwrap() == oracle);
    }

    #[test]
    fn finishing_never_replaces_a_file_unasked() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("x");
        for (overwrite, there) in [(false, false), (false, true), (true, true)] {
            let _ = fs::remove_file(&target);
            let part = Part::open(&target, &server(), ID, 3).unwrap();
            write(&part, 0, b"new");
            part.record().unwrap();
            if there {
                fs::write(&target, "old").unwrap();
            }
            part.seal().unwrap();
            let finished = part.finish(overwrite);
            assert_eq!(finished.is_ok(), overwrite || !there);
            assert_eq!(fs::read_to_string(&target).unwrap(), if finished.is_ok() { "new" } else { "old" });
            assert_eq!(dir.path().join("x.part.json").exists(), finished.is_err(), "kept for --force");
        }
    }
}
