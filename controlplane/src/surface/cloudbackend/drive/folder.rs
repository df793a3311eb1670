//! `POST /file/new-folder/` (CONTRACT.md §A4).

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::fields::{self, Fault};
use super::item::{Content, Item};
use super::list;
use super::refusal::Refusal;
use super::store::Drive;
use crate::node::Edit;
use crate::surface::cloudbackend::api::counter::Counter;
use crate::surface::cloudbackend::api::texts::Text;
use crate::surface::cloudbackend::api::{self, RequestContext, told};

/// A folder more; there may be one of that name already.
pub async fn make(context: &RequestContext<'_>) -> Result<Response, api::Refusal> {
    let drive = Drive::of(context.node(), context.account()?.id);
    let name = fields::folder_name(context.member("folder_name").unwrap_or(&Value::Null)).map_err(unfit)?;
    let path = list::path(context)?;
    let _alone = drive.lock().await;
    // Of an account that went while this waited nothing is left behind.
    let account = context.account()?;
    let mut counter = Counter::lock(context.node(), super::COUNTER).await;
    let folder = Item { id: counter.take(), name, path, created_ms: context.now_ms(), content: Content::Folder };
    context.node().edit(counter.write(drive.put(Edit::default(), &folder))).await?;
    let body = json!({"folder": folder.told(account.id), "message": context.say(Text::FolderMade)});
    Ok(told(StatusCode::CREATED, body))
}

fn unfit(fault: Fault) -> Refusal {
    match fault {
        Fault::Null | Fault::Blank => Refusal::NoFolderName,
        _ => Refusal::UnfitFolderName,
    }
}
