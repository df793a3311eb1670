//! Calls about files: what stands after `/file` in a path.

use http::Method;

use crate::surface::cloudbackend::api::Refusal;
use crate::surface::cloudbackend::api::route::{get, id, is_get, post};

/// A call that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `GET /file/`
    All,
    /// `GET /file/{id}/`
    One(u64),
    /// `POST /file/list/`
    List,
    /// `POST /file/new-folder/`
    NewFolder,
    /// `POST /file/{id}/delete/`
    Delete(u64),
    /// `POST /file/{id}/update/`
    Update(u64),
    /// `POST /file/{id}/download/`
    Download(u64),
    /// `GET /file/storage-info/`
    StorageInfo,
    /// `POST /file/recalculate-storage/`
    Recalculate,
    /// `GET /file/get-token/`
    PlainToken,
    /// `POST /file/get-token/`
    Token,
    /// `POST /file/uploaded/`
    Uploaded,
}

impl Route {
    /// By the segments of a path after `file`.
    pub fn of(segments: &[&str], method: &Method) -> Result<Self, Refusal> {
        match *segments {
            [] => get(method, Self::All),
            ["list"] => post(method, Self::List),
            ["new-folder"] => post(method, Self::NewFolder),
            ["storage-info"] => get(method, Self::StorageInfo),
            ["recalculate-storage"] => post(method, Self::Recalculate),
            ["get-token"] if is_get(method) => Ok(Self::PlainToken),
            ["get-token"] if method == Method::POST => Ok(Self::Token),
            ["get-token"] => Err(Refusal::Method(method.clone(), "GET, HEAD, POST, OPTIONS")),
            ["uploaded"] => post(method, Self::Uploaded),
            [segment] => get(method, Self::One(id(segment)?)),
            [segment, "delete"] => post(method, Self::Delete(id(segment)?)),
            [segment, "update"] => post(method, Self::Update(id(segment)?)),
            [segment, "download"] => post(method, Self::Download(id(segment)?)),
            _ => Err(Refusal::NotFound),
        }
    }

    /// As it is counted.
    pub fn declared(&self) -> &'static str {
        match self {
            Self::All => "/file/",
            Self::One(_) => "/file/{id}/",
            Self::List => "/file/list/",
            Self::NewFolder => "/file/new-folder/",
            Self::Delete(_) => "/file/{id}/delete/",
            Self::Update(_) => "/file/{id}/update/",
            Self::Download(_) => "/file/{id}/download/",
            Self::StorageInfo => "/file/storage-info/",
            Self::Recalculate => "/file/recalculate-storage/",
            Self::PlainToken | Self::Token => "/file/get-token/",
            Self::Uploaded => "/file/uploaded/",
        }
    }

    /// A client with a share's code may download without an account.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Download(_))
    }

    /// Whether its body may be an array.
    pub fn takes_array(&self) -> bool {
        matches!(self, Self::Uploaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a3_other_generic_routes_are_not_there() {
        for (segments, method, route) in [
            (&[][..], Method::GET, Some(Route::All)),
            (&["7"], Method::HEAD, Some(Route::One(7))),
            (&["get-token"], Method::GET, Some(Route::PlainToken)),
            (&["get-token"], Method::POST, Some(Route::Token)),
            (&["7", "download"], Method::POST, Some(Route::Download(7))),
        ] {
            assert_eq!(Route::of(segments, &method).ok(), route);
        }
        for (segments, method) in [
            (&[][..], Method::POST),
            (&["7"], Method::PUT),
            (&["7"], Method::DELETE),
            (&["list"], Method::GET),
            (&["7", "delete"], Method::GET),
            (&["get-token"], Method::PUT),
        ] {
            assert!(matches!(Route::of(segments, &method), Err(Refusal::Method(..))), "{method} {segments:?}");
        }
        for segments in [
            &["x"][..],
            &["-1"],
            &["+1"],
            &["7", "x"],
            &["x", "delete"],
            &["7", "delete", ""],
            &["", "list"],
            &["..", "user"],
        ] {
            assert_eq!(Route::of(segments, &Method::POST), Err(Refusal::NotFound), "{segments:?}");
        }
        assert_eq!(Route::of(&["99999999999999999999"], &Method::GET), Err(Refusal::NotFound), "past the last number");
    }
}
