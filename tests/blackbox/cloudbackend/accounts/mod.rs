//! Accounts and their tokens (cloudbackend/CONTRACT.md §A2, §A3): cases 1 to 6, by raw requests and by `et server
//! user`.

pub mod console;
mod login;
mod numbers;
mod register;
mod sessions;
mod settings;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::node::Setup;
use crate::support::{Node, Reply, Request};

const PASSWORD: &str = "correct horse";

pub fn setup() -> Setup {
    cloud(Node::setup(), &[("REGISTRATION", "true")])
}

pub fn cloud(setup: Setup, settings: &[(&str, &str)]) -> Setup {
    settings.iter().fold(setup, |setup, (key, value)| setup.env(&format!("SURFACES__CLOUDBACKEND__{key}"), value))
}

/// A call with a JSON body, and no token.
#[track_caller]
pub fn call(node: &Node, target: &str, body: &Value) -> Reply {
    node.send(&json_post(target, body))
}

pub fn json_post(target: &str, body: &Value) -> Request {
    Request::new("POST", target).header("Content-Type", "application/json").body(body.to_string())
}

pub fn with_token(request: Request, token: &str) -> Request {
    request.header("Authorization", format!("Bearer {token}"))
}

/// A user who is logged in.
struct User<'n> {
    node: &'n Node,
    id: u64,
    access: String,
    refresh: String,
}

impl<'n> User<'n> {
    #[track_caller]
    fn register(node: &'n Node, name: &str) -> Self {
        Self::of(node, &call(node, "/user/register/", &applicant(name)).is(201).json())
    }
    #[track_caller]
    fn log_in(node: &'n Node, name: &str, password: &str) -> Self {
        let body = json!({"username": name, "password": password});
        Self::of(node, &call(node, "/user/login/", &body).is(200).json())
    }
    #[track_caller]
    fn of(node: &'n Node, told: &Value) -> Self {
        let id = told["user"]["id"].as_u64().expect("a number");
        Self { node, id, access: text(&told["access"]), refresh: text(&told["refresh"]) }
    }
    #[track_caller]
    fn send(&self, request: Request) -> Reply {
        self.node.send(&with_token(request, &self.access))
    }
    #[track_caller]
    fn get(&self, target: &str) -> Reply {
        self.send(Request::get(target))
    }
    #[track_caller]
    fn post(&self, target: &str, body: Value) -> Reply {
        self.send(json_post(target, &body))
    }
}

fn applicant(name: &str) -> Value {
    json!({"username": name, "password": PASSWORD, "email": format!("{name}@example.org")})
}

#[track_caller]
fn refresh(node: &Node, token: &str) -> Reply {
    call(node, "/user/refresh-token/", &json!({"refresh": token}))
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// What a token says, read as the front end does: unverified.
#[track_caller]
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON")
}

/// The one `error` of a refusal; `message` says the same.
#[track_caller]
fn error(reply: Reply, status: u16) -> String {
    let body = reply.is(status).json();
    assert_eq!(body["error"], body["message"], "{body}");
    text(&body["error"])
}
