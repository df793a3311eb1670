//! The limits of a user (contract section 1): promised before a byte comes, so that parallel uploads never pass them.

use std::time::Duration;

use etransfer_contract::grant::Ticket;

use super::asked::MB;
use super::refusal::Refusal;
use crate::node::{Account, Node, Room, Whose};

/// How long room that is about to be free is waited for: bytes of deleted files leave the disk in a moment, and what other
/// uploads were promised and do not use comes back.
const WAIT: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Promises `most` bytes to the ticket, or as many as there are left for the account. 0 is a promise too: an empty file
/// fits always.
pub async fn reserve(node: &Node, ticket: Ticket, most: u64, account: &Account) -> Result<u64, Refusal> {
    let deadline = tokio::time::Instant::now() + WAIT;
    loop {
        let promised = match node.reserve(ticket, None, most, Some(account.clone())) {
            Room::Unlimited => return Ok(most),
            Room::Promised(bytes) if bytes == most => return Ok(bytes),
            Room::Promised(bytes) => bytes,
            Room::Full { whose: Whose::Person, .. } => 0,
            Room::Full { whose: Whose::Node, .. } => return Err(Refusal::NodeFull),
            Room::Unknown => return Err(Refusal::Away),
        };
        let is_in_the_way = node.used_by(&account.owner).saturating_add(most) <= account.max.unwrap_or(u64::MAX);
        if is_in_the_way && tokio::time::Instant::now() < deadline {
            node.unreserve(ticket);
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        }
        if promised == 0 {
            node.reserve(ticket, Some(0), 0, Some(account.clone()));
        }
        return Ok(promised);
    }
}

/// What cut a promise short that is still open: the account, not the node.
pub fn is_full(node: &Node, account: &Account) -> bool {
    matches!(node.would_fit(1, account), Room::Full { .. })
}

/// `available_space` of an answer.
pub fn available(node: &Node, account: &Account) -> String {
    let left = account.max.unwrap_or(u64::MAX).saturating_sub(node.used_by(&account.owner));
    format!("{:.3} MB", left as f64 / MB as f64)
}
