//! The audit log: who did what to which object, one event each, under the target [`TARGET`] (the log of the node writes them
//! as JSON lines).
//!
//! Must stay true: no event holds a secret; a token is named by its digest, an object by its id, never by its name.

use etransfer_contract::ObjectId;

use crate::authority::Caller;
use crate::catalogue::{Surface, UserId};

/// Target of every event.
pub const TARGET: &str = "etransfer::audit";

/// An upload was made.
pub const CREATE: &str = "create";
/// Content was asked for and may be had.
pub const DOWNLOAD: &str = "download";
/// An upload or file was taken away.
pub const DELETE: &str = "delete";

/// Somebody did something to an object.
pub fn object(caller: &Caller, action: &'static str, object: ObjectId) {
    tracing::info!(target: TARGET, who = %caller.name(), action, %object);
}

/// Somebody a surface knows by a name of its own did something to an object.
pub fn member(surface: Surface, who: &str, action: &'static str, object: ObjectId) {
    tracing::info!(target: TARGET, who = %format_args!("{} {who}", surface.name()), action, %object);
}

/// Somebody did something to the node.
pub fn node(caller: &Caller, action: &'static str) {
    tracing::info!(target: TARGET, who = %caller.name(), action);
}

/// Somebody did something to a person.
pub fn person(caller: &Caller, action: &'static str, user: UserId) {
    tracing::info!(target: TARGET, who = %caller.name(), action, user);
}

/// Somebody did something to a group.
pub fn group(caller: &Caller, action: &'static str, group: i64) {
    tracing::info!(target: TARGET, who = %caller.name(), action, group);
}

/// A person signed in or out.
pub fn login(user: UserId, username: &str, action: &'static str) {
    tracing::info!(target: TARGET, who = %format_args!("user {user} {username}"), action);
}
