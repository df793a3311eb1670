//! Calls about shares: what stands after `/drop` in a path.

use http::Method;

use crate::surface::cloudbackend::api::Refusal;
use crate::surface::cloudbackend::api::route::{get, id, post};

/// A call that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `GET /drop/`
    List,
    /// `GET /drop/{id}/`
    Show(u64),
    /// `POST /drop/create/`
    Create,
    /// `POST /drop/get-drop/`
    Get,
    /// `POST /drop/{id}/delete/`
    Delete(u64),
}

impl Route {
    /// By the segments of a path after `drop`.
    pub fn of(segments: &[&str], method: &Method) -> Result<Self, Refusal> {
        match *segments {
            [] => get(method, Self::List),
            ["create"] => post(method, Self::Create),
            ["get-drop"] => post(method, Self::Get),
            [segment] => get(method, Self::Show(id(segment)?)),
            [segment, "delete"] => post(method, Self::Delete(id(segment)?)),
            _ => Err(Refusal::NotFound),
        }
    }

    /// As it is counted.
    pub fn declared(&self) -> &'static str {
        match self {
            Self::List => "/drop/",
            Self::Show(_) => "/drop/{id}/",
            Self::Create => "/drop/create/",
            Self::Get => "/drop/get-drop/",
            Self::Delete(_) => "/drop/{id}/delete/",
        }
    }

    /// A client with a code may have what it is for.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Get)
    }
}
