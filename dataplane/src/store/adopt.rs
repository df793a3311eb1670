//! Takes over bytes that another program wrote, while the node is stopped: puts them where an object's bytes live, reads
//! them once for their checksums, syncs them, records them.
//!
//! Must stay true: bytes before record (PROMISES.md P3), as everywhere; the source is not changed and not removed here,
//! so an error at any point leaves a copy too many, never one too few. A caller that linked a source removes its old name only after
//! [`Store::close`](super::Store::close), when the records are on disk.
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use etransfer_contract::{ObjectId, Span, SpanSet};
use etransfer_disk::{Disk, File, Mode, OFlags, PRIVATE};
use rustix::io::Errno;

use super::journal::APPEND_MAX;
use super::object::Object;
use super::path::ObjectPath;
use super::record::Change;
use super::segment::open_beneath;
use super::verify::crc_of;
use super::whole::Store;

/// Bytes under one checksum: what [`Store::verify`] names when one of them is bad.
const EXTENT_BYTES: u64 = 16 << 20;

/// Bytes of an object in some other file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// The file; a symbolic link is refused.
    pub path: PathBuf,
    /// Where in the file they begin.
    pub from: u64,
    /// Which bytes of the object they are.
    pub span: Span,
}

/// How the bytes get to their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placing {
    /// A second name for the file where that is possible (one file, same file system, same user), else as `Copy`.
    Link,
    /// A copy; the file system shares the blocks where it can.
    Copy,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adopted {
    /// It is an object now. Bytes.
    Now(u64),
    /// The store has all of these bytes already; nothing was touched.
    Before,
}

/// It was not taken over; nothing is recorded.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// This store removed an object of that name once, and removed stays removed (PROMISES.md P8).
    #[error("an object of this id was deleted here before")]
    Removed,
    /// It is here, but not all of these bytes are.
    #[error("it is here already, with fewer bytes than there; what is here was left as it is")]
    Differs,
    /// A source, or the room for its copy.
    #[error("take over {path}: {source}")]
    Source {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The storage directory.
    #[error("write into the storage directory: {0}")]
    Store(#[from] io::Error),
}

impl Store {
    /// Makes `pieces` an object of this `length`, complete when they are all of it. Blocking, as long as reading them takes.
    pub fn adopt(
        &self,
        id: ObjectId,
        length: u64,
        pieces: &[Foreign],
        placing: Placing,
    ) -> Result<Adopted, AdoptError> {
        match self.find(id) {
            Some(object) if pieces.iter().all(|piece| object.spans().contains(piece.span)) => {
                return Ok(Adopted::Before);
            }
            Some(object) => return self.go_on(&object, length, pieces),
            None if self.is_removed(id) => return Err(AdoptError::Removed),
            None => {}
        }
        let directory = self.objects_dir();
        let placed = match (placing, single(pieces)) {
            (Placing::Link, Some(source)) => link(self.machine().disk(), source, &directory, id)?,
            (Placing::Link | Placing::Copy, _) => None,
        };
        let file = match placed {
            Some(file) => file,
            None => copy(self.machine().disk(), pieces, &directory, id)?,
        };
        file.sync()?;
        let mut ranges = Vec::new();
        for span in pieces.iter().flat_map(|piece| extents(piece.span)) {
            ranges.push(Change::Range { span, crc: crc_of(&file, span)?, synced: true });
        }
        self.record_adopted(id, length, &ranges)?;
        Ok(Adopted::Now(pieces.iter().map(|piece| piece.span.len()).sum()))
    }

    /// An import that was cut off between two records of one object: its file was whole before the first of them. What is
    /// not recorded yet is compared with its source.
    fn go_on(&self, object: &Arc<Object>, length: u64, pieces: &[Foreign]) -> Result<Adopted, AdoptError> {
        let look = object.look();
        let there: SpanSet = pieces.iter().map(|piece| piece.span).collect();
        let is_part = object.spans().iter().all(|span| there.contains(span));
        if look.complete || look.writers > 0 || look.length != Some(length) || !is_part {
            return Err(AdoptError::Differs);
        }
        let Ok(file) = open_beneath(&self.objects_dir(), object.path().as_str()) else {
            return Err(AdoptError::Differs);
        };
        file.sync()?;
        let mut ranges = Vec::new();
        for piece in pieces {
            let from = open_source(self.machine().disk(), &piece.path).map_err(source(&piece.path))?;
            for span in extents(piece.span).flat_map(|span| object.spans().missing(span)) {
                let begins = piece.from + (span.start() - piece.span.start());
                let there = Span::at(begins, span.len()).ok_or(AdoptError::Differs)?;
                let crc = crc_of(&from, there).map_err(source(&piece.path))?;
                if crc_of(&file, span).ok() != Some(crc) {
                    return Err(AdoptError::Differs);
                }
                ranges.push(Change::Range { span, crc, synced: true });
            }
        }
        let bytes = there.bytes() - object.spans().bytes();
        self.record_adopted(object.id(), length, &ranges)?;
        Ok(Adopted::Now(bytes))
    }

    /// The length goes into the same append as the first ranges, so it is never visible without them.
    fn record_adopted(&self, id: ObjectId, length: u64, ranges: &[Change]) -> Result<(), AdoptError> {
        let journal = self.journal(0);
        let object = self.find_or_create(id, Some(length)).map_err(|_| AdoptError::Removed)?;
        journal.make_room_blocking(1, false)?;
        let mut state = object.state.hold();
        if ranges.is_empty() && state.known.length.is_none() {
            object.record(&mut state, journal, &[Change::Length { length }])?;
        }
        drop(state);
        for part in ranges.chunks(APPEND_MAX - 1) {
            journal.make_room_blocking(part.len(), false)?;
            object.record(&mut object.state.hold(), journal, part)?;
            journal.flush_blocking()?;
        }
        journal.make_room_blocking(1, true)?;
        if let Some(completion) = object.try_complete() {
            completion.finish(journal, true)?;
        }
        Ok(journal.flush_blocking()?)
    }
}

/// The one file whose bytes are all at their own offsets.
fn single(pieces: &[Foreign]) -> Option<&Path> {
    let first = pieces.first()?;
    let same = pieces.iter().all(|piece| piece.path == first.path && piece.from == piece.span.start());
    same.then_some(first.path.as_path())
}

fn source(path: &Path) -> impl Fn(io::Error) -> AdoptError {
    move |source| AdoptError::Source { path: path.to_owned(), source }
}

/// Where a file lies until it is whole. No object's name: only this module looks at it, and so it may unlink it.
fn temporary(id: ObjectId) -> String {
    format!("{}.import", ObjectPath::of(id).as_str())
}

/// To its place, which must be free.
fn settle(directory: &File, id: ObjectId) -> io::Result<()> {
    let (from, to) = (temporary(id), ObjectPath::of(id));
    directory.rename_to_free_at(&from, directory, to.as_str()).inspect_err(|_| clear(directory, id))
}

/// What an import that was cut off left there.
fn clear(directory: &File, id: ObjectId) {
    let _ = directory.unlink_at(&temporary(id));
}

/// `None`: not possible here.
fn link(disk: &dyn Disk, path: &Path, directory: &File, id: ObjectId) -> Result<Option<File>, AdoptError> {
    let place = temporary(id);
    clear(directory, id);
    if let Err(error) = disk.link(path, directory, &place) {
        return match Errno::from_io_error(&error) {
            Some(Errno::XDEV | Errno::PERM | Errno::ACCESS | Errno::MLINK | Errno::OPNOTSUPP) => Ok(None),
            Some(_) | None => Err(source(path)(error)),
        };
    }
    let opened = open_beneath(directory, &place).and_then(|file| {
        let is_file = file.stat()?.is_file;
        file.make_private()?;
        if is_file { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
    });
    let opened = opened.map_err(|error| {
        clear(directory, id);
        source(path)(error)
    })?;
    settle(directory, id)?;
    Ok(Some(opened))
}

fn copy(disk: &dyn Disk, pieces: &[Foreign], directory: &File, id: ObjectId) -> Result<File, AdoptError> {
    clear(directory, id);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let file = directory.open_at(&temporary(id), flags, PRIVATE)?;
    for piece in pieces {
        let copied = copy_piece(disk, piece, &file);
        if let Err(error) = copied {
            clear(directory, id);
            return Err(source(&piece.path)(error));
        }
    }
    settle(directory, id)?;
    Ok(file)
}

fn copy_piece(disk: &dyn Disk, piece: &Foreign, into: &File) -> io::Result<()> {
    let from = open_source(disk, &piece.path)?;
    let copied = into.copy_from(piece.span.start(), &from, piece.from, piece.span.len())?;
    if copied == piece.span.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn open_source(disk: &dyn Disk, path: &Path) -> io::Result<File> {
    disk.open(path, OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty())
}

fn extents(span: Span) -> impl Iterator<Item = Span> {
    let starts = (span.start()..span.end()).step_by(EXTENT_BYTES as usize);
    starts.filter_map(move |start| Span::new(start, (start + EXTENT_BYTES).min(span.end())))
}
