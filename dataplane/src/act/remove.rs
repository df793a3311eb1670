//! DELETE, expiry, consumption: the tombstone first, then the bytes.
//!
//! Order: journal the removal (from here on nobody finds the object, also after a crash) → writers end → unlink → tell.
//! Readers that are under way keep their open file; new ones find nothing (P8, P12, T-TER-4).

use std::io;

use etransfer_contract::ObjectId;
use etransfer_contract::fact::Fact;
use etransfer_contract::grant::Remove;

use super::Answered;
use super::finish::sync_journal;
use super::quiet::end_and_wait;
use crate::config::Durability;
use crate::core::Core;
use crate::data_file;
use crate::http::Reply;

/// Executes a remove grant.
pub async fn remove(core: &Core, permit: &Remove) -> Answered {
    match remove_object(core, permit.object).await {
        Ok(()) => {
            let reply = Reply::new(permit.status).fields(&permit.fields);
            Answered::Reply(if permit.body.is_empty() { reply } else { reply.body(permit.body.as_str()) })
        }
        Err(error) => {
            tracing::error!(object = %permit.object, %error, "remove an object");
            Answered::Reply(Reply::detail(500, "the disk failed while removing; try again"))
        }
    }
}

/// Removes an object and tells it; an object without a byte gets a tombstone too, so that a late PATCH can not make it.
pub async fn remove_object(core: &Core, id: ObjectId) -> io::Result<()> {
    if let Ok(object) = core.shared.store.find_or_create(id, None) {
        object.remove(core.journal())?;
        if core.shared.config.durability != Durability::None {
            // A power loss must not keep the unlinking and forget the removal.
            sync_journal(core, core.journal().position()).await?;
        }
        if !end_and_wait(core, &object, None).await {
            tracing::warn!(object = %id, "a writer does not end; its bytes go when it does");
        }
        data_file::unlink(&core.io, &core.objects, id).await?;
    }
    core.shared.facts.push(Fact::Removed { object: id });
    Ok(())
}
