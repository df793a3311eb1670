//! The limits of a user (CONTRACT.md §1): promised before a byte comes, so that parallel uploads never pass them.

use std::time::Duration;

use etransfer_contract::grant::Ticket;

use super::context::MB;
use super::refusal::Refusal;
use crate::node::{Account, Node, Room, Whose};

/// How long room that is about to be free is waited for: bytes of deleted files leave the disk in a moment, and what other
/// uploads were promised and do not use comes back.
const WAIT: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What a body may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// Bytes.
    pub bytes: u64,
    /// Fewer than it may want, because the account has no more.
    pub is_cut: bool,
}

/// Promises the bytes of a body to the ticket, at most `most`; or as many as there are left for the account. 0 is a
/// promise too: an empty file fits always. A body that tells no length is promised all there is, so it is content with half
/// of it while others are at work.
pub async fn reserve(
    node: &Node,
    ticket: Ticket,
    body: Option<u64>,
    most: u64,
    account: &Account,
) -> Result<Promise, Refusal> {
    let wanted = body.map_or(most, |bytes| bytes.min(most));
    let deadline = tokio::time::Instant::now() + WAIT;
    loop {
        let bytes = match node.reserve(ticket, None, wanted, Some(account.clone())) {
            Room::Unlimited => wanted,
            Room::Promised(bytes) => bytes,
            Room::Full { whose: Whose::Person, .. } => 0,
            Room::Full { whose: Whose::Node, .. } => return Err(Refusal::NodeFull),
            Room::Unknown => return Err(Refusal::Away),
        };
        let left = account.max.unwrap_or(u64::MAX).saturating_sub(node.used_by(&account.owner)).min(wanted);
        let enough = if body.is_some() { left } else { left.div_ceil(2) };
        if bytes < enough && tokio::time::Instant::now() < deadline {
            node.unreserve(ticket);
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        }
        if bytes == 0 {
            node.reserve(ticket, Some(0), 0, Some(account.clone()));
        }
        let is_accounts =
            node.config().storage.max_storage_size.is_none() || matches!(node.would_fit(1, account), Room::Full { .. });
        return Ok(Promise { bytes, is_cut: bytes < wanted && is_accounts });
    }
}

/// `available_space` of an answer.
pub fn available(node: &Node, account: &Account) -> String {
    let left = account.max.unwrap_or(u64::MAX).saturating_sub(node.used_by(&account.owner));
    format!("{:.3} MB", left as f64 / MB as f64)
}
