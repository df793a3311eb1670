//! PROMISES.md P20: both engines keep the promises (the suites run on each, see `.ci/test`), and which one runs is
//! said: by one clear line in the log and in `/api/info`. io_uring is refused here the way container profiles do it.

use crate::support::node::Setup;
use crate::support::{Node, Oracle, Request};

/// Runs the server with `io_uring_setup` failing. The tracer is a grandchild, so the pid is the server's own.
fn without_io_uring(error: &str) -> Setup {
    let inject = format!("inject=io_uring_setup:error={error}");
    let wrapper = ["strace", "-D", "-f", "-qq", "-e", "trace=io_uring_setup", "-e", &inject, "-o", "/dev/null"];
    Node::setup().wrapped(&wrapper)
}

fn engine(node: &Node) -> String {
    node.send(&Request::get("/api/info")).is(200).json()["engine"].as_str().expect("a name").to_owned()
}

#[test]
fn a_refused_io_uring_falls_back_and_says_so() {
    for error in ["EPERM", "ENOSYS", "ENOMEM"] {
        let node = without_io_uring(error).env("ENGINE", "auto").start();
        assert_eq!(engine(&node), "readiness", "{error}");
        let log = node.log();
        let lines: Vec<&str> =
            log.lines().filter(|line| line.contains("io_uring") && !line.contains("DEBUG")).collect();
        assert_eq!(lines.len(), 1, "one clear line: {lines:#?}");
        let content = Oracle(1).bytes(0..3_000_000);
        let upload = node.complete(&content);
        node.whole(&upload, &content);
    }
}

#[test]
fn the_ring_or_nothing_when_the_ring_is_asked_for() {
    match without_io_uring("EPERM").env("ENGINE", "ring").try_start() {
        Ok(node) => panic!("started as {}", engine(&node)),
        Err(said) => assert!(said.contains("io_uring"), "{said}"),
    }
}

#[test]
fn the_engine_asked_for_is_the_one_that_runs() {
    let node = Node::setup().env("ENGINE", "readiness").start();
    assert_eq!(engine(&node), "readiness");
    let node = Node::setup().env("ENGINE", "ring").start();
    assert_eq!(engine(&node), "ring");
}
