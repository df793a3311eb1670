//! The files of the journal: header, frames, and reading them back.
//!
//! # Format, version 2 (numbers little-endian)
//!
//! Version 1 has zero at 56 and no batches; its files are read, and replaced by the first checkpoint. A reader refuses
//! versions and kinds it does not know.
//!
//! Names below `journal/`: `GGGGGGGGGG-CCCC-PPPPPP.journal` (generation, core, part) and `GGGGGGGGGG.checkpoint`, decimal.
//!
//! Header, 64 bytes:
//!
//! | at | size | |
//! |---|---|---|
//! | 0 | 8 | magic `etjournl` |
//! | 8 | 4 | version |
//! | 12 | 4 | 1 = segment, 2 = checkpoint |
//! | 16 | 8 | generation: a checkpoint replaces every file of a smaller one |
//! | 24 | 4 | core |
//! | 28 | 4 | part: segments of one core and generation, ascending |
//! | 32 | 16 | [`BootId`] under which the file was written |
//! | 48 | 8 | the sequence counter when the file was made |
//! | 56 | 4 | tag of the store, never zero: a file of another store is recognised (`manifest.rs`) |
//! | 60 | 4 | CRC-32 of the 60 bytes before |
//!
//! Then frames, back to back; a segment is preallocated, so zeros follow:
//!
//! | at | size | |
//! |---|---|---|
//! | 0 | 4 | length of the frame, this head included; 0 = the end |
//! | 4 | 4 | CRC-32 of the other bytes of the frame, started from the header's CRC (a frame of another file is no frame) |
//! | 8 | 8 | sequence number: one counter for all cores, so frames of all files have one order; a batch has one per record |
//! | 16 | 8 | Unix milliseconds |
//! | 24 | 4 | bytes of this file known to be synced when the frame was written |
//! | 28 | 1 | kind of the [`Record`] |
//! | 29 | | its payload |
//!
//! # What a broken frame means
//!
//! One append is one frame, also with several records (a batch): it is there as a whole or not at all.
//!
//! The last write may be torn: a bad frame with no good one after it ends the file. A good frame after a bad one is
//! damage, with one exception: after a power loss, pages that were never synced may be missing while later ones arrived.
//! The field at 24 distinguishes the two.
use std::ops::Range;
use std::{fmt, io};

use crc32fast::Hasher;
use etransfer_disk::{Disk, File, Mode, OFlags};

use super::record::{BATCH, Record};

pub(super) const HEADER_BYTES: usize = 64;
pub(super) const FRAME_HEAD_BYTES: usize = 29;
/// Longest frame; the longest record is a fallback with all its spans.
pub(super) const FRAME_BYTES_MAX: usize = 128 << 10;
const MAGIC: &[u8; 8] = b"etjournl";
const VERSION: u32 = 2;
/// Before files knew their store.
const VERSION_UNTAGGED: u32 = 1;

const _: () = assert!(FRAME_HEAD_BYTES + 16 + 16 * super::record::KEPT_MAX < FRAME_BYTES_MAX);
const _: () = assert!(FRAME_HEAD_BYTES + 16 + 29 * super::record::PIECES_MAX < FRAME_BYTES_MAX);

/// A file of the journal that cannot be what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, byte {position}: {what}")]
pub struct Damage {
    /// The file, below the storage directory.
    pub file: String,
    /// Where in it.
    pub position: u64,
    /// What is wrong there.
    pub what: DamageKind,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DamageKind {
    /// Too short for a header, wrong magic, or its checksum differs.
    #[error("not a journal header")]
    Header,
    /// Written by another version.
    #[error("format version {0}, this server reads versions up to {VERSION}")]
    Version(u32),
    /// The header belongs to a file of another name.
    #[error("the header belongs to another file")]
    Name,
    /// A broken record with good ones after it.
    #[error("a broken record, followed by good ones")]
    Frame,
    /// Its checksum is right, yet this version cannot read it.
    #[error("a record of an unknown kind or shape (kind {0})")]
    Record(u8),
    /// A checkpoint without its last record.
    #[error("the checkpoint is not whole")]
    Cut,
    /// The manifest lists it, and it is not there.
    #[error(
        "it is missing, and the manifest of the journal lists it; put it back from where it went (a mount, a backup), or \
         read what is left with storage.serve_damaged"
    )]
    Missing,
    /// Shorter than it was made.
    #[error("it was made {made} bytes long and has {found}")]
    Short {
        /// Its length when it was made.
        made: u64,
        /// Now.
        found: u64,
    },
    /// Records that were on the disk are gone.
    #[error("{synced} bytes of it were synced, {found} are whole")]
    Lost {
        /// What is known to have been on the disk.
        synced: u64,
        /// Up to where it can be read.
        found: u64,
    },
    /// Of another store, or of another time of this one.
    #[error("it has records, and the manifest of the journal does not list it: a file of another store or time")]
    Foreign,
    /// No copy of the manifest can be read.
    #[error("the manifest of the journal is missing or damaged; without it nothing tells whether the journal is whole")]
    Manifest,
    /// A record that cannot stand here.
    #[error("a record of another kind of file")]
    Place,
    /// Recorded bytes of an object are not in its file.
    #[error("{recorded} bytes are recorded, the file has {found}")]
    Object {
        /// End of the last recorded byte.
        recorded: u64,
        /// Size of the file; 0 when it is missing.
        found: u64,
    },
}

/// Which file of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Checkpoint { generation: u64 },
    Segment { generation: u64, core: u32, part: u32 },
}

impl Name {
    pub(super) fn generation(self) -> u64 {
        match self {
            Self::Checkpoint { generation } | Self::Segment { generation, .. } => generation,
        }
    }

    /// `None`: some other file.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let name = if let Some(stem) = text.strip_suffix(".checkpoint") {
            Self::Checkpoint { generation: stem.parse().ok()? }
        } else {
            let mut parts = text.strip_suffix(".journal")?.split('-');
            let (generation, core, part) = (parts.next()?, parts.next()?, parts.next()?);
            Self::Segment { generation: generation.parse().ok()?, core: core.parse().ok()?, part: part.parse().ok()? }
        };
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint { generation } => write!(f, "{generation:010}.checkpoint"),
            Self::Segment { generation, core, part } => write!(f, "{generation:010}-{core:04}-{part:06}.journal"),
        }
    }
}

/// Under which boot of the machine and which mounts a file was written: while it is the same, the page cache is the same,
/// and what was written is at least there. All zeros = unknown, and then equal to none.
///
/// The boot id alone proves nothing: a file system that was shut down and mounted again under a running kernel has lost
/// what was not synced. A mount's unique id (Linux 6.8) is never used twice in one boot; without it nothing is certain, and
/// what was not synced is compared with its CRC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BootId(pub(super) [u8; 16]);

impl BootId {
    /// Of these two directories, which may be on different file systems.
    pub(super) fn of(disk: &dyn Disk, objects: &File, journal: &File) -> Self {
        let read = || {
            let mut id = Self::boot(disk)?;
            let mounts = [objects.mount_id()?, journal.mount_id()?].map(u64::to_le_bytes);
            id.iter_mut().zip(mounts.as_flattened()).for_each(|(byte, more)| *byte ^= more);
            Some(Self(id))
        };
        read().unwrap_or(Self([0; 16]))
    }

    fn boot(disk: &dyn Disk) -> Option<[u8; 16]> {
        let digits: Vec<u8> = disk.boot_id().ok()?.into_iter().filter(|byte| *byte != b'-').collect();
        let id: etransfer_contract::ObjectId = str::from_utf8(&digits).ok()?.parse().ok()?;
        Some(*id.as_bytes())
    }

    pub(super) fn is_same(self, other: Self) -> bool {
        self == other && self.0 != [0; 16]
    }
}

/// The first 64 bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: Name,
    pub(super) boot: BootId,
    pub(super) sequence: u64,
    /// Of the store; 0 = a file of version 1.
    pub(super) tag: u32,
}

impl Header {
    /// The bytes, and the seed of the frames' checksums.
    pub(super) fn encode(&self) -> ([u8; HEADER_BYTES], u32) {
        let (kind, core, part) = match self.name {
            Name::Segment { core, part, .. } => (1u32, core, part),
            Name::Checkpoint { .. } => (2, 0, 0),
        };
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..8].copy_from_slice(MAGIC);
        let version = if self.tag == 0 { VERSION_UNTAGGED } else { VERSION };
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        bytes[12..16].copy_from_slice(&kind.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.name.generation().to_le_bytes());
        bytes[24..28].copy_from_slice(&core.to_le_bytes());
        bytes[28..32].copy_from_slice(&part.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.boot.0);
        bytes[48..56].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.tag.to_le_bytes());
        let seed = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&seed.to_le_bytes());
        (bytes, seed)
    }

    fn decode(name: Name, file: &[u8]) -> Result<(Self, u32), DamageKind> {
        let bytes: &[u8; HEADER_BYTES] = file.first_chunk().ok_or(DamageKind::Header)?;
        if &bytes[..8] != MAGIC || crc32fast::hash(&bytes[..60]) != le32(&bytes[60..]) {
            return Err(DamageKind::Header);
        }
        let version = le32(&bytes[8..]);
        if !(VERSION_UNTAGGED..=VERSION).contains(&version) {
            return Err(DamageKind::Version(version));
        }
        let boot = BootId(bytes[32..48].try_into().expect("16 bytes"));
        let header = Self { name, boot, sequence: le64(&bytes[48..]), tag: le32(&bytes[56..]) };
        let (expected, seed) = header.encode();
        if expected == *bytes { Ok((header, seed)) } else { Err(DamageKind::Name) }
    }
}

/// Appends one frame to `out`: of one record, or of several that stand or fall together. `sequence` is the first one's.
pub(super) fn put_frame(out: &mut Vec<u8>, seed: u32, sequence: u64, at_unix_ms: u64, synced: u32, records: &[Record]) {
    let start = out.len();
    put_unsealed(out, sequence, at_unix_ms, records);
    seal(&mut out[start..], seed, synced);
}

/// As [`put_frame`], for a file that is not known yet: no frame before [`seal`].
pub(super) fn put_unsealed(out: &mut Vec<u8>, sequence: u64, at_unix_ms: u64, records: &[Record]) {
    let start = out.len();
    out.extend([0; 8]);
    out.extend(sequence.to_le_bytes());
    out.extend(at_unix_ms.to_le_bytes());
    out.extend([0; 4]);
    match records {
        [record] => {
            out.push(record.kind());
            record.encode(out);
        }
        records => {
            out.push(BATCH);
            Record::encode_batch(records, out);
        }
    }
    let length = u32::try_from(out.len() - start).expect("records are bounded by FRAME_BYTES_MAX");
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Makes one frame a frame of the file of this seed.
pub(super) fn seal(frame: &mut [u8], seed: u32, synced: u32) {
    frame[24..28].copy_from_slice(&synced.to_le_bytes());
    let crc = frame_crc(seed, frame);
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// Length of the frame at the front of `bytes`, which were put together here.
pub(super) fn frame_length(bytes: &[u8]) -> usize {
    le32(bytes) as usize
}

fn frame_crc(seed: u32, frame: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(seed);
    hasher.update(&frame[..4]);
    hasher.update(&frame[8..]);
    hasher.finalize()
}

/// A frame inside a file that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) sequence: u64,
    pub(super) at_unix_ms: u64,
    synced: u32,
    kind: u8,
    payload: &'a [u8],
    pub(super) length: usize,
}

impl Frame<'_> {
    /// The record of an orderly end, without decoding all others to find it.
    pub(super) fn is_clean(&self) -> bool {
        self.kind == 8
    }

    /// It may hold the record of a data sync, likewise.
    pub(super) fn may_be_synced(&self) -> bool {
        self.kind == 5 || self.kind == BATCH
    }

    /// The one record of a frame that is no batch.
    pub(super) fn record(&self) -> Result<Record, DamageKind> {
        Record::decode(self.kind, self.payload).ok_or(DamageKind::Record(self.kind))
    }

    /// Its records, each with its sequence number.
    pub(super) fn records(&self) -> Result<Vec<(u64, Record)>, DamageKind> {
        if self.kind != BATCH {
            return Ok(vec![(self.sequence, self.record()?)]);
        }
        let records = Record::decode_batch(self.payload).ok_or(DamageKind::Record(self.kind))?;
        Ok((self.sequence..).zip(records).collect())
    }
}

/// The frame at the front of `bytes`, if there is a good one.
pub(super) fn frame(seed: u32, bytes: &[u8]) -> Option<Frame<'_>> {
    if bytes.len() < FRAME_HEAD_BYTES {
        return None;
    }
    let length = le32(bytes) as usize;
    if !(FRAME_HEAD_BYTES..=FRAME_BYTES_MAX.min(bytes.len())).contains(&length) {
        return None;
    }
    let bytes = &bytes[..length];
    (frame_crc(seed, bytes) == le32(&bytes[4..])).then(|| Frame {
        sequence: le64(&bytes[8..]),
        at_unix_ms: le64(&bytes[16..]),
        synced: le32(&bytes[24..]),
        kind: bytes[28],
        payload: &bytes[FRAME_HEAD_BYTES..],
        length,
    })
}

/// A file that is read from front to back, a piece at a time.
#[derive(Debug)]
pub(super) struct Frames {
    file: File,
    pub(super) header: Header,
    seed: u32,
    size: u64,
    /// What was read and is not used up, from `start` on; it ends at `read` in the file.
    buffer: Vec<u8>,
    start: usize,
    read: u64,
}

/// Bytes of one read.
const PIECE_BYTES: usize = 1 << 20;

impl Frames {
    pub(super) fn open(directory: &File, name: Name) -> io::Result<Result<Self, DamageKind>> {
        let file = open_beneath(directory, &name.to_string())?;
        let size = file.stat()?.size;
        let mut head = [0; HEADER_BYTES];
        let read = file.read_all_at(&mut head, 0)?;
        let header = Header::decode(name, &head[..read]);
        let opened = |(header, seed)| {
            let (buffer, start, read) = (Vec::new(), 0, HEADER_BYTES as u64);
            Self { file, header, seed, size, buffer, start, read }
        };
        Ok(header.map(opened))
    }

    /// The next good frame, and where it is; `None`: there is none.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Frame<'_>)>> {
        if self.buffer.len() - self.start < FRAME_BYTES_MAX && self.read < self.size {
            self.buffer.drain(..self.start);
            self.start = 0;
            let kept = self.buffer.len();
            self.buffer.resize(kept + PIECE_BYTES, 0);
            let read = self.file.read_all_at(&mut self.buffer[kept..], self.read)?;
            self.buffer.truncate(kept + read);
            self.read += read as u64;
            // It was made shorter meanwhile.
            self.size = if read == 0 { self.read } else { self.size };
        }
        let at = self.at();
        let Some(found) = frame(self.seed, &self.buffer[self.start..]) else { return Ok(None) };
        self.start += found.length;
        Ok(Some((at, found)))
    }

    /// Behind the last frame.
    pub(super) fn at(&self) -> u64 {
        self.read - (self.buffer.len() - self.start) as u64
    }

    /// Nothing is behind the last frame.
    pub(super) fn is_at_end(&self) -> bool {
        self.at() == self.size
    }
}

/// A whole file, checked: every byte below `end` is header or good frames.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) header: Header,
    pub(super) seed: u32,
    pub(super) bytes: Vec<u8>,
    /// Length of the file.
    pub(super) size: u64,
    /// Bytes after the last good frame that are not zero: a torn write.
    pub(super) torn: u64,
    /// Set when the file is damaged there; only a read-only start continues.
    pub(super) broken: Option<(u64, DamageKind)>,
}

/// Reads and checks one file. `boot` is the present one.
pub(super) fn load(directory: &File, name: Name, boot: BootId) -> io::Result<Result<Loaded, DamageKind>> {
    let mut bytes = read_whole(&open_beneath(directory, &name.to_string())?)?;
    let (header, seed) = match Header::decode(name, &bytes) {
        Ok(header) => header,
        Err(kind) => return Ok(Err(kind)),
    };
    let mut end = HEADER_BYTES;
    while let Some(frame) = frame(seed, &bytes[end..]) {
        end += frame.length;
    }
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let size = bytes.len() as u64;
    let broken = is_damage(seed, &bytes, end..used, header.boot.is_same(boot));
    bytes.truncate(end);
    bytes.shrink_to_fit();
    let torn = used.saturating_sub(end) as u64;
    Ok(Ok(Loaded { header, seed, bytes, size, torn, broken: broken.then_some((end as u64, DamageKind::Frame)) }))
}

/// Whether what stands at the start of `tail` is more than a torn write (see the head of this file).
fn is_damage(seed: u32, bytes: &[u8], tail: Range<usize>, same_boot: bool) -> bool {
    let mut at = tail.start + 1;
    while at < tail.end {
        match frame(seed, &bytes[at..]) {
            Some(frame) if same_boot || frame.synced as usize > tail.start => return true,
            Some(frame) => at += frame.length,
            None => at += 1,
        }
    }
    false
}

/// Opens a file below a directory handle; a symbolic link is refused.
pub(super) fn open_beneath(directory: &File, name: &str) -> io::Result<File> {
    directory.open_at(name, OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty())
}

pub(super) fn read_whole(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.stat()?.size).map_err(|_| io::ErrorKind::FileTooLarge)?];
    let filled = file.read_all_at(&mut bytes, 0)?;
    bytes.truncate(filled);
    Ok(bytes)
}

pub(super) fn le32(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes[..4].try_into().expect("4 bytes"))
}

pub(super) fn le64(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes"))
}
