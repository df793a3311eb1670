//! Uploads and assets, as the catalogue keeps them: a document for each upload, a record for each object.
//!
//! Must stay true: a document and the records of what it refers to change in one edit; whoever changes an upload holds its
//! lock.

use etransfer_contract::ObjectId;
use etransfer_contract::grant::Ticket;
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use super::upload::{About, Upload};
use super::user::User;
use crate::catalogue::{Entry, Keep, Kind, Record, Surface};
use crate::config::Policy;
use crate::config::surfaces::StreamUpload;
use crate::node::{Edit, Node, Room};
use crate::retention::once::Once;
use crate::server::App;

const SURFACE: Surface = Surface::StreamUpload;

/// What became of an upload id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Chunks are missing, or not put together yet.
    Open(Box<Upload>),
    /// It is an asset.
    Done {
        /// Which.
        asset: ObjectId,
        /// What it was announced as.
        about: About,
        /// Unix milliseconds.
        at_ms: u64,
    },
    /// Its user took it back.
    Cancelled {
        /// Unix milliseconds.
        at_ms: u64,
    },
}

/// Digests of an asset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// 32 hex digits.
    pub md5: String,
    /// 64 hex digits.
    pub sha256: String,
}

impl State {
    /// Nobody went on with it for so long that it counts as gone.
    pub fn is_over(&self, settings: &StreamUpload, now_ms: u64) -> bool {
        let (since_ms, seconds) = match self {
            Self::Open(upload) => (upload.last_ms, settings.upload_ttl_seconds),
            Self::Done { at_ms, .. } | Self::Cancelled { at_ms } => (*at_ms, settings.tombstone_seconds),
        };
        since_ms.saturating_add(seconds.saturating_mul(1000)) <= now_ms
    }
}

/// Where an upload's document is.
pub fn key(user: &User, id: &str) -> String {
    format!("{}/{id}", user.key)
}

/// What is known about an upload; `None`: nothing, or nothing any more.
pub fn read(app: &App, key: &str) -> Result<Option<State>, Refusal> {
    let config = app.node.config();
    let state = read_any(&app.node, key)?;
    Ok(state.filter(|state| !state.is_over(&config.surfaces.stream_upload, app.node.clock.now_ms())))
}

/// The same, also when its time is over.
pub fn read_any(node: &Node, key: &str) -> Result<Option<State>, Refusal> {
    let Some(text) = node.doc(SURFACE, key) else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        tracing::error!(key, %error, "the document of an upload cannot be read");
        Refusal::Internal
    })
}

/// The keys of all uploads.
pub fn keys(node: &Node) -> Vec<String> {
    node.docs_under(SURFACE, "").into_iter().map(|(key, _)| key).collect()
}

/// The edit that makes `after` of `before`: what `after` does not refer to any more goes.
pub fn change(key: &str, before: Option<&State>, after: Option<&State>) -> Edit {
    let objects = |state: Option<&State>| match state {
        Some(State::Open(upload)) => upload.objects(),
        Some(State::Done { asset, .. }) => [*asset].into(),
        Some(State::Cancelled { .. }) | None => Default::default(),
    };
    let left = objects(after);
    // An asset outlives what is remembered of its upload.
    let gone = objects(before.filter(|state| matches!(state, State::Open(_))));
    let edit = gone.into_iter().filter(|object| !left.contains(object)).fold(Edit::default(), Edit::delete);
    match after {
        Some(state) => {
            edit.write(SURFACE, key, serde_json::to_vec(state).expect("a state is JSON: its keys are its fields"))
        }
        None => edit.erase(SURFACE, key),
    }
}

/// The record of a chunk's object: an upload's base, or a piece.
pub fn chunk_record(user: &User, about: &About, object: ObjectId, bytes: Option<u64>, now_ms: u64) -> Record {
    Record {
        id: object,
        created_ms: now_ms,
        filename: about.name.clone(),
        mime: Some(about.mime.clone()),
        checksum: String::new(),
        metadata: None,
        length: bytes,
        keep: Keep { policy: Policy::Permanent, ttl_s: None },
        kind: if bytes.is_some() { Kind::Partial } else { Kind::File },
        completed_ms: bytes.map(|_| now_ms),
        download_count: 0,
        once: Once::default(),
        idempotency_key: None,
        owner: Some(user.owner.clone()),
        maker: String::new(),
        surface: SURFACE,
        key: String::new(),
        detail: serde_json::Value::Null,
    }
}

/// The record of an asset.
pub fn asset_record(user: &User, about: &About, object: ObjectId, digests: &Digests, now_ms: u64) -> Record {
    Record {
        kind: Kind::File,
        completed_ms: Some(now_ms),
        key: format!("{}{object}", assets_of(user)),
        detail: serde_json::to_value(digests).expect("digests are JSON: their keys are their fields"),
        ..chunk_record(user, about, object, Some(about.size), now_ms)
    }
}

/// Where the records of a user's assets are.
pub fn assets_of(user: &User) -> String {
    format!("{}/", user.key)
}

/// Digests of an asset, from its record.
pub fn digests(entry: &Entry) -> Digests {
    serde_json::from_value(entry.record.detail.clone()).unwrap_or_default()
}

/// Promises room for bytes that go into `object`: so many, or up to `most` when their number is not known.
pub fn reserve(
    app: &App,
    user: &User,
    ticket: Ticket,
    object: ObjectId,
    bytes: Option<u64>,
    most: u64,
) -> Result<u64, Refusal> {
    let budget = match app.node.reserve(ticket, bytes, most, Some(user.account())) {
        Room::Unlimited => bytes.unwrap_or(most),
        Room::Promised(bytes) => bytes,
        Room::Full { .. } => return Err(Refusal::Full),
        Room::Unknown => return Err(Refusal::Unavailable),
    };
    app.node.expect_bytes(ticket, object, Some(user.owner.clone()));
    Ok(budget)
}
