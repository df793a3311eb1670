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
use crate::surface::cloudbackend::api::{self, Asked, told};

/// What is in a folder, direct children only.
pub fn list(asked: &Asked<'_>) -> Result<Response, api::Refusal> {
    let account = asked.account()?;
    let drive = Drive::of(asked.node(), account.id);
    let files = tree::children(&path(asked)?, drive.items());
    let body = json!({
        "files": records(&files, account.id),
        "quota": account.quota,
        "used_space": drive.used(),
        "message": asked.say(Text::FilesListed),
    });
    Ok(told(StatusCode::OK, body))
}

/// Everything.
pub fn all(asked: &Asked<'_>) -> Result<Response, api::Refusal> {
    let account = asked.account()?;
    let items = Drive::of(asked.node(), account.id).items();
    Ok(told(StatusCode::OK, records(&items, account.id)))
}

/// One record.
pub fn one(asked: &Asked<'_>, id: u64) -> Result<Response, api::Refusal> {
    let account = asked.account()?;
    let item = Drive::of(asked.node(), account.id).item(id).ok_or(api::Refusal::NotFound)?;
    Ok(told(StatusCode::OK, item.told(account.id)))
}

/// `path` of a body; the root when there is none.
pub fn path(asked: &Asked<'_>) -> Result<FolderPath, Refusal> {
    let path = asked.member("path").map(fields::path).transpose();
    Ok(path.map_err(|fault| Refusal::field("path", fault))?.unwrap_or_default())
}

/// As an array.
pub fn records(items: &[Item], user: u64) -> Value {
    items.iter().map(|item| item.told(user)).collect()
}
