//! easytransfer/CONTRACT.md §0, §1.2–§1.4: every route × every kind of caller, with the exact status and the body's
//! shape.
//!
//! [`rows`] is the contract's table; what each caller gets follows from the access letter, in [`callers`].

mod callers;
mod rows;

use serde_json::Value;

use crate::support::database::{Database, person, session};
use crate::support::provider::Provider;
use crate::support::tus::{metadata, patch, post};
use crate::support::{Node, OTHER_TOKEN, Reply, Request, Upload};
use callers::{Caller, Shape, by, expected};
use rows::{ROWS, Row};

#[test]
fn every_route_answers_every_caller_as_the_contract_says() {
    let provider = Provider::start();
    let more = format!("auth: {{admin_tokens: [{OTHER_TOKEN}]}}\n");
    let node = Node::setup().config(&provider.config(&more)).start();
    people(&node);
    let mut wrong = Vec::new();
    for (at, row) in ROWS.iter().enumerate() {
        for caller in Caller::ALL {
            let (status, shape) = expected(row, caller);
            let reply = node.send(&by(caller, request(&node, row, &format!("{at}-{caller:?}"))));
            let told =
                if reply.status == status { misshapen(row, shape, &reply) } else { Some(format!("not {status}")) };
            wrong.extend(told.map(|told| format!("{} {} by {caller:?}: {told}: {reply:?}", row.method, row.path)));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), ROWS.len() * Caller::ALL.len(), wrong.join("\n"));
}

/// Everybody of [`Caller`], and `target`, whom administrators change.
fn people(node: &Node) {
    let people = [("ann", "user"), ("bob", "user"), ("chief", "admin"), ("target", "user")];
    let mut statements: Vec<String> = people.iter().map(|(name, role)| person(name, role, true)).collect();
    statements.push(person("dora", "user", false));
    statements
        .extend(Caller::ALL.iter().filter_map(|caller| caller.session()).map(|(name, token)| session(name, token)));
    Database::of(node).run(&statements.concat());
    node.send(&by(Caller::LoggedOut, Request::new("POST", "/api/users/logout"))).is(200);
}

/// The row's request, about things made for it alone.
fn request(node: &Node, row: &Row, fresh: &str) -> Request {
    let asked = |text: &str| row.path.contains(text) || row.body.contains(text);
    let mut places = vec![("{fresh}", fresh.to_owned())];
    if asked("{file}") || asked("{part}") {
        let upload = upload_of_ann(node, asked("{file}"));
        places.extend([("{file}", upload.id.clone()), ("{part}", upload.id)]);
    }
    if asked("{user}") {
        let users = node.send(&by(Caller::AdminToken, Request::get("/api/users"))).is(200).json();
        let users = users["users"].as_array().expect("a list").clone();
        let target = users.iter().find(|user| user["username"] == "target").expect("the target");
        places.push(("{user}", target["id"].to_string()));
    }
    if asked("{group}") {
        let body = serde_json::json!({"name": format!("group of {fresh}")}).to_string();
        let made = node.send(&by(Caller::AdminToken, Request::new("POST", "/api/groups").body(body))).is(200).json();
        places.push(("{group}", made["group"]["id"].to_string()));
    }
    let fill = |text: &str| places.iter().fold(text.to_owned(), |text, (place, value)| text.replace(place, value));
    let request = Request::new(row.method, &fill(row.path)).body(fill(row.body));
    row.fields.iter().fold(request, |request, (name, value)| request.header(name, value))
}

/// Five bytes of ann's, all there or none.
fn upload_of_ann(node: &Node, is_complete: bool) -> Upload {
    let create = post().header("Upload-Length", "5").header("Upload-Metadata", metadata(&[("filename", "hers.bin")]));
    let upload = Upload::at(node.send(&by(Caller::Owner, create)).is(201).field("Location"));
    if is_complete {
        node.send(&by(Caller::Owner, patch(&upload, 0, b"hello"))).is(204);
    }
    upload
}

/// What is wrong with a body (easytransfer/CONTRACT.md §1.4), if anything.
fn misshapen(row: &Row, shape: Shape, reply: &Reply) -> Option<String> {
    if row.method == "HEAD" || reply.status == 204 {
        return (!reply.body.is_empty()).then(|| "a body".into());
    }
    let json = || serde_json::from_slice::<Value>(&reply.body).map_err(|error| format!("no JSON ({error})"));
    let checked = match shape {
        Shape::Gate => json().map(|json| json["error"] == "Unauthorized" && json["message"].is_string()),
        Shape::Detail => json().map(|json| json["detail"].is_string()),
        Shape::Fields => json().map(|json| {
            let first = &json["detail"][0];
            let is_place = first["loc"][0].is_string() && first["loc"][1].is_string();
            is_place && first["type"].is_string() && first["msg"].is_string() && first.get("input").is_some()
        }),
        Shape::Page => Ok(reply.field("Content-Type").starts_with("text/html")),
        Shape::Keys(keys) => {
            let missing =
                |json: Value| keys.iter().find(|key| json.get(**key).is_none()).map(|key| format!("no {key}"));
            return if keys.is_empty() { None } else { json().map_or_else(Some, missing) };
        }
    };
    match checked {
        Ok(true) => None,
        Ok(false) => Some(format!("not shaped as {shape:?}")),
        Err(told) => Some(told),
    }
}
