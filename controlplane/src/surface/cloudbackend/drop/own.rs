//! Shares of one's own: looking at them, and ending them (CONTRACT.md §A6, §A3 "Not carried over").

use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use super::share::Share;
use crate::catalogue::WriteError;
use crate::node::{Edit, Node};
use crate::surface::cloudbackend::api::texts::Text;
use crate::surface::cloudbackend::api::{self, RequestContext, told};

/// `GET /drop/`
pub fn list(context: &RequestContext<'_>) -> Result<Response, api::Refusal> {
    let shares = Share::all_of(context.node(), context.account()?.id);
    Ok(told(StatusCode::OK, shares.iter().map(|share| share.told(context.now_ms())).collect()))
}

/// `GET /drop/{id}/`: its members, and the whole as `drop`. CONTRACT.md §A2: the front end unwraps what has a `code` at
/// the top.
pub fn show(context: &RequestContext<'_>, id: u64) -> Result<Response, api::Refusal> {
    let user = context.account()?.id;
    let share = Share::read(context.node(), id).filter(|share| share.user == user).ok_or(api::Refusal::NotFound)?;
    let drop = share.told(context.now_ms());
    let mut body: Map<String, Value> = drop.as_object().cloned().unwrap_or_default();
    body.remove("code");
    body.insert("drop".to_owned(), drop);
    Ok(told(StatusCode::OK, body.into()))
}

/// `POST /drop/{id}/delete/`
pub async fn delete(context: &RequestContext<'_>, id: u64) -> Result<Response, api::Refusal> {
    let (node, user) = (context.node(), context.account()?.id);
    let share = Share::read(node, id).ok_or(Refusal::NothingToDelete)?;
    if share.user != user {
        return Err(Refusal::NotYours.into());
    }
    if !end(node, &share).await? {
        return Err(Refusal::NothingToDelete.into());
    }
    Ok(told(StatusCode::OK, json!({"message": context.say(Text::ShareDeleted)})))
}

/// Ends a share; `false`: another request did.
pub async fn end(node: &Node, share: &Share) -> Result<bool, WriteError> {
    let _code = Share::lock_code(node, &share.code).await;
    let _alone = Share::lock(node, share.id).await;
    let Some(share) = Share::read(node, share.id) else { return Ok(false) };
    node.edit(share.remove(node, Edit::default())).await?;
    Ok(true)
}
