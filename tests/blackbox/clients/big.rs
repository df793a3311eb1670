//! 300 MiB through the command lines of both clients, each way around.

use super::{client_home, id_in, installed, source};
use crate::support::node::clean_env;
use crate::support::{Node, Oracle, TOKEN, oracle, wait};

const LENGTH: u64 = 300 << 20;

fn python_cli(node: &Node, args: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(installed().join("venv/bin/etransfer"));
    command.args(args).env_clear().envs(clean_env(&client_home(node))).current_dir(node.dir());
    command.env("COLUMNS", "200");
    command
}

#[test]
fn python_sends_and_et_receives() {
    let node = Node::start();
    wait::run(python_cli(&node, &["setup", &node.addr().to_string()])).ok();
    let file = source(&node, "big.bin", Oracle(1), LENGTH);
    for threads in ["1", "4"] {
        let args = ["upload", "big.bin", "-j", threads, "-r", "permanent", "--token", TOKEN];
        let id = id_in(&wait::run(python_cli(&node, &args)).ok().stdout);
        std::fs::create_dir_all(node.dir().join("out")).expect("a directory");
        wait::run(node.et(&["download", &id, "-o", "out/"])).ok();
        oracle::check_file(&node.dir().join("out/big.bin"), Oracle(1), LENGTH);
        std::fs::remove_file(node.dir().join("out/big.bin")).expect("remove the copy");
        node.delete(&format!("/api/files/{id}")).is(200);
    }
    drop(file);
}

#[test]
fn et_sends_and_python_receives() {
    let node = Node::start();
    wait::run(python_cli(&node, &["setup", &node.addr().to_string()])).ok();
    source(&node, "big.bin", Oracle(2), LENGTH);
    let id = id_in(&wait::run(node.et(&["upload", "big.bin"])).ok().stdout);
    wait::run(python_cli(&node, &["download", &id, "--path", "out", "--token", TOKEN])).ok();
    oracle::check_file(&node.dir().join("out/big.bin"), Oracle(2), LENGTH);
}
