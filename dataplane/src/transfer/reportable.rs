//! What may be reported of an upload, by any answer: HEAD, 204, 409, 507.
//!
//! Must stay true: what is reported counts as acknowledged. An offset that equals the length means "complete", so it is
//! reported only of a complete upload; nothing is reported whose record is not written; at `durability: every` no byte and no
//! length is reported that a sync did not cover.

use std::sync::Arc;

use etransfer_contract::SpanSet;
use etransfer_contract::fact::Fact;

use super::fault::{Doing, Fault, prove};
use super::finish::{Stored, finish, record, sync_journal};
use crate::config::Durability;
use crate::core::Core;
use crate::store::{Look, Object};

/// The state of an upload, as far as it may be reported.
pub struct Reportable {
    /// Offset, length, completeness.
    pub look: Look,
    /// The received bytes, when they were requested.
    pub spans: SpanSet,
}

/// What may be reported of `object` now; it is written first, and synced where the level demands it.
pub async fn reportable(core: &Core, object: &Arc<Object>) -> Result<Reportable, Fault> {
    look(core, object, false).await
}

/// As [`reportable`], with the received bytes.
pub async fn reportable_with_spans(core: &Core, object: &Arc<Object>) -> Result<Reportable, Fault> {
    look(core, object, true).await
}

async fn look(core: &Core, object: &Arc<Object>, with_spans: bool) -> Result<Reportable, Fault> {
    prove(core, object).await?;
    let durability = core.shared.config.durability;
    let look = object.look();
    if !look.complete && look.length == Some(look.contiguous) && look.writers == 0 {
        complete(core, object).await?;
    }
    if durability != Durability::Every {
        // Looked at first: what is recorded while this waits is not reported.
        let look = object.look();
        let spans = if with_spans { object.spans() } else { SpanSet::new() };
        record(core, object).await?;
        return Ok(Reportable { look, spans });
    }
    if !object.is_proven() {
        finish(core, object, None, Stored::Promised).await?;
    }
    let (look, spans) = object.proven();
    for position in object.positions() {
        if let Err(error) = sync_journal(core, position).await {
            return Err(Doing::Journal.broken()(error).believe(core, object).await);
        }
    }
    Ok(Reportable { look, spans })
}

/// The progress of an upload for the control plane, which lists it and answers with it.
pub fn progress(core: &Core, object: &Object) -> Fact {
    Fact::Progress(object.presence(core.shared.config.durability == Durability::Every))
}

/// All bytes are there: waits for the request that is completing the object, or completes it here.
async fn complete(core: &Core, object: &Arc<Object>) -> Result<(), Fault> {
    loop {
        let changed = object.writers_changed();
        finish(core, object, None, Stored::Nothing).await?;
        let look = object.look();
        if look.complete || look.removed || look.length != Some(look.contiguous) || !object.is_completing() {
            return Ok(());
        }
        changed.await;
    }
}
