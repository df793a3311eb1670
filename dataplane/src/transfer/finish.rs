//! The end of an append: make durable what the level demands, complete the object when nothing is missing.
//!
//! Order, and what a crash between two steps leaves behind:
//! 1. trim the file      — crash: the file is longer than the object; size proves nothing
//! 2. sync the file      — crash: the records of this body may be newer than the disk; replay checks their CRCs
//! 3. append `Complete`  — crash before: all bytes are there, the next request or the replay completes it
//! 4. write the records, sync the journals — crash before: as 3
//! 5. publish            — from here on HEAD, GET and the control plane see it complete
//! 6. report the fact    — crash before: replay reports it again
//!
//! The consequences of an error in any of them are drawn ([`fault`](super::fault)) while the right to complete is still held,
//! so no other request completes the object in between.
//!
//! The last file on the way of an upload; [`append`](super::append) then answers with what [`reportable`](super::reportable) permits.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use etransfer_contract::fact::Fact;

use super::fault::{Broken, Doing, Fault, believe};
use crate::config::Durability;
use crate::core::Core;
use crate::store::{CompletionRight, Object, Position, Syncing};
use crate::transfer::data_file::DataFile;

/// What a request left to make durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// No bytes.
    Nothing,
    /// Bytes or a length, which the durability level judges.
    Bytes,
    /// Bytes that are acknowledged as safe: synced unless the level is `none`.
    Promised,
}

/// Writes the records of the object, syncs what the durability level asks for and completes the object if all its bytes are there.
pub async fn finish(core: &Core, object: &Arc<Object>, file: Option<&DataFile>, stored: Stored) -> Result<(), Fault> {
    let mut completion = object.try_complete();
    let sync = match core.shared.config.durability {
        Durability::Every => completion.is_some() || stored != Stored::Nothing,
        Durability::Complete => completion.is_some() || stored == Stored::Promised,
        Durability::None => false,
    };
    if completion.is_none() && !sync {
        if let (Some(file), Stored::Bytes, true) = (file, stored, core.shared.config.durability != Durability::None) {
            keep_open(core, object, file);
        }
        return record(core, object).await;
    }
    match make_durable(core, object, file, completion.as_mut(), sync).await {
        Ok(()) => {}
        Err(NotDone::Broken(broken)) => return Err(broken.believe(core, object).await),
        Err(NotDone::Changed) if object.is_removed() => return Err(Fault::Removed),
        Err(NotDone::Changed) => return Err(Fault::Disk),
    }
    if let Some(completion) = completion {
        completion.publish();
        core.shared.facts.push_of(object, Fact::Completed(object.presence(false)));
    }
    Ok(())
}

/// Why a completion was not reached.
enum NotDone {
    Broken(Broken),
    /// The object was removed or lost bytes meanwhile.
    Changed,
}

impl From<Broken> for NotDone {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// Writes the records of the object: they then outlive this process.
pub async fn record(core: &Core, object: &Arc<Object>) -> Result<(), Fault> {
    match core.writer.written_all(object).await {
        Ok(()) => Ok(()),
        Err(error) => Err(believe(core, object, Doing::Journal, error).await),
    }
}

/// Keeps the file of bytes that a later sync covers open, so that the kernel does not forget a failed writeback meanwhile.
fn keep_open(core: &Core, object: &Arc<Object>, file: &DataFile) {
    if object.is_kept_or_lapsed() {
        return;
    }
    #[cfg(debug_assertions)]
    if crate::driver::faults::is_due(crate::driver::faults::Failing::Keep) {
        return object.keep_open(None);
    }
    core.shared.store.keep_open(object, file.second_handle());
}

/// Makes everything in the file durable, through the descriptor that is kept: it reports every failed writeback. When one may
/// have been missed, what the disk holds is compared with the CRCs.
async fn sync_file(core: &Core, object: &Arc<Object>, file: &DataFile) -> Result<(), Broken> {
    match object.kept() {
        Some(kept) => {
            let kept = Rc::new(kept.try_clone().map_err(Doing::Sync.broken())?);
            core.io.sync_data(&kept).await.map_err(Doing::Sync.broken())?;
        }
        None => file.sync(&core.io).await.map_err(Doing::Sync.broken())?,
    }
    if !object.is_lapsed() {
        return Ok(());
    }
    let (store, doubtful) = (Arc::clone(&core.shared.store), Arc::clone(object));
    let compared = core.io.off_core(move || doubtful.compare_with_disk(&store.objects_dir())).await;
    if compared.map_err(Doing::Read.broken())? {
        return Ok(());
    }
    let lost = io::Error::other("the disk does not hold what was written");
    Err(Doing::Sync.broken()(lost))
}

async fn make_durable(
    core: &Core,
    object: &Arc<Object>,
    file: Option<&DataFile>,
    completion: Option<&mut CompletionRight>,
    sync: bool,
) -> Result<(), NotDone> {
    let is_recorded = completion.as_ref().is_some_and(|completion| completion.is_recorded());
    if !is_recorded {
        let opened;
        let file = match file {
            Some(file) => file,
            None => {
                let mode = core.shared.config.write_mode;
                let open = DataFile::open(&core.io, &core.objects, object, mode, false);
                opened = open.await.map_err(Doing::Open.broken())?;
                &opened
            }
        };
        if let Some(completion) = &completion {
            file.trim(&core.io, completion.length()).await.map_err(Doing::Trim.broken())?;
        }
        if sync {
            let mark = object.mark();
            sync_file(core, object, file).await?;
            core.writer.ready(1, true).await.map_err(Doing::Journal.broken())?;
            object.synced(mark, core.journal()).map_err(Doing::Journal.broken())?;
            object.let_close(false);
        }
        if let Some(completion) = completion {
            core.writer.ready(1, true).await.map_err(Doing::Journal.broken())?;
            completion.record(core.journal(), sync).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => NotDone::Changed,
                _ => NotDone::Broken(Broken { doing: Doing::Journal, error }),
            })?;
        }
    }
    if sync {
        for position in object.positions() {
            sync_journal(core, position).await.map_err(Doing::Journal.broken())?;
        }
    } else {
        core.writer.written_all(object).await.map_err(Doing::Journal.broken())?;
    }
    Ok(())
}

/// Group commit: one sync covers every record appended before it started. It mostly covers the requests that waited meanwhile
/// too, and they learn of its failure, whichever core ran it.
pub async fn sync_journal(core: &Core, position: Position) -> io::Result<()> {
    let journal = core.shared.store.journal(position.core());
    core.writer.written(position).await?;
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
            Some(syncing) => run_sync(core, position.core(), syncing).await?,
            None => changed.await,
        }
    }
}

async fn run_sync(core: &Core, journal: usize, syncing: Syncing<'_>) -> io::Result<()> {
    let files: io::Result<Vec<_>> = syncing.files().iter().map(|file| core.writer.file(journal, file)).collect();
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
