//! `et server reload` (easytransfer/CONTRACT.md §7, §11.1).

use serde_json::{Value, json};

use crate::fake::Fake;
use crate::fake_people::Seen;
use crate::user::{User, stderr};
use crate::write_file;

const ROUTE: &str = "/api/admin/reload-config";

fn seen(fake: &Fake) -> Vec<Seen> {
    std::mem::take(&mut fake.state().people.seen)
}

fn reload(token: &str) -> Vec<Seen> {
    vec![Seen { path: ROUTE.into(), token: token.into() }]
}

#[test]
fn section_11_1_reload_tells_what_changed() {
    let (fake, user) = (Fake::start(), User::new());
    let server = fake.address().authority();
    let args = ["server", "reload", &server, "-t", "secret"];
    assert_eq!(user.ok(&args), format!("No changes at http://{server}\n"));
    let answer = json!({
        "reloaded": true,
        "changes": {"max_storage_size": {"old": "5", "new": "1024"}, "auth_tokens": {"old": "[\"***\"]", "new": "[]"}},
        "hot_reloadable": ["auth_tokens"], "requires_restart": ["host"], "note": "in force",
    });
    fake.state().people.reload = Some((200, answer.clone()));
    let expected = format!("Reloaded http://{server}\nauth_tokens: [\"***\"] → []\nmax_storage_size: 5 → 1024\n");
    assert_eq!(user.ok(&args), expected);
    let json = user.ok(&[&args[..], &["--json"]].concat());
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), answer, "the server's answer, whole");
}

#[test]
fn section_11_1_every_reason_not_to_reload_is_1_and_says_what_to_do() {
    let (fake, user) = (Fake::start(), User::new());
    let server = fake.address().authority();
    let args = ["server", "reload", &server, "-t", "secret"];
    for (status, body, said, hint) in [
        (401, json!({"error": "Unauthorized", "message": "x"}), "wants a valid token", "hint: give -t a token"),
        (403, json!({"detail": "only tokens"}), "only tokens", "hint: take a token of the server"),
        (
            400,
            json!({"detail": "retention.default:\nexpected"}),
            "retention.default: expected",
            "hint: fix the configuration file",
        ),
        (500, json!({"detail": "broken"}), "answered 500", ""),
    ] {
        fake.state().people.reload = Some((status, body));
        let text = user.fails(1, &args);
        assert!(text.contains("was not reloaded") && text.contains(said) && text.contains(hint), "{status}: {text}");
        assert!(!text.contains("secret"), "{text}");
    }
    fake.stop();
    let text = user.fails(1, &args);
    assert!(text.contains("cannot reach") && text.contains("hint: is the server running"), "{text}");
}

#[test]
fn section_11_1_the_address_is_argument_then_file_then_saved() {
    let (argument, configured, saved) = (Fake::start(), Fake::start(), Fake::start());
    let user = User::new();
    user.set_up(&saved);
    seen(&saved);
    let port = |fake: &Fake| fake.address().authority().rsplit_once(':').unwrap().1.to_owned();
    let with_address = format!("server: {{host: 0.0.0.0, port: {}}}\nauth: {{tokens: [file]}}\n", port(&configured));
    write_file(user.path(), "node.yaml", with_address.as_bytes());
    write_file(user.path(), "tokens.yaml", b"auth: {tokens: [file, second]}\n");
    let there = argument.address().authority();
    for (args, asked, token) in [
        (&[&*there, "-c", "node.yaml"][..], &argument, "file"),
        (&["-c", "node.yaml"], &configured, "file"),
        (&["-c", "tokens.yaml"], &saved, "file"),
        (&["-c", "tokens.yaml", "-t", "option"], &saved, "option"),
        (&["-t", "option"], &saved, "option"),
        (&[], &saved, "secret"),
    ] {
        user.ok(&[&["server", "reload"], args].concat());
        for fake in [&argument, &configured, &saved] {
            let expected = if fake.address() == asked.address() { reload(token) } else { vec![] };
            assert_eq!(seen(fake), expected, "{args:?}");
        }
    }
    write_file(user.path(), "config.yaml", with_address.as_bytes());
    user.ok(&["server", "reload"]);
    assert_eq!(seen(&configured), reload("file"), "the file is found as a server finds it");
    let mut command = user.command(&["server", "reload"]);
    assert!(command.env("ETRANSFER_TOKEN", "environment").output().unwrap().status.success());
    assert_eq!(seen(&configured), reload("environment"));
}

#[test]
fn the_saved_token_reloads_its_own_server_only() {
    let (saved, other, user) = (Fake::start(), Fake::start(), User::new());
    user.set_up(&saved);
    let text = user.fails(1, &["server", "reload", &other.address().authority()]);
    assert!(text.contains("no token to reload") && text.contains("hint: give -t TOKEN"), "{text}");
    assert!(seen(&other).is_empty());
    assert!(User::new().fails(1, &["server", "reload"]).contains("hint: run `et setup"));
}

#[test]
fn a_token_left_by_a_local_server_reloads_it() {
    let (fake, user) = (Fake::start(), User::new());
    let server = fake.address().authority();
    std::fs::create_dir(user.path().join(".etransfer")).unwrap();
    write_file(user.path(), ".etransfer/local.json", json!({ server.as_str(): "first-start" }).to_string().as_bytes());
    user.ok(&["server", "reload", &server]);
    assert_eq!(seen(&fake), reload("first-start"));
}

#[test]
fn a_broken_file_is_named_when_it_is_needed_and_no_hindrance_otherwise() {
    let (fake, user) = (Fake::start(), User::new());
    user.set_up(&fake);
    seen(&fake);
    for (text, told) in [("auth: {tokens: [", "node.yaml"), ("retention: {default: sometimes}", "retention.default")] {
        write_file(user.path(), "node.yaml", text.as_bytes());
        assert!(user.fails(1, &["server", "reload", "-c", "node.yaml"]).contains(told));
        assert!(seen(&fake).is_empty(), "no server is asked by guess");
        let server = fake.address().authority();
        user.ok(&["server", "reload", &server, "-t", "secret", "-c", "node.yaml"]);
        assert_eq!(seen(&fake), reload("secret"));
    }
    assert!(user.fails(1, &["server", "reload", "-c", "absent.yaml"]).contains("absent.yaml"));
    let output = user.et(&["server", "reload", "one", "two"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}
