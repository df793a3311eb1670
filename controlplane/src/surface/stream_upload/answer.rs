//! The bodies of answers (CONTRACT.md §4.5, §5, §7).

use axum::Json;
use axum::response::{IntoResponse, Response};
use etransfer_contract::ObjectId;
use serde_json::{Value, json};

use super::chunk::Chunk;
use super::store::{self, Digests};
use super::upload::{About, Upload};
use crate::catalogue::Entry;
use crate::core::SurfaceId;
use crate::node::Look;
use crate::surface::stream_upload::Service;

/// A chunk that counts; `asset`: the file it was the last of.
pub fn chunk(index: u64, count: u64, total: u64, asset: Option<Value>) -> Response {
    let mut body = json!({
        "status": "success",
        "message": format!("分块 {}/{total} 上传成功", index + 1),
        "uploadedChunks": count,
        "totalChunks": total,
    });
    if let Some(asset) = asset {
        body["asset"] = asset;
    }
    Json(body).into_response()
}

/// A chunk of an upload that is finished; `None`: its asset was deleted, so that the id is free again.
pub fn chunk_of_asset(of: &Chunk<'_>, about: &About, asset: ObjectId) -> Option<Response> {
    let asset = asset_of(of.app, asset, &of.base)?;
    Some(chunk(of.head.index, about.total, about.total, Some(asset)))
}

/// An asset, by its id.
pub fn asset_of(app: &Service, id: ObjectId, base: &str) -> Option<Value> {
    match app.node.look(SurfaceId::StreamUpload, id) {
        Look::There(entry) => Some(asset(&entry, base)),
        Look::Expired | Look::Unknown => None,
    }
}

/// An asset, as other uploads of the original's kind are told.
pub fn asset(entry: &Entry, base: &str) -> Value {
    let (record, Digests { md5, sha256 }) = (&entry.record, store::digests(entry));
    json!({
        "id": record.id.to_string(),
        "md5": md5,
        "sha256": sha256,
        "url": format!("{base}/api/scratch/assets/{}", record.id),
        "filename": record.filename,
        "mimeType": record.mime,
        "size": record.length,
    })
}

/// The status of an upload that is not finished.
pub fn status(upload: &Upload) -> Value {
    json!({
        "status": "success",
        "uploadedChunks": upload.count(),
        "chunks": upload.indices(),
        "totalChunks": upload.about.total,
        "filename": upload.about.name,
        "fileSize": upload.about.size,
        "receivedBytes": upload.received(),
        "completed": false,
    })
}

/// The status of one that is.
pub fn status_of_asset(about: &About, asset: Value) -> Value {
    json!({
        "status": "success",
        "uploadedChunks": about.total,
        "chunks": (0..about.total).collect::<Vec<u64>>(),
        "totalChunks": about.total,
        "filename": about.name,
        "fileSize": about.size,
        "receivedBytes": about.size,
        "completed": true,
        "asset": asset,
    })
}
