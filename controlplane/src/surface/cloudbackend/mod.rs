//! The CloudBackend dialect (CONTRACT.md).
//!
//! * [`oss`] the storage plane: one bucket, as the provider's clients know it (CONTRACT.md §B)
//! * [`api`] what every call of the JSON API has (CONTRACT.md §A): [`user`] accounts and tokens, [`drive`] files and
//!   folders, [`mod@drop`] shares
//! * [`basis`] what links and form policies rest on
//!
//! Must stay true: the caller is determined for every request again; what a restart would need stands in documents, and
//! only what [`Service`] holds is forgotten.

pub mod api;
pub mod basis;
pub mod drive;
pub mod drop;
pub mod oss;
mod service;
pub mod settings;
pub mod user;

pub use service::Service;

use axum::Json;
use axum::extract::Request;
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::json;

use crate::link::decision::Decision;
use crate::mounts::Mounted;
use crate::surface::recheck::Right;

/// First segments of the JSON API.
const API: [&str; 4] = ["user", "user-settings", "file", "drop"];

/// One request to its answer.
pub async fn handle(app: &Service, mounted: &Mounted, request: Request) -> Decision {
    let first = request.uri().path().split('/').nth(1).unwrap_or_default();
    if mounted.is_own_host || (!API.contains(&first) && oss::is_asked(app, first, &request)) {
        return oss::handle(app, mounted, request).await;
    }
    if API.contains(&first) {
        return api::handle(app, mounted, request).await;
    }
    (StatusCode::NOT_FOUND, Json(json!({"detail": "Not found."}))).into_response().into()
}

/// Whether who sends or gets an object still may. Calls of the JSON API are over before anything could end.
pub fn right(app: &Service, mounted: &Mounted, request: Request) -> Right {
    let first = request.uri().path().split('/').nth(1).unwrap_or_default();
    let is_api = !mounted.is_own_host && API.contains(&first);
    Right::of(is_api || oss::still_may(app, mounted, request))
}

/// Removes what has had its time. PROMISES.md P11: right after a step of the clock nothing has.
pub async fn sweep(app: &Service) {
    oss::sweep(app).await;
    if !app.node.clock.agrees() {
        return;
    }
    if let Err(error) = user::session::sweep(&app.node).await {
        tracing::warn!(%error, "sweep away sessions that ended");
    }
    if let Err(error) = drive::sweep(&app.node).await {
        tracing::warn!(%error, "sweep away upload ids that ended");
    }
    drop::sweep(app).await;
}
