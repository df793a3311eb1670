//! Shares (contract cloudbackend.md A6).

use std::collections::BTreeSet;

use axum::response::Response;
use http::Method;

use super::api::{Asked, Refusal};

/// A call about shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Any of them.
    Any,
}

impl Route {
    /// By the segments of a path after `drop`.
    pub fn of(_segments: &[&str], _method: &Method) -> Result<Self, Refusal> {
        Ok(Self::Any)
    }

    /// As it is counted.
    pub fn declared(&self) -> &'static str {
        "/drop/"
    }

    /// Whether anybody may ask.
    pub fn is_open(&self) -> bool {
        false
    }
}

/// One call to its answer.
pub async fn handle(_asked: &Asked<'_>, _route: Route) -> Result<Response, Refusal> {
    Err(Refusal::Unbuilt)
}

/// Whether whoever asks may download file `id` with the share code `code`; counts the access when they have no grant (A6).
pub async fn may_download(_asked: &Asked<'_>, _code: &str, _file: u64) -> Result<(), Refusal> {
    Err(Refusal::Unbuilt)
}

/// Whether account `id` has a live grant, from a share, for one of these files: those an object is
/// ([`Stored::files`](crate::surface::cloudbackend::oss::stored::Stored::files)).
pub fn is_granted(_asked: &Asked<'_>, _id: u64, _files: &BTreeSet<u64>) -> bool {
    false
}
