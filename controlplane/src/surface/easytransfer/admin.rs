//! Administration of the node (CONTRACT.md §7): any static token, or an administrator.

use axum::extract::State;
use axum::{Extension, Json};
use serde_json::{Map, Value, json};

use crate::audit;
use crate::authority::Caller;
use crate::config::reload::{Changed, STATIC, hot_fields};
use crate::surface::easytransfer::Service;
use crate::surface::refusal::Refused;

/// `POST /api/admin/reload-config`: what the file says from now on; a broken file is 400 and changes nothing.
pub async fn reload(State(app): State<Service>, Extension(caller): Extension<Caller>) -> Result<Json<Value>, Refused> {
    check(&caller)?;
    audit::node(&caller, "reload");
    let reloaded = app.reload().await.map_err(|error| Refused::new(400, error.to_string()))?;
    let note = match &reloaded {
        None => "this node runs without a configuration file",
        Some(reloaded) if reloaded.changes.is_empty() => "nothing differs in the fields that may change",
        Some(_) => "in force from the next request on; fields that need a restart were left alone",
    };
    let changes = reloaded.map(|reloaded| reloaded.changes).unwrap_or_default();
    let entry = |(field, changed): (String, Changed)| (field, json!({"old": changed.old, "new": changed.new}));
    let changes: Map<String, Value> = changes.into_iter().map(entry).collect();
    Ok(Json(json!({
        "reloaded": !changes.is_empty(),
        "changes": changes,
        "hot_reloadable": hot_fields(),
        "requires_restart": STATIC,
        "note": note,
    })))
}

/// `GET /api/admin/config-status`
pub async fn status(State(app): State<Service>, Extension(caller): Extension<Caller>) -> Result<Json<Value>, Refused> {
    check(&caller)?;
    let server = &app.node.config().server;
    Ok(Json(json!({
        "config_file": app.reloading.file().map(|file| file.display().to_string()),
        "config_watch": server.config_watch,
        "config_watch_interval": server.config_watch_interval.as_secs(),
    })))
}

/// `/api/migrations`: not built (CONTRACT.md §8.5), which callers without the right do not learn.
pub async fn migrations(Extension(caller): Extension<Caller>) -> Refused {
    match check(&caller) {
        Ok(()) => Refused::new(501, "not available on this server"),
        Err(refused) => refused,
    }
}

/// Access T: looking after the node.
pub fn check(caller: &Caller) -> Result<(), Refused> {
    if caller.may_reload() { Ok(()) } else { Err(Refused::new(403, "only tokens and administrators may do this")) }
}
