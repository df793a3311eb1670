//! Secure File Transfer on the real program: the acceptance cases of secure_file_transfer/CONTRACT.md §9 by number,
//! hostile names and frames, kills, and clients as people write them.

mod chunks;
pub mod clients;
mod login;
mod names;
mod restarts;

use serde_json::{Value, json};

use crate::support::node::Setup;
use crate::support::{Node, Reply, Request};

/// What bodies of forms are divided by; no data of these tests holds it.
const BOUNDARY: &str = "------------------------b0undary";

fn setup() -> Setup {
    devices(Node::setup())
}

/// Gives the surface its devices.
pub fn devices(setup: Setup) -> Setup {
    setup.env(
        "SURFACES__SECURE_FILE_TRANSFER__DEVICES",
        r#"[{"device_id": "device1", "secret": "password1"}, {"device_id": "device2", "secret": "password2"},
            {"device_id": "small", "secret": "password3", "quota": "100"},
            {"device_id": "off", "secret": "password4", "disabled": true}]"#,
    )
}

fn start() -> Node {
    setup().start()
}

/// The header and the data of a right chunk.
fn chunk(start: u64, data: &[u8]) -> Vec<u8> {
    let end = start + data.len() as u64 - 1;
    let sum = data.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    frame(start, end, sum, data)
}

pub fn frame(start: u64, end: u64, sum: u8, data: &[u8]) -> Vec<u8> {
    [&start.to_be_bytes()[..], &end.to_be_bytes(), &[sum], data].concat()
}

/// A form with one part.
fn form(part: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{part}\"; filename=\"blob\"\r\nContent-Type: application/octet-stream\r\n\r\n"
    );
    [head.as_bytes(), content, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}

/// A device that has logged in.
pub struct Device<'n> {
    node: &'n Node,
    token: String,
}

impl<'n> Device<'n> {
    #[track_caller]
    pub fn log_in(node: &'n Node, name: &str, password: &str) -> Self {
        let reply = login(node, &format!("username={name}&password={password}")).is(200).json();
        assert_eq!(reply["token_type"], "bearer", "{reply}");
        Self { node, token: reply["access_token"].as_str().expect("a token").to_owned() }
    }

    pub fn one(node: &'n Node) -> Self {
        Self::log_in(node, "device1", "password1")
    }

    pub fn request(&self, method: &str, target: &str) -> Request {
        Request::new(method, &format!("/sft{target}")).header("Authorization", format!("Bearer {}", self.token))
    }

    #[track_caller]
    fn ask(&self, method: &str, target: &str) -> Reply {
        self.node.send(&self.request(method, target))
    }

    /// A chunk as the part of a form.
    pub fn posting(&self, name: &str, content: &[u8]) -> Request {
        self.request("POST", &format!("/api/files/upload?filename={name}"))
            .header("Content-Type", format!("multipart/form-data; boundary={BOUNDARY}"))
            .body(form("file", content))
    }

    #[track_caller]
    fn post(&self, name: &str, content: &[u8]) -> Reply {
        self.node.send(&self.posting(name, content))
    }

    /// A right chunk, with the total when there is one.
    #[track_caller]
    pub fn send(&self, name: &str, start: u64, data: &[u8], total: Option<u64>) -> Reply {
        let request = self.posting(name, &chunk(start, data));
        let request = match total {
            Some(total) => {
                let end = start + data.len() as u64 - 1;
                request.header("Content-Range", format!("bytes {start}-{end}/{total}"))
            }
            None => request,
        };
        self.node.send(&request)
    }

    #[track_caller]
    fn status(&self, name: &str) -> Value {
        self.ask("GET", &format!("/api/files/status/{name}")).is(200).json()
    }

    #[track_caller]
    fn download(&self, name: &str) -> Vec<u8> {
        self.ask("GET", &format!("/api/files/download/{name}")).is(200).body
    }

    #[track_caller]
    fn list(&self) -> Vec<String> {
        let reply = self.ask("GET", "/api/files").is(200).json();
        let files = reply["files"].as_array().expect("a list").iter();
        files.map(|file| file["filename"].as_str().expect("a name").to_owned()).collect()
    }
}

#[track_caller]
fn login(node: &Node, form: &str) -> Reply {
    let typed = Request::new("POST", "/sft/auth/token").header("Content-Type", "application/x-www-form-urlencoded");
    node.send(&typed.body(form))
}

/// A FileStatus.
fn status(name: &str, status: &str, received: u64, total: impl Into<Value>, next: u64) -> Value {
    json!({
        "filename": name,
        "status": status,
        "bytes_received": received,
        "total_bytes": total.into(),
        "next_expected_byte": next,
    })
}

fn partial(name: &str, received: u64, total: u64, next: u64) -> Value {
    status(name, "partial", received, total, next)
}

fn complete(name: &str, length: u64) -> Value {
    status(name, "complete", length, length, length)
}

fn pending(name: &str) -> Value {
    status(name, "pending", 0, Value::Null, 0)
}

fn detail(text: &str) -> Value {
    json!({"detail": text})
}
