//! `POST /file/{id}/update/` (CONTRACT.md §A4): another name, another place, another object; of a folder, everything
//! below it follows.
//!
//! Must stay true: it all happens in one edit, or none of it; the size of a file is its object's, whatever is said.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::address::Address;
use super::delete::own;
use super::fields::{self, Fault, Faulty};
use super::held::Held;
use super::item::{Content, FOLDER, Item};
use super::members::Members;
use super::path::{self, FolderPath};
use super::refusal::{Doing, Refusal};
use super::tree::{self, Misplaced};
use super::uploaded::may_register;
use crate::node::Edit;
use crate::surface::cloudbackend::api::texts::Text;
use crate::surface::cloudbackend::api::{self, RequestContext, told};
use crate::surface::cloudbackend::oss::key::Key;

/// What changes; `None`: it stays.
#[derive(Debug, Default, PartialEq, Eq)]
struct Change {
    name: Option<String>,
    path: Option<FolderPath>,
    content_type: Option<String>,
    object: Option<Object>,
}

/// Another object, and what the client calls it.
#[derive(Debug, PartialEq, Eq)]
struct Object {
    key: Key,
    url: String,
}

/// Changes a record.
pub async fn update(context: &RequestContext<'_>, id: u64) -> Result<Response, api::Refusal> {
    let account = context.account()?;
    let node = context.node();
    let drive = own(context, account.id, id, Doing::Update)?;
    let _alone = drive.lock().await;
    let before = drive.item(id).ok_or(Refusal::NoFile(Doing::Update))?;
    let members = context.body().as_object().ok_or(api::Refusal::Shape)?;
    let change = Change::read(members, &before, &Address::of_request(context)).map_err(Refusal::ChangedFields)?;
    let mut held = Held::hold(node, change.objects(&before).cloned().collect()).await;
    let size = match &change.object {
        Some(object) => {
            may_register(context, &account, &held, &object.key).map_err(|fault| changed("oss_url", fault))?
        }
        None => before.size(),
    };
    let used = drive.used().saturating_sub(before.size()).saturating_add(size);
    if size > before.size() && used > account.quota {
        return Err(Refusal::NoSpace.into());
    }
    let objects = (before.key().cloned(), change.object.as_ref().map(|object| object.key.clone()));
    if let (Some(old), Some(new)) = objects {
        held.release(&old, id, context.now_ms());
        held.refer(&new, id);
    }
    let after = change.applied(&before, size);
    let all = if before.is_folder() { drive.items() } else { Vec::new() };
    let followed = tree::follow(&before, &after, all).map_err(misplaced)?;
    let edit = followed.iter().chain([&after]).fold(Edit::default(), |edit, item| drive.put(edit, item));
    node.edit(drive.put_used(held.put(edit), used)).await?;
    Ok(told(StatusCode::OK, json!({"file": after.told(account.id), "message": context.say(Text::FileUpdated)})))
}

impl Change {
    fn read(members: &Map<String, Value>, before: &Item, address: &Address) -> Result<Self, Vec<Faulty>> {
        let mut members = Members::of(members);
        let is_folder = before.is_folder();
        let mut change = Self {
            name: members.read("name", if is_folder { fields::folder_name } else { fields::text }),
            path: members.read("path", fields::path),
            ..Self::default()
        };
        members.read("size", fields::integer);
        let is_other_kind = |kind: &String| (kind == FOLDER) != is_folder;
        change.content_type = members.read("content_type", |value| {
            fields::text(value).and_then(|kind| if is_other_kind(&kind) { Err(Fault::OtherKind) } else { Ok(kind) })
        });
        change.object = match &before.content {
            Content::File { oss_url, .. } => {
                members.read("oss_url", |value| another(value, oss_url, address)).flatten()
            }
            Content::Folder => {
                members.read("oss_url", nothing);
                None
            }
        };
        members.finish(Some(change))
    }

    /// Objects that change with it.
    fn objects<'c>(&'c self, before: &'c Item) -> impl Iterator<Item = &'c Key> {
        let old = before.key().filter(|_| self.object.is_some());
        old.into_iter().chain(self.object.as_ref().map(|object| &object.key))
    }

    /// As it is afterwards; `bytes`: what its object has.
    fn applied(self, before: &Item, bytes: u64) -> Item {
        let mut after = before.clone();
        after.name = self.name.unwrap_or(after.name);
        after.path = self.path.unwrap_or(after.path);
        if let Content::File { content_type, size, key, oss_url } = &mut after.content {
            *size = bytes;
            *content_type = self.content_type.unwrap_or(std::mem::take(content_type));
            if let Some(object) = self.object {
                (*key, *oss_url) = (object.key, object.url);
            }
        }
        after
    }
}

/// The object a URL names, unless it is written as before.
fn another(value: &Value, before: &str, address: &Address) -> Result<Option<Object>, Fault> {
    let url = fields::url(value)?;
    if url == before {
        return Ok(None);
    }
    let key = address.key(&url).ok_or(Fault::NoObject)?;
    Ok(Some(Object { key, url }))
}

/// A folder is no object.
fn nothing(value: &Value) -> Result<(), Fault> {
    if value.is_null() || value == "" { Ok(()) } else { Err(Fault::NoObject) }
}

fn misplaced(misplaced: Misplaced) -> Refusal {
    match misplaced {
        Misplaced::IntoItself => changed("path", Fault::NoPath),
        Misplaced::TooLong => changed("path", Fault::TooLong(path::CHARS_MAX)),
    }
}

fn changed(name: &'static str, fault: Fault) -> Refusal {
    Refusal::ChangedFields(vec![(name, fault)])
}
