//! `GET /list` (CONTRACT.md §4.3): the caller's files, newest upload first, as they are at this moment.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::context::{RequestContext, owner};
use super::file;
use super::refusal::Refusal;
use crate::catalogue::{Entry, Scope};
use crate::core::SurfaceId;
use crate::node::{Node, Want};

/// Lists.
pub fn list(context: &RequestContext<'_>) -> Result<Response, Refusal> {
    let user = context.user()?;
    let tallies = context.app.downloads.of_files(&user);
    let files = of_user(context.node(), &user);
    let told: Vec<Value> =
        files.iter().map(|entry| file::told(context, entry, tallies.get(&entry.record.key).copied())).collect();
    Ok(Json(told).into_response())
}

/// Complete files of a user, newest first.
pub fn of_user(node: &Node, user: &str) -> Vec<Entry> {
    let scope = Scope { surface: Some(SurfaceId::PyBlobServer), owner: Some(owner(user)) };
    node.list(&Want { scope, complete: true, incomplete: false, skip: 0, take: usize::MAX }).entries
}
