//! `POST /tus` (TUS.md §A5, §A6, §A7): the record is on disk before the client, or the data plane, hears of the upload.

use axum::Extension;
use axum::extract::State;
use axum::response::IntoResponse;
use etransfer_contract::ObjectId;
use etransfer_contract::grant::{Act, Append, Field};
use etransfer_contract::tus::{self, Concat, CreateHead, DeclaredLength};
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::append::{ahead, length_max};
use super::{concat, expires_after_s};
use crate::audit;
use crate::authority::Caller;
use crate::catalogue::text::{display_name, is_media_type};
use crate::catalogue::{Kind, Principal, Record};
use crate::clock::imf;
use crate::core::Policy;
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::link::meta::{BodyKind, Meta};
use crate::node::{Node, Room};
use crate::retention::once::Once;
use crate::retention::policy::{Wish, choose};
use crate::surface::easytransfer::OWN;
use crate::surface::easytransfer::Service;
use crate::surface::easytransfer::quota::{no_room, upload_rate};
use crate::surface::own_url;
use crate::surface::refusal::Refused;

/// What later releases do with an upload (CONTRACT.md §2.2), and this one does not: accepted in silence, they would
/// lead their client to believe that the file is in a folder, or on its way to another store.
const LATER_KEYS: [&str; 9] = [
    "relativePath",
    "relative_path",
    "folderId",
    "folder_id",
    "folderName",
    "folder_name",
    "sink",
    "sink_config",
    "sink_preset",
];

/// Creates an upload, with its first bytes when there are some.
pub async fn create(
    State(app): State<Service>,
    Extension(meta): Extension<Meta>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Decision, Refused> {
    let head = CreateHead::parse(&headers)?;
    let base = own_url::base(&app.node.config(), &meta, &headers);
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(|key| key.to_owned());
    let mut record = describe(&app.node, &head, &caller)?;
    if let Concat::Final(links) = &head.concat {
        // A key counts per credential: one caller's key is nothing to another.
        record.idempotency_key = key.map(|key| format!("{}:{key}", caller.who.as_str()));
        return concat::create(&app, &caller, record, links, &base, meta.body).await;
    }
    record.length = match head.length {
        DeclaredLength::Known(length) => Some(length),
        DeclaredLength::Deferred | DeclaredLength::FinalOfParts => None,
    };
    check_length(&app.node, record.length)?;
    app.check_person(&caller, record.length)?;
    check_count(&app.node, &record)?;
    if head.body_is_upload && !meta.body.is_empty() {
        return with_upload(&app, &caller, record, &head, &base, meta.body).await;
    }
    if record.length == Some(0) {
        record.completed_ms = Some(record.created_ms);
    }
    let fields = created(&app.node, &record, &base);
    let complete = record.is_complete();
    let expires = record.created_ms + 1000 * expires_after_s(app.node.config().uploads.expiration);
    let object = record.id;
    let account = app.account_of(record.owner.as_ref(), &caller).await?;
    let next = if complete { None } else { ahead(&app.node, &caller, &record, account) };
    app.node.create(record).await?;
    audit::object(&caller, audit::CREATE, object);
    let mut response = StatusCode::CREATED.into_response();
    put(response.headers_mut(), fields);
    put(response.headers_mut(), vec![("Upload-Offset".into(), "0".into())]);
    if !complete {
        put(response.headers_mut(), vec![("Upload-Expires".into(), imf(expires))]);
    }
    let decision = Decision::from(response);
    Ok(match next {
        Some(next) => decision.with_next(next),
        None => decision,
    })
}

/// Creation-with-upload: the same checks as PATCH (T-CWU-4), then a grant.
async fn with_upload(
    app: &Service,
    caller: &Caller,
    record: Record,
    head: &CreateHead,
    base: &str,
    body: BodyKind,
) -> Result<Decision, Refused> {
    let node = &app.node;
    let most = record.length.or(length_max(node));
    if body.length().zip(most).is_some_and(|(body, most)| body > most) {
        let status = if record.length.is_some() { 400 } else { 413 };
        return Err(Refused::new(status, "the body is longer than the upload may be"));
    }
    if let Some(checksum) = &head.checksum {
        checksum.algorithm()?;
    }
    let account = app.account_of(record.owner.as_ref(), caller).await?;
    let ticket = node.ticket();
    let budget = match node.reserve(ticket, body.length(), most.unwrap_or(u64::MAX), account) {
        Room::Unlimited => None,
        Room::Promised(bytes) => Some(bytes),
        room @ (Room::Full { .. } | Room::Unknown) => return Err(no_room(room, 0)),
    };
    let append = Append {
        object: record.id,
        length: record.length,
        length_max: length_max(node),
        parallel: node.config().parallel_writes,
        budget,
        expires_after_s: Some(expires_after_s(node.config().uploads.expiration)),
        expires_unix_ms: None,
        completed: Vec::new(),
        created: Some(created(node, &record, base)),
        rate: upload_rate(caller),
    };
    let object = record.id;
    if let Err(error) = node.create(record).await {
        node.unreserve(ticket);
        return Err(error.into());
    }
    audit::object(caller, audit::CREATE, object);
    Ok(Decision::cached(node, ticket, 0, Act::Append(append)))
}

/// The record of an upload whose length is not looked at yet.
fn describe(node: &Node, head: &CreateHead, caller: &Caller) -> Result<Record, Refused> {
    let metadata = &head.metadata;
    if let Some(key) = LATER_KEYS.iter().find(|key| metadata.get(key).is_some()) {
        return Err(Refused::new(501, format!("this node does not know {key} yet: leave it out of Upload-Metadata")));
    }
    let id = node.new_id();
    let filename = match metadata.get("filename") {
        Some(name) => display_name(name),
        None if metadata.is_present() => return Err(Refused::new(400, "Upload-Metadata has no filename")),
        None => format!("upload_{}", &id.to_string()[..8]),
    };
    let wish = Wish { policy: metadata.get("retention"), ttl: metadata.get("retention_ttl") };
    let role = caller.signed_in().map(|person| &person.quota);
    let retention = &node.config().retention;
    let keep =
        choose(wish, caller.policy, role, retention).map_err(|unclear| Refused::new(400, unclear.to_string()))?;
    if keep.policy == Policy::Permanent && !retention.allow_permanent && !caller.is_privileged() {
        return Err(Refused::new(403, "files may not be kept forever on this node; choose download_once or ttl"));
    }
    Ok(Record {
        id,
        created_ms: node.clock.now_ms(),
        filename,
        mime: metadata.get("filetype").filter(|mime| is_media_type(mime)).map(str::to_owned),
        checksum: metadata.get("checksum").unwrap_or_default().to_owned(),
        metadata: metadata.raw().map(str::to_owned),
        length: None,
        keep,
        kind: match &head.concat {
            Concat::Partial => Kind::Partial,
            Concat::No => Kind::File,
            Concat::Final(_) => Kind::Final { header: head.concat.raw().unwrap_or_default() },
        },
        completed_ms: None,
        download_count: 0,
        once: Once::default(),
        idempotency_key: None,
        owner: caller.owner(),
        maker: caller.maker(),
        surface: SurfaceId::EasyTransfer,
        key: String::new(),
        detail: Value::Null,
    })
}

/// T-CRE-5, and `quota.reject_impossible`: 413.
pub fn check_length(node: &Node, length: Option<u64>) -> Result<(), Refused> {
    let above = |limit: Option<u64>| length.zip(limit).is_some_and(|(length, limit)| length > limit);
    if above(length_max(node)) {
        return Err(Refused::new(413, "Upload-Length is above the largest size this server takes"));
    }
    let whole_node = node.config().storage.max_storage_size.map(|size| size.0);
    if node.config().reject_impossible && above(whole_node) {
        return Err(Refused::new(413, "Upload-Length is above all the space of this node"));
    }
    Ok(())
}

/// T-CRE-9: 429 beyond the allowed number of open uploads, or of records of this caller; what is empty is never open.
pub fn check_count(node: &Node, record: &Record) -> Result<(), Refused> {
    let opens = record.length != Some(0);
    node.admit(Principal::of(record).as_ref(), opens)?;
    if !opens || node.totals(&OWN).open < node.config().uploads.open_max {
        return Ok(());
    }
    Err(Refused::new(429, "too many uploads are open on this node").with(RETRY_AFTER, "60"))
}

/// The fields of a 201 that are not about bytes.
pub fn created(node: &Node, record: &Record, base: &str) -> Vec<Field> {
    let mut fields =
        vec![("Location".to_owned(), location(base, record.id)), ("Tus-Version".to_owned(), tus::VERSION.to_owned())];
    if crate::surface::easytransfer::shape::is_chunked(record) {
        fields.push(("X-Chunk-Size".to_owned(), node.config().server.chunk_size.0.to_string()));
    }
    fields
}

/// Absolute, and the id is its last segment (CONTRACT.md §15.2).
pub fn location(base: &str, id: ObjectId) -> String {
    format!("{base}/tus/{id}")
}

/// Adds grant fields to an ordinary response.
pub fn put(headers: &mut HeaderMap, fields: Vec<Field>) {
    for (name, value) in fields {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), http::HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
}
