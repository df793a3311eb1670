//! Files (CONTRACT.md §4): one record each, whose place is the short name; what only this dialect knows stands in the
//! record's detail.

use etransfer_contract::ObjectId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::context::{RequestContext, owner};
use super::downloads::Tally;
use super::stamp::stamp;
use super::{mime, short};
use crate::catalogue::{Entry, Kind, Owner, Record};
use crate::core::Policy;
use crate::core::SurfaceId;
use crate::node::Node;
use crate::node::key_locks::KeyGuard;
use crate::retention::once::Once;
use crate::retention::policy::Keep;

/// What only this dialect knows of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// Downloads, as this dialect counts them (CONTRACT.md §4.2).
    pub downloads: u64,
    /// Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_download_ms: Option<u64>,
    /// It was made by TUS, so its id is the id of an upload.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_tus: bool,
}

impl Detail {
    /// Of a record.
    pub fn of(record: &Record) -> Self {
        serde_json::from_value(record.detail.clone()).unwrap_or_default()
    }

    /// As the record keeps it.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

/// The record of a file, or of an upload that becomes one. No `name`: it is called as its place.
pub fn record(id: ObjectId, place: String, user: &str, name: String, created_ms: u64) -> Record {
    Record {
        id,
        created_ms,
        filename: if name.is_empty() { place.clone() } else { name },
        mime: None,
        checksum: String::new(),
        metadata: None,
        length: None,
        keep: Keep { policy: Policy::Permanent, ttl_s: None },
        kind: Kind::File,
        completed_ms: None,
        download_count: 0,
        once: Once::default(),
        idempotency_key: None,
        owner: Some(owner(user)),
        maker: String::new(),
        surface: SurfaceId::PyBlobServer,
        key: place,
        detail: Value::Null,
    }
}

/// The complete file with this short name.
pub fn find(node: &Node, name: &str) -> Option<Entry> {
    let entry = short::is_name(name).then(|| node.by_place(SurfaceId::PyBlobServer, name)).flatten()?;
    entry.record.is_complete().then_some(entry)
}

/// Draws a short name that is free, and that no other request draws until the guard is dropped: a name is never given
/// twice.
pub async fn draw_place(node: &Node, length: usize) -> (String, KeyGuard<'_>) {
    loop {
        let place = short::draw(length);
        let alone = node.locks.lock(SurfaceId::PyBlobServer, &place).await;
        if node.by_place(SurfaceId::PyBlobServer, &place).is_none() {
            return (place, alone);
        }
    }
}

/// Whose it is.
pub fn user_of(record: &Record) -> &str {
    match &record.owner {
        Some(Owner::Member(SurfaceId::PyBlobServer, user)) => user,
        Some(Owner::Member(..) | Owner::Person(_)) | None => "",
    }
}

/// When it was uploaded; Unix milliseconds.
pub fn uploaded_ms(record: &Record) -> u64 {
    record.completed_ms.unwrap_or(record.created_ms)
}

/// The record of CONTRACT.md §4. `tally`: what is counted and perhaps not written down yet, asked for before the entry
/// was.
pub fn told(context: &RequestContext<'_>, entry: &Entry, tally: Option<Tally>) -> Value {
    let (record, settings) = (&entry.record, context.settings());
    let time = |ms: u64| stamp(ms, settings.datetime_format, &settings.timezone.0);
    let kept = Detail::of(record);
    let times = tally.map_or(kept.downloads, |tally| tally.times.max(kept.downloads));
    json!({
        "file_id": record.key,
        "file_name": record.filename,
        "file_size": record.length.unwrap_or(0),
        "user_id": user_of(record),
        "upload_at": time(uploaded_ms(record)),
        "download_times": times,
        "last_download_at": kept.last_download_ms.max(tally.map(|tally| tally.last_ms)).map(time),
        "file_type": mime::guess(&record.filename).unwrap_or_default(),
    })
}
