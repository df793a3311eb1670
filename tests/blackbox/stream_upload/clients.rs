//! Clients as people write them: the Python class of the original's document on `requests`, its browser class on `fetch`, curl.

use std::process::Command;

use serde_json::Value;

use super::{ANN, check_asset, setup};
use crate::clients::{client_home, python, script, source};
use crate::support::node::clean_env;
use crate::support::{Node, Oracle, wait};

/// Of each asset the clients leave.
pub const LENGTH: u64 = 3_500_001;

#[track_caller]
fn asset_in(node: &Node, printed: &str, oracle: Oracle, length: u64) {
    let asset: Value = serde_json::from_str(printed.trim()).unwrap_or_else(|_| panic!("no asset: {printed}"));
    check_asset(node, &asset, &oracle.bytes(0..length));
}

#[test]
fn a_python_uploader_and_a_browsers_fetch() {
    python_and_fetch(&setup().start());
}

/// Both leave one asset of this length.
pub fn python_and_fetch(node: &Node) {
    let (oracle, length) = (Oracle(4), LENGTH);
    let file = source(node, "stream.bin", oracle, length);
    let (file, url) = (file.to_str().expect("UTF-8"), node.url());
    let uploader = script("stream_upload.py");
    let ran = wait::run(python(node, &[uploader.to_str().expect("UTF-8"), &url, ANN, file])).ok();
    asset_in(node, &ran.stdout, oracle, length);
    let mut fetch = Command::new("node");
    fetch.arg(script("stream_upload.mjs")).args([&url, ANN, file]).env_clear().envs(clean_env(&client_home(node)));
    asset_in(node, &wait::run(fetch).ok().stdout, oracle, length);
}

#[test]
fn curl_sends_a_form() {
    let node = setup().start();
    let file = source(&node, "curl.bin", Oracle(5), 100_000);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*"])
        .args(["-F", &format!("chunk=@{}", file.display())]);
    for field in
        ["X-Filename: curl.bin", "X-Filesize: 100000", "X-Chunk-Index: 0", "X-Total-Chunks: 1", "X-Upload-Id: curl-1"]
    {
        curl.args(["-H", field]);
    }
    curl.args(["-H", &format!("Authorization: {ANN}"), &format!("{}/api/scratch/stream-upload", node.url())]);
    curl.env_clear().envs(clean_env(&client_home(&node)));
    let reply: Value = serde_json::from_str(&wait::run(curl).ok().stdout).expect("JSON");
    check_asset(&node, &reply["asset"], &Oracle(5).bytes(0..100_000));
}
