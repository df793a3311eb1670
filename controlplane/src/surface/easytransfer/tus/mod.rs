//! Uploads: `/tus` and `/tus/{id}` (TUS.md with the differences of CONTRACT.md §2). The heads are judged here;
//! what depends on bytes (offset, surplus, checksum) is judged by the data plane under the grant.

mod append;
mod concat;
mod create;
mod state;

use std::time::Duration;

use axum::extract::Path;
use axum::routing::{MethodRouter, head, post};
use etransfer_contract::ObjectId;

use crate::authority::Caller;
use crate::catalogue::{Entry, Kind};
use crate::core::SurfaceId;
use crate::node::{Look, Node};
use crate::surface::easytransfer::Service;
use crate::surface::refusal::Refused;

pub use self::state::ranges;

/// Extensions that work, in the order announced.
const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,termination,checksum,checksum-trailer,\
     expiration,concatenation";
/// What [`EXTENSIONS`] grows by with `tus.parallel_writes`.
const PARALLEL: &str = "parallel-writes";
/// How long a grant for an upload may be reused when no limit has to be counted down.
const CACHE_MS: u64 = 60_000;

/// The routes.
pub fn routes() -> Vec<(&'static str, MethodRouter<Service>)> {
    let upload = head(state::head).patch(append::patch).delete(state::delete).options(state::options);
    vec![("/tus", post(create::create).options(state::options)), ("/tus/{id}", upload)]
}

/// Whether the path belongs to uploads.
pub fn is_tus_path(path: &str) -> bool {
    path == "/tus" || path.starts_with("/tus/")
}

/// The announced extensions.
pub fn extensions(parallel: bool) -> String {
    if parallel { format!("{EXTENSIONS},{PARALLEL}") } else { EXTENSIONS.to_owned() }
}

/// The upload a path names: 404 unknown or another's, 410 expired (T-HEAD-3, T-EXP-3).
fn find(node: &Node, caller: &Caller, Path(id): &Path<String>) -> Result<Box<Entry>, Refused> {
    let unknown = || Refused::new(404, "no such upload");
    match node.look(SurfaceId::EasyTransfer, id.parse::<ObjectId>().map_err(|_| unknown())?) {
        Look::There(entry) if caller.sees(&entry.record) => Ok(entry),
        Look::There(_) => Err(unknown()),
        Look::Expired => Err(Refused::new(410, "the upload has expired")),
        Look::Unknown => Err(unknown()),
    }
}

/// Seconds an incomplete upload lives after its last byte.
fn expires_after_s(expiration: Duration) -> u64 {
    expiration.as_secs().max(1)
}

/// How long a grant about `entry` may be reused: never beyond the moment it may expire.
fn cache_ms(node: &Node, caller: &Caller, entry: &Entry) -> u64 {
    let expiration = node.config().uploads.expiration.as_millis() as u64;
    let left = entry.due_ms(expiration).map_or(u64::MAX, |due| due.saturating_sub(node.clock.now_ms()));
    caller.cache_ms(CACHE_MS.min(left))
}

fn is_final(entry: &Entry) -> bool {
    match entry.record.kind {
        Kind::Final { .. } => true,
        Kind::File | Kind::Partial => false,
    }
}
