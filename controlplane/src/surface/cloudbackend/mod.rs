//! The CloudBackend dialect (contract cloudbackend.md).
//!
//! * [`oss`] the storage plane: one bucket, as the provider's clients know it (Part B)
//!
//! Must stay true: the JSON API of Part A is not built, and each of its paths says so with 501; every other path is 404.

pub mod oss;

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::mounts::Mounted;
use crate::server::App;

/// First segments of the JSON API.
const API: [&str; 4] = ["user", "user-settings", "file", "drop"];

/// One request to its answer.
pub async fn handle(app: &App, mounted: &Mounted, request: Request) -> Response {
    let first = request.uri().path().split('/').nth(1).unwrap_or_default();
    if mounted.is_bucket_host || (!API.contains(&first) && oss::is_asked(app, first, &request)) {
        return oss::handle(app, mounted, request).await;
    }
    if API.contains(&first) {
        let body = json!({"detail": "cloudbackend is not available on this server"});
        return (StatusCode::NOT_IMPLEMENTED, Json(body)).into_response();
    }
    (StatusCode::NOT_FOUND, Json(json!({"detail": "Not found."}))).into_response()
}
