//! The provider's own SDKs, unmodified (case 14), and curl for the form.

use std::process::Command;

use serde_json::json;

use super::{KEY_ID, SECRET, content, policy, setup, sign};
use crate::clients::{javascript, python, script, source};
use crate::support::node::clean_env;
use crate::support::{Node, Oracle, oracle, wait};

#[test]
fn the_python_sdk() {
    python_sdk(&setup().start());
}

/// `oss2` does what it can do; `sdk/out.bin` is left.
pub fn python_sdk(node: &Node) {
    let file = source(node, "源 file.bin", Oracle(1), 3_000_001);
    let (script, out) = (script("oss2_client.py"), node.dir().join("out.bin"));
    let args = [&script, &file, &out].map(|path| path.to_str().expect("UTF-8").to_owned());
    let run = python(node, &[&args[0], &node.url(), KEY_ID, SECRET, &args[1], &args[2]]);
    wait::run(run).ok();
    oracle::check_file(&out, Oracle(1), 3_000_001);
}

#[test]
fn the_javascript_sdk() {
    javascript_sdk(&setup().start());
}

/// `ali-oss` does what it can do; `js/stream` is left.
pub fn javascript_sdk(node: &Node) {
    let file = source(node, "js.bin", Oracle(2), 1_000_003);
    javascript(node, "ali_oss.mjs", &[&node.url(), KEY_ID, SECRET, file.to_str().expect("UTF-8")]).ok();
}

#[test]
fn curl_posts_the_form() {
    let node = setup().start();
    let length = 9_000_000u64;
    let file = source(&node, "curl.bin", Oracle(3), length);
    let policy =
        policy(json!([{"bucket": "cloud"}, ["starts-with", "$key", "u/"], ["content-length-range", 0, length]]));
    for (key, more) in
        [("u/a", &[][..]), ("u/b", &["-H", "Transfer-Encoding: chunked"]), ("u/c", &["-H", "Expect: 100-continue"])]
    {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--noproxy", "*"]).args(more);
        for (name, value) in
            [("key", key), ("OSSAccessKeyId", KEY_ID), ("policy", &policy), ("signature", &sign(policy.as_bytes()))]
        {
            command.arg("--form-string").arg(format!("{name}={value}"));
        }
        command.arg("-F").arg(format!("file=@{}", file.display())).arg(format!("{}/cloud", node.url()));
        command.env_clear().envs(clean_env(&node.home())).current_dir(node.dir());
        wait::run(command).ok();
        assert!(content(&node, key) == Some(Oracle(3).bytes(0..length)), "{key}");
    }
}
