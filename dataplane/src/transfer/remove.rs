//! DELETE, expiry, consumption: the tombstone first, then the bytes.
//!
//! Order: append the removal to the journal (from here on no request finds the object) → write and sync that record, at every
//! durability level (a power loss must not keep the unlinking and forget the removal) → writers end → unlink → report.
//! Readers that are under way keep their open file; new ones find nothing (PROMISES.md P8, P12, T-TER-4).
//!
//! Must stay true: [`bury`] is the only code of the data plane that unlinks an object's file, and it takes the proof that the
//! removal is recorded. What it cannot unlink stays counted and is tried again, also by later runs, until it is gone; only then
//! is it reported to the control plane.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use etransfer_contract::ObjectId;
use etransfer_contract::fact::Fact;
use etransfer_contract::grant::Remove;
use etransfer_contract::order::What;

use super::Answered;
use super::fence::fence_writers;
use super::finish::sync_journal;
use crate::core::Core;
use crate::http::Reply;
use crate::store::{Condemned, ObjectPath};

/// How soon a file that could not be unlinked is tried again, at first and at most.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// How often the quarantine is looked at, at most: also how long a start leaves its clock time to be set right.
const QUARANTINE_LOOK: Duration = Duration::from_secs(3600);
/// When the wall clock and the monotonic one disagree by this much, the wall clock was set, and ages are not trusted
/// (PROMISES.md P11).
const CLOCK_STEP: Duration = Duration::from_secs(3600);

/// Executes a remove grant.
pub async fn remove(core: &Core, permit: &Remove) -> Answered {
    match remove_object(core, permit.object).await {
        Ok(()) => {
            let reply = Reply::new(permit.status).fields(&permit.fields);
            Answered::Reply(if permit.body.is_empty() { reply } else { reply.body(permit.body.as_str()) })
        }
        Err(error) => {
            tracing::error!(object = %permit.object, %error, "remove an object");
            Answered::Reply(Reply::detail(
                500,
                format!("its bytes could not be removed: {error}; the node keeps trying"),
            ))
        }
    }
}

/// Removes an object and reports it. An object without a byte gets a tombstone too, so that a late PATCH cannot create it.
pub async fn remove_object(core: &Core, id: ObjectId) -> io::Result<()> {
    erase(core, id).await?;
    core.shared.facts.push(Fact::Removed { object: id });
    Ok(())
}

/// As [`remove_object`], without a report.
pub async fn erase(core: &Core, id: ObjectId) -> io::Result<()> {
    core.writer.ready(1, true).await?;
    match core.shared.store.condemn(id, core.journal())? {
        Some(condemned) => bury(core, &condemned).await,
        None => Ok(()),
    }
}

/// Executes an order of the control plane. `Some`: the object whose removal is not even recorded.
pub async fn carry_out(core: Rc<Core>, what: What) -> Option<ObjectId> {
    let What::Remove { object: id, unless_written_since_unix_ms } = what;
    if let (Some(since), Some(object)) = (unless_written_since_unix_ms, core.shared.store.find(id)) {
        let look = object.look();
        if look.writers > 0 || look.written_unix_ms > since {
            return None;
        }
    }
    // A conditional one that fails is ordered again by the next sweep, with its condition.
    try_remove(&core, id).await.filter(|_| unless_written_since_unix_ms.is_none())
}

async fn try_remove(core: &Core, id: ObjectId) -> Option<ObjectId> {
    let error = remove_object(core, id).await.err()?;
    tracing::error!(object = %id, %error, "carry out a removal");
    (!core.shared.store.is_removed(id)).then_some(id)
}

/// Unlinks the file of an object whose removal is recorded; a missing file is no error.
async fn bury(core: &Core, condemned: &Condemned) -> io::Result<()> {
    if let Some(position) = condemned.recorded_at() {
        sync_journal(core, position).await?;
    }
    if let Some(object) = condemned.object()
        && !fence_writers(core, object, None).await
    {
        tracing::warn!(object = %condemned.id(), "a writer does not end; its bytes go when it does");
    }
    match core.io.unlink_at(&core.objects, ObjectPath::of(condemned.id()).as_str()).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => core.shared.store.unlinked(condemned),
    }
    Ok(())
}

/// Retries what could not be unlinked; one task of one core runs this.
pub async fn retry(core: Rc<Core>) {
    let mut pause = RETRY;
    loop {
        core.io.sleep(pause).await;
        let mut failed = None;
        for condemned in core.shared.store.condemned() {
            match bury(&core, &condemned).await {
                Ok(()) => {
                    tracing::info!(object = %condemned.id(), "the bytes of a removed object were unlinked by a retry");
                    core.shared.facts.push(Fact::Removed { object: condemned.id() });
                }
                Err(error) => failed = Some((condemned.id(), error)),
            }
        }
        pause = match failed {
            Some((object, error)) => {
                tracing::warn!(%object, %error, "the bytes of a removed object cannot be unlinked; they still count");
                (pause * 2).min(RETRY_MAX)
            }
            None => RETRY,
        };
    }
}

/// Unlinks what has been in the quarantine for as long as the operator wants; one task of one core runs this.
pub async fn sweep_quarantine(core: Rc<Core>) {
    let limit = core.shared.config.quarantine;
    let look = limit.unwrap_or(QUARANTINE_LOOK).min(QUARANTINE_LOOK);
    let (mut wall, mut ticks) = (core.io.unix_time(), core.io.now());
    loop {
        core.io.sleep(look).await;
        let expected = wall + core.io.now().saturating_duration_since(ticks);
        (wall, ticks) = (core.io.unix_time(), core.io.now());
        let is_steady = wall.abs_diff(expected) < CLOCK_STEP;
        let before = limit.filter(|_| is_steady).map_or(0, |limit| wall.saturating_sub(limit).as_millis() as u64);
        let store = std::sync::Arc::clone(&core.shared.store);
        let swept = core.io.off_core(move || {
            let gone = store.sweep_quarantine(before)?;
            store.quarantined().map(|_| gone)
        });
        match swept.await {
            Ok(gone) => {
                for file in gone {
                    tracing::info!(object = %file.object, bytes = file.bytes, "a file left the quarantine: its time has expired");
                }
            }
            Err(error) => tracing::error!(%error, "sweep the quarantine"),
        }
    }
}
