//! Which resource a path names (CONTRACT.md §2.6, §3-§8).
//!
//! Must stay true: segments are split as they came and decoded once, so an escaped slash or dot never makes another path;
//! one slash at the end changes nothing and nothing redirects.

use http::Method;

use crate::core::percent::{self, Undecodable};

/// A resource. What a client put into the path is text, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/`
    Root,
    /// `/health`
    Health,
    /// `/user/{user_id}`
    User(String),
    /// `/upload`
    Upload,
    /// `/s/{file_id}`
    File(String),
    /// `/list`
    List,
    /// `/delete/{file_id}`
    Delete(String),
    /// `/delete_all`
    DeleteAll,
    /// `/auth`
    Auth,
    /// `/upload_batch`
    UploadBatch,
    /// `/upload_socket`
    UploadSocket,
    /// `/upload_tus`
    Tus,
    /// `/upload_tus/{id}`
    TusUpload(String),
}

/// Why a path names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoute {
    /// An escape in it is broken.
    Broken,
    /// There is no such resource.
    Unknown,
}

impl Route {
    /// The resource at `path`, which begins below the surface's prefix; CONTRACT.md §8 exists only when `extended`.
    pub fn of(path: &str, extended: bool) -> Result<Self, NoRoute> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = match path.strip_suffix('/') {
            Some("") => return Err(NoRoute::Unknown),
            Some(rest) => rest,
            None => path,
        };
        let segments: Vec<String> = path.split('/').map(decode).collect::<Result<_, _>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let route = match segments.as_slice() {
            [""] => Self::Root,
            ["health"] => Self::Health,
            ["user", user] if !user.is_empty() => Self::User((*user).to_owned()),
            ["upload"] => Self::Upload,
            ["s", file] => Self::File((*file).to_owned()),
            ["list"] => Self::List,
            ["delete", file] => Self::Delete((*file).to_owned()),
            ["delete_all"] => Self::DeleteAll,
            ["auth"] => Self::Auth,
            ["upload_batch"] => Self::UploadBatch,
            ["upload_socket"] => Self::UploadSocket,
            ["upload_tus"] => Self::Tus,
            ["upload_tus", id] => Self::TusUpload((*id).to_owned()),
            _ => return Err(NoRoute::Unknown),
        };
        if route.is_extended() && !extended { Err(NoRoute::Unknown) } else { Ok(route) }
    }

    /// Methods it answers.
    pub const fn methods(&self) -> &'static [Method] {
        match self {
            Self::Root | Self::Health | Self::User(_) | Self::List | Self::Auth | Self::UploadSocket => &[Method::GET],
            Self::File(_) => &[Method::GET, Method::HEAD],
            Self::Upload | Self::UploadBatch => &[Method::POST],
            Self::Delete(_) | Self::DeleteAll => &[Method::DELETE],
            Self::Tus => &[Method::POST, Method::OPTIONS],
            Self::TusUpload(_) => &[Method::HEAD, Method::PATCH, Method::DELETE, Method::OPTIONS],
        }
    }

    /// The resource is part of TUS.
    pub const fn is_tus(&self) -> bool {
        matches!(self, Self::Tus | Self::TusUpload(_))
    }

    /// Requests count against the rate limit (CONTRACT.md §2.4).
    pub const fn is_limited(&self) -> bool {
        !matches!(self, Self::Health | Self::File(_))
    }

    const fn is_extended(&self) -> bool {
        self.is_tus() || matches!(self, Self::Auth | Self::UploadBatch | Self::UploadSocket)
    }
}

/// One segment with its escapes undone. Bytes that are no UTF-8 name nothing.
fn decode(segment: &str) -> Result<String, NoRoute> {
    percent::decode(segment).map_err(|undecodable| match undecodable {
        Undecodable::Broken => NoRoute::Broken,
        Undecodable::NotUtf8 => NoRoute::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_2_6_paths_and_slashes() {
        for (path, route) in [
            ("", Ok(Route::Root)),
            ("/", Ok(Route::Root)),
            ("//", Err(NoRoute::Unknown)),
            ("/health", Ok(Route::Health)),
            ("/health/", Ok(Route::Health)),
            ("/delete_all", Ok(Route::DeleteAll)),
            ("/delete_all/", Ok(Route::DeleteAll)),
            ("/upload_tus/", Ok(Route::Tus)),
            ("/upload_tus/0a", Ok(Route::TusUpload("0a".into()))),
            ("/user/luzheng@live.com", Ok(Route::User("luzheng@live.com".into()))),
            ("/user/a%2Fb%20c", Ok(Route::User("a/b c".into()))),
            ("/user/%C3%A9/", Ok(Route::User("é".into()))),
            ("/s/vP4rgaBW", Ok(Route::File("vP4rgaBW".into()))),
            ("/s/..%2F..%2Fetc%2Fpasswd", Ok(Route::File("../../etc/passwd".into()))),
            ("/s/%2e%2e", Ok(Route::File("..".into()))),
            ("/s/..", Ok(Route::File("..".into()))),
            ("/s/", Err(NoRoute::Unknown)),
            ("/s//x", Err(NoRoute::Unknown)),
            ("//s/x", Err(NoRoute::Unknown)),
            ("/s/x//", Err(NoRoute::Unknown)),
            ("/user/", Err(NoRoute::Unknown)),
            ("/s/../list", Err(NoRoute::Unknown)),
            ("/s\\x", Err(NoRoute::Unknown)),
            ("/S/x", Err(NoRoute::Unknown)),
            ("/s/%ff", Err(NoRoute::Unknown)),
            ("/s/%c0%ae", Err(NoRoute::Unknown)),
            ("/s/%zz", Err(NoRoute::Broken)),
            ("/s/%2", Err(NoRoute::Broken)),
            ("/nope", Err(NoRoute::Unknown)),
        ] {
            assert_eq!(Route::of(path, true), route, "{path}");
        }
    }

    #[test]
    fn section_8_can_be_switched_off() {
        for path in ["/auth", "/upload_batch", "/upload_socket", "/upload_tus", "/upload_tus/x"] {
            assert!(Route::of(path, true).is_ok(), "{path}");
            assert_eq!(Route::of(path, false), Err(NoRoute::Unknown), "{path}");
        }
        assert!(Route::of("/upload", false).is_ok());
    }
}
