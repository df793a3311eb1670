//! Stream upload on the real program: the acceptance cases of stream_upload/CONTRACT.md §9 by number, hostile fields,
//! kills, and clients as people write them.

mod assets;
mod chunks;
pub mod clients;
mod refusals;
mod restarts;

use md5::Digest as _;
use serde_json::{Value, json};

use crate::support::node::Setup;
use crate::support::{Node, Reply, Request};

/// Two users of this surface alone, each with a token.
pub const ANN: &str = "token-of-ann-0123456789";
pub const BEN: &str = "token-of-ben-0123456789";

fn setup() -> Setup {
    users(Node::setup())
}

/// Gives the surface its users.
pub fn users(setup: Setup) -> Setup {
    let tokens =
        format!(r#"[{{"token": "{ANN}", "user": "ann"}}, {{"token": "{BEN}", "user": "b/e%n", "quota": "1000"}}]"#);
    setup.env("SURFACES__STREAM_UPLOAD__TOKENS", tokens)
}

fn start() -> Node {
    setup().start()
}

/// One upload of a user.
pub struct Upload<'n> {
    node: &'n Node,
    token: &'static str,
    id: String,
    name: &'static str,
    size: u64,
    total: u64,
}

impl<'n> Upload<'n> {
    pub fn new(node: &'n Node, id: &str, size: u64, total: u64) -> Self {
        Self { node, token: ANN, id: id.to_owned(), name: "a.bin", size, total }
    }

    pub fn request(&self, index: u64, data: &[u8]) -> Request {
        Request::new("POST", "/api/scratch/stream-upload")
            .header("Authorization", format!("Bearer {}", self.token))
            .header("X-Filename", self.name)
            .header("X-Filesize", self.size.to_string())
            .header("X-Filetype", "text/x-test")
            .header("X-Chunk-Index", index.to_string())
            .header("X-Total-Chunks", self.total.to_string())
            .header("X-Upload-Id", &self.id)
            .body(data)
    }

    #[track_caller]
    fn send(&self, index: u64, data: &[u8]) -> Reply {
        self.node.send(&self.request(index, data))
    }

    #[track_caller]
    fn status(&self) -> Reply {
        ask(self.node, self.token, "GET", &format!("upload-status/{}", self.id))
    }

    #[track_caller]
    fn cancel(&self) -> Reply {
        ask(self.node, self.token, "DELETE", &format!("cancel-upload/{}", self.id))
    }
}

#[track_caller]
fn ask(node: &Node, token: &str, method: &str, path: &str) -> Reply {
    node.send(&Request::new(method, &format!("/api/scratch/{path}")).header("Authorization", format!("Bearer {token}")))
}

/// What a chunk is answered with, without the asset.
#[track_caller]
fn counted(reply: Reply, index: u64, count: u64, total: u64) -> Value {
    let mut body = reply.is(200).json();
    let asset = body.as_object_mut().expect("an object").remove("asset").unwrap_or(Value::Null);
    let message = format!("分块 {}/{total} 上传成功", index + 1);
    assert_eq!(body, json!({"status": "success", "message": message, "uploadedChunks": count, "totalChunks": total}));
    asset
}

fn refused(message: &str) -> Value {
    json!({"status": "error", "message": message})
}

fn md5_of(content: &[u8]) -> String {
    md5::Md5::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The asset is there, and is this content.
#[track_caller]
fn check_asset(node: &Node, asset: &Value, content: &[u8]) {
    assert_eq!(asset["md5"], md5_of(content), "{asset}");
    let sha: String = sha2::Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((&asset["sha256"], &asset["size"]), (&json!(sha), &json!(content.len())));
    let url = asset["url"].as_str().expect("an address");
    let path = url.strip_prefix(&node.url()).unwrap_or_else(|| panic!("{url} is not on this node"));
    let reply = node.send(&Request::get(path).header("Authorization", ANN)).is(200);
    assert!(reply.body == content, "the content of {asset}");
    assert_eq!(reply.field("Content-Type"), asset["mimeType"].as_str().expect("a type"));
}
