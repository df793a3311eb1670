//! Reading bytes back and comparing them with the CRC their records carry: after a power loss (PROMISES.md P3), and on
//! request (PROMISES.md P19).
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use crc32fast::Hasher;
use etransfer_contract::{ObjectId, Span, SpanSet};
use etransfer_disk::File;

use super::extent::Trust;
use super::known::Known;
use super::lock::Lock;
use super::path::ObjectPath;
use super::segment::open_beneath;
use crate::driver::Machine;
use crate::scan::{SCAN_BYTES, Scan};

const CHUNK_BYTES: usize = 1 << 20;

/// What reading an object back showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Bytes that match.
    pub good: u64,
    /// Extents that cannot be read or do not match; the bad byte is somewhere inside.
    pub damaged: Vec<Span>,
    /// Received bytes without a CRC.
    pub unknown: Vec<Span>,
}

/// Compares a file with what is recorded of it.
pub(super) fn verify(objects: &File, id: ObjectId, known: &Known) -> Verified {
    let file = open_beneath(objects, ObjectPath::of(id).as_str());
    if let Ok(file) = &file {
        // Read from the disk, not from the page cache; best effort.
        let _ = file.drop_cached();
    }
    let mut verified = Verified::default();
    let mut covered = SpanSet::new();
    for extent in known.extents.iter() {
        covered.insert(extent.span);
        let found = file.as_ref().ok().map(|file| crc_of(file, extent.span));
        match found {
            Some(Ok(crc)) if crc == extent.crc => verified.good += extent.span.len(),
            Some(Ok(_) | Err(_)) | None => verified.damaged.push(extent.span),
        }
    }
    verified.unknown = known.received.iter().flat_map(|span| covered.missing(span)).collect();
    verified
}

/// What the disk holds at the place of an extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// The bytes with this CRC.
    There,
    /// Other bytes, or none.
    Other,
}

/// Reads an extent from the disk itself: cached pages are dropped, and the read goes past those that stay where the file
/// system does that. An error: the disk cannot be read.
pub(super) fn prove(objects: &File, id: ObjectId, span: Span, crc: u32) -> io::Result<Proof> {
    let file = match open_beneath(objects, ObjectPath::of(id).as_str()) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Proof::Other),
        Err(error) => return Err(error),
    };
    // A file system without pages to drop has none that lie.
    let _ = file.drop_cached();
    let mut scan = Scan::default();
    let mut hasher = Hasher::new();
    let mut at = span.start();
    while at < span.end() {
        let bytes = (span.end() - at).min(SCAN_BYTES as u64);
        match scan.read_disk(&file, at, bytes as usize) {
            Ok(content) => hasher.update(content),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Proof::Other),
            Err(error) => return Err(error),
        }
        at += bytes;
    }
    Ok(if hasher.finalize() == crc { Proof::There } else { Proof::Other })
}

/// After a power loss: what was not synced counts only if it reads back right. Returns the bytes given up.
pub(super) fn settle_all(machine: &Machine, objects: &File, doubtful: Vec<(ObjectId, &mut Known)>) -> u64 {
    let given_up = AtomicUsize::new(0);
    let queue = Lock::new(doubtful.into_iter());
    machine.in_parallel(&|| {
        while let Some((id, known)) = { queue.hold().next() } {
            given_up.fetch_add(settle(objects, id, known) as usize, Ordering::Relaxed);
        }
    });
    given_up.into_inner() as u64
}

/// Whether a power loss put something of this object in doubt.
pub(super) fn is_doubtful(known: &Known) -> bool {
    known.shaken || known.extents.iter().any(|extent| extent.trust == Trust::Suspect)
}

fn settle(objects: &File, id: ObjectId, known: &mut Known) -> u64 {
    let before = known.received.bytes();
    // A file that cannot be synced has nothing that counts as durable. Its pages are dropped, so that the disk is read.
    let file = open_beneath(objects, ObjectPath::of(id).as_str()).ok().filter(|file| {
        let is_synced = file.sync_data().is_ok();
        let _ = file.drop_cached();
        is_synced
    });
    let matches = |span, crc| file.as_ref().and_then(|file| crc_of(file, span).ok()) == Some(crc);
    let bad = known.extents.settle(matches);
    let mut kept = if known.shaken { known.durable() } else { known.received.clone() };
    bad.into_iter().for_each(|span| kept.remove(span));
    known.keep_only(kept);
    known.synced = known.complete;
    known.shaken = false;
    before - known.received.bytes()
}

pub(super) fn crc_of(file: &File, span: Span) -> io::Result<u32> {
    let mut hasher = Hasher::new();
    let mut chunk = vec![0; CHUNK_BYTES.min(usize::try_from(span.len()).unwrap_or(CHUNK_BYTES))];
    let mut at = span.start();
    while at < span.end() {
        let wanted = chunk.len().min(usize::try_from(span.end() - at).unwrap_or(CHUNK_BYTES));
        match file.read_at(&mut chunk[..wanted], at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                hasher.update(&chunk[..count]);
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hasher.finalize())
}
