//! Uploads and assets, as the catalogue keeps them: for each upload a document and one document for each page of its chunks, so
//! that a chunk writes its page and not all there is; a record for each object.
//!
//! ```text
//! {user}/{id}              what became of the upload
//! /chunks/{base}/{page}    which chunks of a page are there, while it is open
//! ```
//!
//! Must stay true: an upload's document, its pages and the records of what they refer to change in one edit, so that a kill
//! leaves all of a chunk or nothing; a request that changes an upload holds its lock. A base is one upload's alone, so
//! no request finds pages of an earlier upload of the same id.

use etransfer_contract::ObjectId;
use etransfer_contract::grant::Ticket;
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use super::upload::{self, About, Page, Upload};
use super::user::User;
use crate::catalogue::{Entry, Kind, Record};
use crate::core::Policy;
use crate::core::SurfaceId;
use crate::node::{Edit, Node, Room};
use crate::retention::once::Once;
use crate::retention::policy::Keep;
use crate::surface::stream_upload::Service;
use crate::surface::stream_upload::settings::StreamUpload;

const SURFACE: SurfaceId = SurfaceId::StreamUpload;
/// Pages have keys that begin so; no user's key has a slash.
const PAGES: &str = "/chunks/";

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
    /// It was not continued for so long that it counts as gone.
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
pub fn read(app: &Service, key: &str) -> Result<Option<State>, Refusal> {
    let config = app.node.config();
    let state = read_any(&app.node, key)?;
    Ok(state.filter(|state| !state.is_over(config.surfaces.of::<StreamUpload>(), app.node.clock.now_ms())))
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
    let documents = node.docs_under(SURFACE, "").into_iter();
    documents.map(|(key, _)| key).filter(|key| !key.starts_with(PAGES)).collect()
}

/// Where the pages of an upload are.
fn pages_of(upload: &Upload) -> String {
    format!("{PAGES}{}/", upload.base)
}

fn page_key(upload: &Upload, number: u64) -> String {
    format!("{}{number:016x}", pages_of(upload))
}

/// Reads the page of a chunk. A request that changes the upload after it has held its lock since before it was read.
pub fn read_page(node: &Node, upload: &mut Upload, index: u64) -> Result<(), Refusal> {
    let number = upload::page_of(index);
    if let Some(text) = node.doc(SURFACE, &page_key(upload, number)) {
        upload.add_page(number, parse_page(&text)?);
    }
    Ok(())
}

/// Reads all pages. The caller holds the lock of the upload since before it was read.
pub fn read_pages(node: &Node, upload: &mut Upload) -> Result<(), Refusal> {
    for (key, text) in node.docs_under(SURFACE, &pages_of(upload)) {
        upload.add_page(number_of(&key)?, parse_page(&text)?);
    }
    Ok(())
}

fn number_of(key: &str) -> Result<u64, Refusal> {
    let number = key.rsplit('/').next().and_then(|number| u64::from_str_radix(number, 16).ok());
    number.ok_or(Refusal::Internal)
}

fn parse_page(text: &[u8]) -> Result<Page, Refusal> {
    serde_json::from_slice(text).map_err(|error| {
        tracing::error!(%error, "a page of an upload's chunks cannot be read");
        Refusal::Internal
    })
}

/// The edit that makes `after` of `before`: what `after` does not refer to any more goes. Of an open upload that stays open,
/// pages that were not read stay as they are.
pub fn change(node: &Node, key: &str, before: Option<&State>, after: Option<&State>) -> Result<Edit, Refusal> {
    let old = match before {
        Some(State::Open(upload)) => Some(upload),
        // An asset outlives what is remembered of its upload.
        Some(State::Done { .. } | State::Cancelled { .. }) | None => None,
    };
    let new = match after {
        Some(State::Open(upload)) => Some(upload),
        Some(State::Done { .. } | State::Cancelled { .. }) | None => None,
    };
    let mut left = new.map(|upload| upload.objects()).unwrap_or_default();
    if let Some(State::Done { asset, .. }) = after {
        left.insert(*asset);
    }
    let mut edit = Edit::default();
    if let Some(old) = old {
        let mut old = old.clone();
        if new.is_none_or(|new| new.base != old.base) {
            for (key, _) in node.docs_under(SURFACE, &pages_of(&old)) {
                edit = edit.erase(SURFACE, key);
            }
            read_pages(node, &mut old)?;
        }
        edit = old.objects().into_iter().filter(|object| !left.contains(object)).fold(edit, Edit::delete);
    }
    for (number, page) in
        new.iter().flat_map(|new| new.pages().iter().map(move |(number, page)| (page_key(new, *number), page)))
    {
        let text = written(page);
        // As many pages as were read stay as they were, but for one; those of an earlier release are all written now.
        if !page.is_empty() && node.doc(SURFACE, &number).is_none_or(|known| *known != *text) {
            edit = edit.write(SURFACE, number, text);
        }
    }
    Ok(match after {
        Some(state) => edit.write(SURFACE, key, written(state)),
        None => edit.erase(SURFACE, key),
    })
}

fn written<T: Serialize>(what: &T) -> Vec<u8> {
    serde_json::to_vec(what).expect("a state is JSON: its keys are its fields")
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

/// Promises room for bytes that go into `object`: their number, or up to `most` when their number is not known.
pub fn reserve(
    app: &Service,
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
