//! Other people's clients, unmodified: Python `requests` and `websockets`, curl, tus-js-client.

use std::process::Command;

use super::{USER, User, blob_env, open, setup};
use crate::clients::{client_home, javascript, python, script, source};
use crate::support::node::clean_env;
use crate::support::raw::Request;
use crate::support::{Node, Oracle, wait};

pub const CURL_LENGTH: u64 = 5_000_000;
pub const TUS_LENGTH: u64 = 3_000_001;

fn node() -> Node {
    blob_env(setup(), &[("FILE_SIZE_LIMIT_MB", "20"), ("TOTAL_SIZE_LIMIT_MB", "100")]).start()
}

#[test]
fn python_requests() {
    requests(&node(), USER);
}

/// A session does what it can do; nothing of the user's is left.
pub fn requests(node: &Node, user: &str) {
    let args = [script("pyblobserver_requests.py").to_str().expect("UTF-8").to_owned(), format!("{}/blob", node.url())];
    let said = wait::run(python(node, &[&args[0], &args[1], user])).ok().stdout;
    assert!(said.ends_with("done\n"), "{said}");
}

#[test]
fn python_websockets() {
    let node = blob_env(setup(), &[("FILE_SIZE_LIMIT_MB", "40"), ("TOTAL_SIZE_LIMIT_MB", "100")]).start();
    let args = [script("pyblobserver_socket.py").to_str().expect("UTF-8").to_owned(), format!("{}/blob", node.url())];
    let said = wait::run(python(&node, &[&args[0], &args[1], USER])).ok().stdout;
    assert!(said.ends_with("done\n"), "{said}");
}

#[test]
fn curl_sends_a_form_and_resumes_a_download() {
    curl(&node(), USER);
}

/// One file of this length is left.
pub fn curl(node: &Node, user: &str) {
    let user = User::first(node, user);
    let path = source(node, "naïve name.bin", Oracle(71), CURL_LENGTH);
    let curl = |args: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail-with-body"]).args(args);
        command.env_clear().envs(clean_env(&client_home(node))).current_dir(node.dir());
        wait::run(command).ok().stdout
    };
    let authorization = format!("Authorization: Bearer {}", user.token);
    let form = format!("file=@{}", path.display());
    let url = format!("{}/blob/upload", node.url());
    // Fields behind the file, and the pause before the body that curl makes for a large one.
    let told = curl(&["-H", &authorization, "-H", "Expect: 100-continue", "-F", &form, "-F", "token=x", &url]);
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let url = told["file_url"].as_str().expect("a link");
    let back = node.dir().join("back.bin");
    std::fs::write(&back, &std::fs::read(&path).expect("the source")[..1_234_567]).expect("the beginning");
    curl(&["--continue-at", "-", "--output", back.to_str().expect("UTF-8"), url]);
    assert_eq!(std::fs::read(&back).expect("the download"), std::fs::read(&path).expect("the source"));
    curl(&["-O", "-J", "--output-dir", node.dir().join("home").to_str().expect("UTF-8"), url]);
    assert_eq!(user.list()[0]["file_name"], "naïve name.bin");
}

#[test]
fn tus_js_client() {
    tus_js(&node(), USER);
}

/// Three files of this length are left.
pub fn tus_js(node: &Node, user: &str) {
    let user = User::first(node, user);
    let path = source(node, "source.bin", Oracle(72), TUS_LENGTH);
    let args = [&format!("{}/blob", node.url()), &user.token, path.to_str().expect("UTF-8")];
    let said = javascript(node, "pyblobserver_tus.mjs", &args).ok().stdout;
    let ids: Vec<&str> = said.lines().collect();
    assert_eq!(ids.len(), 3, "{said}");
    let content = std::fs::read(&path).expect("the source");
    for id in ids {
        assert!(open(node, Request::get(&format!("/s/{id}"))).is(200).body == content, "{id}");
    }
    assert_eq!(user.list().len(), 3);
}
