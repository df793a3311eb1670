//! The Python client of the registry, `etransfer` 0.1.26: its command line and its library.

use std::path::Path;
use std::process::Command;

use super::{SIZES, client_home, id_in, installed, python, script, source};
use crate::support::node::clean_env;
use crate::support::{Node, Oracle, TOKEN, oracle, wait};

fn cli(node: &Node, args: &[&str]) -> Command {
    let mut command = Command::new(installed().join("venv/bin/etransfer"));
    command.args(args).env_clear().envs(clean_env(&client_home(node))).current_dir(node.dir());
    command.env("COLUMNS", "200").env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[track_caller]
fn setup(node: &Node) {
    wait::run(cli(node, &["setup", &node.addr().to_string()])).ok();
}

/// Uploads and downloads one file; checks what came back.
#[track_caller]
fn round_trip(node: &Node, token: Option<&str>, name: &str, seed: u64, length: u64, options: &[&str]) -> String {
    let file = source(node, name, Oracle(seed), length);
    let token: Vec<&str> = token.map(|token| vec!["--token", token]).unwrap_or_default();
    let upload = [&["upload", path(&file)][..], options, &token].concat();
    let id = id_in(&wait::run(cli(node, &upload)).ok().stdout);
    let info = node.get(&format!("/api/files/{id}")).is(200).json();
    assert_eq!((&info["status"], &info["filename"]), (&"complete".into(), &name.into()), "{info}");
    let out = node.dir().join(format!("out-{seed}-{length}-{}", options.len()));
    let download = [&["download", &id, "--path", path(&out)][..], &token].concat();
    wait::run(cli(node, &download)).ok();
    oracle::check_file(&out.join(name), Oracle(seed), length);
    id
}

fn path(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}

#[test]
fn one_thread() {
    let node = Node::start();
    setup(&node);
    for (seed, length) in SIZES.into_iter().enumerate() {
        round_trip(
            &node,
            Some(TOKEN),
            &format!("one-{length}.bin"),
            seed as u64,
            length,
            &["-j", "1", "-r", "permanent"],
        );
    }
}

#[test]
fn four_threads() {
    let node = Node::start();
    setup(&node);
    for (seed, length) in SIZES.into_iter().enumerate() {
        let options = ["-j", "4", "-c", "1048576", "-r", "permanent"];
        round_trip(&node, Some(TOKEN), &format!("four-{length}.bin"), seed as u64, length, &options);
    }
}

#[test]
fn without_a_token_and_with_a_chinese_name() {
    let node = Node::setup().open().start();
    setup(&node);
    for (seed, threads) in [(1, "1"), (2, "4")] {
        let name = format!("\u{6587}\u{4EF6} {threads}\u{FF08}\u{6700}\u{7EC8}\u{FF09}.bin");
        round_trip(&node, None, &name, seed, 5_000_000, &["-j", threads, "-c", "1048576", "-r", "permanent"]);
    }
}

/// The client's own default: gone after the download.
#[test]
fn its_default_retention_is_consumed() {
    let node = Node::start();
    setup(&node);
    for (seed, length) in SIZES.into_iter().enumerate() {
        let id = round_trip(&node, Some(TOKEN), &format!("once-{length}.bin"), seed as u64, length, &[]);
        if length == 0 {
            // It asks for no chunk of an empty file, so nothing was delivered and nothing is consumed.
            node.delete(&format!("/api/files/{id}")).is(200);
            continue;
        }
        wait::until("the file is consumed", || (node.get(&format!("/api/files/{id}")).status == 404).then_some(()));
    }
    wait::until("nothing is left", || (node.get("/api/storage").json()["used"] == 0).then_some(()));
}

#[test]
fn a_wrong_token_is_told_apart() {
    let node = Node::start();
    setup(&node);
    let file = source(&node, "x.bin", Oracle(1), 10);
    let ran = wait::run(cli(&node, &["upload", path(&file), "--token", "wrong"]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(node.listed(), 0);
}

#[test]
fn an_interrupted_upload_is_taken_up_again() {
    let mut node = Node::start();
    setup(&node);
    let length = 60u64 << 20;
    let file = source(&node, "large.bin", Oracle(9), length);
    let options = ["upload", path(&file), "-j", "4", "-c", "1048576", "-r", "permanent", "--token", TOKEN];
    let mut running = wait::Running::start(cli(&node, &options));
    let id = wait::until("the upload shows", || {
        let list = node.get("/api/files").json();
        let file = list["files"].get(0)?;
        (file["uploaded_size"].as_u64()? > 3 << 20).then(|| file["file_id"].as_str().map(str::to_owned))?
    });
    running.kill();
    node.kill_and_start_again();
    let received = node.get(&format!("/api/files/{id}")).is(200).json()["uploaded_size"].as_u64().expect("a number");
    assert!(received > 3 << 20, "{received}");
    // Its resume needs the record to be partial; a machine fast enough to finish first has nothing to resume.
    if received < length {
        wait::run(cli(&node, &["reupload", &id, path(&file), "-j", "4", "--token", TOKEN])).ok();
    }
    let out = node.dir().join("out");
    wait::run(cli(&node, &["download", &id[..8], "--path", path(&out), "--token", TOKEN])).ok();
    oracle::check_file(&out.join("large.bin"), Oracle(9), length);
}

#[test]
fn list_info_and_delete() {
    let node = Node::start();
    setup(&node);
    let id = round_trip(&node, Some(TOKEN), "a.bin", 1, 1_000, &["-r", "permanent"]);
    let listed = wait::run(cli(&node, &["list", "--token", TOKEN])).ok().stdout;
    assert!(listed.contains("a.bin") || listed.contains(&id[..8]), "{listed}");
    wait::run(cli(&node, &["info", "--token", TOKEN])).ok();
    wait::run(cli(&node, &["delete", &id, "--force", "--token", TOKEN])).ok();
    assert_eq!(node.listed(), 0);
}

/// Everything a program does with the library; the file that is left.
#[track_caller]
pub fn library(node: &Node, token: &str, oracle: Oracle, length: u64) -> String {
    let file = source(node, &format!("lib-{length}.bin"), oracle, length);
    let out = node.dir().join(format!("out-{length}"));
    std::fs::create_dir_all(&out).expect("directory for downloads");
    let api = script("etransfer_api.py");
    let ran = wait::run(python(node, &[path(&api), &node.url(), token, path(&file), path(&out)])).ok();
    let id = id_in(&ran.stdout);
    let got = node.get(&format!("/api/files/{id}/download")).is(200);
    oracle.check(0, &got.body).unwrap_or_else(|wrong| panic!("{wrong}"));
    id
}

#[test]
fn the_library() {
    for token in [TOKEN, ""] {
        let node = if token.is_empty() { Node::setup().open().start() } else { Node::start() };
        for (seed, length) in [0u64, 1, 3_000_001].into_iter().enumerate() {
            let id = library(&node, token, Oracle(seed as u64), length);
            node.delete(&format!("/api/files/{id}")).is(200);
        }
    }
}

#[test]
fn it_discovers_the_endpoints_and_uses_one_that_answers() {
    let node = crate::endpoints::node("127.0.0.3:1,127.0.0.2");
    setup(&node);
    round_trip(&node, Some(TOKEN), "nic.bin", 3, 5_000_000, &["-j", "2", "-c", "1048576", "-r", "permanent"]);
    let cache = client_home(&node).join(".etransfer/cache/endpoint_cache.json");
    let chosen = std::fs::read_to_string(cache).expect("what it chose");
    let expected = format!("http://127.0.0.2:{}", node.addr().port());
    for direction in ["upload", "download"] {
        assert!(chosen.contains(direction) && chosen.contains(&expected), "{chosen}");
    }
    assert!(!chosen.contains("127.0.0.3"), "{chosen}");
}
