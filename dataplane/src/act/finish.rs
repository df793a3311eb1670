//! The end of an append: make durable what the level asks for, complete the object when nothing is missing.
//!
//! Order, and what a crash between two steps leaves behind:
//! 1. trim the file      — crash: the file is longer than the object; size proves nothing
//! 2. sync the file      — crash: the records of this body may be newer than the disk; replay checks their CRCs
//! 3. record `Complete`  — crash before: all bytes are there, the next request or the replay completes it
//! 4. sync the journals  — crash before: as 3
//! 5. tell the fact      — crash before: replay tells it again

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use etransfer_contract::fact::Fact;

use crate::config::Durability;
use crate::core::Core;
use crate::data_file::DataFile;
use crate::store::{Object, Position, Syncing};

/// What a request left to make durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// No bytes.
    Nothing,
    /// Bytes, which the durability level judges.
    Bytes,
    /// Bytes that somebody is told are safe: synced unless the level is `none`.
    Promised,
}

/// Syncs what the durability level asks for and completes the object if all its bytes are there. An error of kind
/// `NotFound` says that the object went away meanwhile.
pub async fn finish(core: &Core, object: &Arc<Object>, file: Option<&DataFile>, stored: Stored) -> io::Result<()> {
    let durability = core.shared.config.durability;
    let completion = object.try_complete();
    let sync = match durability {
        Durability::Every => completion.is_some() || stored != Stored::Nothing,
        Durability::Complete => completion.is_some() || stored == Stored::Promised,
        Durability::None => false,
    };
    if completion.is_none() && !sync {
        return Ok(());
    }
    let opened;
    let file = match file {
        Some(file) => file,
        None => {
            let mode = core.shared.config.write_mode;
            opened = DataFile::open(&core.io, &core.objects, object.id(), mode, false).await?;
            &opened
        }
    };
    if let Some(completion) = &completion {
        file.trim(&core.io, completion.length()).await?;
    }
    if sync {
        let mark = object.mark();
        believe(core, object, file.sync(&core.io).await)?;
        object.synced(mark, core.journal())?;
    }
    let completed = completion.map(|completion| completion.finish(core.journal(), sync)).transpose()?.is_some();
    if sync {
        for position in object.positions() {
            sync_journal(core, position).await?;
        }
    }
    if completed {
        core.shared.facts.push(Fact::Completed(object.presence()));
    }
    Ok(())
}

/// P6: a failed sync is believed. The upload falls back to its last synced record and the node says that it is degraded.
fn believe(core: &Core, object: &Object, synced: io::Result<()>) -> io::Result<()> {
    let Err(error) = synced else { return Ok(()) };
    core.shared.store.degrade(format!("sync of object {} failed: {error}", object.id()));
    if let Err(journal) = object.distrust(core.journal()) {
        tracing::error!(upload = %object.id(), error = %journal, "record the fall back after a failed sync");
    }
    Err(error)
}

/// Group commit: one sync covers every record appended before it started; who waited meanwhile is mostly covered by it, and
/// learns of its failure, whichever core ran it.
pub async fn sync_journal(core: &Core, position: Position) -> io::Result<()> {
    let journal = core.shared.store.journal(position.core());
    loop {
        if !journal.needs_sync(position) {
            return Ok(());
        }
        if journal.is_distrusted() {
            return Err(io::Error::other(
                "a sync of this journal failed; it is not trusted before its next checkpoint",
            ));
        }
        let changed = journal.synced_changed();
        match journal.begin_sync() {
            Some(syncing) => run_sync(core, syncing).await?,
            None => changed.await,
        }
    }
}

async fn run_sync(core: &Core, syncing: Syncing<'_>) -> io::Result<()> {
    let files: io::Result<Vec<_>> = syncing.files().iter().map(|file| file.try_clone().map(Rc::new)).collect();
    let files = match files {
        Ok(files) => files,
        Err(error) => {
            syncing.not_begun();
            return Err(error);
        }
    };
    for file in files {
        if let Err(error) = core.io.sync_data(&file).await {
            syncing.failed();
            core.shared.store.degrade(format!("sync of a journal failed: {error}"));
            return Err(error);
        }
    }
    core.counters.update(|core| core.journal_syncs += 1);
    syncing.succeeded();
    Ok(())
}
