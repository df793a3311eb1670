//! One file on its way in, whatever it came in: room for it, its content, its record (CONTRACT.md §4.1).
//!
//! Must stay true: nothing refers to the bytes before the record is durable, and no client is told of a file before
//! that; so a crash or a client that goes away leaves neither a record nor used space.

use etransfer_contract::ObjectId;
use etransfer_contract::grant::Ticket;
use etransfer_contract::step::{Failure, Receive, What};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::context::RequestContext;
use super::refusal::Refusal;
use super::user::User;
use super::{file, room};
use crate::audit;
use crate::catalogue::Principal;
use crate::core::SurfaceId;
use crate::node::Edit;

/// A file whose content is being received; part of a memo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coming {
    /// Where its bytes go.
    object: ObjectId,
    /// What it is called.
    pub name: String,
    /// It was promised less than it may be, for the user has no more.
    is_cut: bool,
}

#[cfg(test)]
impl Coming {
    /// One as JSON.
    pub(super) fn example(name: &str, is_cut: bool) -> Value {
        json!({"object": crate::golden::object(0x11), "name": name, "is_cut": is_cut})
    }
}

/// Reserves what the file may be, and the step that lets it come. `announced`: bytes of the body, as far as it says.
pub async fn receive(
    context: &RequestContext<'_>,
    user: &str,
    name: String,
    announced: Option<u64>,
) -> Result<(Ticket, Coming, What), Refusal> {
    let (node, max) = (context.node(), context.file_bytes_max());
    let (ticket, object) = (node.ticket(), node.new_id());
    let account = context.account(user);
    node.admit(Some(&Principal::Owner(account.owner.clone())), false)?;
    let promise = room::reserve(node, ticket, announced, max, &account).await?;
    node.expect_bytes(ticket, object, Some(account.owner));
    let receive = Receive {
        object,
        at: 0,
        is_whole: true,
        sync: true,
        exact: None,
        min: 0,
        max,
        digests: Vec::new(),
        expect: Vec::new(),
        budget: promise.bytes,
        rate: None,
    };
    Ok((ticket, Coming { object, name, is_cut: promise.is_cut }, What::Receive(receive)))
}

/// The record of bytes that are there, durable, and what is told about it.
pub async fn keep(context: &RequestContext<'_>, user: &str, coming: &Coming, bytes: u64) -> Result<Value, Refusal> {
    let node = context.node();
    let _alone = User::lock(node, user).await;
    let now = node.clock.now_ms();
    let (place, _nobody_else) = file::draw_place(node, context.settings().short_path_length).await;
    let mut record = file::record(coming.object, place.clone(), user, coming.name.clone(), now);
    record.length = Some(bytes);
    record.completed_ms = Some(now);
    let mut kept = User::read(node, user).unwrap_or_default();
    kept.count_upload(bytes, now);
    node.edit(kept.write(user, Edit::default().put(record))).await?;
    audit::surface(SurfaceId::PyBlobServer, user, audit::CREATE, coming.object);
    let url = format!("{}/s/{place}", context.base());
    Ok(json!({ "file_id": place, "file_url": url, "show_image": format!("{url}?output=html") }))
}

/// What content that did not come in is told as.
pub fn refusal(context: &RequestContext<'_>, failure: Failure, coming: Option<&Coming>) -> Refusal {
    let settings = context.settings();
    match failure {
        Failure::TooLong => Refusal::FileTooLarge(settings.file_size_limit_mb),
        Failure::NoRoom if coming.is_some_and(|coming| coming.is_cut) => {
            Refusal::TotalTooLarge(settings.total_size_limit_mb)
        }
        Failure::NoRoom | Failure::DiskFull => Refusal::NodeFull,
        Failure::Revoked => Refusal::InvalidToken,
        Failure::Malformed
        | Failure::FieldTooLong
        | Failure::Short
        | Failure::Mismatch
        | Failure::Taken
        | Failure::Gone
        | Failure::Disk
        | Failure::NoUpgrade => Refusal::Failed,
    }
}
