//! The virtual drive (CONTRACT.md §A4, §A5, §A8): a tree of records, and how the objects of the bucket become
//! files of it.
//!
//! * [`route`] which call · [`refusal`] what is refused, with its words
//! * [`item`] a file or folder as it is kept and told · [`path`], [`tree`] folders · [`members`], [`fields`] what clients
//!   write
//! * [`store`] the documents · [`held`] objects while files become them · [`declared`] upload ids · [`address`] URLs
//! * [`list`], [`folder`], [`update`], [`delete`], [`download`], [`space`] the calls · [`token`], [`uploaded`] the upload
//!
//! Must stay true: every call names the account it is for, and touches nothing of another's; whatever a client claims of an
//! object, its bytes and its size are what the bucket has.

mod address;
mod declared;
mod delete;
mod download;
mod fields;
mod folder;
mod held;
pub mod item;
mod list;
mod members;
mod path;
pub mod refusal;
mod route;
mod space;
mod store;
mod token;
mod tree;
mod update;
mod uploaded;

use axum::response::Response;

pub use self::item::Item;
pub use self::refusal::Refusal;
pub use self::route::Route;
use self::store::Drive;
pub use self::store::owner_of;
use super::api::{self, RequestContext};
use super::user::Account;
use crate::catalogue::WriteError;
use crate::node::key_locks::KeyGuard;
use crate::node::{Edit, Node};

/// Which counter numbers items.
const COUNTER: &str = "file";

/// One call to its answer.
pub async fn handle(context: &RequestContext<'_>, route: Route) -> Result<Response, api::Refusal> {
    match route {
        Route::All => list::all(context),
        Route::One(id) => list::one(context, id),
        Route::List => list::list(context),
        Route::NewFolder => folder::make(context).await,
        Route::Delete(id) => delete::delete(context, id).await,
        Route::Update(id) => update::update(context, id).await,
        Route::Download(id) => download::download(context, id).await,
        Route::StorageInfo => space::info(context),
        Route::Recalculate => space::recalculate(context).await,
        Route::PlainToken => token::plain(context),
        Route::Token => token::announced(context).await,
        Route::Uploaded => uploaded::uploaded(context).await,
    }
}

/// Bytes of the files of an account.
pub fn used(node: &Node, user: u64) -> u64 {
    Drive::of(node, user).used()
}

/// A file or folder of an account.
pub fn record(node: &Node, user: u64, id: u64) -> Option<Item> {
    Drive::of(node, user).item(id)
}

/// Takes everything an account has away.
pub async fn remove_all(node: &Node, user: u64) -> Result<(), WriteError> {
    let drive = Drive::of(node, user);
    let _alone = drive.lock().await;
    delete::erase(node, drive, &drive.items()).await.map(drop)
}

/// What an account may store; no other request of it stores meanwhile.
pub struct Room<'n> {
    /// Bytes beside those of its files.
    pub bytes: u64,
    _alone: KeyGuard<'n>,
}

impl<'n> Room<'n> {
    /// Of an account; while it is held, none of what it posted becomes a file.
    pub async fn of(node: &'n Node, account: &Account) -> Self {
        let drive = Drive::of(node, account.id);
        let alone = drive.lock().await;
        Self { bytes: account.quota.saturating_sub(drive.used()), _alone: alone }
    }
}

/// Forgets upload ids that ended.
pub async fn sweep(node: &Node) -> Result<(), WriteError> {
    node.edit(declared::erase_ended(node, Edit::default())).await
}

#[cfg(test)]
mod golden;
