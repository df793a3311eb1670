//! The pyBlobServer surface (pyblobserver/CONTRACT.md §9): its acceptance cases against the real program, by raw
//! requests and by other people's clients. Tests name the case they prove.

pub mod clients;
mod content;
mod crash;
mod extended;
mod files;
mod hostile;
mod limits;
mod pages;
mod socket;
mod uploads_in_parts;
mod users;

use serde_json::Value;

use crate::support::Node;
use crate::support::node::Setup;
use crate::support::raw::{Reply, Request};

const USER: &str = "user1";
const OTHER: &str = "luzheng@live.com";
/// Between the parts of every form here.
const BOUNDARY: &str = "----between-the-parts";

/// The two users of pyblobserver/CONTRACT.md §9, limits 1 MB and 2 MB, no rate limit.
fn setup() -> Setup {
    blob_env(
        Node::setup(),
        &[
            ("ALLOWED_USERS", "user1, luzheng@live.com,"),
            ("FILE_SIZE_LIMIT_MB", "1"),
            ("TOTAL_SIZE_LIMIT_MB", "2"),
            ("REQUESTS_PER_MINUTE", "0"),
            // As at the original, whose first caller gets the token.
            ("TOKEN_BOOTSTRAP", "open"),
        ],
    )
}

pub fn blob_env(setup: Setup, settings: &[(&str, &str)]) -> Setup {
    settings.iter().fold(setup, |setup, (key, value)| setup.env(&format!("SURFACES__PYBLOBSERVER__{key}"), value))
}

/// A user of a running node, with their token.
pub struct User<'n> {
    node: &'n Node,
    token: String,
}

impl<'n> User<'n> {
    /// The first call makes the user and tells the token.
    #[track_caller]
    pub fn first(node: &'n Node, id: &str) -> Self {
        let record = open(node, Request::get(&format!("/user/{id}"))).is(200).json();
        Self { node, token: record["token"].as_str().expect("a token in clear").to_owned() }
    }
    #[track_caller]
    fn send(&self, request: Request) -> Reply {
        open(self.node, self.authorized(request))
    }
    pub fn authorized(&self, request: Request) -> Request {
        request.header("Authorization", format!("Bearer {}", self.token))
    }
    #[track_caller]
    fn upload(&self, name: &str, content: &[u8]) -> Reply {
        self.send(form("/upload", &[Part::file("file", name, content)]))
    }
    /// The id of a file that was taken in.
    #[track_caller]
    fn uploaded(&self, name: &str, content: &[u8]) -> String {
        text(&self.upload(name, content).is(200).json()["file_id"])
    }
    #[track_caller]
    fn list(&self) -> Vec<Value> {
        self.send(Request::get("/list")).is(200).json().as_array().expect("an array").clone()
    }
    #[track_caller]
    fn total(&self, id: &str) -> u64 {
        open(self.node, Request::get(&format!("/user/{id}"))).json()["total_size"].as_u64().expect("a number")
    }
}

/// A request without credentials, below the surface's prefix.
#[track_caller]
fn open(node: &Node, mut request: Request) -> Reply {
    request.target = format!("/blob{}", request.target);
    node.send(&request)
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A part of a form.
pub struct Part {
    head: String,
    content: Vec<u8>,
}

impl Part {
    pub fn file(name: &str, filename: &str, content: &[u8]) -> Self {
        let filename = filename.replace('"', "%22");
        let head = format!("form-data; name=\"{name}\"; filename=\"{filename}\"\r\nContent-Type: application/x-any");
        Self { head, content: content.to_vec() }
    }
    fn field(name: &str, value: &str) -> Self {
        Self { head: format!("form-data; name=\"{name}\""), content: value.as_bytes().to_vec() }
    }
}

/// A POST of a form.
pub fn form(target: &str, parts: &[Part]) -> Request {
    let mut body = Vec::new();
    for part in parts {
        body.extend(format!("--{BOUNDARY}\r\nContent-Disposition: {}\r\n\r\n", part.head).bytes());
        body.extend(&part.content);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    Request::new("POST", target).header("Content-Type", format!("multipart/form-data; boundary={BOUNDARY}")).body(body)
}

/// The one text of a refusal that stands in both members.
#[track_caller]
fn both(reply: &Reply) -> String {
    let body = reply.json();
    assert_eq!(body["detail"], body["error"], "{reply:?}");
    text(&body["detail"])
}
