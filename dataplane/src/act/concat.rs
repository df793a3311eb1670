//! A final upload out of parts (tus.md A11): bytes are copied once, off the core, with the CRC of every block.
//!
//! Must stay true: the final is visible only when it is whole; a part that went away meanwhile leaves nothing behind.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use etransfer_contract::Span;
use etransfer_contract::fact::Fact;
use etransfer_contract::grant::{Concat, Grant};

use super::Answered;
use super::finish::finish;
use super::remove::remove_object;
use crate::config::WriteMode;
use crate::core::{Core, Shared};
use crate::data_file::{DataFile, open_for_reading};
use crate::http::Reply;
use crate::store::{Object, ReadGuard, Want};

/// Bytes copied at a time; each block gets its own CRC record.
const COPY_BYTES: usize = 1 << 20;

/// Executes a concat grant.
pub async fn concat(core: &Core, grant: &Grant, permit: &Concat) -> Answered {
    let Shared { budgets, facts, .. } = &*core.shared;
    let bytes = permit.parts.iter().map(|(_, length)| length).sum();
    budgets.open(grant.ticket, permit.object, bytes);
    match build(core, permit).await {
        Ok(()) => {
            budgets.settle(facts, grant.ticket, bytes);
            Answered::Reply(Reply::new(permit.status).fields(&permit.fields))
        }
        Err(failure) => {
            if let Err(error) = remove_object(core, permit.object).await {
                tracing::error!(object = %permit.object, %error, "remove a half-built final upload");
            }
            facts.push(Fact::Discarded { object: permit.object });
            budgets.settle(facts, grant.ticket, 0);
            Answered::Reply(failure)
        }
    }
}

async fn build(core: &Core, permit: &Concat) -> Result<(), Reply> {
    let length: u64 = permit.parts.iter().map(|(_, length)| length).sum();
    let gone = || Reply::detail(404, "a part is not there any more");
    let object = core.shared.store.find_or_create(permit.object, Some(length)).map_err(|_gone| gone())?;
    let mut parts = Vec::with_capacity(permit.parts.len());
    for (part, bytes) in &permit.parts {
        if *bytes > 0 {
            parts.push(open_part(core, *part, *bytes).await.ok_or_else(gone)?);
        }
    }
    copy(core, &object, parts, length).await.map_err(|error| {
        tracing::error!(object = %permit.object, %error, "build a final upload");
        let status = if super::append::is_no_space(&error) { 507 } else { 500 };
        Reply::detail(status, "the parts can not be put together now; they are unchanged, try again")
    })
}

async fn open_part(core: &Core, id: etransfer_contract::ObjectId, bytes: u64) -> Option<(ReadGuard, File, u64)> {
    let guard = core.shared.store.find(id)?.read()?;
    let file = open_for_reading(&core.io, &core.objects, id).await.ok()?;
    Some((guard, File::from(file.try_clone().ok()?), bytes))
}

async fn copy(core: &Core, object: &Arc<Object>, parts: Vec<(ReadGuard, File, u64)>, length: u64) -> io::Result<()> {
    let mut file = DataFile::open(&core.io, &core.objects, object.id(), WriteMode::Buffered, false).await?;
    file.allocate(&core.io, length, length).await?;
    let want = Want { offset: 0, body: Some(length), parallel: false };
    let busy = |_refused| io::Error::other("somebody writes to a final upload");
    let mut claim = object.claim(want).map_err(busy)?;
    let target = file.to_std()?;
    let blocks = core.io.off_core(move || copy_blocks(&parts, &target)).await?;
    claim.commit_all(core.journal(), &blocks, false).map_err(io::Error::other)?;
    drop(claim);
    finish(core, object, Some(&file), true).await
}

fn copy_blocks(parts: &[(ReadGuard, File, u64)], target: &File) -> io::Result<Vec<(Span, u32)>> {
    let mut blocks = Vec::new();
    let mut buf = vec![0; COPY_BYTES];
    let mut at = 0;
    for (guard, source, bytes) in parts {
        let mut done = 0;
        while done < *bytes {
            if guard.is_cut() {
                return Err(io::Error::other("a part was removed"));
            }
            let block = &mut buf[..(bytes - done).min(COPY_BYTES as u64) as usize];
            source.read_exact_at(block, done)?;
            target.write_all_at(block, at)?;
            let span = Span::at(at, block.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
            blocks.push((span, crc32fast::hash(block)));
            done += span.len();
            at = span.end();
        }
    }
    Ok(blocks)
}
