//! Every line of TUS.md, one file per section; `table.rs` maps requirement id to test.

mod checksum;
mod concatenation;
mod creation;
mod deferred;
mod expiration;
mod head;
mod locks;
mod metadata;
mod options;
mod order;
mod patch;
mod patch_interrupted;
mod table;
mod termination;
mod versions;

use crate::support::Request;
use crate::support::tus::post;

/// POST for an upload of this length.
fn creation_request(length: u64) -> Request {
    post().header("Upload-Length", length.to_string())
}
