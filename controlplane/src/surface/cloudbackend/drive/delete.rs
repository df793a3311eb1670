//! `POST /file/{id}/delete/` (CONTRACT.md §A4): the records go at once, their objects when they are not missed for a
//! while (CONTRACT.md §B8).

use std::collections::BTreeSet;

use axum::response::Response;
use etransfer_contract::ObjectId;
use http::StatusCode;
use serde_json::json;

use super::held::Held;
use super::item::Item;
use super::refusal::{Doing, Refusal};
use super::store::{Drive, owner_of};
use super::tree;
use crate::audit;
use crate::catalogue::WriteError;
use crate::core::SurfaceId;
use crate::node::{Edit, Node};
use crate::surface::cloudbackend::api::texts::Text;
use crate::surface::cloudbackend::api::{self, RequestContext, told};
use crate::surface::cloudbackend::oss::key::Key;

/// A file, or a folder with everything below it.
pub async fn delete(context: &RequestContext<'_>, id: u64) -> Result<Response, api::Refusal> {
    let account = context.account()?;
    let node = context.node();
    let drive = own(context, account.id, id, Doing::Delete)?;
    let _alone = drive.lock().await;
    let item = drive.item(id).ok_or(Refusal::NoFile(Doing::Delete))?;
    let gone = if item.is_folder() { tree::with_all_below(&item, drive.items()) } else { vec![item] };
    for object in erase(node, drive, &gone).await? {
        audit::surface(SurfaceId::CloudBackend, &account.username, audit::DELETE, object);
    }
    Ok(told(StatusCode::OK, json!({"message": context.say(Text::FileDeleted)})))
}

/// Takes items of a drive, which is held, away; the objects they were.
pub async fn erase(node: &Node, drive: Drive<'_>, gone: &[Item]) -> Result<Vec<ObjectId>, WriteError> {
    let mut held = Held::hold(node, keys(gone)).await;
    let mut edit = Edit::default();
    for item in gone {
        edit = drive.erase(edit, item.id);
        if let Some(key) = item.key() {
            held.release(key, item.id, node.clock.now_ms());
        }
    }
    let bytes = gone.iter().map(Item::size).fold(0, u64::saturating_add);
    edit = drive.put_used(held.put(edit), drive.used().saturating_sub(bytes));
    node.edit(edit).await?;
    Ok(gone.iter().filter_map(|item| held.id(item.key()?)).collect())
}

/// The drive of `user`, when the file is in it.
pub fn own<'a>(context: &'a RequestContext<'_>, user: u64, id: u64, doing: Doing) -> Result<Drive<'a>, Refusal> {
    match owner_of(context.node(), id) {
        None => Err(Refusal::NoFile(doing)),
        Some(owner) if owner != user => Err(Refusal::NotYours(doing)),
        Some(_) => Ok(Drive::of(context.node(), user)),
    }
}

fn keys(items: &[Item]) -> BTreeSet<Key> {
    items.iter().filter_map(Item::key).cloned().collect()
}
