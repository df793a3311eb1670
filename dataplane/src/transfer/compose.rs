//! A new object out of pieces of existing ones: bytes are copied once, off the core, with the CRC of every block.
//!
//! Must stay true: the new object is visible only when it is whole; when a piece was removed meanwhile, nothing is left behind;
//! an existing object of the same name stays as it is.

use std::io;
use std::sync::Arc;

use etransfer_contract::step::{Failure, Piece};
use etransfer_contract::{ObjectId, Span};
use etransfer_disk::File;

use super::digest::Hasher;
use super::fault::{Broken, Doing, Fault, believe};
use super::finish::{Stored, finish};
use super::remove::remove_object;
use crate::config::WriteMode;
use crate::core::Core;
use crate::scan::{SCAN_BYTES, Scan};
use crate::store::{CommitError, Object, ReadGuard, Want};
use crate::transfer::data_file::{DataFile, open_for_reading};

/// Where the bytes of a piece come from.
enum Source {
    File { guard: ReadGuard, file: File, span: Span },
    Zeros(u64),
}

/// Builds `id`: its length, and the digests of all of it. After a failure it is removed, except after
/// [`Failure::Taken`]: then it belongs to another upload.
pub async fn compose(
    core: &Core,
    id: ObjectId,
    pieces: &[Piece],
    hashers: Vec<Hasher>,
) -> Result<(u64, Vec<Hasher>), Failure> {
    let length = pieces.iter().map(Piece::bytes).sum();
    let object = core.shared.store.create(id, length).ok_or(Failure::Taken)?;
    let built = build(core, &object, length, pieces, hashers).await;
    if built.is_err()
        && let Err(error) = remove_object(core, id).await
    {
        tracing::error!(object = %id, %error, "remove a half-built object");
    }
    built
}

async fn build(
    core: &Core,
    object: &Arc<Object>,
    length: u64,
    pieces: &[Piece],
    hashers: Vec<Hasher>,
) -> Result<(u64, Vec<Hasher>), Failure> {
    let mut sources = Vec::with_capacity(pieces.len());
    for piece in pieces {
        sources.push(open(core, *piece).await.ok_or(Failure::Gone)?);
    }
    match copy(core, object, sources, length, hashers).await {
        Ok(hashers) => Ok((length, hashers)),
        Err(fault) => Err(fault.failure()),
    }
}

async fn open(core: &Core, piece: Piece) -> Option<Source> {
    let (id, span) = match piece {
        Piece::Of(id, span) => (id, span),
        Piece::Zeros(bytes) => return Some(Source::Zeros(bytes)),
    };
    let object = core.shared.store.find(id)?;
    let guard = object.read()?;
    if !object.spans().contains(span) {
        return None;
    }
    let file = match open_for_reading(&core.io, &core.objects, &object).await {
        Ok(file) => file,
        Err(error) => {
            believe(core, &object, Doing::Open, error).await;
            return None;
        }
    };
    Some(Source::File { guard, file: file.try_clone().ok()?, span })
}

async fn copy(
    core: &Core,
    object: &Arc<Object>,
    sources: Vec<Source>,
    length: u64,
    hashers: Vec<Hasher>,
) -> Result<Vec<Hasher>, Fault> {
    let (file, hashers) = match fill(core, object, sources, length, hashers).await {
        Ok(filled) => filled,
        // It is removed at once, so what it falls back to does not matter; that the disk failed does.
        Err(broken) => return Err(broken.believe(core, object).await),
    };
    finish(core, object, Some(&file), Stored::Bytes).await?;
    Ok(hashers)
}

async fn fill(
    core: &Core,
    object: &Arc<Object>,
    sources: Vec<Source>,
    length: u64,
    hashers: Vec<Hasher>,
) -> Result<(DataFile, Vec<Hasher>), Broken> {
    let open = DataFile::open(&core.io, &core.objects, object, WriteMode::Buffered, false);
    let mut file = open.await.map_err(Doing::Open.broken())?;
    file.allocate(&core.io, length, length).await.map_err(Doing::Allocate.broken())?;
    let want = Want { offset: 0, body: Some(length), parallel: false };
    let busy =
        |_refused| Doing::Open.broken()(io::Error::other("another request writes to an object that is being built"));
    let mut claim = object.claim(want).map_err(busy)?;
    let target = file.second_handle().map_err(Doing::Open.broken())?;
    let copied = core.io.off_core(move || copy_blocks(&sources, &target, hashers)).await;
    let (blocks, hashers) = copied.map_err(Doing::Write.broken())?;
    core.writer.ready(blocks.len(), false).await.map_err(Doing::Journal.broken())?;
    let recorded = claim.commit_all(core.journal(), &blocks, false);
    recorded.map_err(|error| match error {
        CommitError::Journal(error) => Doing::Journal.broken()(error),
        other => Doing::Journal.broken()(io::Error::other(other)),
    })?;
    Ok((file, hashers))
}

type Copied = (Vec<(Span, u32)>, Vec<Hasher>);

/// Each block, as it was read, gets its own CRC record.
fn copy_blocks(sources: &[Source], target: &File, mut hashers: Vec<Hasher>) -> io::Result<Copied> {
    let mut blocks = Vec::new();
    let mut scan = Scan::default();
    let mut at = 0;
    for source in sources {
        let bytes = source.bytes();
        let mut done = 0;
        while done < bytes {
            let block = source.read(&mut scan, done, (bytes - done).min(SCAN_BYTES as u64) as usize)?;
            target.write_all_at(block, at)?;
            hashers.iter_mut().for_each(|hasher| hasher.update(block));
            let span = Span::at(at, block.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
            blocks.push((span, crc32fast::hash(block)));
            done += span.len();
            at = span.end();
        }
    }
    Ok((blocks, hashers))
}

impl Source {
    fn bytes(&self) -> u64 {
        match self {
            Self::File { span, .. } => span.len(),
            Self::Zeros(bytes) => *bytes,
        }
    }

    fn read<'s>(&self, scan: &'s mut Scan, done: u64, len: usize) -> io::Result<&'s [u8]> {
        match self {
            Self::File { guard, .. } if guard.is_cut() => Err(io::Error::other("a piece was removed")),
            Self::File { file, span, .. } => scan.read(file, span.start() + done, len),
            Self::Zeros(_) => Ok(scan.zeros(len)),
        }
    }
}
