//! The EasyTransfer dialect: `/tus` and `/api` (CONTRACT.md).
//!
//! * [`entry`] what happens to every request: CORS, effective method, the gate, the fields every reply has
//! * [`tus`] uploads · [`files`] listing and deleting · [`download`] getting them back
//! * [`facts`] what the server tells about itself, [`live`] as it changes, [`probes`] to the operator · [`auth`]
//!   credentials · [`admin`] reload
//! * [`openapi`] the description of all of it
//! * [`strangers`] web pages on a node that asks for no credentials
//! * [`shape`] the JSON both client generations can read
//!
//! Must stay true: authority is decided in [`entry`] and nowhere else; a route that is in CONTRACT.md §8 and not built
//! answers 501, every other one 404.

mod admin;
mod auth;
mod cors;
mod download;
pub mod entry;
mod facts;
mod files;
mod groups;
pub mod live;
pub mod login;
mod openapi;
mod probes;
mod quota;
mod recheck;
mod rights;
mod service;
mod shape;
mod strangers;
mod tus;
mod users;

pub use service::{EasyTransfer, Service};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, delete, get, post, put};

use super::refusal::Refused;
use crate::catalogue::Scope;
use crate::core::SurfaceId;

/// This dialect in the metrics.
pub const NAME: &str = SurfaceId::EasyTransfer.name();
/// Everybody's files and uploads of this dialect.
const OWN: Scope = Scope::of(SurfaceId::EasyTransfer);

/// All routes, each behind the gate. A path or method that does not exist is told before a credential is asked for
/// (TUS.md §A12).
pub fn router(app: &Service) -> Router<Service> {
    let gate = || from_fn_with_state(app.clone(), entry::gate);
    let behind = |router: Router<Service>, (path, methods): (&str, MethodRouter<Service>)| {
        router.route(path, methods.route_layer(gate()))
    };
    let people = app.people.is_some().then(people).into_iter().flatten();
    let router = routes().into_iter().chain(tus::routes()).chain(people).fold(Router::new(), behind);
    let unbuilt = |router: Router<Service>, path: &&str| router.route(path, any(unbuilt).layer(gate()));
    let router = UNBUILT.iter().fold(router, unbuilt);
    let migrations = |router: Router<Service>, path: &&str| router.route(path, any(admin::migrations).layer(gate()));
    MIGRATIONS.iter().fold(router, migrations).fallback(unknown)
}

fn routes() -> Vec<(&'static str, MethodRouter<Service>)> {
    vec![
        ("/openapi.json", get(openapi::json)),
        ("/docs", get(openapi::docs)),
        ("/redoc", get(openapi::docs)),
        ("/livez", get(probes::live)),
        ("/readyz", get(probes::ready)),
        ("/metrics", get(probes::metrics)),
        ("/api/health", get(facts::health)),
        ("/api/info", get(facts::info)),
        ("/api/storage", get(facts::storage)),
        ("/api/endpoints", get(facts::endpoints)),
        ("/api/traffic", get(facts::traffic)),
        ("/api/traffic/stream", get(live::stream)),
        ("/api/stats", get(facts::stats)),
        ("/api/auth/verify", post(auth::verify)),
        ("/api/admin/reload-config", post(admin::reload)),
        ("/api/admin/config-status", get(admin::status)),
        // CONTRACT.md §6: the command line takes 501 as "no login needed"; without the user system its other routes are
        // 404.
        ("/api/users/login-info", get(login::info)),
        ("/api/users/login/start", post(login::start)),
        ("/api/files", get(files::list)),
        ("/api/files/cleanup", post(files::cleanup)),
        ("/api/files/{id}", get(files::get).delete(files::delete)),
        ("/api/files/{id}/download", get(download::download)),
        ("/api/files/{id}/info/download", get(files::download_info)),
        ("/api/files/{id}/ranges", get(tus::ranges)),
    ]
}

/// Routes of the user system; without it they do not exist (CONTRACT.md §6).
fn people() -> Vec<(&'static str, MethodRouter<Service>)> {
    vec![
        ("/api/admin/recalculate-storage", post(users::recalculate)),
        ("/api/users/login", get(login::browser)),
        ("/api/users/login/poll/{id}", get(login::poll)),
        ("/api/users/login/confirm", post(login::confirm)),
        ("/api/users/callback", get(login::callback)),
        ("/api/users/logout", post(login::logout)),
        ("/api/users/dingtalk/sso", post(unbuilt)),
        ("/l/{id}", get(login::short)),
        ("/api/users/me", get(users::me)),
        ("/api/users/me/quota", get(users::my_quota)),
        ("/api/users", get(users::list)),
        ("/api/users/{id}/role", put(users::set_role)),
        ("/api/users/{id}/active", put(users::set_active)),
        ("/api/groups", get(groups::list).post(groups::create)),
        ("/api/groups/{id}", delete(groups::delete)),
        ("/api/groups/{id}/quota", put(groups::set_quota)),
        ("/api/groups/{id}/members/{user}", post(groups::add_member).delete(groups::remove_member)),
    ]
}

/// Routes of CONTRACT.md §8 that are not built.
const UNBUILT: [&str; 9] = [
    "/api/folders",
    "/api/folders/{*rest}",
    "/api/tasks",
    "/api/tasks/{*rest}",
    "/api/plugins/sources",
    "/api/plugins/sinks",
    "/api/plugins/sinks/{*rest}",
    "/api/plugins/resolve",
    "/api/files/{id}/push",
];

/// Nor these, which are not everybody's to ask for (CONTRACT.md §0).
const MIGRATIONS: [&str; 3] = ["/api/migrations/bucket", "/api/migrations/jobs", "/api/migrations/jobs/{*rest}"];

async fn unbuilt() -> Response {
    Refused::new(501, "not available on this server").into_response()
}

/// Below `/api` a caller without a right does not learn which paths there are (CONTRACT.md §1.3).
async fn unknown(State(app): State<Service>, mut request: Request) -> Response {
    let is_api = request.uri().path().split('/').nth(1) == Some("api");
    if is_api && let Err(refused) = entry::admit(&app, &mut request).await {
        return refused.into_response();
    }
    Refused::new(404, "Not Found").into_response()
}

#[cfg(test)]
mod tests;
