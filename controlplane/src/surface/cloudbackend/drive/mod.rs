//! The virtual drive (contract cloudbackend.md A4, A5, A8).

use axum::response::Response;
use http::Method;

use super::api::counter::{number, part};
use super::api::{Asked, Refusal};
use crate::node::Node;

/// A call about files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Any of them.
    Any,
}

impl Route {
    /// By the segments of a path after `file`.
    pub fn of(_segments: &[&str], _method: &Method) -> Result<Self, Refusal> {
        Ok(Self::Any)
    }

    /// As it is counted.
    pub fn declared(&self) -> &'static str {
        "/file/"
    }

    /// Whether anybody may ask.
    pub fn is_open(&self) -> bool {
        false
    }

    /// Whether its body may be an array.
    pub fn takes_array(&self) -> bool {
        false
    }
}

/// One call to its answer.
pub async fn handle(_asked: &Asked<'_>, _route: Route) -> Result<Response, Refusal> {
    Err(Refusal::Unbuilt)
}

/// Bytes of the live files of an account: document `u/<id>`.
pub fn used(node: &Node, id: u64) -> u64 {
    number(node, &format!("u/{}", part(id))).unwrap_or(0)
}

/// A file or folder of an account.
pub fn record(_node: &Node, _user: u64, _id: u64) -> Option<Item> {
    None
}

/// A file or folder of somebody's.
pub struct Item;

impl Item {
    /// The record clients see.
    pub fn told(&self, _user: u64) -> serde_json::Value {
        serde_json::Value::Null
    }
}
