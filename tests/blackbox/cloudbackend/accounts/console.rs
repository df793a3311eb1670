//! `et server user`: accounts made by the operator, without a token, on the node's own machine.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{User, applicant, call};
use crate::support::Node;
use crate::support::node::{clean_env, et};

/// Exit code, standard output and error.
#[track_caller]
fn user(node: &Node, args: &[&str], stdin: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(et());
    command.args(["server", "user"]).args(args).arg("--storage").arg(node.storage());
    command.env_clear().envs(clean_env(&node.home())).current_dir(node.dir());
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("start et");
    // A command that asks for nothing may be over before it reads.
    let _ = child.stdin.take().expect("piped").write_all(stdin.as_bytes());
    let out = child.wait_with_output().expect("wait for et");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (out.status.code(), text(out.stdout), text(out.stderr))
}

#[track_caller]
pub fn done(node: &Node, args: &[&str], stdin: &str) -> Value {
    let (code, out, err) = user(node, &[args, &["--json"]].concat(), stdin);
    assert_eq!(code, Some(0), "{out}\n{err}");
    serde_json::from_str(&out).expect("JSON")
}

#[test]
fn the_operator_makes_disables_and_lists_accounts() {
    let mut node = Node::start();
    call(&node, "/user/register/", &applicant("alice")).is(403);
    let made = done(&node, &["add", "alice", "--email", "al@Example.org", "--display-name", "Al"], "first secret\n");
    assert_eq!(
        (&made[0]["id"], &made[0]["username"], &made[0]["email"]),
        (&json!(1), &json!("alice"), &json!("al@example.org"))
    );
    done(&node, &["add", "bob"], "bobs secret");
    let alice = User::log_in(&node, "alice", "first secret");
    assert_eq!(alice.get("/user/profile/").is(200).json()["display_name"], "Al");
    User::log_in(&node, "bob", "bobs secret");

    done(&node, &["disable", "alice"], "");
    let inactive = json!({"detail": "User is inactive", "code": "user_inactive"});
    assert_eq!(alice.get("/user/profile/").is(401).json(), inactive);
    super::refresh(&node, &alice.refresh).is(401);
    call(&node, "/user/login/", &json!({"username": "alice", "password": "first secret"})).is(401);
    let listed = done(&node, &["list"], "");
    let states: Vec<_> = listed.as_array().expect("an array").iter().map(|user| &user["is_active"]).collect();
    assert_eq!(states, [&json!(false), &json!(true)]);
    let (_, out, _) = user(&node, &["list"], "");
    assert!(
        out.contains("1  alice  disabled  0 B of 10 GiB  al@example.org\n") || out.contains("alice  disabled"),
        "{out}"
    );

    done(&node, &["enable", "alice"], "");
    alice.get("/user/profile/").is(401);
    super::refresh(&node, &alice.refresh).is(401);
    done(&node, &["password", "alice"], "second secret\n");
    call(&node, "/user/login/", &json!({"username": "alice", "password": "first secret"})).is(401);
    node.kill_and_start_again();
    User::log_in(&node, "alice", "second secret");
}

#[test]
fn what_the_operator_is_refused_says_why() {
    let mut node = Node::start();
    done(&node, &["add", "alice", "--email", "al@example.org"], "first secret\n");
    for (args, stdin, why) in [
        (&["add", "alice"][..], "a secret\n", "already exists"),
        (&["add", "bob", "--email", "al@example.org"], "a secret\n", "already exists"),
        (&["add", "../bob"], "a secret\n", "Enter a valid username"),
        (&["add", "bob", "--email", "stranger"], "a secret\n", "Enter a valid email"),
        (&["add", "bob"], "short77\n", "8 characters"),
        (&["add", "bob"], "\n", "no password"),
        (&["disable", "bob"], "", "no account"),
    ] {
        let (code, out, err) = user(&node, args, stdin);
        assert!(code == Some(1) && out.is_empty() && err.contains(why), "{args:?}: {code:?} {out} {err}");
    }
    assert_eq!(done(&node, &["list"], "").as_array().map(Vec::len), Some(1));
    node.stop();
    let (code, _, err) = user(&node, &["list"], "");
    assert!(code == Some(1) && err.contains("et server start"), "{err}");
}
