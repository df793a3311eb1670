//! `POST /file/uploaded/` (CONTRACT.md §A5): objects become files. All that one call names, or none.
//!
//! ```text
//! drive held ──► members read ──► objects held ──► theirs? there? ──► quota ──► one durable edit
//! ```
//!
//! Must stay true: no account registers an object that is neither below its prefix nor shared with it; what all files
//! of an account are together never passes its quota, however many calls there are at once.

use std::collections::BTreeSet;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::address::Address;
use super::declared::{Declared, NoUploadId, UploadId};
use super::fields::{self, Fault};
use super::held::Held;
use super::item::{Content, FOLDER, Item};
use super::list::records;
use super::members::Members;
use super::path::FolderPath;
use super::refusal::Refusal;
use super::store::Drive;
use crate::audit;
use crate::core::SurfaceId;
use crate::node::Edit;
use crate::surface::cloudbackend::api::counter::Counter;
use crate::surface::cloudbackend::api::{self, RequestContext, told};
use crate::surface::cloudbackend::drop;
use crate::surface::cloudbackend::oss::key::Key;
use crate::surface::cloudbackend::user::Account;

/// What one element of a call asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    name: String,
    path: FolderPath,
    /// `None`: a folder.
    object: Option<Object>,
}

#[derive(Debug, PartialEq, Eq)]
struct Object {
    content_type: String,
    url: String,
    key: Key,
}

/// Registers what was uploaded.
pub async fn uploaded(context: &RequestContext<'_>) -> Result<Response, api::Refusal> {
    let node = context.node();
    let drive = Drive::of(node, context.account()?.id);
    let _alone = drive.lock().await;
    // Of an account that went while this waited nothing is left behind.
    let account = context.account()?;
    let elements = match context.body() {
        Value::Array(elements) => elements.as_slice(),
        one => std::slice::from_ref(one),
    };
    let (wanted, ids) = read_all(context, account.id, elements)?;
    let keys = wanted.iter().filter_map(|wanted| wanted.object.as_ref()).map(|object| object.key.clone());
    let mut held = Held::hold(node, keys.collect()).await;

    let mut counter = Counter::lock(node, super::COUNTER).await;
    let mut items = Vec::with_capacity(wanted.len());
    let mut used = drive.used();
    for wanted in wanted {
        let item = item(context, &account, &held, counter.take(), wanted)?;
        used = used.saturating_add(item.size());
        items.push(item);
    }
    if used > account.quota && used > drive.used() {
        drop(counter);
        discard(context, &account, &held).await?;
        return Err(Refusal::NoSpaceAfterUpload.into());
    }
    let mut edit = ids.iter().fold(counter.write(Edit::default()), |edit, id| id.erase(edit));
    for item in &items {
        edit = drive.put(edit, item);
        if let Some(key) = item.key() {
            held.refer(key, item.id);
        }
    }
    node.edit(drive.put_used(held.put(edit), used)).await?;
    let files = records(&items, account.id);
    let body = json!({
        "file": files.get(0),
        "message": format!("Successfully created {} file record(s)", items.len()),
        "files": files,
    });
    Ok(told(StatusCode::CREATED, body))
}

/// The bytes of an object, when the account may have it as a file. It is held.
pub fn may_register(context: &RequestContext<'_>, account: &Account, held: &Held<'_>, key: &Key) -> Result<u64, Fault> {
    let size = held.size(key).ok_or(Fault::NoObject)?;
    let is_own = key.as_str().starts_with(&account.prefix());
    let is_granted = || held.files(key).is_some_and(|files| drop::is_granted(context, account.id, files));
    if is_own || is_granted() { Ok(size) } else { Err(Fault::NoObject) }
}

/// All elements, and the upload ids that are used up by them.
fn read_all(
    context: &RequestContext<'_>,
    user: u64,
    elements: &[Value],
) -> Result<(Vec<Wanted>, BTreeSet<UploadId>), api::Refusal> {
    let address = Address::of_request(context);
    let mut ids = BTreeSet::new();
    let mut read = |element: &Value| {
        let members = element.as_object().ok_or(api::Refusal::Shape)?;
        let declared = declared(context, user, members)?;
        let wanted = Wanted::read(members, declared.as_ref().map(|(_, declared)| declared), &address)?;
        // Good once, also within one call.
        if declared.is_some_and(|(id, _)| !ids.insert(id)) {
            return Err(Refusal::NoUploadId.into());
        }
        Ok(wanted)
    };
    let wanted = elements.iter().map(&mut read).collect::<Result<_, api::Refusal>>()?;
    Ok((wanted, ids))
}

/// What an `upload_id` stands for.
fn declared(
    context: &RequestContext<'_>,
    user: u64,
    members: &Map<String, Value>,
) -> Result<Option<(UploadId, Declared)>, Refusal> {
    let Some(id) = members.get("upload_id").filter(|id| !id.is_null() && *id != "") else { return Ok(None) };
    let found = Declared::find(context.node(), user, id.as_str().unwrap_or_default());
    let found = found.map_err(|why| match why {
        NoUploadId::Unknown => Refusal::NoUploadId,
        NoUploadId::Foreign => Refusal::ForeignUploadId,
    })?;
    if members.get("oss_url").is_none_or(|url| url.is_null() || url == "") {
        return Err(Refusal::NoUrl);
    }
    Ok(Some(found))
}

impl Wanted {
    fn read(members: &Map<String, Value>, declared: Option<&Declared>, address: &Address) -> Result<Self, Refusal> {
        let mut members = Members::of(members);
        let told = declared.map(|declared| (declared.name.clone(), declared.content_type.clone()));
        let (name_told, kind_told) = told.unzip();
        let kind = or_told(&mut members, "content_type", kind_told);
        let is_folder = kind.as_deref() == Some(FOLDER);
        let name = or_told(&mut members, "name", name_told);
        if is_folder && name.as_ref().is_some_and(|name| !super::path::is_segment(name)) {
            members.refuse("name", Fault::NoFolderName);
        }
        let path = members.read("path", fields::path).unwrap_or_default();
        if declared.is_some() {
            members.read("size", fields::integer);
        } else {
            members.need("size", fields::integer);
        }
        if is_folder {
            return members.finish(name.map(|name| Self { name, path, object: None })).map_err(Refusal::Fields);
        }
        let object = members.need("oss_url", |value| {
            let url = fields::url(value)?;
            address.key(&url).map(|key| (key, url)).ok_or(Fault::NoObject)
        });
        let wanted = name.zip(kind).zip(object).map(|((name, content_type), (key, url))| Self {
            name,
            path,
            object: Some(Object { content_type, url, key }),
        });
        members.finish(wanted).map_err(Refusal::Fields)
    }
}

/// A member, or what was said of it before the upload.
fn or_told(members: &mut Members<'_>, name: &'static str, told: Option<String>) -> Option<String> {
    match told {
        Some(told) => Some(members.read(name, fields::text).unwrap_or(told)),
        None => members.need(name, fields::text),
    }
}

/// What the element becomes.
fn item(
    context: &RequestContext<'_>,
    account: &Account,
    held: &Held<'_>,
    id: u64,
    wanted: Wanted,
) -> Result<Item, Refusal> {
    let content = match wanted.object {
        None => Content::Folder,
        Some(Object { content_type, url, key }) => {
            let size = may_register(context, account, held, &key).map_err(|fault| Refusal::field("oss_url", fault))?;
            Content::File { content_type, size, key, oss_url: url }
        }
    };
    Ok(Item { id, name: wanted.name, path: wanted.path, created_ms: context.now_ms(), content })
}

/// What the account has no room for, and no other account needs, is deleted.
async fn discard(context: &RequestContext<'_>, account: &Account, held: &Held<'_>) -> Result<(), api::Refusal> {
    let objects = held.unused(&account.prefix());
    context.node().edit(objects.iter().fold(Edit::default(), |edit, id| edit.delete(*id))).await?;
    for object in objects {
        audit::surface(SurfaceId::CloudBackend, &account.username, audit::DELETE, object);
    }
    Ok(())
}
