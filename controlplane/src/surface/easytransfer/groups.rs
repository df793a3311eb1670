//! Groups and their quotas (CONTRACT.md §6.3).

use axum::extract::{RawPathParams, State};
use axum::{Extension, Json};
use serde_json::{Value, json};

use crate::audit;
use crate::authority::Caller;
use crate::people::Group;
use crate::quota::Quota;
use crate::surface::attached::Attached;
use crate::surface::easytransfer::Service;
use crate::surface::query::{Invalid, path_number};
use crate::surface::refusal::Refused;

/// `GET /api/groups`: by name, for everybody who is signed in.
pub async fn list(State(app): State<Service>, Extension(caller): Extension<Caller>) -> Result<Json<Value>, Refused> {
    let groups = app.looked_at(&caller)?.groups().await?;
    Ok(Json(json!({"groups": groups.iter().map(shape).collect::<Vec<_>>()})))
}

/// `POST /api/groups`
pub async fn create(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
    Attached(body): Attached,
) -> Result<Json<Value>, Refused> {
    let people = app.administrated(&caller)?;
    let asked = GroupRequest::parse(&body)?;
    let group = people.create_group(&asked.name, &asked.description, asked.quota.as_ref()).await?;
    audit::group(&caller, "create group", group.id);
    Ok(Json(json!({"message": "the group was created", "group": shape(&group)})))
}

/// `PUT /api/groups/{id}/quota`; the name in the body is required and ignored.
pub async fn set_quota(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
    path: RawPathParams,
    Attached(body): Attached,
) -> Result<Json<Value>, Refused> {
    let people = app.administrated(&caller)?;
    let id = path_number(&path, "id")?;
    let quota = GroupRequest::parse(&body)?.quota.unwrap_or_default();
    let group = people.set_group_quota(id, &quota).await?;
    app.node.revoke();
    audit::group(&caller, "set quota", id);
    Ok(Json(json!({"message": "the quota counts from now on", "group": shape(&group)})))
}

/// `DELETE /api/groups/{id}`; 200 also when there is none.
pub async fn delete(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
    path: RawPathParams,
) -> Result<Json<Value>, Refused> {
    let people = app.administrated(&caller)?;
    let id = path_number(&path, "id")?;
    people.delete_group(id).await?;
    app.node.revoke();
    audit::group(&caller, "delete group", id);
    Ok(Json(json!({"message": "the group is gone"})))
}

/// `POST /api/groups/{gid}/members/{uid}`
pub async fn add_member(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
    path: RawPathParams,
) -> Result<Json<Value>, Refused> {
    let people = app.administrated(&caller)?;
    let (group, user) = (path_number(&path, "id")?, path_number(&path, "user")?);
    people.add_member(group, user).await?;
    app.node.revoke();
    audit::person(&caller, "add to group", user);
    Ok(Json(json!({"message": "the user is in the group"})))
}

/// `DELETE /api/groups/{gid}/members/{uid}`; 200 also when it was none.
pub async fn remove_member(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
    path: RawPathParams,
) -> Result<Json<Value>, Refused> {
    let people = app.administrated(&caller)?;
    let (group, user) = (path_number(&path, "id")?, path_number(&path, "user")?);
    people.remove_member(group, user).await?;
    app.node.revoke();
    audit::person(&caller, "remove from group", user);
    Ok(Json(json!({"message": "the user is not in the group"})))
}

/// The body of a request about a group.
struct GroupRequest {
    name: String,
    description: String,
    /// `None`: no field of a quota is there.
    quota: Option<Quota>,
}

impl GroupRequest {
    fn parse(body: &[u8]) -> Result<Self, Invalid> {
        let wrong = |name: &'static str, expected: &str, value: &Value| Invalid::in_body(name, expected, value.clone());
        let Ok(Value::Object(mut map)) = serde_json::from_slice(body) else {
            return Err(wrong("name", "a JSON object with a name", &Value::Null));
        };
        let name = map.remove("name").unwrap_or_default();
        let Value::String(name) = &name else { return Err(wrong("name", "a string", &name)) };
        let description = map.remove("description").unwrap_or_default();
        let description = match &description {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => return Err(wrong("description", "a string", other)),
        };
        let quota: Result<Quota, _> = serde_json::from_value(Value::Object(map.clone()));
        let quota = quota.map_err(|error| {
            wrong("quota", &format!("limits as integers from 0, or null: {error}"), &Value::Object(map.clone()))
        })?;
        let is_said = map.keys().any(|key| Quota::FIELDS.contains(&key.as_str()));
        Ok(Self { name: name.clone(), description, quota: is_said.then_some(quota) })
    }
}

fn shape(group: &Group) -> Value {
    json!({
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "quota": group.quota.clone().unwrap_or_default(),
        "member_count": group.member_count,
    })
}
