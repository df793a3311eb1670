//! The state of all objects in one file, so that the segments before it can go.
//!
//! # Order, and what a crash leaves
//!
//! 1. Every core goes on in a new segment of generation G. *Crash: no checkpoint G; all segments are replayed.*
//! 2. Every object is written to `checkpoint.tmp`, each under its own lock. What it says may already include records of the
//!    new segments; each object carries its last sequence number, and replay skips up to there. *Crash: the temporary file
//!    is removed at start.*
//! 3. Sync the file, rename it to `G.checkpoint`, sync the directory. *Crash: both generations are complete; the newer wins.*
//! 4. Files of smaller generations are deleted. *Crash: the rest is deleted at start.*
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags};

use super::index::Index;
use super::journal::Common;
use super::record::{PIECES_MAX, Record};
use super::segment::{Header, Name, put_frame, write_all_at};

const TEMPORARY: &str = "checkpoint.tmp";
const BUFFER_BYTES: usize = 1 << 20;

/// Steps 2 and 3.
pub(super) fn write(common: &Common, index: &Index, generation: u64) -> io::Result<()> {
    let directory = &common.directory;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(directory, TEMPORARY, flags, Mode::RUSR | Mode::WUSR)?;
    let name = Name::Checkpoint { generation };
    let written = write_all(&file, common, index, name).and_then(|()| Ok(rustix::fs::fsync(&file)?));
    if let Err(error) = written {
        let _ = rustix::fs::unlinkat(directory, TEMPORARY, AtFlags::empty());
        return Err(error);
    }
    rustix::fs::renameat(directory, TEMPORARY, directory, name.to_string())?;
    Ok(rustix::fs::fsync(directory)?)
}

/// Step 4; also everything that an earlier crash left.
pub(super) fn delete_older(directory: &OwnedFd, generation: u64) -> io::Result<()> {
    let _ = rustix::fs::unlinkat(directory, TEMPORARY, AtFlags::empty());
    for name in list(directory)?.into_iter().filter(|name| name.generation() < generation) {
        rustix::fs::unlinkat(directory, name.to_string(), AtFlags::empty())?;
    }
    Ok(())
}

/// The journal files of a directory, in order.
pub(super) fn list(directory: &OwnedFd) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        names.extend(entry?.file_name().to_str().ok().and_then(Name::parse));
    }
    names.sort_unstable();
    Ok(names)
}

fn write_all(file: &OwnedFd, common: &Common, index: &Index, name: Name) -> io::Result<()> {
    let sequence = common.sequence.load(std::sync::atomic::Ordering::Acquire);
    let (header, seed) = Header { name, boot: common.boot, sequence }.encode();
    let mut out = Writer { file, buffer: header.to_vec(), at: 0, seed, count: 0 };
    for byte in 0..=u8::MAX {
        // Live ones first: an object that is removed in between is then seen twice, and the tombstone wins.
        for object in index.live_in(byte) {
            let state = object.state.hold();
            if state.known.sequence == 0 || object.is_removed() {
                continue;
            }
            let (snapshot, pieces) = state.known.snapshot();
            let (sequence, at) = (state.known.sequence, state.known.written_unix_ms);
            drop(state);
            let object = object.id();
            out.put(sequence, at, &Record::Snapshot { object, snapshot })?;
            for pieces in pieces.chunks(PIECES_MAX) {
                out.put(sequence, at, &Record::Pieces { object, pieces: pieces.to_vec() })?;
            }
        }
        for (object, tombstone) in index.tombstones_in(byte) {
            let record = Record::Tombstone { object, confirmed: tombstone.confirmed };
            out.put(tombstone.sequence, tombstone.at_unix_ms, &record)?;
        }
    }
    let count = out.count;
    out.put(sequence, 0, &Record::End { count })?;
    out.flush()
}

struct Writer<'a> {
    file: &'a OwnedFd,
    buffer: Vec<u8>,
    at: u64,
    seed: u32,
    count: u64,
}

impl Writer<'_> {
    fn put(&mut self, sequence: u64, at_unix_ms: u64, record: &Record) -> io::Result<()> {
        put_frame(&mut self.buffer, self.seed, sequence, at_unix_ms, 0, record);
        self.count += 1;
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        write_all_at(self.file, &self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
