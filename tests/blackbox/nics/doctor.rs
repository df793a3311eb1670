//! `et server doctor` on a machine whose one NIC has something wrong, and then not.

use std::process::Command;

use serde_json::Value;

use crate::support::netns::NetNs;
use crate::support::node::{clean_env, et};
use crate::support::wait::{self, Ran};

fn doctor(namespace: &NetNs, home: &std::path::Path, words: &[&str]) -> Ran {
    let (first, rest) = (namespace.wrapper()[0], &namespace.wrapper()[1..]);
    let mut command = Command::new(first);
    command.args(rest).arg(et()).args(["server", "doctor", "--storage"]).arg(home.join("storage")).args(words);
    command.env_clear().envs(clean_env(home)).env("ETRANSFER_INTERFACES", "eth0").current_dir(home);
    wait::run(command)
}

#[test]
fn the_doctor_finds_what_is_wrong_and_says_how_to_fix_it() {
    let (server, far) = (NetNs::new(), NetNs::new());
    server.cable("eth0", "10.80.0.1/24", &far, "wire0");
    let home = tempfile::tempdir().expect("home directory");
    let look = || -> (Option<i32>, Vec<Value>) {
        let ran = doctor(&server, home.path(), &["--json"]);
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        (ran.code, ran.stdout.lines().map(parse).collect())
    };
    let (code, findings) = look();
    let find = |findings: &[Value], check: &str| {
        findings.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("no {check}")).clone()
    };
    let expected =
        ["kernel", "io_uring", "clock source", "net.core.somaxconn", "locked memory", "open files", "free space"];
    expected.iter().for_each(|check| drop(find(&findings, check)));
    assert_eq!(find(&findings, "nic eth0 speed")["found"], "10000 Mbit/s");
    assert!(find(&findings, "nic eth0 mtu")["fix"].as_str().expect("a fix").starts_with("ip link set eth0 mtu 9000"));
    assert_eq!(code, Some(1));
    let text = doctor(&server, home.path(), &[]).stdout;
    assert!(
        text.contains("warn  nic eth0 mtu: 1500;") && text.contains("      fix: ip link set eth0 mtu 9000"),
        "{text}"
    );
    // What it says is done.
    far.ip("link set wire0 mtu 9000");
    server.ip("link set eth0 mtu 9000");
    let (code, findings) = look();
    assert!(find(&findings, "nic eth0 mtu")["fix"].is_null());
    let is_well = findings.iter().all(|finding| finding["fix"].is_null());
    assert_eq!(code, Some(i32::from(!is_well)));
    // It leaves nothing behind: no storage directory was made.
    assert_eq!(std::fs::read_dir(home.path()).expect("home directory").count(), 0);
}
