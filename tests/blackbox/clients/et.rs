//! Our own command line: the four lines of the README, its options, exit codes and what it prints where.

use std::os::unix::fs::PermissionsExt as _;

use super::{SIZES, id_in, source};
use crate::support::{Node, Oracle, TOKEN, oracle, wait};

/// `et` without server or token in its environment: what a person has after `et setup`.
fn bare(node: &Node, args: &[&str]) -> std::process::Command {
    let mut command = node.et(args);
    command.env_remove("ETRANSFER_SERVER").env_remove("ETRANSFER_TOKEN");
    command
}

#[test]
fn the_four_lines() {
    let mut node = Node::setup().without_env("AUTH_TOKENS").start();
    node.without_audit();
    wait::run(bare(&node, &["setup", &node.addr().to_string()])).ok();
    for (seed, length) in SIZES.into_iter().enumerate() {
        let name = format!("\u{6587}\u{4EF6}-{length}.iso");
        source(&node, &name, Oracle(seed as u64), length);
        let ran = wait::run(bare(&node, &["upload", &name])).ok();
        let id = ran.stdout.trim();
        assert_eq!(id, id_in(&ran.stdout), "data alone stands on standard output: {ran:?}");
        std::fs::create_dir_all(node.dir().join("out")).expect("a directory");
        wait::run(bare(&node, &["download", id, "-o", "out/"])).ok();
        oracle::check_file(&node.dir().join("out").join(&name), Oracle(seed as u64), length);
        let left: Vec<_> = std::fs::read_dir(node.dir().join("out")).expect("a directory").flatten().collect();
        assert_eq!(left.len(), seed + 1, "nothing but the files themselves is left: {left:?}");
    }
    let client = std::fs::metadata(node.home().join(".etransfer/client.json")).expect("what setup saved");
    assert_eq!(client.permissions().mode() & 0o077, 0, "what setup saved is private");
}

#[test]
fn options_of_upload_and_download() {
    let node = Node::start();
    let length = 5_000_000;
    source(&node, "a.bin", Oracle(1), length);
    for options in [&["-j", "1"][..], &["-j", "8", "-c", "262144"], &["--retention", "ttl", "--retention-ttl", "600"]] {
        let ran = wait::run(node.et(&[&["upload", "a.bin"][..], options].concat())).ok();
        let id = id_in(&ran.stdout);
        for (at, options) in [&["-j", "1"][..], &["-j", "8"]].into_iter().enumerate() {
            let target = format!("copy-{id}-{at}");
            wait::run(node.et(&[&["download", &id, "-o", &target][..], options].concat())).ok();
            oracle::check_file(&node.dir().join(&target), Oracle(1), length);
        }
    }
    let once = id_in(&wait::run(node.et(&["upload", "a.bin", "--retention", "download_once"])).ok().stdout);
    wait::run(node.et(&["download", &once[..8], "-o", "once"])).ok();
    oracle::check_file(&node.dir().join("once"), Oracle(1), length);
    wait::until("it is consumed", || (node.get(&format!("/api/files/{once}")).status == 404).then_some(()));
}

#[test]
fn the_other_commands() {
    let node = Node::start();
    source(&node, "a.bin", Oracle(1), 1_000);
    let id = id_in(&wait::run(node.et(&["upload", "a.bin"])).ok().stdout);
    let listed = wait::run(node.et(&["list"])).ok().stdout;
    assert!(listed.contains("a.bin"), "{listed}");
    let json: serde_json::Value =
        serde_json::from_str(&wait::run(node.et(&["list", "--json"])).ok().stdout).expect("JSON");
    assert!(json.to_string().contains(&id), "{json}");
    for args in [&["info"][..], &["status"], &["version"], &["info", "--json"], &["server", "config"]] {
        let ran = wait::run(node.et(args)).ok();
        assert!(!ran.stdout.trim().is_empty(), "{args:?}: {ran:?}");
        assert!(!ran.stdout.contains(TOKEN), "{args:?} shows a token");
    }
    wait::run(node.et(&["delete", &id, "--force"])).ok();
    assert_eq!(node.listed(), 0);
}

#[test]
fn a_configuration_file_is_written_as_a_sample_unless_the_values_in_force_are_asked_for() {
    let node = Node::start();
    wait::run(node.et(&["server", "config", "-o", "sample.yaml"])).ok();
    let sample = std::fs::read_to_string(node.dir().join("sample.yaml")).expect("the sample");
    assert_eq!(sample, include_str!("../../../config.example.yaml"));
    wait::run(node.et(&["server", "config", "--effective", "-o", "now.yaml", "--port", "4711"])).ok();
    let now = std::fs::read_to_string(node.dir().join("now.yaml")).expect("the values");
    assert!(now.contains("4711") && !now.contains(TOKEN), "{now}");
}

#[test]
fn failures_say_so_on_standard_error_and_in_the_exit_code() {
    let node = Node::start();
    source(&node, "a.bin", Oracle(1), 1_000);
    let unknown = "00000000000000000000000000000000";
    let mut no_server = node.et(&["list"]);
    no_server.env("ETRANSFER_SERVER", "http://127.0.0.1:1");
    let mut wrong = node.et(&["upload", "a.bin"]);
    wrong.env("ETRANSFER_TOKEN", "wrong");
    for (what, command, usage) in [
        ("no such file", node.et(&["upload", "nothing.bin"]), false),
        ("no such id", node.et(&["download", unknown, "-o", "x"]), false),
        ("no such policy", node.et(&["upload", "a.bin", "--retention", "forever"]), true),
        ("ttl without seconds", node.et(&["upload", "a.bin", "--retention", "ttl"]), true),
        ("no such command", node.et(&["frobnicate"]), true),
        ("no server", no_server, false),
        ("wrong token", wrong, false),
        ("not set up", bare(&node, &["list"]), false),
    ] {
        let ran = wait::run(command);
        let fits = match ran.code {
            Some(2) => usage || what == "no such id",
            Some(code) => code != 0 && code < 64,
            None => false,
        };
        assert!(fits, "{what}: {ran:?}");
        assert!(ran.stdout.is_empty(), "{what}: {ran:?}");
        assert!(!ran.stderr.trim().is_empty(), "{what}: {ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{what}: {ran:?}");
    }
    assert_eq!(node.listed(), 0);
    wait::run(node.et(&["--help"])).ok();
}

#[test]
fn a_hostile_name_never_leaves_the_directory() {
    let node = Node::start();
    for (seed, name) in
        ["../../escaped.bin", "/tmp/et-escaped.bin", "..", ".hidden", "a/b.bin", "a\\b.bin"].into_iter().enumerate()
    {
        let content = Oracle(seed as u64).bytes(0..100);
        let upload = node.complete_as(&[("filename", name)], &content);
        let out = node.dir().join(format!("out-{seed}"));
        std::fs::create_dir_all(&out).expect("a directory");
        let ran = wait::run(node.et(&["download", &upload.id, "-o", &format!("out-{seed}/")]));
        assert!(!node.dir().join("escaped.bin").exists() && !std::path::Path::new("/tmp/et-escaped.bin").exists());
        if ran.code == Some(0) {
            let files = crate::support::audit::files_below(&out);
            assert_eq!(files.len(), 1, "{name}: {files:?}");
            let written = &files[0].0;
            assert_eq!(written.parent(), Some(out.as_path()), "{name}");
            assert!(!written.file_name().expect("a name").to_string_lossy().starts_with('.'), "{name}: {written:?}");
            oracle::check_file(written, Oracle(seed as u64), 100);
        }
    }
}
