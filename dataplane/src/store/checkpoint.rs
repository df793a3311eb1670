//! The state of all objects in one file, so that the segments before it can go.
//!
//! # Order, and what a crash leaves
//!
//! 1. Every core continues in a new segment of generation G. *Crash: no checkpoint G; all segments are replayed.*
//! 2. Every object is written to `checkpoint.tmp`, each under its own lock. It may already include records of the
//!    new segments; each object carries its last sequence number, and replay skips up to there. *Crash: the temporary file
//!    is removed at start.*
//! 3. Sync the file, rename it to `G.checkpoint`, sync the directory. *Crash: both generations are complete; the manifest names
//!    which counts.*
//! 4. List it in the manifest, in the place of everything older. *Crash before: the older files count.*
//! 5. Files of smaller generations are deleted. *Crash: the rest is deleted at start.*
use std::io;
use std::ops::ControlFlow;

use etransfer_contract::ObjectId;
use etransfer_disk::File;

use super::disk;
use super::index::{Entry, Index, Tombstone};
use super::journal::Common;
use super::record::{PIECES_MAX, Record};
use super::rest::Rest;
use super::segment::{Header, Name, put_frame};

const TEMPORARY: &str = "checkpoint.tmp";
const BUFFER_BYTES: usize = 1 << 20;

/// Steps 2 and 3.
pub(super) fn write(common: &Common, index: &Index, generation: u64) -> io::Result<()> {
    let directory = &common.directory;
    let name = Name::Checkpoint { generation };
    let file = disk::create(directory, TEMPORARY)?;
    let written = write_all(&file, common, index, name).and_then(|()| disk::sync(&file));
    if let Err(error) = written {
        let _ = disk::unlink(directory, TEMPORARY);
        return Err(error);
    }
    disk::rename(directory, TEMPORARY, &name.to_string())?;
    disk::sync(directory)
}

/// Step 5; also everything that an earlier crash left. The manifest no longer lists any of it.
pub(super) fn delete_older(directory: &File, generation: u64) -> io::Result<()> {
    for name in list(directory)?.into_iter().filter(|name| name.generation() < generation) {
        disk::unlink(directory, &name.to_string())?;
    }
    Ok(())
}

/// What was being made when an earlier run ended.
pub(super) fn delete_temporaries(directory: &File) -> io::Result<()> {
    directory.each_name(&mut |name| {
        if let Some(name) = name.to_str().filter(|name| name.ends_with(super::room::TEMPORARY)) {
            disk::unlink(directory, name)?;
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// The journal files of a directory, in order.
pub(super) fn list(directory: &File) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    directory.each_name(&mut |name| {
        names.extend(name.to_str().and_then(Name::parse));
        Ok(ControlFlow::Continue(()))
    })?;
    names.sort_unstable();
    Ok(names)
}

fn write_all(file: &File, common: &Common, index: &Index, name: Name) -> io::Result<()> {
    let sequence = common.sequence.load(std::sync::atomic::Ordering::Acquire);
    let (header, seed) = Header { name, boot: common.boot, sequence, tag: common.manifest.tag() }.encode();
    let mut out = Writer { file, buffer: header.to_vec(), at: 0, seed, count: 0 };
    for byte in 0..=u8::MAX {
        // An object that is removed and not buried yet has its tombstone all the same; one that is removed after it was
        // written has it in a segment of this generation.
        for (id, entry) in index.entries_in(byte) {
            let object = match entry {
                Entry::Awake(object) => object,
                Entry::Rest(rest) => {
                    out.put_rest(id, &rest)?;
                    continue;
                }
                Entry::Gone(tombstone) => {
                    out.bury(id, tombstone)?;
                    continue;
                }
            };
            let state = object.state.hold();
            if object.is_removed() {
                let tombstone = state.tombstone();
                drop(state);
                out.bury(object.id(), tombstone)?;
                continue;
            }
            if state.known.sequence == 0 {
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
    }
    let count = out.count;
    out.put(sequence, 0, &Record::End { count })?;
    out.flush()
}

struct Writer<'a> {
    file: &'a File,
    buffer: Vec<u8>,
    at: u64,
    seed: u32,
    count: u64,
}

impl Writer<'_> {
    fn bury(&mut self, object: ObjectId, tombstone: Tombstone) -> io::Result<()> {
        let record = Record::Tombstone { object, confirmed: tombstone.confirmed };
        self.put(tombstone.sequence, tombstone.at_unix_ms, &record)
    }

    fn put_rest(&mut self, object: ObjectId, rest: &Rest) -> io::Result<()> {
        let (sequence, at) = (rest.sequence(), rest.written_unix_ms());
        let (snapshot, piece) = rest.snapshot();
        self.put(sequence, at, &Record::Snapshot { object, snapshot })?;
        match piece {
            Some(piece) => self.put(sequence, at, &Record::Pieces { object, pieces: vec![piece] }),
            None => Ok(()),
        }
    }

    fn put(&mut self, sequence: u64, at_unix_ms: u64, record: &Record) -> io::Result<()> {
        put_frame(&mut self.buffer, self.seed, sequence, at_unix_ms, 0, std::slice::from_ref(record));
        self.count += 1;
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        disk::write_all_at(self.file, &self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
