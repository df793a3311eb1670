//! The virtual drive (cloudbackend/CONTRACT.md §A4, §A5, §A8, §B8): cases 7, 8, 12, 13, 15, 16, 17, 23, 25, by a client
//! that does what the published front end does: token, form, notify.

mod clients;
mod crash;
mod files;
mod folders;
mod hostile;
mod quota;
mod uploads;

use serde_json::{Value, json};

use crate::oss::{self, Form};
use crate::support::node::Setup;
use crate::support::{Node, Reply, Request};

pub fn setup() -> Setup {
    oss::setup().env("SURFACES__CLOUDBACKEND__REGISTRATION", "true")
}

fn with_quota(bytes: u64) -> Setup {
    setup().env("SURFACES__CLOUDBACKEND__USER_QUOTA", bytes)
}

/// A user who is logged in.
pub struct Person<'n> {
    pub node: &'n Node,
    pub name: String,
    pub id: u64,
    pub access: String,
}

impl<'n> Person<'n> {
    #[track_caller]
    pub fn register(node: &'n Node, name: &str) -> Self {
        let body = json!({"username": name, "password": "correct horse", "email": format!("{name}@example.org")});
        let told = node.send(&json_post("/user/register/", &body)).is(201).json();
        let access = told["access"].as_str().expect("an access token").to_owned();
        Self { node, name: name.into(), id: told["id"].as_u64().expect("a number"), access }
    }
    #[track_caller]
    pub fn send(&self, request: Request) -> Reply {
        self.node.send(&request.header("Authorization", format!("Bearer {}", self.access)))
    }
    #[track_caller]
    pub fn get(&self, target: &str) -> Reply {
        self.send(Request::get(target))
    }
    #[track_caller]
    pub fn post(&self, target: &str, body: Value) -> Reply {
        self.send(json_post(target, &body))
    }
    #[track_caller]
    pub fn token(&self) -> Value {
        self.get("/file/get-token/").is(200).json()["token"].clone()
    }
    /// Posts the form of the front end, with its fields in its order.
    #[track_caller]
    pub fn try_put(&self, key: &str, content: &[u8]) -> Reply {
        let token = self.token();
        let text = |name: &str| token[name].as_str().unwrap_or_else(|| panic!("no {name} in {token}")).to_owned();
        let mut form = Form::of_front_end(key, content);
        form.fields = [
            ("key", key.to_owned()),
            ("OSSAccessKeyId", text("access_key_id")),
            ("policy", text("policy")),
            ("signature", text("signature")),
            ("success_action_status", "200".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let mut request = form.request();
        request.target = text("host").strip_prefix(&self.node.url()).expect("this node is the host").to_owned();
        self.node.send(&request)
    }
    /// The URL of an object that was posted.
    #[track_caller]
    pub fn put(&self, key: &str, content: &[u8]) -> String {
        let reply = self.try_put(key, content).is(200);
        assert!(reply.body.is_empty(), "{reply:?}");
        self.url(key)
    }
    pub fn url(&self, key: &str) -> String {
        format!("{}/cloud/{}", self.node.url(), encoded(key))
    }
    #[track_caller]
    pub fn notify(&self, body: Value) -> Reply {
        self.post("/file/uploaded/", body)
    }
    /// A file with this content: the record.
    #[track_caller]
    pub fn file(&self, path: &str, name: &str, content: &[u8]) -> Value {
        let url = self.put(&format!("{}//{}", self.name, digest(path, name)), content);
        let told = self.notify(element(path, name, &url)).is(201).json();
        told["file"].clone()
    }
    #[track_caller]
    pub fn folder(&self, path: &str, name: &str) -> Value {
        self.post("/file/new-folder/", json!({"folder_name": name, "path": path})).is(201).json()["folder"].clone()
    }
    #[track_caller]
    pub fn list(&self, path: &str) -> Vec<Value> {
        let told = self.post("/file/list/", json!({"path": path})).is(200).json();
        told["files"].as_array().expect("an array").clone()
    }
    #[track_caller]
    pub fn names(&self, path: &str) -> Vec<String> {
        self.list(path).iter().map(|file| file["name"].as_str().expect("a name").to_owned()).collect()
    }
    #[track_caller]
    pub fn update(&self, file: &Value, change: Value) -> Reply {
        self.post(&format!("/file/{}/update/", file["id"]), change)
    }
    #[track_caller]
    pub fn delete(&self, file: &Value) -> Reply {
        self.post(&format!("/file/{}/delete/", file["id"]), json!({}))
    }
    #[track_caller]
    pub fn link(&self, file: &Value) -> String {
        let told = self.post(&format!("/file/{}/download/", file["id"]), json!({})).is(200).json();
        assert_eq!(told["message"], "下载链接已生成");
        let url = told["download_url"].as_str().expect("a URL");
        url.strip_prefix(&self.node.url()).expect("this node has the object").to_owned()
    }
    #[track_caller]
    pub fn download(&self, file: &Value) -> Vec<u8> {
        self.node.send(&Request::get(&self.link(file))).is(200).body
    }
    #[track_caller]
    pub fn used(&self) -> u64 {
        let told = self.get("/file/storage-info/").is(200).json();
        told["used_space"].as_u64().expect("a number")
    }
}

/// What the front end tells of a file it posted.
fn element(path: &str, name: &str, url: &str) -> Value {
    json!({"name": name, "content_type": "application/pdf", "size": 1, "oss_url": url, "path": path})
}

fn json_post(target: &str, body: &Value) -> Request {
    Request::new("POST", target).header("Content-Type", "application/json").body(body.to_string())
}

/// Some name for an object, the same for the same file.
fn digest(path: &str, name: &str) -> String {
    oss::sign(format!("{path}\n{name}").as_bytes()).bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// As the front end writes a key: `encodeURIComponent` of each segment.
fn encoded(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()/".contains(&byte);
    key.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The one `error` of a refusal; `message` says the same.
#[track_caller]
pub fn error(reply: Reply, status: u16) -> String {
    let body = reply.is(status).json();
    assert_eq!(body["error"], body["message"], "{body}");
    body["error"].as_str().expect("a text").to_owned()
}

/// The members a refusal complains of, with what it says.
#[track_caller]
fn errors(reply: Reply, message: &str) -> Value {
    let body = reply.is(400).json();
    assert_eq!(body["message"], message, "{body}");
    body["errors"].clone()
}
