//! Shares (CONTRACT.md §A6): files of an account, for any client that has the code.
//!
//! * [`route`] which call · [`refusal`] what is refused, with its words
//! * [`share`] a share as it is kept and told, and who had it · [`code`] what it is found by
//! * [`create`], [`visit`], [`own`] the calls
//!
//! Must stay true: a share gives no more than its code, its password, its owner's wish for a login and its count say, judged
//! at every request; what its owner deleted is gone from it at once.

mod code;
mod create;
mod own;
pub mod refusal;
mod route;
mod share;
mod visit;

use std::collections::BTreeSet;

use axum::response::Response;

pub use self::refusal::Refusal;
pub use self::route::Route;
use self::share::{Share, Subject};
pub use self::visit::may_download;
use super::api::{self, RequestContext};
use crate::catalogue::WriteError;
use crate::node::{Edit, Node};
use crate::surface::cloudbackend::Service;

/// Whether a share is there and has a file in it. Without a `now_ms` its time is no matter.
pub fn gives(node: &Node, share: u64, file: u64, now_ms: Option<u64>) -> bool {
    let share = Share::read(node, share).filter(|share| now_ms.is_none_or(|now_ms| !share.is_expired(now_ms)));
    share.is_some_and(|share| share.files.contains(&file))
}

/// One call to its answer.
pub async fn handle(context: &RequestContext<'_>, route: Route) -> Result<Response, api::Refusal> {
    match route {
        Route::List => own::list(context),
        Route::Show(id) => own::show(context, id),
        Route::Create => create::create(context).await,
        Route::Get => visit::get(context).await,
        Route::Delete(id) => own::delete(context, id).await,
    }
}

/// Whether account `id` had a live share with one of these files: those an object is
/// ([`Stored::files`](crate::surface::cloudbackend::oss::stored::Stored::files)).
pub fn is_granted(context: &RequestContext<'_>, id: u64, files: &BTreeSet<u64>) -> bool {
    let shares = Subject::Account(id).shares(context.node(), context.now_ms());
    shares.iter().any(|share| share.files.iter().any(|file| files.contains(file)))
}

/// Ends all shares of an account.
pub async fn remove_all(node: &Node, user: u64) -> Result<(), WriteError> {
    for share in Share::all_of(node, user) {
        own::end(node, &share).await?;
    }
    Ok(())
}

/// Forgets who had shares that are over.
pub async fn sweep(app: &Service) {
    let (edit, ended) = share::erase_ended_grants(&app.node, Edit::default());
    if ended > 0
        && let Err(error) = app.node.edit(edit).await
    {
        tracing::warn!(%error, "forget who had shares that are over");
    }
}

#[cfg(test)]
mod golden;
