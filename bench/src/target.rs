//! Who is tested: where it listens, which dialect it speaks, and the request heads of that dialect.
//!
//! | dialect | create | fill | read | remove |
//! |---|---|---|---|---|
//! | `easytransfer` | POST `<base>/tus` | PATCH, also out of order | GET `<base>/api/files/<id>/download` | DELETE |
//! | `tus` (tusd, rustus, tuspyserver, @tus/server) | POST `<base>` | PATCH in order | GET of the upload's URL | DELETE |
//! | `put` (nginx with dav, dufs, rclone serve webdav) | | PUT of the whole file | GET | DELETE |
//!
//! Must stay true: a token never appears in `Debug`, in an error or in a record; it travels to workers on their standard
//! input only.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs as _};

use serde::{Deserialize, Serialize};

use crate::units::Bytes;
use crate::workload::{Action, Operation, Workload};

/// The server under test, as the load sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    pub dialect: Dialect,
    /// Connections are dealt out over these, in turn.
    pub addresses: Vec<SocketAddr>,
    /// Local addresses to connect from, in turn; empty: the kernel chooses.
    pub from: Vec<std::net::IpAddr>,
    host: String,
    /// Path of the URL as it was written: for creation, where some TUS servers want the slash at its end and some do not.
    path: String,
    /// The same without a slash at its end.
    base: String,
    token: Option<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// This server: TUS, parallel writes, downloads.
    Easytransfer,
    /// Any TUS 1.0 server.
    Tus,
    /// PUT, GET, DELETE of paths.
    Put,
}

/// The value of `X-API-Token`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A target that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadTarget {
    #[error("{0:?} is no URL of a target: write it like http://127.0.0.1:8765 (TLS is not spoken)")]
    Url(String),
    #[error("{0}: {1}")]
    Address(String, std::io::Error),
    #[error("all URLs of one target have the same path")]
    Bases,
    #[error("a token is visible ASCII without spaces")]
    Token,
    #[error("operation {0:?}: {1}")]
    Operation(String, &'static str),
}

impl Token {
    pub fn new(text: &str) -> Result<Self, BadTarget> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BadTarget::Token);
        }
        Ok(Self(text.to_owned()))
    }
}

/// A file at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Which content it has.
    pub number: u64,
    pub size: u64,
    /// Path of its URL, as PATCH, PUT and DELETE use it.
    pub path: String,
}

impl Target {
    pub fn new(
        dialect: Dialect,
        urls: &[String],
        from: Vec<std::net::IpAddr>,
        token: Option<Token>,
    ) -> Result<Self, BadTarget> {
        let (host, path, base) = (String::new(), String::new(), String::new());
        let mut target = Self { dialect, addresses: Vec::new(), from, host, path, base, token };
        for url in urls {
            let (host, path) = split(url).ok_or_else(|| BadTarget::Url(url.clone()))?;
            let with_port = if host.rsplit(']').next().is_some_and(|rest| rest.contains(':')) {
                host.to_owned()
            } else {
                format!("{host}:80")
            };
            let found = with_port.to_socket_addrs().map_err(|error| BadTarget::Address(url.clone(), error))?.next();
            target.addresses.push(found.ok_or_else(|| BadTarget::Url(url.clone()))?);
            if target.host.is_empty() {
                (target.host, target.path) = (host.to_owned(), path.to_owned());
                target.base = path.trim_end_matches('/').to_owned();
            } else if target.path != path {
                return Err(BadTarget::Bases);
            }
        }
        if target.addresses.is_empty() {
            return Err(BadTarget::Url(String::new()));
        }
        Ok(target)
    }

    /// What the record calls it.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.host, self.base)
    }

    /// Whether the dialect can do what the workload asks for.
    pub fn check(&self, workload: &Workload) -> Result<(), BadTarget> {
        for operation in workload.operations.iter().filter(|operation| operation.action == Action::Upload) {
            let fault = match (self.dialect, operation) {
                (Dialect::Tus, Operation { parallel: 2.., .. }) => {
                    "TUS 1.0 writes in order; only `easytransfer` takes slices"
                }
                (Dialect::Put, Operation { parallel: 2.., .. }) => {
                    "PUT writes a file whole; `parallel` is for easytransfer"
                }
                (Dialect::Put, Operation { size: Bytes(0), .. }) => "there is nothing to PUT; give it a `size`",
                (Dialect::Put, Operation { with_creation: true, .. }) => {
                    "PUT has no creation; leave `with_creation` out"
                }
                _ => continue,
            };
            return Err(BadTarget::Operation(operation.name.clone(), fault));
        }
        Ok(())
    }

    /// The path of a file that is not there yet; `None` where the server gives it a URL of its own.
    pub fn path_of(&self, number: u64) -> Option<String> {
        (self.dialect == Dialect::Put).then(|| format!("{}/et-bench-{number:x}", self.base))
    }

    /// One request carries the whole file, however long.
    pub fn writes_whole(&self) -> bool {
        self.dialect == Dialect::Put
    }

    /// POST that makes an upload of `size` bytes, of which `inline` follow as its body.
    pub fn create(&self, number: u64, size: u64, inline: Option<u64>) -> String {
        use base64::Engine as _;
        let name = base64::engine::general_purpose::STANDARD.encode(format!("et-bench-{number:x}"));
        let path = match self.dialect {
            Dialect::Easytransfer => format!("{}/tus", self.base),
            Dialect::Tus | Dialect::Put => self.written_path().to_owned(),
        };
        let content_type = inline.map_or("", |_| "Content-Type: application/offset+octet-stream\r\n");
        let fields = format!(
            "Tus-Resumable: 1.0.0\r\nUpload-Length: {size}\r\nUpload-Metadata: filename {name}\r\n{content_type}\
             Content-Length: {}\r\n",
            inline.unwrap_or(0)
        );
        self.head("POST", &path, &fields)
    }

    /// PATCH, or the PUT of a whole file.
    pub fn fill(&self, path: &str, offset: u64, length: u64) -> String {
        match self.dialect {
            Dialect::Put => self.head("PUT", path, &format!("Content-Length: {length}\r\n")),
            Dialect::Easytransfer | Dialect::Tus => {
                let fields = format!(
                    "Tus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\nContent-Type: application/offset+octet-stream\r\n\
                     Content-Length: {length}\r\n"
                );
                self.head("PATCH", path, &fields)
            }
        }
    }

    /// GET of the whole file, or of `range` (end exclusive).
    pub fn read(&self, stored: &Stored, range: Option<(u64, u64)>) -> String {
        let path = match self.dialect {
            Dialect::Easytransfer => {
                let id = stored.path.rsplit('/').next().unwrap_or_default();
                format!("{}/api/files/{id}/download", self.base)
            }
            Dialect::Tus | Dialect::Put => stored.path.clone(),
        };
        let range = range.map_or_else(String::new, |(start, end)| format!("Range: bytes={start}-{}\r\n", end - 1));
        self.head("GET", &path, &range)
    }

    pub fn remove(&self, path: &str) -> String {
        self.head("DELETE", path, if self.dialect == Dialect::Put { "" } else { "Tus-Resumable: 1.0.0\r\n" })
    }

    /// The cheapest request that is answered, whatever the status: for connections that then stay idle.
    pub fn knock(&self) -> String {
        match self.dialect {
            Dialect::Easytransfer => self.head("GET", &format!("{}/api/health", self.base), ""),
            Dialect::Tus | Dialect::Put => self.head("OPTIONS", self.written_path(), ""),
        }
    }

    fn written_path(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }

    /// The path in a `Location`, which may be a whole URL.
    pub fn path_in(location: &str) -> String {
        let path =
            location.split_once("://").map_or(location, |(_, rest)| &rest[rest.find('/').unwrap_or(rest.len())..]);
        path.to_owned()
    }

    fn head(&self, method: &str, path: &str, fields: &str) -> String {
        let token = self.token.as_ref().map_or_else(String::new, |token| format!("X-API-Token: {}\r\n", token.0));
        let host = &self.host;
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{token}{fields}\r\n")
    }
}

/// Host with port, and path.
fn split(url: &str) -> Option<(&str, &str)> {
    let rest = match url.split_once("://") {
        Some(("http", rest)) => rest,
        Some(_) => return None,
        None => url,
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let clean = !host.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#' && b != b'@');
    clean.then_some((host, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(dialect: Dialect, url: &str) -> Target {
        let token = Some(Token::new("secret-token").expect("a token"));
        Target::new(dialect, &[url.to_owned()], Vec::new(), token).expect(url)
    }

    #[test]
    fn urls() {
        for (url, expected) in [
            ("http://127.0.0.1:8765", Some("http://127.0.0.1:8765")),
            ("127.0.0.1:8765/", Some("http://127.0.0.1:8765")),
            ("http://127.0.0.1/files/", Some("http://127.0.0.1/files")),
            ("http://[::1]:80/a/b", Some("http://[::1]:80/a/b")),
            ("https://127.0.0.1", None),
            ("http://user@127.0.0.1", None),
            ("http://127.0.0.1/a b", None),
            ("", None),
        ] {
            let read = Target::new(Dialect::Tus, &[url.to_owned()], Vec::new(), None).map(|target| target.url()).ok();
            assert_eq!(read.as_deref(), expected, "{url:?}");
        }
    }

    #[test]
    fn requests_of_each_dialect() {
        let stored = Stored { number: 7, size: 100, path: "/tus/0123".into() };
        let ours = target(Dialect::Easytransfer, "http://127.0.0.1:1/x");
        assert!(ours.create(7, 100, None).starts_with("POST /x/tus HTTP/1.1\r\nHost: 127.0.0.1:1\r\nX-API-Token: "));
        assert!(ours.read(&stored, Some((0, 10))).contains("GET /x/api/files/0123/download HTTP/1.1\r\n"));
        assert!(ours.read(&stored, Some((0, 10))).contains("Range: bytes=0-9\r\n"));
        let tus = target(Dialect::Tus, "http://127.0.0.1:1/files/");
        assert!(tus.create(7, 100, Some(100)).starts_with("POST /files/ HTTP/1.1\r\n"));
        assert!(tus.create(7, 100, Some(100)).contains("Content-Length: 100\r\n"));
        let bare = target(Dialect::Tus, "http://127.0.0.1:1/files");
        assert!(
            bare.create(7, 100, None).starts_with("POST /files HTTP/1.1\r\n"),
            "the path is taken as it is written"
        );
        assert!(target(Dialect::Tus, "http://127.0.0.1:1").create(7, 1, None).starts_with("POST / HTTP/1.1\r\n"));
        assert!(tus.fill("/files/a", 5, 6).contains("Upload-Offset: 5\r\n"));
        assert!(tus.read(&stored, None).starts_with("GET /tus/0123 HTTP/1.1\r\n"));
        let put = target(Dialect::Put, "http://127.0.0.1:1");
        assert_eq!(put.path_of(255).as_deref(), Some("/et-bench-ff"));
        assert!(put.fill("/et-bench-ff", 0, 6).starts_with("PUT /et-bench-ff HTTP/1.1\r\n"));
        for head in [ours.knock(), tus.remove("/a"), put.knock()] {
            assert!(head.ends_with("\r\n\r\n"), "{head:?}");
        }
    }

    #[test]
    fn a_location_may_be_a_url() {
        for (location, path) in [("/tus/a", "/tus/a"), ("http://h:1/tus/a", "/tus/a"), ("http://h", "")] {
            assert_eq!(Target::path_in(location), path);
        }
    }

    #[test]
    fn p22_a_token_is_not_shown() {
        let target = target(Dialect::Easytransfer, "http://127.0.0.1:1");
        assert!(!format!("{target:?} {}", target.url()).contains("secret"));
        assert!(Token::new("two words").is_err() && Token::new("a\r\nb").is_err());
    }
}
