//! All dialects on one server: what holds of them together. What each of them answers is its own tests' business.

mod largest;
mod memory;
mod records;
mod revoked;
mod together;

use crate::support::Node;
use crate::support::node::Setup;
use crate::{oss, pyblobserver, secure_file_transfer, stream_upload};

/// One node, one port, the default mounts, and a user who may upload in each dialect.
pub fn setup() -> Setup {
    let setup = secure_file_transfer::devices(stream_upload::users(oss::key_pair(Node::setup())));
    pyblobserver::blob_env(
        setup.env("SURFACES__STREAM_UPLOAD__MAX_FILE_BYTES", "1GiB"),
        &[
            ("ALLOWED_USERS", "requests,curl,tus"),
            ("TOKEN_BOOTSTRAP", "open"),
            ("FILE_SIZE_LIMIT_MB", "20"),
            ("TOTAL_SIZE_LIMIT_MB", "1000"),
            ("REQUESTS_PER_MINUTE", "0"),
        ],
    )
}
