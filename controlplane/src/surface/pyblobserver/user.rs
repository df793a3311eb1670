//! Users (CONTRACT.md §3): one small document each, `user/<hex of the id>`; what their files add up to is counted from
//! the records.
//!
//! Must stay true: a request that changes a user's document, or takes a record of theirs away, holds the user's lock
//! over the edit; a token leaves the server in clear once, in the answer to who may have it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::context::{RequestContext, owner};
use super::refusal::Refusal;
use super::stamp::stamp;
use super::tokens::{self, Digest};
use super::tus::finished;
use crate::audit;
use crate::authority::{Denied, Presented};
use crate::catalogue::Scope;
use crate::core::SurfaceId;
use crate::node::key_locks::KeyGuard;
use crate::node::{Edit, Node};
use crate::surface::pyblobserver::settings::TokenBootstrap;
use http::Uri;

const HIDDEN: &str = "[hidden...]";
/// The actor where no credential is asked for.
const ANYONE: &str = "anyone";

/// What is kept about a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// Unix milliseconds; `None`: has a configured token and never asked for the record.
    pub created_ms: Option<u64>,
    /// SHA-256 of the token that was issued.
    pub token: Option<Digest>,
    /// SHA-256 of the configured token it replaced.
    pub instead_of: Option<Digest>,
    /// Files uploaded, ever.
    pub uploads: u64,
    /// Bytes of them.
    pub upload_bytes: u64,
    /// When the last one was.
    pub last_upload_ms: Option<u64>,
    /// Downloads of this user's files, ever.
    pub downloads: u64,
    /// Bytes of them.
    pub download_bytes: u64,
    /// When the last one was.
    pub last_download_ms: Option<u64>,
}

impl User {
    /// Where it stands. In hex, so that no id looks like another's place.
    pub fn key(user: &str) -> String {
        format!("user/{}", tokens::hex(user.as_bytes()))
    }

    /// No other request changes what is kept of this user, or takes their records away, until the guard is dropped.
    pub async fn lock<'n>(node: &'n Node, user: &str) -> KeyGuard<'n> {
        node.locks.lock(SurfaceId::PyBlobServer, &Self::key(user)).await
    }

    /// What is kept; `None`: nothing yet.
    pub fn read(node: &Node, user: &str) -> Option<Self> {
        let text = node.doc(SurfaceId::PyBlobServer, &Self::key(user))?;
        match serde_json::from_slice(&text) {
            Ok(read) => Some(read),
            Err(error) => {
                // As a user whom no token lets in: one that seemed unknown would be anybody's to take.
                tracing::error!(%error, "a user's document cannot be read");
                Some(Self { created_ms: Some(0), ..Self::default() })
            }
        }
    }

    /// Adds the document to an edit.
    pub fn write(&self, user: &str, edit: Edit) -> Edit {
        let text = serde_json::to_vec(self).expect("a struct of numbers is always JSON");
        edit.write(SurfaceId::PyBlobServer, Self::key(user), text)
    }

    /// One more upload.
    pub fn count_upload(&mut self, bytes: u64, at_ms: u64) {
        self.uploads += 1;
        self.upload_bytes = self.upload_bytes.saturating_add(bytes);
        self.last_upload_ms = self.last_upload_ms.max(Some(at_ms));
    }
}

/// `GET /user/{user_id}` and its `?function=change_token` (CONTRACT.md §3.1, §3.2).
pub async fn show(context: &RequestContext<'_>, id: &str) -> Result<Response, Refusal> {
    let changes = context.query().get("function") == Some("change_token");
    let is_open = match context.settings().token_bootstrap {
        TokenBootstrap::Open => true,
        TokenBootstrap::Admin => changes && context.settings().open_token_change,
    };
    // Before anything is said about the id: otherwise the caller learns which users there are.
    let who = if is_open { ANYONE.to_owned() } else { may_change(context, id).await? };
    if tokens::allowed(context.settings(), id).is_none() {
        return Err(Refusal::UserNotAllowed);
    }
    if changes {
        return change_token(context, id, who).await;
    }
    finished::count(context.app, id).await?;
    let user = match User::read(context.node(), id) {
        Some(user) if user.created_ms.is_some() => user,
        Some(_) | None => return first_call(context, id, &who).await,
    };
    Ok(Json(told(context, id, &user, HIDDEN)).into_response())
}

/// The first call ever makes the user and hands out the token, unless one is configured: to an administrator, or to
/// anybody where the configuration says so.
async fn first_call(context: &RequestContext<'_>, id: &str, who: &str) -> Result<Response, Refusal> {
    let _alone = User::lock(context.node(), id).await;
    let mut user = User::read(context.node(), id).unwrap_or_default();
    if user.created_ms.is_some() {
        return Ok(Json(told(context, id, &user, HIDDEN)).into_response());
    }
    user.created_ms = Some(context.node().clock.now_ms());
    let has_preset = tokens::allowed(context.settings(), id).and_then(tokens::preset).is_some();
    let issues = !has_preset && user.token.is_none();
    let mut edit = Edit::default();
    let mut clear = None;
    if issues {
        let (token, digest) = tokens::issue();
        user.token = Some(digest);
        edit = edit.write(SurfaceId::PyBlobServer, tokens::issued_key(&digest), id);
        clear = Some(token);
    }
    context.node().edit(user.write(id, edit)).await?;
    if issues {
        audit::act_on(SurfaceId::PyBlobServer, who, "issue token", id);
    }
    Ok(Json(told(context, id, &user, clear.as_deref().unwrap_or(HIDDEN))).into_response())
}

/// A new token instead of the old one.
async fn change_token(context: &RequestContext<'_>, id: &str, who: String) -> Result<Response, Refusal> {
    let is_open = context.settings().open_token_change;
    let who = if is_open || who != ANYONE { who } else { may_change(context, id).await? };
    let _alone = User::lock(context.node(), id).await;
    let preset = tokens::allowed(context.settings(), id).and_then(tokens::preset);
    let mut user = match User::read(context.node(), id) {
        Some(user) => user,
        None if preset.is_some() => User::default(),
        None => return Err(Refusal::UserNotFound),
    };
    let (token, digest) = tokens::issue();
    let mut edit = Edit::default();
    if let Some(old) = user.token.replace(digest) {
        edit = edit.erase(SurfaceId::PyBlobServer, tokens::issued_key(&old));
    }
    user.instead_of = preset;
    edit = edit.write(SurfaceId::PyBlobServer, tokens::issued_key(&digest), id);
    context.node().edit(user.write(id, edit)).await?;
    audit::act_on(SurfaceId::PyBlobServer, &who, "change token", id);
    context.node().revoke();
    Ok(Json(told(context, id, &user, &token)).into_response())
}

/// The user, or who administers this node; what the audit log calls them.
async fn may_change(context: &RequestContext<'_>, id: &str) -> Result<String, Refusal> {
    let refusal = match context.user() {
        Ok(user) if user == id => return Ok(user),
        Ok(_) => Refusal::UserNotAllowed,
        Err(refusal) => refusal,
    };
    if context.config.auth.enabled {
        let presented = Presented::of(&context.method, &Uri::from_static("/"), &context.headers);
        let peer = context.meta.peer.map(|peer| peer.ip());
        let roles = &context.config.user_system.role_quotas;
        match context.app.authority.judge(&presented, peer, roles).await {
            Ok(caller) if caller.may_administer() => return Ok(caller.name()),
            Ok(_) | Err(Denied::Unauthorized) => {}
            Err(Denied::TooMany(too_many)) => return Err(too_many.into()),
            Err(Denied::People(_) | Denied::Busy) => return Err(Refusal::Away),
        }
    }
    Err(refusal)
}

/// The record of 3.1.
fn told(context: &RequestContext<'_>, id: &str, user: &User, token: &str) -> Value {
    let settings = context.settings();
    let time = |ms: Option<u64>| ms.map(|ms| stamp(ms, settings.datetime_format, &settings.timezone.0));
    let scope = Scope { surface: Some(SurfaceId::PyBlobServer), owner: Some(owner(id)) };
    // What is counted and not written down yet is asked first: the document read here is never older.
    let live = context.app.downloads.of_user(id);
    let kept = User::read(context.node(), id).unwrap_or_else(|| user.clone());
    let downloads = live.map_or(kept.downloads, |live| live.times.max(kept.downloads));
    let download_bytes = live.map_or(kept.download_bytes, |live| live.bytes.max(kept.download_bytes));
    json!({
        "user": id,
        "token": token,
        "total_size": context.node().totals(&scope).file_bytes,
        "total_upload_times": user.uploads,
        "total_upload_byte": user.upload_bytes,
        "total_download_times": downloads,
        "total_download_byte": download_bytes,
        "created_at": time(user.created_ms),
        "last_upload_at": time(user.last_upload_ms),
        "last_download_at": time(kept.last_download_ms.max(live.map(|live| live.last_ms))),
    })
}
