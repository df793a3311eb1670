//! The stream upload dialect (contract stream-upload.md): not built yet, every path answers 501.

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::mounts::Mounted;
use crate::server::App;

/// This dialect in messages and metrics.
pub const NAME: &str = "stream_upload";

/// One request to its answer.
pub async fn handle(_app: &App, _mounted: &Mounted, _request: Request) -> Response {
    let body = json!({"status": "error", "message": "stream_upload is not available on this server"});
    (StatusCode::NOT_IMPLEMENTED, Json(body)).into_response()
}
