//! Our own command line against the real provider: from `et login` to `et logout`, and with a token from a browser.

use std::process::Command;

use super::get;
use crate::clients::{id_in, source};
use crate::support::provider::{PUBLIC, Provider, browse, sign_in};
use crate::support::{Node, Oracle, oracle, wait};

/// `et` as a user who set up this node and has no token in the environment.
fn et(node: &Node, args: &[&str]) -> Command {
    let mut command = node.et(args);
    command.env_remove("ETRANSFER_SERVER").env_remove("ETRANSFER_TOKEN");
    command
}

#[test]
fn section_6_1_et_signs_in_without_a_browser_of_its_own_and_works_until_logout() {
    let provider = Provider::start();
    let node = Node::setup().config(&provider.config("")).start();
    let said = |args: &[&str]| wait::run(et(&node, args)).ok().stdout;
    let refused = |args: &[&str]| {
        let ran = wait::run(et(&node, args));
        assert!(ran.code.is_some_and(|code| code != 0) && ran.stdout.is_empty(), "{args:?}: {ran:?}");
    };
    said(&["setup", &node.addr().to_string()]);
    refused(&["whoami"]);
    let login = wait::Running::start(et(&node, &["login", "--timeout", "60"]));
    let link = wait::until("the page to sign in at", || {
        let said = login.read(None).stdout;
        said.lines().find(|line| line.starts_with(PUBLIC)).map(str::to_owned)
    });
    let (status, page) = browse(&node, &link, "grace+staff");
    assert!(status == 200 && page.contains("Go back to the command line"), "{status} {page}");
    let login = login.finish().ok();
    assert!(login.stderr.contains("logged in as grace"), "{login:?}");

    let who = said(&["whoami"]);
    assert!(who.contains("grace") && who.contains("staff") && who.contains("0 B of"), "{who}");
    let length = 5_000_000;
    source(&node, "hers.bin", Oracle(4), length);
    let id = id_in(&said(&["upload", "hers.bin"]));
    assert!(said(&["list"]).contains(&id));
    assert!(said(&["whoami"]).contains("4.8 MiB of"), "what she uses is told");
    said(&["download", &id[..8], "-o", "back.bin"]);
    oracle::check_file(&node.dir().join("back.bin"), Oracle(4), length);

    // Another person, with the token a browser shows.
    let bob = sign_in(&node, "bob");
    let mut other = et(&node, &["list"]);
    other.env("ETRANSFER_TOKEN", &bob);
    assert_eq!(wait::run(other).ok().stdout, "", "hers are not his");
    let mut other = et(&node, &["whoami"]);
    other.env("ETRANSFER_TOKEN", &bob);
    assert!(wait::run(other).ok().stdout.contains("bob"));

    said(&["delete", &id, "--force"]);
    assert_eq!(said(&["list"]), "");
    let saved = std::fs::read_to_string(node.home().join(".etransfer/client.json")).expect("what it saved");
    let saved: serde_json::Value = serde_json::from_str(&saved).expect("JSON");
    let token = saved["token"].as_str().expect("her session").to_owned();
    get(&node, &token, "/api/users/me").is(200);
    said(&["logout"]);
    get(&node, &token, "/api/users/me").is(401);
    refused(&["whoami"]);
    refused(&["list"]);
    assert!(!node.log().contains(&token), "PROMISES.md P22: her session stands in the log");
}
