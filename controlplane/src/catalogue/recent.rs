//! What was changed since the last commit of the catalogue, when `durability` is `none`: a file that is appended to without
//! a sync. A killed process loses nothing, because the kernel has it; a power cut loses some of it, and never the catalogue
//! itself, whose own commits are always synced.
//!
//! # Format, version 1 (numbers little-endian)
//!
//! Frames, back to back: length of what follows u32 | CRC-32 of what follows u32 | sequence u64 | version u8 | changes.
//! Each change: kind u8 | length u32 | content.
//!
//! | kind | content |
//! |---|---|
//! | 1 put | the record as [`codec`] writes it |
//! | 2 delete | object id |
//! | 3 doc | length of the surface u32, surface, length of the key u32, key, the document as [`codec`] writes it |
//! | 4 doc taken away | as 3, without the document |
//! | 5 trust | |
//! | 6 keep | object ids |
//!
//! Sequence numbers rise by one. The catalogue says up to which it has the changes; the file is emptied after a commit. *Crash
//! between the two: what the catalogue has is skipped.* Reading ends at the first frame that is torn or out of order: a power
//! cut leaves the beginning of what was written.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use etransfer_contract::ObjectId;

use super::Change;
use super::codec::{self, Damaged};
use crate::core::SurfaceId;

const VERSION: u8 = 1;
/// Length and checksum.
const HEAD: usize = 8;
/// Sequence and version.
const BEFORE_CHANGES: usize = 9;

/// The file, open for appending.
#[derive(Debug)]
pub struct Recent {
    file: File,
    /// Where the next frame goes.
    end: u64,
    /// Of the last frame.
    sequence: u64,
    /// Something half-written could not be cut off: nothing is appended before it is emptied.
    is_torn: bool,
}

/// Changes that the catalogue has not.
#[derive(Debug, Default)]
pub struct Found {
    /// Oldest first.
    pub changes: Vec<Change>,
    /// Sequence number of the last.
    pub sequence: u64,
    /// It goes on later than the catalogue ends: the catalogue is older than this file.
    pub is_ahead: bool,
}

/// Beside the catalogue.
pub fn path_beside(catalogue: &Path) -> PathBuf {
    catalogue.with_extension("recent")
}

/// What the file at `path` has beyond `known`.
pub fn read(path: &Path, known: u64) -> io::Result<Result<Found, Damaged>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut found = Found { sequence: known, ..Found::default() };
    let mut rest = &bytes[..];
    while let Some((sequence, content, after)) = frame(rest) {
        rest = after;
        match sequence {
            _ if sequence <= known => {}
            _ if sequence == found.sequence + 1 => {
                match decode(content) {
                    Ok(changes) => found.changes.extend(changes),
                    Err(damaged) => return Ok(Err(damaged)),
                }
                found.sequence = sequence;
            }
            _ => {
                found.is_ahead = found.sequence == known;
                break;
            }
        }
    }
    Ok(Ok(found))
}

/// Sequence, version and changes, what follows.
fn frame(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let [length, checksum] = [&head[..4], &head[4..]].map(|part| u32::from_le_bytes(part.try_into().expect("4 bytes")));
    let (content, after) = rest.split_at_checked(length as usize)?;
    if content.len() < BEFORE_CHANGES || crc32fast::hash(content) != checksum {
        return None;
    }
    let (sequence, content) = content.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*sequence), content, after))
}

impl Recent {
    /// An empty file at `path`; the catalogue has everything up to `sequence`.
    pub fn begin(path: &Path, sequence: u64) -> io::Result<Self> {
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Self { file, end: 0, sequence, is_torn: false })
    }

    /// Of the last changes that were appended.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// One more frame: all of it, or an error and none.
    pub fn append(&mut self, changes: &[Change]) -> io::Result<()> {
        if self.is_torn {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let frame = encode(self.sequence + 1, changes);
        if let Err(error) = self.file.write_all_at(&frame, self.end) {
            self.is_torn = self.file.set_len(self.end).is_err();
            return Err(error);
        }
        self.end += frame.len() as u64;
        self.sequence += 1;
        Ok(())
    }

    /// The catalogue has all of it.
    pub fn clear(&mut self) {
        match self.file.set_len(0) {
            Ok(()) => (self.end, self.is_torn) = (0, false),
            Err(error) => tracing::warn!(%error, "empty the list of recent changes"),
        }
    }
}

fn encode(sequence: u64, changes: &[Change]) -> Vec<u8> {
    let mut out = vec![0; HEAD];
    out.extend(sequence.to_le_bytes());
    out.push(VERSION);
    for change in changes {
        let (kind, content) = match change {
            Change::Put(record) => (1, codec::encode(record)),
            Change::Delete(id) => (2, id.as_bytes().to_vec()),
            Change::Doc { surface, key, value } => {
                let mut content = Vec::new();
                put_text(&mut content, surface.name());
                put_text(&mut content, key);
                content.extend(value.as_ref().map(|value| codec::seal(value)).unwrap_or_default());
                (if value.is_some() { 3 } else { 4 }, content)
            }
            Change::Trust => (5, Vec::new()),
            Change::Keep(ids) => (6, ids.iter().flat_map(|id| *id.as_bytes()).collect()),
        };
        out.push(kind);
        out.extend(length_of(&content));
        out.extend(content);
    }
    let (length, checksum) = (length_of(&out[HEAD..]), crc32fast::hash(&out[HEAD..]));
    out[..4].copy_from_slice(&length);
    out[4..HEAD].copy_from_slice(&checksum.to_le_bytes());
    out
}

fn length_of(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("a batch of changes is far below 4 GiB").to_le_bytes()
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend(length_of(text.as_bytes()));
    out.extend(text.as_bytes());
}

fn decode(content: &[u8]) -> Result<Vec<Change>, Damaged> {
    let Some((version, mut rest)) = content.split_first() else { return Err(Damaged::Short(0)) };
    if *version != VERSION {
        return Err(Damaged::Version(*version));
    }
    let mut changes = Vec::new();
    while let Some((kind, more)) = rest.split_first() {
        let (content, more) = take(more)?;
        changes.push(decode_change(*kind, content)?);
        rest = more;
    }
    Ok(changes)
}

fn decode_change(kind: u8, content: &[u8]) -> Result<Change, Damaged> {
    let id = |bytes: &[u8]| bytes.try_into().map(ObjectId::from_bytes).map_err(|_| Damaged::Short(bytes.len()));
    Ok(match kind {
        1 => Change::Put(Box::new(codec::decode(content)?)),
        2 => Change::Delete(id(content)?),
        3 | 4 => {
            let (surface, rest) = take(content)?;
            let (key, document) = take(rest)?;
            let surface: SurfaceId = text(surface)?.parse()?;
            let value = if kind == 3 { Some(codec::unseal(document)?.into()) } else { None };
            Change::Doc { surface, key: text(key)?, value }
        }
        5 => Change::Trust,
        6 => Change::Keep(content.chunks(16).map(id).collect::<Result<_, _>>()?),
        _ => return Err(Damaged::Shape(format!("a change of kind {kind}"))),
    })
}

/// Length, then that many bytes; and the rest.
fn take(bytes: &[u8]) -> Result<(&[u8], &[u8]), Damaged> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(Damaged::Short(bytes.len()))?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(Damaged::Short(rest.len()))
}

fn text(bytes: &[u8]) -> Result<String, Damaged> {
    String::from_utf8(bytes.to_vec()).map_err(|error| Damaged::Shape(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::tests::record;

    fn id(byte: u8) -> ObjectId {
        ObjectId::from_bytes([byte; 16])
    }

    fn doc(value: Option<&[u8]>) -> Change {
        Change::Doc { surface: SurfaceId::CloudBackend, key: "a/b".into(), value: value.map(Into::into) }
    }

    fn written(path: &Path) -> Recent {
        let mut recent = Recent::begin(path, 4).unwrap();
        recent.append(&[Change::Put(Box::new(record(id(1), 7))), Change::Delete(id(2))]).unwrap();
        recent.append(&[doc(Some(b"{}")), doc(None), Change::Trust]).unwrap();
        recent.append(&[Change::Keep(vec![id(3), id(4)])]).unwrap();
        recent
    }

    #[test]
    fn what_was_appended_is_read_back_beyond_what_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalogue.recent");
        assert_eq!(read(&path, 9).unwrap().unwrap().sequence, 9, "no file, nothing new");
        let recent = written(&path);
        assert_eq!(recent.sequence(), 7);
        let found = read(&path, 4).unwrap().unwrap();
        assert_eq!((found.changes.len(), found.sequence, found.is_ahead), (6, 7, false));
        assert!(matches!(&found.changes[0], Change::Put(put) if **put == record(id(1), 7)));
        assert!(
            matches!(&found.changes[2], Change::Doc { key, value: Some(value), .. } if key == "a/b" && &**value == b"{}")
        );
        assert!(matches!(&found.changes[5], Change::Keep(ids) if *ids == [id(3), id(4)]));
        assert_eq!(read(&path, 6).unwrap().unwrap().changes.len(), 1);
        assert!(read(&path, 7).unwrap().unwrap().changes.is_empty());
        assert!(read(&path, 3).unwrap().unwrap().is_ahead, "4 is in neither");
    }

    #[test]
    fn a_cut_or_a_flipped_byte_ends_it_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalogue.recent");
        drop(written(&path));
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            std::fs::write(&path, &good[..at]).unwrap();
            let cut = read(&path, 4).unwrap().unwrap();
            assert!(cut.sequence < 7 && !cut.is_ahead);
            let mut flipped = good.clone();
            flipped[at] ^= 0x10;
            std::fs::write(&path, flipped).unwrap();
            let read = read(&path, 4).unwrap().unwrap();
            assert_eq!((read.sequence, read.is_ahead), (cut.sequence, false), "byte {at}");
        }
    }

    #[test]
    fn emptied_it_goes_on_and_old_frames_are_not_taken_for_new_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalogue.recent");
        let mut recent = written(&path);
        let old = std::fs::read(&path).unwrap();
        recent.clear();
        recent.append(&[Change::Delete(id(9))]).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len();
        bytes.extend(&old[end..]);
        std::fs::write(&path, bytes).unwrap();
        let found = read(&path, 7).unwrap().unwrap();
        assert_eq!((found.changes.len(), found.sequence), (1, 8));
    }
}
