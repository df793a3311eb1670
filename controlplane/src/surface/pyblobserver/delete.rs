//! `DELETE /delete/{file_id}` and `/delete_all` (CONTRACT.md §4.4, §4.5), and the removal of what expired (CONTRACT.md
//! §5).
//!
//! Must stay true: the record is gone, durably, before the bytes are, and stays gone.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use etransfer_contract::grant::{Act, Remove};
use serde_json::json;

use super::context::RequestContext;
use super::file::{self, Detail};
use super::list;
use super::refusal::Refusal;
use super::tus::finished;
use super::user::User;
use crate::audit;
use crate::catalogue::{Entry, WriteError};
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::node::Edit;
use crate::surface::pyblobserver::Service;

/// Records of one edit.
const EDIT_MAX: usize = 500;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Deletes one file of the caller's.
pub async fn one(context: &RequestContext<'_>, name: &str) -> Result<Decision, Refusal> {
    let user = context.user()?;
    let object = {
        let _alone = User::lock(context.node(), &user).await;
        let entry = file::find(context.node(), name).filter(|entry| file::user_of(&entry.record) == user);
        let object = entry.ok_or(Refusal::FileNotYours)?.record.id;
        finished::count_alone(context.node(), &user).await?;
        context.node().edit(Edit::default().delete(object)).await?;
        object
    };
    audit::surface(SurfaceId::PyBlobServer, &user, audit::DELETE, object);
    let fields = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    let body = json!({"message": "File deleted"}).to_string();
    Ok(Decision::grant(context.node(), Act::Remove(Remove { object, status: 200, fields, body })))
}

/// Deletes all of the caller's files, or those that expired.
pub async fn all(context: &RequestContext<'_>) -> Result<Response, Refusal> {
    let user = context.user()?;
    let (query, days) = (context.query(), context.settings().expire_days);
    if !query.get("confirm").is_some_and(|confirm| confirm.eq_ignore_ascii_case("yes")) {
        return Err(Refusal::Unconfirmed);
    }
    let message = match query.get("function").unwrap_or("all") {
        "all" => {
            remove(context.app, &user, |_| true).await?;
            "All files deleted".to_owned()
        }
        "expired" => {
            let now = context.node().clock.now_ms();
            remove(context.app, &user, |entry| is_expired(entry, days, now)).await?;
            format!("All files not been download for {days} days are deleted")
        }
        _ => return Err(Refusal::UnknownFunction),
    };
    Ok(Json(json!({"message": message})).into_response())
}

/// Removes the files of a user that `goes` names, and tells how many.
pub async fn remove(app: &Service, user: &str, goes: impl Fn(&Entry) -> bool) -> Result<usize, WriteError> {
    let node = &app.node;
    let _alone = User::lock(&app.node, user).await;
    finished::count_alone(node, user).await?;
    app.flush_alone(node, user).await?;
    let gone: Vec<Entry> = list::of_user(node, user).into_iter().filter(goes).collect();
    for part in gone.chunks(EDIT_MAX) {
        node.edit(part.iter().fold(Edit::default(), |edit, entry| edit.delete(entry.record.id))).await?;
        part.iter().for_each(|entry| audit::surface(SurfaceId::PyBlobServer, user, audit::DELETE, entry.record.id));
    }
    Ok(gone.len())
}

/// It was neither downloaded nor uploaded within `days` days (CONTRACT.md §4.5).
pub fn is_expired(entry: &Entry, days: u64, now_ms: u64) -> bool {
    let last = Detail::of(&entry.record).last_download_ms.unwrap_or_else(|| file::uploaded_ms(&entry.record));
    let life = days.saturating_mul(DAY.as_millis() as u64);
    now_ms.saturating_sub(last) > life
}
