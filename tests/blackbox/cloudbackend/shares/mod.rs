//! Shares (cloudbackend/CONTRACT.md §A6): cases 18 to 22, grants, and guessing.

mod guessing;
mod making;
mod signed;
mod visiting;

use serde_json::{Value, json};

use super::accounts::{cloud, json_post, with_token};
use super::drive::{Person, error, setup};
use crate::support::{Node, Reply};

/// A share of one's own: the drop object.
#[track_caller]
fn share(owner: &Person<'_>, body: Value) -> Value {
    let told = owner.post("/drop/create/", body).is(201).json();
    assert_eq!(told["message"], "分享创建成功");
    told["drop"].clone()
}

/// `POST /drop/get-drop/` without an account.
#[track_caller]
fn visit(node: &Node, body: Value) -> Reply {
    node.send(&json_post("/drop/get-drop/", &body))
}

/// A download by a code, without an account.
#[track_caller]
fn download(node: &Node, file: &Value, body: Value) -> Reply {
    node.send(&json_post(&format!("/file/{}/download/", file["id"]), &body))
}

/// The count that a visit told.
#[track_caller]
fn count(reply: Reply) -> u64 {
    let told = reply.is(200).json();
    assert!(told.get("code").is_none(), "the front end unwraps what has a code at the top: {told}");
    told["drop"]["download_count"].as_u64().expect("a number")
}

/// The bytes behind a link that was told.
#[track_caller]
fn behind(node: &Node, reply: Reply) -> Vec<u8> {
    let url = reply.is(200).json()["download_url"].as_str().expect("a URL").to_owned();
    let target = url.strip_prefix(&node.url()).expect("this node has the object");
    node.send(&crate::support::Request::get(target)).is(200).body
}

/// The same node, asked from somewhere else.
fn from(request: crate::support::Request, address: &str) -> crate::support::Request {
    request.header("X-Forwarded-For", address)
}

fn behind_a_proxy() -> crate::support::node::Setup {
    setup().env("TRUSTED_PROXIES", "127.0.0.0/8")
}

fn with(settings: &[(&str, &str)]) -> crate::support::node::Setup {
    cloud(behind_a_proxy(), settings)
}

#[track_caller]
fn id(value: &Value) -> Value {
    json!(value["id"].as_u64().expect("a number"))
}

fn as_person(person: &Person<'_>, target: &str, body: &Value) -> crate::support::Request {
    with_token(json_post(target, body), &person.access)
}
