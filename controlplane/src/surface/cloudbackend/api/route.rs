//! Which call a path and a method name (CONTRACT.md §A2): with and without the slash at its end, as written, nothing
//! decoded.

use http::Method;

use super::refusal::Refusal;
use crate::surface::cloudbackend::{drive, drop, user};

/// A call that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `/user/…` and `/user-settings/…`
    User(user::Route),
    /// `/file/…`
    Drive(drive::Route),
    /// `/drop/…`
    Drop(drop::Route),
}

impl Route {
    /// 404, 405, or which one.
    pub fn of(path: &str, method: &Method) -> Result<Self, Refusal> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let segments: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
        match segments.as_slice() {
            ["user" | "user-settings", ..] => user::Route::of(&segments, method).map(Self::User),
            ["file", rest @ ..] => drive::Route::of(rest, method).map(Self::Drive),
            ["drop", rest @ ..] => drop::Route::of(rest, method).map(Self::Drop),
            _ => Err(Refusal::NotFound),
        }
    }

    /// As it is counted.
    pub fn declared(&self) -> &'static str {
        match self {
            Self::User(route) => route.declared(),
            Self::Drive(route) => route.declared(),
            Self::Drop(route) => route.declared(),
        }
    }

    /// Whether it is for anybody: then its handler asks who it is, if it wants to know.
    pub fn is_open(&self) -> bool {
        match self {
            Self::User(route) => route.is_open(),
            Self::Drive(route) => route.is_open(),
            Self::Drop(route) => route.is_open(),
        }
    }

    /// Whether its body may be an array; all others take an object.
    pub fn takes_array(&self) -> bool {
        match self {
            Self::Drive(route) => route.takes_array(),
            Self::User(_) | Self::Drop(_) => false,
        }
    }
}

/// The number of an account, file or share in a path: decimal digits, nothing else.
pub fn id(segment: &str) -> Result<u64, Refusal> {
    let is_digits = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    segment.parse().ok().filter(|_| is_digits).ok_or(Refusal::NotFound)
}

/// A call with one method.
pub fn post<T>(method: &Method, route: T) -> Result<T, Refusal> {
    if method == Method::POST { Ok(route) } else { Err(Refusal::Method(method.clone(), "POST, OPTIONS")) }
}

/// A call that only looks.
pub fn get<T>(method: &Method, route: T) -> Result<T, Refusal> {
    if is_get(method) { Ok(route) } else { Err(Refusal::Method(method.clone(), "GET, HEAD, OPTIONS")) }
}

/// A HEAD is a GET whose answer loses its body.
pub fn is_get(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}
