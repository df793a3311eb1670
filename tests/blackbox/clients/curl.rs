//! curl: uploads by hand, ranges, resumed downloads.

use std::process::Command;

use super::source;
use crate::support::node::clean_env;
use crate::support::tus::{OCTETS, Upload};
use crate::support::{Node, Oracle, TOKEN, oracle, wait};

fn curl(node: &Node, args: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "-H"]).arg(format!("X-API-Token: {TOKEN}"));
    command.args(args).env_clear().envs(clean_env(&node.home())).current_dir(node.dir());
    command
}

#[test]
fn curl_creates_appends_and_reads() {
    let node = Node::start();
    let length = 9_000_000u64;
    let file = source(&node, "curl.bin", Oracle(1), length);
    let data = format!("@{}", file.display());
    let typed = format!("Content-Type: {OCTETS}");
    let total = format!("Upload-Length: {length}");
    let url = format!("{}/tus", node.url());
    let location = |head: &str| {
        let line = head
            .lines()
            .find_map(|line| {
                line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("Location")).map(|(_, value)| value)
            })
            .unwrap_or_else(|| panic!("{head}"));
        line.trim().to_owned()
    };
    // Creation, then the body with a length and 100-continue.
    let head = wait::run(curl(&node, &["-i", "-X", "POST", "-H", &total, &url])).ok().stdout;
    let first = location(&head);
    let expect = ["-X", "PATCH", "-H", &typed, "-H", "Upload-Offset: 0", "-H", "Expect: 100-continue"];
    wait::run(curl(&node, &[&expect[..], &["--data-binary", &data, &first]].concat())).ok();
    // Body in the creation.
    let head =
        wait::run(curl(&node, &["-i", "-X", "POST", "-H", &total, "-H", &typed, "--data-binary", &data, &url])).ok();
    let second = location(&head.stdout);
    // Chunked, from a pipe.
    let head = wait::run(curl(&node, &["-i", "-X", "POST", "-H", &total, &url])).ok().stdout;
    let third = location(&head);
    let piped = ["-X", "PATCH", "-H", &typed, "-H", "Upload-Offset: 0", "-H", "Transfer-Encoding: chunked"];
    wait::run(curl(&node, &[&piped[..], &["-T", file.to_str().expect("UTF-8"), &third]].concat())).ok();
    for address in [first, second, third] {
        let upload = Upload::at(&address);
        node.whole(&upload, &Oracle(1).bytes(0..length));
        let from = format!("{}{}", node.url(), upload.download());
        // Whole under the server's name; in ranges; resumed; following redirects and asking for compression changes nothing.
        wait::run(curl(&node, &["--compressed", "-L", "-o", "whole", &from])).ok();
        oracle::check_file(&node.dir().join("whole"), Oracle(1), length);
        let part = wait::run(curl(&node, &["-r", "1000000-1999999", "-o", "part", &from])).ok();
        assert!(part.stderr.is_empty());
        let bytes = std::fs::read(node.dir().join("part")).expect("the range");
        assert_eq!(bytes, Oracle(1).bytes(1_000_000..2_000_000));
        std::fs::write(node.dir().join("resumed"), Oracle(1).bytes(0..5_000_001)).expect("a first part");
        wait::run(curl(&node, &["-C", "-", "-o", "resumed", &from])).ok();
        oracle::check_file(&node.dir().join("resumed"), Oracle(1), length);
        let head = wait::run(curl(&node, &["-I", &from])).ok().stdout;
        assert!(head.to_ascii_lowercase().contains(&format!("content-length: {length}")), "{head}");
    }
}

#[test]
fn curl_keeps_the_name_the_server_gives() {
    let node = Node::start();
    let upload = node.complete_as(&[("filename", "named file.bin")], b"hello");
    std::fs::create_dir_all(node.dir().join("named")).expect("a directory");
    let from = format!("{}{}", node.url(), upload.download());
    wait::run(curl(&node, &["-O", "-J", "--output-dir", "named", &from])).ok();
    let bytes = std::fs::read(node.dir().join("named/named file.bin")).expect("the name of Content-Disposition");
    assert_eq!(bytes, b"hello");
}
