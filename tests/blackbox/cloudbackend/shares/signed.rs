//! What the node signed for a client ends with what it was signed for: the account, its password, the record, the share.

use serde_json::{Value, json};

use super::{download, id, share};
use crate::cloudbackend::accounts::console::done;
use crate::cloudbackend::drive::{Person, setup};
use crate::oss::{Form, refused};
use crate::support::{Node, Request};

/// A form of the front end with a policy the node gave out.
fn form(token: &Value, key: &str) -> Request {
    let text = |name: &str| token[name].as_str().expect("a text").to_owned();
    let form = Form::new(key, &text("policy"), "content");
    form.field("OSSAccessKeyId", &text("access_key_id")).field("signature", &text("signature")).request()
}

#[track_caller]
fn is_over(node: &Node, link: &str, token: &Value, key: &str) {
    refused(node.send(&Request::get(link)), 403, "AccessDenied");
    refused(node.send(&form(token, key)), 403, "AccessDenied");
}

#[track_caller]
fn log_in<'n>(node: &'n Node, name: &str, password: &str) -> Person<'n> {
    let body = json!({"username": name, "password": password}).to_string();
    let request = Request::new("POST", "/user/login/").header("Content-Type", "application/json").body(body);
    let told = node.send(&request).is(200).json();
    let access = told["access"].as_str().expect("an access token").to_owned();
    Person { node, name: name.into(), id: told["user"]["id"].as_u64().expect("a number"), access }
}

#[test]
fn o4_links_and_policies_end_with_the_account_they_were_made_for_and_with_its_password() {
    let mut node = setup().start();
    let alice = Person::register(&node, "alice");
    let file = alice.file("/", "a.txt", b"hers");
    let (link, token) = (alice.link(&file), alice.token());
    node.send(&Request::get(&link)).is(200);
    node.send(&form(&token, "alice/1")).one_of(&[200, 204]);
    done(&node, &["disable", "alice"], "");
    is_over(&node, &link, &token, "alice/2");
    done(&node, &["enable", "alice"], "");
    is_over(&node, &link, &token, "alice/3");

    let alice = log_in(&node, "alice", "correct horse");
    let (link, token) = (alice.link(&file), alice.token());
    node.send(&Request::get(&link)).is(200);
    node.send(&form(&token, "alice/4")).one_of(&[200, 204]);
    let change = json!({"old_password": "correct horse", "new_password": "another horse"});
    alice.post("/user/change-password/", change).is(200);
    is_over(&node, &link, &token, "alice/5");
    node.kill_and_start_again();
    is_over(&node, &link, &token, "alice/6");
    let alice = log_in(&node, "alice", "another horse");
    assert_eq!(alice.download(&file), b"hers");
}

#[test]
fn o4_a_link_ends_with_its_record_although_the_key_is_taken_again() {
    let node = setup().start();
    let alice = Person::register(&node, "alice");
    let old = alice.file("/", "a.txt", b"old");
    let link = alice.link(&old);
    alice.delete(&old).one_of(&[200, 204]);
    refused(node.send(&Request::get(&link)), 403, "AccessDenied");
    let new = alice.file("/", "a.txt", b"new");
    assert_ne!(old["id"], new["id"]);
    refused(node.send(&Request::get(&link)), 403, "AccessDenied");
    assert_eq!(alice.download(&new), b"new");
}

#[test]
fn o4_a_link_of_a_share_ends_with_the_share() {
    let node = setup().start();
    let alice = Person::register(&node, "alice");
    let file = alice.file("/", "a.txt", b"hers");
    let shared = share(&alice, json!({"files": [id(&file)], "code": "abcd"}));
    let told = download(&node, &file, json!({"code": "abcd"})).is(200).json();
    let link = told["download_url"].as_str().and_then(|url| url.strip_prefix(&node.url())).expect("a link").to_owned();
    let own = alice.link(&file);
    assert_eq!(node.send(&Request::get(&link)).is(200).body, b"hers");
    alice.post(&format!("/drop/{}/delete/", id(&shared)), json!({})).is(200);
    refused(node.send(&Request::get(&link)), 403, "AccessDenied");
    assert_eq!(node.send(&Request::get(&own)).is(200).body, b"hers");
}
