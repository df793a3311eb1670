//! The files of the journal: header, frames, and reading them back.
//!
//! # Format, version 1 (numbers little-endian)
//!
//! Names below `journal/`: `GGGGGGGGGG-CCCC-PPPPPP.journal` (generation, core, part) and `GGGGGGGGGG.checkpoint`, decimal.
//!
//! Header, 64 bytes:
//!
//! | at | size | |
//! |---|---|---|
//! | 0 | 8 | magic `etjournl` |
//! | 8 | 4 | version, 1 |
//! | 12 | 4 | 1 = segment, 2 = checkpoint |
//! | 16 | 8 | generation: a checkpoint replaces every file of a smaller one |
//! | 24 | 4 | core |
//! | 28 | 4 | part: segments of one core and generation, ascending |
//! | 32 | 16 | boot id of the kernel that wrote the file |
//! | 48 | 8 | the sequence counter when the file was made |
//! | 56 | 4 | zero |
//! | 60 | 4 | CRC-32 of the 60 bytes before |
//!
//! Then frames, back to back; a segment is preallocated, so zeros follow:
//!
//! | at | size | |
//! |---|---|---|
//! | 0 | 4 | length of the frame, this head included; 0 = the end |
//! | 4 | 4 | CRC-32 of the other bytes of the frame, started from the header's CRC (a frame of another file is no frame) |
//! | 8 | 8 | sequence number: one counter for all cores, so frames of all files have one order |
//! | 16 | 8 | Unix milliseconds |
//! | 24 | 4 | bytes of this file known to be synced when the frame was written |
//! | 28 | 1 | kind of the [`Record`] |
//! | 29 | | its payload |
//!
//! # What a broken frame means
//!
//! The last write may be torn: a bad frame with no good one after it ends the file. A good frame after a bad one is
//! damage, with one exception: after a power loss, pages that were never synced may be missing while later ones arrived.
//! The field at 24 tells the two apart.
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::{fmt, io};

use crc32fast::Hasher;
use rustix::fs::{Mode, OFlags};

use super::record::Record;

pub(super) const HEADER_BYTES: usize = 64;
pub(super) const FRAME_HEAD_BYTES: usize = 29;
/// Longest frame; the longest record is a fallback with all its spans.
pub(super) const FRAME_BYTES_MAX: usize = 128 << 10;
const MAGIC: &[u8; 8] = b"etjournl";
const VERSION: u32 = 1;

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
    #[error("format version {0}, this server reads version {VERSION}")]
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
    /// A record that cannot stand here.
    #[error("a record that does not belong into this file")]
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

/// Which boot of which kernel; all zeros = unknown, and then equal to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BootId(pub(super) [u8; 16]);

impl BootId {
    pub(super) fn current() -> Self {
        let read = || {
            let mode = OFlags::RDONLY | OFlags::CLOEXEC;
            let file = rustix::fs::open("/proc/sys/kernel/random/boot_id", mode, Mode::empty()).ok()?;
            let mut text = [0; 36];
            rustix::io::read(file, &mut text).ok()?;
            let digits: Vec<u8> = text.into_iter().filter(|byte| *byte != b'-').collect();
            let id: etransfer_contract::ObjectId = str::from_utf8(&digits).ok()?.parse().ok()?;
            Some(Self(*id.as_bytes()))
        };
        read().unwrap_or(Self([0; 16]))
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
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&kind.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.name.generation().to_le_bytes());
        bytes[24..28].copy_from_slice(&core.to_le_bytes());
        bytes[28..32].copy_from_slice(&part.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.boot.0);
        bytes[48..56].copy_from_slice(&self.sequence.to_le_bytes());
        let seed = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&seed.to_le_bytes());
        (bytes, seed)
    }

    fn decode(name: Name, file: &[u8]) -> Result<(Self, u32), DamageKind> {
        let bytes: &[u8; HEADER_BYTES] = file.first_chunk().ok_or(DamageKind::Header)?;
        if &bytes[..8] != MAGIC || crc32fast::hash(&bytes[..60]) != le32(&bytes[60..]) {
            return Err(DamageKind::Header);
        }
        if le32(&bytes[8..]) != VERSION {
            return Err(DamageKind::Version(le32(&bytes[8..])));
        }
        let boot = BootId(bytes[32..48].try_into().expect("16 bytes"));
        let header = Self { name, boot, sequence: le64(&bytes[48..]) };
        let (expected, seed) = header.encode();
        if expected == *bytes { Ok((header, seed)) } else { Err(DamageKind::Name) }
    }
}

/// Appends one frame to `out`.
pub(super) fn put_frame(out: &mut Vec<u8>, seed: u32, sequence: u64, at_unix_ms: u64, synced: u32, record: &Record) {
    let start = out.len();
    out.extend([0; 8]);
    out.extend(sequence.to_le_bytes());
    out.extend(at_unix_ms.to_le_bytes());
    out.extend(synced.to_le_bytes());
    out.push(record.kind());
    record.encode(out);
    let length = u32::try_from(out.len() - start).expect("records are bounded by FRAME_BYTES_MAX");
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    let crc = frame_crc(seed, &out[start..]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
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

    /// The record of a data sync, likewise.
    pub(super) fn is_synced(&self) -> bool {
        self.kind == 5
    }

    pub(super) fn record(&self) -> Result<Record, DamageKind> {
        Record::decode(self.kind, self.payload).ok_or(DamageKind::Record(self.kind))
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

/// A whole file, checked: every byte below `end` is header or good frames.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) header: Header,
    pub(super) seed: u32,
    pub(super) bytes: Vec<u8>,
    /// Bytes after the last good frame that are not zero: a torn write.
    pub(super) torn: u64,
    /// Set when the file is damaged there; only a read-only start goes on.
    pub(super) broken: Option<(u64, DamageKind)>,
}

/// Reads and checks one file. `boot` is the present one.
pub(super) fn load(directory: impl AsFd, name: Name, boot: BootId) -> io::Result<Result<Loaded, DamageKind>> {
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
    let broken = is_damage(seed, &bytes, end..used, header.boot.is_same(boot));
    bytes.truncate(end);
    bytes.shrink_to_fit();
    let torn = used.saturating_sub(end) as u64;
    Ok(Ok(Loaded { header, seed, bytes, torn, broken: broken.then_some((end as u64, DamageKind::Frame)) }))
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
pub(super) fn open_beneath(directory: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::fs::openat(directory, name, flags, Mode::empty())?)
}

fn read_whole(file: &OwnedFd) -> io::Result<Vec<u8>> {
    let size = rustix::fs::fstat(file)?.st_size;
    let mut bytes = vec![0; usize::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?];
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::io::pread(file, &mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Writes all of `bytes`.
pub(super) fn write_all_at(file: impl AsFd, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(&file, bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                at += count as u64;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn le32(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes[..4].try_into().expect("4 bytes"))
}

fn le64(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes"))
}
