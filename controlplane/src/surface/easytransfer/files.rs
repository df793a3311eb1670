//! Listing, looking at and deleting files (CONTRACT.md §2.6, §2.7).

use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use etransfer_contract::ObjectId;
use etransfer_contract::grant::{Act, Remove};
use serde_json::{Value, json};

use super::shape;
use crate::audit;
use crate::authority::Caller;
use crate::catalogue::{Entry, Scope};
use crate::core::Setting;
use crate::core::SurfaceId;
use crate::core::query::Query;
use crate::link::decision::Decision;
use crate::node::{Look, Node, Want};
use crate::surface::easytransfer::Service;
use crate::surface::query::{Invalid, number};
use crate::surface::refusal::Refused;

/// `page_size` at most; `per_page`, its later alias, goes further.
const PAGE_SIZE_MAX: u64 = 100;
const PER_PAGE_MAX: u64 = 1000;
const PAGE_SIZE: u64 = 20;

/// A page of files, newest change first; of all surfaces when asked for (what is of another is only told, never served).
pub async fn list(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Invalid> {
    let query = Query::parse(query.as_deref().unwrap_or_default());
    let page = number(&query, "page", 1, 1..=u64::MAX)?;
    let page_size = match query.get("per_page") {
        Some(_) if query.get("page_size").is_none() => number(&query, "per_page", PAGE_SIZE, 1..=PER_PAGE_MAX)?,
        Some(_) | None => number(&query, "page_size", PAGE_SIZE, 1..=PAGE_SIZE_MAX)?,
    };
    let include_partial = match query.get("include_partial") {
        None => true,
        Some(text) => bool::from_text(text).map_err(|_| Invalid::query("include_partial", "a boolean", text))?,
    };
    let (complete, incomplete) = match query.get("status") {
        None => (true, include_partial),
        Some("complete") => (true, false),
        Some("partial") => (false, true),
        Some(other) => return Err(Invalid::query("status", "complete or partial", other)),
    };
    let skip = usize::try_from((page - 1).saturating_mul(page_size)).unwrap_or(usize::MAX);
    let surface = match query.get("surfaces") {
        None => Some(SurfaceId::EasyTransfer),
        Some("all") => None,
        Some(other) => return Err(Invalid::query("surfaces", "all", other)),
    };
    let scope = Scope { surface, owner: caller.scope() };
    let found = app.node.list(&Want { scope, complete, incomplete, skip, take: page_size as usize });
    let file = |entry: &Entry| {
        let mut file = info(&app.node, entry);
        if surface.is_none() {
            file["surface"] = entry.record.surface.name().into();
        }
        if entry.record.surface != SurfaceId::EasyTransfer {
            // Another surface counts downloads in its own way, or not at all.
            file["metadata"]["download_count"] = Value::Null;
        }
        file
    };
    let files: Vec<Value> = found.entries.iter().map(file).collect();
    Ok(Json(json!({"files": files, "total": found.total, "page": page, "page_size": page_size})))
}

/// One file.
pub async fn get(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    let entry = find(&app.node, &caller, &id)?;
    Ok(Json(info(&app.node, &entry)))
}

/// What a download will find.
pub async fn download_info(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    let entry = find(&app.node, &caller, &id)?;
    let chunk_size = app.node.config().server.chunk_size.0;
    Ok(Json(shape::download_info(&entry, chunk_size, app.node.clock.now_ms())))
}

/// Deletes a file or an upload: its record now, durably; its bytes by the data plane before it answers.
pub async fn delete(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Decision, Refused> {
    let object = find(&app.node, &caller, &id)?.record.id;
    if app.node.delete(object).await?.is_none() {
        return Err(Refused::unknown());
    }
    audit::object(&caller, audit::DELETE, object);
    let body = json!({"status": "deleted", "file_id": object.to_string()}).to_string();
    let fields = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    Ok(Decision::grant(&app.node, Act::Remove(Remove { object, status: 200, fields, body })))
}

/// The expiry sweep, now; one at a time.
pub async fn cleanup(State(app): State<Service>, Extension(caller): Extension<Caller>) -> Result<Json<Value>, Refused> {
    let _alone = app.sweeping.lock().await;
    let (cleaned, commit) = app.node.sweep();
    app.metrics.count_sweep(cleaned);
    commit.wait().await?;
    audit::node(&caller, "sweep");
    Ok(Json(json!({"status": "ok", "cleaned": cleaned})))
}

/// The listed entry an id names. Partials and unfinished finals are no files (T-CON-11); another user's file is as
/// unknown.
pub fn find(node: &Node, caller: &Caller, id: &str) -> Result<Box<Entry>, Refused> {
    match node.look(SurfaceId::EasyTransfer, id.parse::<ObjectId>().map_err(|_| Refused::unknown())?) {
        Look::There(entry) if entry.record.is_listed() && caller.sees(&entry.record) => Ok(entry),
        Look::There(_) | Look::Expired | Look::Unknown => Err(Refused::unknown()),
    }
}

fn info(node: &Node, entry: &Entry) -> Value {
    let expires = entry.due_ms(node.config().uploads.expiration.as_millis() as u64);
    shape::file_info(entry, node.config().server.chunk_size.0, expires)
}
