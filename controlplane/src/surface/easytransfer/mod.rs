//! The EasyTransfer dialect: `/tus` and `/api` (contract easytransfer.md).
//!
//! * [`entry`] what happens to every request: CORS, effective method, the gate, the fields every reply has
//! * [`tus`] uploads · [`files`] listing and deleting · [`download`] getting them back
//! * [`facts`] what the server tells about itself · [`auth`] credentials
//! * [`shape`] the JSON both client generations can read
//!
//! Must stay true: authority is decided in [`entry`] and nowhere else; a route that is in the contract and not built
//! answers 501, every other one 404.

mod auth;
mod cors;
mod disposition;
mod download;
pub mod entry;
mod facts;
mod files;
mod link;
mod shape;
mod tus;

pub use auth::Misses;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};

use super::refusal::Refused;
use crate::server::App;

/// All routes.
pub fn router() -> Router<App> {
    let router = Router::new()
        .route("/api/health", get(facts::health))
        .route("/api/info", get(facts::info))
        .route("/api/storage", get(facts::storage))
        .route("/api/endpoints", get(facts::endpoints))
        .route("/api/traffic", get(facts::traffic))
        .route("/api/stats", get(facts::stats))
        .route("/api/auth/verify", post(auth::verify))
        .route("/api/files", get(files::list))
        .route("/api/files/cleanup", post(files::cleanup))
        .route("/api/files/{id}", get(files::get).delete(files::delete))
        .route("/api/files/{id}/download", get(download::download))
        .route("/api/files/{id}/info/download", get(files::download_info))
        .merge(tus::router());
    UNBUILT.iter().fold(router, |router, path| router.route(path, any(unbuilt))).fallback(unknown)
}

/// Routes of the contract that answer 501: the command line takes it as "not here" (§6).
const UNBUILT: [&str; 24] = [
    "/api/users",
    "/api/users/{*rest}",
    "/api/groups",
    "/api/groups/{*rest}",
    "/api/admin/reload-config",
    "/api/admin/config-status",
    "/api/admin/recalculate-storage",
    "/api/folders",
    "/api/folders/{*rest}",
    "/api/tasks",
    "/api/tasks/{*rest}",
    "/api/plugins/sources",
    "/api/plugins/sinks",
    "/api/plugins/sinks/{*rest}",
    "/api/plugins/resolve",
    "/api/files/{id}/push",
    "/api/migrations/bucket",
    "/api/migrations/jobs",
    "/api/migrations/jobs/{*rest}",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/l/{state}",
    "/s/{code}",
];

async fn unbuilt() -> Response {
    Refused::new(501, "not available on this server").into_response()
}

async fn unknown() -> Response {
    Refused::new(404, "Not Found").into_response()
}

#[cfg(test)]
mod tests;
