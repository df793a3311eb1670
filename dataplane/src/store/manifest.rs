//! Which files the journal consists of, so that one that is missing, cut, or another store's is noticed at start.
//!
//! Two copies, `journal.manifest` in the storage directory and `journal/manifest`: the first is there when the whole of
//! `journal/` is lost, and a write that is cut leaves the other. Both are written in place into room that is allocated when
//! they are made, so a full disk does not stop the journal (PROMISES.md P7).
//!
//! # Format, version 1 (numbers little-endian)
//!
//! | at | size | |
//! |---|---|---|
//! | 0 | 8 | magic `etmanife` |
//! | 8 | 4 | version, 1 |
//! | 12 | 4 | CRC-32 of everything from 16 on to the last entry |
//! | 16 | 8 | serial: of two good copies the higher counts |
//! | 24 | 8 | generation of the checkpoint; 0 = none was ever written |
//! | 32 | 4 | tag of the store, in the header of each of its files |
//! | 36 | 4 | number of entries |
//! | 40 | 32 each | a segment: generation u64, core u32, part u32, length when it was made u64, bytes known to be synced u64 |
//!
//! # Order, and what a crash leaves
//!
//! * A segment gets its name when it is whole (allocated, header synced), then it is listed, then it is used. *Crash
//!   before it is listed: a file without records that no list names; the next checkpoint removes it.*
//! * A checkpoint gets its name when it is synced, then it is listed in the place of everything older, then that is deleted.
//!   *Crash before it is listed: the older files are all there and count. Crash before the deletion: files of a smaller
//!   generation than the listed checkpoint, which do not count.*
//! * `journal/manifest` is written first, then `journal.manifest`. *Crash between: the lists differ by one step, and each of
//!   the two is true.* A write that failed may have reached the disk, so a file that either list names is kept, and one that
//!   either list lacks is not used.
//! * A directory of a release without manifests gets one when its start has decided to run; it lists what was found.
//!
//! So a listed file that is absent is a loss, and the torn tail of one is none: what was synced of it is in its entry, and
//! in its frames.
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use etransfer_disk::{File, Mode, OFlags};

use super::disk;
use super::lock::Lock;
use super::segment::{Damage, DamageKind, Name, le32, le64, open_beneath, read_whole};

/// Below the storage directory.
pub(super) const OUTER: &str = "journal.manifest";
/// Below `journal/`.
pub(super) const INNER: &str = "manifest";
const MAGIC: &[u8; 8] = b"etmanife";
const VERSION: u32 = 1;
const HEAD_BYTES: usize = 40;
const ENTRY_BYTES: usize = 32;
/// Room that each copy has from the start: some 500 segments.
const ROOM_BYTES: u64 = 16 << 10;

/// One segment.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: Name,
    /// Its length when it was made.
    pub(super) made: u64,
    /// Bytes of it known to be synced; its journal moves it on.
    pub(super) synced: Arc<AtomicU64>,
}

/// The content of a manifest.
#[derive(Debug, Clone)]
pub(super) struct List {
    serial: u64,
    pub(super) tag: u32,
    /// Generation of the checkpoint.
    pub(super) checkpoint: Option<u64>,
    pub(super) segments: Vec<Entry>,
}

/// The manifest of an open store.
#[derive(Debug)]
pub(super) struct Manifest {
    /// In the order in which they are written; none in a store that has no room for a manifest yet.
    copies: Vec<File>,
    list: Lock<List>,
}

/// Reads the manifest. `None`: there never was one.
pub(super) fn read(root: &File, directory: &File) -> io::Result<Result<Option<List>, Damage>> {
    let outer = read_copy(root, OUTER)?;
    let inner = read_copy(directory, INNER)?;
    if let (Copy::Absent, Copy::Good(_)) | (Copy::Good(_), Copy::Absent) = (&outer, &inner) {
        tracing::warn!("one of the two copies of the journal's manifest is missing; it is written again");
    }
    Ok(match (outer, inner) {
        (Copy::Absent, Copy::Absent) => Ok(None),
        (Copy::Good(outer), Copy::Good(inner)) => Ok(Some(if inner.serial >= outer.serial { inner } else { outer })),
        (Copy::Good(list), Copy::Absent | Copy::Bad) | (Copy::Absent | Copy::Bad, Copy::Good(list)) => Ok(Some(list)),
        (Copy::Bad, Copy::Absent | Copy::Bad) | (Copy::Absent, Copy::Bad) => Err(lost()),
    })
}

/// A first manifest that could not be written to the end: there is none.
pub(super) fn undo(root: &File, directory: &File) -> io::Result<()> {
    for (directory, name) in [(root, OUTER), (directory, INNER)] {
        match disk::unlink(directory, name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => disk::sync(directory)?,
        }
    }
    Ok(())
}

/// No copy can be read.
pub(super) fn lost() -> Damage {
    Damage { file: OUTER.to_owned(), position: 0, what: DamageKind::Manifest }
}

enum Copy {
    Absent,
    Bad,
    Good(List),
}

fn read_copy(directory: &File, name: &str) -> io::Result<Copy> {
    match open_beneath(directory, name) {
        Ok(file) => Ok(List::decode(&read_whole(&file)?).map_or(Copy::Bad, Copy::Good)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Copy::Absent),
        Err(error) => Err(error),
    }
}

impl Manifest {
    /// Of a store that runs without a manifest: nothing is written.
    pub(super) fn none() -> Self {
        Self { copies: Vec::new(), list: Lock::new(List { serial: 0, tag: 0, checkpoint: None, segments: Vec::new() }) }
    }

    /// Writes both copies, and makes them where they are absent. From now on it is kept.
    pub(super) fn begin(root: &File, directory: &File, mut list: List) -> io::Result<Self> {
        list.serial += 1;
        let bytes = list.encode();
        // While one copy is written, the other has to be good, unless there was none before.
        let copies = if matches!(read_copy(root, OUTER)?, Copy::Good(_)) {
            let inner = begin_copy(directory, INNER, &bytes)?;
            [inner, begin_copy(root, OUTER, &bytes)?]
        } else {
            let outer = begin_copy(root, OUTER, &bytes)?;
            [begin_copy(directory, INNER, &bytes)?, outer]
        };
        Ok(Self { copies: copies.into(), list: Lock::new(list) })
    }

    /// For the headers of new files.
    pub(super) fn tag(&self) -> u32 {
        self.list.hold().tag
    }

    /// A new segment; after this it may be used. On an error it may be listed all the same: its file has to stay.
    pub(super) fn add(&self, entry: Entry) -> io::Result<()> {
        let mut list = self.list.hold();
        list.segments.retain(|other| other.name != entry.name);
        list.segments.push(entry);
        self.write(&mut list)
    }

    /// Drops a segment without records, which may be deleted afterwards.
    pub(super) fn remove(&self, name: Name) -> io::Result<()> {
        let mut list = self.list.hold();
        let Some(at) = list.segments.iter().position(|entry| entry.name == name) else { return Ok(()) };
        let removed = list.segments.remove(at);
        self.write(&mut list).inspect_err(|_| list.segments.push(removed))
    }

    /// A checkpoint takes the place of everything of a smaller generation; after this that may be deleted.
    pub(super) fn replace(&self, generation: u64) -> io::Result<()> {
        let mut list = self.list.hold();
        let before = (list.checkpoint, list.segments.clone());
        list.checkpoint = Some(generation);
        list.segments.retain(|entry| entry.name.generation() >= generation);
        self.write(&mut list).inspect_err(|_| (list.checkpoint, list.segments) = before)
    }

    /// Notes how much of each segment was synced.
    pub(super) fn note(&self) -> io::Result<()> {
        self.write(&mut self.list.hold())
    }

    fn write(&self, list: &mut List) -> io::Result<()> {
        list.serial += 1;
        let bytes = list.encode();
        for copy in &self.copies {
            disk::write_all_at(copy, &bytes, 0)?;
            disk::sync_data(copy)?;
        }
        Ok(())
    }
}

/// A copy that is there is written in place; one that is not appears whole.
fn begin_copy(directory: &File, name: &str, bytes: &[u8]) -> io::Result<File> {
    match directory.open_at(name, OFlags::RDWR | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(file) => {
            disk::write_all_at(&file, bytes, 0)?;
            disk::sync_data(&file)?;
            return Ok(file);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let temporary = format!("{name}.tmp");
    let file = disk::create(directory, &temporary)?;
    disk::allocate(&file, ROOM_BYTES.max(bytes.len() as u64))?;
    disk::write_all_at(&file, bytes, 0)?;
    disk::sync(&file)?;
    disk::rename(directory, &temporary, name)?;
    disk::sync(directory)?;
    Ok(file)
}

impl List {
    /// Of a store that has none yet.
    pub(super) fn new(tag: u32, checkpoint: Option<u64>, segments: Vec<Entry>) -> Self {
        Self { serial: 0, tag, checkpoint, segments }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEAD_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.serial.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.checkpoint.unwrap_or(0).to_le_bytes());
        bytes[32..36].copy_from_slice(&self.tag.to_le_bytes());
        bytes[36..40].copy_from_slice(&(self.segments.len() as u32).to_le_bytes());
        for Entry { name, made, synced } in &self.segments {
            let Name::Segment { generation, core, part } = *name else { unreachable!("entries are segments") };
            bytes.extend(generation.to_le_bytes());
            bytes.extend(core.to_le_bytes());
            bytes.extend(part.to_le_bytes());
            bytes.extend(made.to_le_bytes());
            bytes.extend(synced.load(Ordering::Acquire).to_le_bytes());
        }
        let crc = crc32fast::hash(&bytes[16..]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None`: not what was written.
    fn decode(file: &[u8]) -> Option<Self> {
        let (head, entries) = file.split_at_checked(HEAD_BYTES)?;
        let count = le32(&head[36..]) as usize;
        let entries = entries.get(..count.checked_mul(ENTRY_BYTES)?)?;
        let is_ours = &head[..8] == MAGIC && le32(&head[8..]) == VERSION;
        if !is_ours || crc32fast::hash(&file[16..HEAD_BYTES + entries.len()]) != le32(&head[12..]) {
            return None;
        }
        let segments = entries.chunks_exact(ENTRY_BYTES).map(|entry| Entry {
            name: Name::Segment { generation: le64(entry), core: le32(&entry[8..]), part: le32(&entry[12..]) },
            made: le64(&entry[16..]),
            synced: Arc::new(AtomicU64::new(le64(&entry[24..]))),
        });
        Some(Self {
            serial: le64(&head[16..]),
            tag: le32(&head[32..]),
            checkpoint: Some(le64(&head[24..])).filter(|generation| *generation > 0),
            segments: segments.collect(),
        })
    }
}
