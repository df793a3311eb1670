//! The words of TUS as requests, and the state of an upload as a fresh HEAD and a ranged GET see it.

use super::node::{Node, TOKEN};
use super::oracle::Oracle;
use super::raw::{Reply, Request};

/// The body's type.
pub const OCTETS: &str = "application/offset+octet-stream";

/// An upload's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub id: String,
    /// `/tus/<id>`
    pub path: String,
}

impl Upload {
    #[track_caller]
    pub fn at(location: &str) -> Self {
        let path = location.split_once("://").map_or(location, |(_, rest)| &rest[rest.find('/').unwrap_or(0)..]);
        let id = path.rsplit('/').next().unwrap_or_default();
        let hex = id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        assert!(hex, "the last segment of {location} is no id");
        Self { id: id.into(), path: path.into() }
    }
    pub fn file(&self) -> String {
        format!("/api/files/{}", self.id)
    }
    pub fn download(&self) -> String {
        format!("/api/files/{}/download", self.id)
    }
}

/// Any request with the token and the version.
pub fn tus(method: &str, target: &str) -> Request {
    Request::new(method, target).header("Tus-Resumable", "1.0.0").header("X-API-Token", TOKEN)
}
pub fn post() -> Request {
    tus("POST", "/tus")
}
pub fn head(upload: &Upload) -> Request {
    tus("HEAD", &upload.path)
}
pub fn patch(upload: &Upload, offset: u64, body: &[u8]) -> Request {
    patch_head(upload, offset).body(body)
}
/// A PATCH without its body, for tests that send it themselves.
pub fn patch_head(upload: &Upload, offset: u64) -> Request {
    tus("PATCH", &upload.path).header("Upload-Offset", offset.to_string()).header("Content-Type", OCTETS)
}
/// `Upload-Metadata` with these keys.
pub fn metadata(pairs: &[(&str, &str)]) -> String {
    use base64::Engine as _;
    let encode = |value: &str| base64::engine::general_purpose::STANDARD.encode(value);
    pairs.iter().map(|(key, value)| format!("{key} {}", encode(value))).collect::<Vec<_>>().join(",")
}

/// What there is of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub status: u16,
    pub offset: Option<u64>,
    pub length: Option<u64>,
    pub deferred: Option<String>,
    pub received: Option<u64>,
    pub ranges: Option<String>,
    pub metadata: Option<String>,
    pub bytes: Option<Vec<u8>>,
}

impl Node {
    #[track_caller]
    pub fn create(&self, length: u64) -> Upload {
        self.create_with(|request| request.header("Upload-Length", length.to_string()))
    }
    #[track_caller]
    pub fn create_with(&self, edit: impl FnOnce(Request) -> Request) -> Upload {
        Upload::at(self.send(&edit(post())).is(201).field("Location"))
    }
    /// Creates and fills a whole file in one PATCH.
    #[track_caller]
    pub fn complete(&self, content: &[u8]) -> Upload {
        self.complete_as(&[("filename", "file.bin")], content)
    }
    #[track_caller]
    pub fn complete_as(&self, pairs: &[(&str, &str)], content: &[u8]) -> Upload {
        let upload = self.create_with(|request| {
            request.header("Upload-Length", content.len().to_string()).header("Upload-Metadata", metadata(pairs))
        });
        if !content.is_empty() {
            self.send(&patch(&upload, 0, content)).is(204);
        }
        upload
    }
    #[track_caller]
    pub fn patch(&self, upload: &Upload, offset: u64, body: &[u8]) -> Reply {
        self.send(&patch(upload, offset, body))
    }
    #[track_caller]
    pub fn head(&self, upload: &Upload) -> Reply {
        self.send(&head(upload))
    }
    /// The contiguous offset.
    #[track_caller]
    pub fn offset(&self, upload: &Upload) -> u64 {
        self.head(upload).is(200).number("Upload-Offset")
    }
    #[track_caller]
    pub fn state(&self, upload: &Upload) -> State {
        let head = self.head(upload);
        let number = |name: &str| head.header(name).and_then(|value| value.parse().ok());
        let text = |name: &str| head.header(name).map(str::to_owned);
        let got = self.get(&upload.download());
        State {
            status: head.status,
            offset: number("Upload-Offset"),
            length: number("Upload-Length"),
            deferred: text("Upload-Defer-Length"),
            received: number("X-Received-Bytes"),
            ranges: text("X-Received-Ranges"),
            metadata: text("Upload-Metadata"),
            bytes: matches!(got.status, 200 | 206).then_some(got.body),
        }
    }
    /// Sends a request that must be refused with `status` and change nothing about `upload`.
    #[track_caller]
    pub fn refused(&self, upload: &Upload, request: &Request, status: u16) -> Reply {
        let before = self.state(upload);
        let reply = self.send(request).is(status);
        let after = self.state(upload);
        assert_eq!(before, after, "a refusal changed the upload: {reply:?}");
        reply
    }
    /// Everything the upload shows is `content` of `0..length`, complete.
    #[track_caller]
    pub fn whole(&self, upload: &Upload, content: &[u8]) {
        let got = self.get(&upload.download()).is(200);
        assert!(got.body == content, "{} differs: {} bytes for {}", upload.id, got.body.len(), content.len());
        let info = self.get(&upload.file()).is(200).json();
        assert_eq!(info["status"], "complete", "{info}");
    }
    /// The upload's first `length` bytes are the oracle's.
    #[track_caller]
    pub fn prefix(&self, upload: &Upload, oracle: Oracle, length: u64) {
        if length == 0 {
            return;
        }
        let range = format!("bytes=0-{}", length - 1);
        let got = self.send(&Request::get(&upload.download()).header("X-API-Token", TOKEN).header("Range", range));
        let got = got.is(206);
        assert_eq!(got.body.len() as u64, length, "{got:?}");
        if let Err(wrong) = oracle.check(0, &got.body) {
            panic!("{}: {wrong}", upload.id);
        }
    }
    /// How many files the surface lists.
    #[track_caller]
    pub fn listed(&self) -> u64 {
        self.get("/api/files").is(200).json()["total"].as_u64().expect("total is a number")
    }
}
