//! People: their profile and quota, and their administration (CONTRACT.md §6.2, §6.3).

use axum::extract::{RawPathParams, RawQuery, State};
use axum::{Extension, Json};
use serde_json::{Value, json};

use crate::audit;
use crate::authority::Caller;
use crate::catalogue::Owner;
use crate::core::Setting;
use crate::core::query::Query;
use crate::people::{Role, User};
use crate::quota::Quota;
use crate::surface::easytransfer::OWN;
use crate::surface::easytransfer::Service;
use crate::surface::query::{Invalid, path_number};
use crate::surface::refusal::Refused;

/// `GET /api/users/me`
pub async fn me(State(app): State<Service>, Extension(caller): Extension<Caller>) -> Result<Json<Value>, Refused> {
    let me = app.person(&caller)?;
    Ok(Json(public(&app, &me.user, Some(&me.quota))))
}

/// `GET /api/users/me/quota`
pub async fn my_quota(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Refused> {
    let me = app.person(&caller)?;
    let used = app.node.used_by(&Owner::Person(me.user.id));
    let max = me.quota.max_storage_size;
    let percent = max.filter(|max| *max > 0).map(|max| (used as f64 / max as f64 * 10_000.0).round() / 100.0);
    Ok(Json(json!({
        "storage_used": used,
        "quota": me.quota,
        "usage_percent": percent,
        "is_over_quota": max.is_some_and(|max| used > max),
    })))
}

/// `GET /api/users`: newest first.
pub async fn list(State(app): State<Service>, Extension(caller): Extension<Caller>) -> Result<Json<Value>, Refused> {
    let people = app.administrated(&caller)?;
    let roles = &app.node.config().user_system.role_quotas;
    let users = people.users().await?;
    let users: Vec<Value> = users.iter().map(|user| public(&app, user, Some(&user.effective(roles)))).collect();
    Ok(Json(json!({"users": users})))
}

/// `PUT /api/users/{id}/role?role=`
pub async fn set_role(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
    path: RawPathParams,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let people = app.administrated(&caller)?;
    let id = path_number(&path, "id")?;
    let query = Query::parse(query.as_deref().unwrap_or_default());
    let word = query.get("role").ok_or_else(|| Invalid::query("role", "guest, user or admin", ""))?;
    let role = Role::from_word(word).ok_or_else(|| Refused::new(400, "the role is guest, user or admin"))?;
    people.set_role(id, role).await?;
    app.node.revoke();
    audit::person(&caller, "set role", id);
    Ok(Json(json!({"message": format!("the role is {word} now"), "user_id": id})))
}

/// `PUT /api/users/{id}/active?active=`; disabling ends every session.
pub async fn set_active(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
    path: RawPathParams,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let people = app.administrated(&caller)?;
    let id = path_number(&path, "id")?;
    let query = Query::parse(query.as_deref().unwrap_or_default());
    let text = query.get("active").unwrap_or_default();
    let active = bool::from_text(text).map_err(|_| Invalid::query("active", "a boolean", text))?;
    people.set_active(id, active).await?;
    app.node.revoke();
    audit::person(&caller, if active { "enable" } else { "disable" }, id);
    let message = if active { "the user may sign in" } else { "the user is out, and may not sign in" };
    Ok(Json(json!({"message": message, "user_id": id})))
}

/// `POST /api/admin/recalculate-storage`: the users' column is set to what the catalogue holds.
pub async fn recalculate(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Refused> {
    let people = app.administrated(&caller)?;
    let mut updated = Vec::new();
    for user in people.users().await? {
        let (old, new) = (user.storage_used, app.node.used_by(&Owner::Person(user.id)));
        if old != new {
            people.set_storage_used(user.id, new).await?;
            updated.push(json!({"user_id": user.id, "username": user.username, "old": old, "new": new}));
        }
    }
    audit::node(&caller, "recalculate storage");
    let totals = app.node.totals(&OWN);
    Ok(Json(json!({
        "message": format!("{} users were wrong", updated.len()),
        "updated": updated,
        "orphan_bytes": app.node.used_without_owner(),
        "total_files": totals.files,
    })))
}

/// UserPublic (CONTRACT.md §6.2). What is used is told as it is now, not as it was written down last.
pub fn public(app: &Service, user: &User, quota: Option<&Quota>) -> Value {
    json!({
        "id": user.id,
        "username": user.username,
        "display_name": user.display_name,
        "email": user.email,
        "avatar_url": user.avatar_url,
        "role": user.role.word(),
        "is_active": user.is_active,
        "is_admin": user.is_admin,
        "storage_used": app.node.used_by(&Owner::Person(user.id)),
        "groups": user.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(),
        "effective_quota": quota,
    })
}
