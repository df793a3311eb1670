//! The audit log: who did what to which object, as JSON lines, never a secret (PROMISES.md P22).

use serde_json::{Value, json};

use crate::support::tus::metadata;
use crate::support::{Node, Request, TOKEN, wait};

#[test]
fn a_renamed_log_is_left_at_sighup_and_the_configuration_is_read_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let (file, renamed) = (dir.path().join("audit.jsonl"), dir.path().join("audit.jsonl.1"));
    let node = Node::setup().config("cleanup_interval: 3600\n").env("AUDIT_LOG", file.display()).start();
    let first = node.complete_as(&[("filename", "a")], b"hello");
    let lines = |path: &std::path::Path| std::fs::read_to_string(path).unwrap_or_default();
    wait::until("the first line", || lines(&file).contains(&first.id).then_some(()));
    std::fs::rename(&file, &renamed).expect("rename");
    node.signal(crate::support::node::Role::Both, rustix::process::Signal::HUP);
    wait::until("a new file", || file.exists().then_some(()));
    let second = node.complete_as(&[("filename", "b")], b"hello");
    wait::until("the second line", || lines(&file).contains(&second.id).then_some(()));
    assert!(!lines(&renamed).contains(&second.id), "the old file is left alone");
    wait::until("the reload is counted", || {
        String::from_utf8_lossy(&node.get("/metrics").body).contains("et_reloads_total{result=\"ok\"} 1").then_some(())
    });
}

#[test]
fn every_act_is_one_line_and_no_line_holds_a_secret() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("audit.jsonl");
    let node = Node::setup().env("AUDIT_LOG", file.display()).env("LOG_LEVEL", "error").start();
    let upload = node.complete_as(&[("filename", "a-private-name.txt")], b"hello");
    node.get(&upload.download()).is(200);
    node.send(&Request::get(&upload.download())).is(401);
    node.send(&Request::new("POST", "/api/admin/reload-config").header("X-API-Token", TOKEN)).is(200);
    node.delete(&upload.file()).is(200);
    let acts = wait::until("five lines", || {
        let text = std::fs::read_to_string(&file).ok()?;
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        (lines.len() >= 5).then_some(lines)
    });
    let told: Vec<(&str, Option<&str>)> =
        acts.iter().map(|act| (act["action"].as_str().expect("an action"), act["object"].as_str())).collect();
    let id = Some(upload.id.as_str());
    let expected = [("create", id), ("download", id), ("request", None), ("reload", None), ("delete", id)];
    assert_eq!(told, expected);
    let refused = &acts[2];
    assert_eq!(
        (&refused["who"], &refused["status"], &refused["result"]),
        (&json!("unknown"), &json!(401), &json!("denied"))
    );
    let done = acts.iter().filter(|act| act["result"] == "ok");
    assert!(done.clone().all(|act| act["who"].as_str().is_some_and(|who| who.starts_with("token t"))), "{acts:?}");
    assert_eq!(done.count(), 4);
    assert!(acts.iter().all(|act| act["from"] == "127.0.0.1"), "{acts:?}");
    assert!(acts.iter().all(|act| act["timestamp"].is_string()), "{acts:?}");
    let text = std::fs::read_to_string(&file).expect("the audit log");
    let secrets = [TOKEN, "a-private-name", &metadata(&[("filename", "a-private-name.txt")])];
    assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
}
