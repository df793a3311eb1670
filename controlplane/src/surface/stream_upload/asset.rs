//! Assets: the files uploads became (CONTRACT.md §7).

use axum::Json;
use axum::response::{IntoResponse, Response};
use etransfer_contract::ObjectId;
use etransfer_contract::conditions::Verdict;
use etransfer_contract::grant::Act;
use etransfer_contract::ranges::RequestedRange;
use http::header::RANGE;
use http::{HeaderMap, Method};
use serde_json::json;

use super::refusal::Refusal;
use super::user::User;
use super::{answer, store};
use crate::audit;
use crate::catalogue::Entry;
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::node::{Edit, Look};
use crate::surface::delivery;
use crate::surface::disposition::attachment;
use crate::surface::stream_upload::Service;

/// An asset that `user` may read; anybody may when assets are public (`None`).
fn find(app: &Service, user: Option<&User>, id: &str) -> Result<Entry, Refusal> {
    let id: ObjectId = id.parse().map_err(|_| Refusal::NoAsset)?;
    match app.node.look(SurfaceId::StreamUpload, id) {
        Look::There(entry) if entry.record.is_complete() && !entry.record.key.is_empty() => {
            let is_theirs = user.is_none_or(|user| entry.record.key.starts_with(&store::assets_of(user)));
            if is_theirs { Ok(*entry) } else { Err(Refusal::NoAsset) }
        }
        Look::There(_) | Look::Expired | Look::Unknown => Err(Refusal::NoAsset),
    }
}

/// Its content.
pub fn serve(
    app: &Service,
    user: Option<&User>,
    id: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Decision, Refusal> {
    let entry = find(app, user, id)?;
    let record = &entry.record;
    let (etag, length) = (format!("\"{}\"", record.id), record.length.unwrap_or(0));
    let modified_ms = record.completed_ms.unwrap_or(record.created_ms);
    let ranges_count = delivery::judge(headers, &etag, modified_ms) == Verdict::Go { ranges: true };
    if method == Method::GET && ranges_count && headers.contains_key(RANGE) {
        let asked = RequestedRange::of(headers);
        if asked != RequestedRange::Whole && asked.resolve(|at| length.max(at)).is_none() {
            return Err(Refusal::OutOfRange(length));
        }
    }
    if method == Method::GET {
        let who = user.map_or("anyone", |user| &user.key);
        audit::surface(SurfaceId::StreamUpload, who, audit::DOWNLOAD, record.id);
    }
    let content_type = record.mime.as_deref().unwrap_or("application/octet-stream");
    let fields = delivery::fields(content_type, attachment(&record.filename));
    let serve = delivery::complete(record.id, length, etag, modified_ms, fields);
    Ok(Decision::grant(&app.node, Act::Serve(serve)))
}

/// All of a user's, newest first.
pub fn list(app: &Service, user: &User, base: &str) -> Response {
    let mut entries = app.node.records_under(SurfaceId::StreamUpload, &store::assets_of(user));
    entries.sort_by_key(|entry| (std::cmp::Reverse(entry.record.completed_ms), entry.record.id));
    let assets: Vec<_> = entries.iter().map(|entry| answer::asset(entry, base)).collect();
    Json(json!({"status": "success", "assets": assets})).into_response()
}

/// Takes one away.
pub async fn delete(app: &Service, user: &User, id: &str) -> Result<Decision, Refusal> {
    let record = find(app, Some(user), id)?.record;
    app.node.edit(Edit::default().delete(record.id)).await?;
    audit::surface(SurfaceId::StreamUpload, &user.key, audit::DELETE, record.id);
    Ok(Json(json!({"status": "success", "message": "文件已删除"})).into_response().into())
}
