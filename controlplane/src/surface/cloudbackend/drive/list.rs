//! Looking at a drive: `POST /file/list/`, `GET /file/`, `GET /file/{id}/` (CONTRACT.md §A3, §A4).

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::item::Item;
use super::path::FolderPath;
use super::refusal::Refusal;
use super::store::Drive;
use super::{fields, tree};
use crate::surface::cloudbackend::api::texts::Text;
use crate::surface::cloudbackend::api::{self, RequestContext, told};

/// What is in a folder, direct children only.
pub fn list(context: &RequestContext<'_>) -> Result<Response, api::Refusal> {
    let account = context.account()?;
    let drive = Drive::of(context.node(), account.id);
    let files = tree::children(&path(context)?, drive.items());
    let body = json!({
        "files": records(&files, account.id),
        "quota": account.quota,
        "used_space": drive.used(),
        "message": context.say(Text::FilesListed),
    });
    Ok(told(StatusCode::OK, body))
}

/// Everything.
pub fn all(context: &RequestContext<'_>) -> Result<Response, api::Refusal> {
    let account = context.account()?;
    let items = Drive::of(context.node(), account.id).items();
    Ok(told(StatusCode::OK, records(&items, account.id)))
}

/// One record.
pub fn one(context: &RequestContext<'_>, id: u64) -> Result<Response, api::Refusal> {
    let account = context.account()?;
    let item = Drive::of(context.node(), account.id).item(id).ok_or(api::Refusal::NotFound)?;
    Ok(told(StatusCode::OK, item.told(account.id)))
}

/// `path` of a body; the root when there is none.
pub fn path(context: &RequestContext<'_>) -> Result<FolderPath, Refusal> {
    let path = context.member("path").map(fields::path).transpose();
    Ok(path.map_err(|fault| Refusal::field("path", fault))?.unwrap_or_default())
}

/// As an array.
pub fn records(items: &[Item], user: u64) -> Value {
    items.iter().map(|item| item.told(user)).collect()
}
