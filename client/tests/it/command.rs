//! The `et` binary: what it prints where, and how it ends.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::fake::{Fake, Fault};
use crate::user::{User, piped, stderr};
use crate::{pattern, until, write_file};

const MIB: usize = 1024 * 1024;

#[test]
fn a_file_goes_up_and_comes_back_and_stdout_holds_only_data() {
    let (fake, user) = (Fake::start(), User::new());
    user.set_up(&fake);
    let bytes = pattern(5 * MIB + 3, 9);
    write_file(user.path(), "ubuntu.iso", &bytes);
    let id = user.ok(&["upload", "ubuntu.iso"]);
    assert_eq!(id, format!("{}\n", fake.only().0));
    let path = user.ok(&["download", &id[..30], "-o", "out/"]);
    assert_eq!(path, "out/ubuntu.iso\n");
    assert!(std::fs::read(user.path().join("out/ubuntu.iso")).unwrap() == bytes);
    assert_eq!(user.ok(&["download", id.trim(), "-o", "out/", "-q"]), "out/ubuntu.iso\n", "said again, not fetched");

    let listed = user.ok(&["list"]);
    let columns: Vec<&str> = listed.trim().split('\t').collect();
    assert_eq!((columns[0], columns[1], columns[2], columns[5]), (id.trim(), "5242883", "complete", "ubuntu.iso"));
    assert!(user.ok(&["status", id.trim()]).contains("complete"));
    assert!(user.ok(&["info"]).contains("fake"));
    assert_eq!(user.ok(&["delete", "-f", id.trim()]), id);
    assert_eq!(user.ok(&["list"]), "");
}

#[test]
fn json_is_one_value_per_line() {
    let (fake, user) = (Fake::start(), User::new());
    let server = fake.address().authority();
    let setup: Value = serde_json::from_str(&user.ok(&["setup", &server, "--json"])).unwrap();
    assert_eq!(setup, json!({"server": format!("http://{server}"), "token_saved": false, "login_offered": false}));
    write_file(user.path(), "a", b"aa");
    write_file(user.path(), "b", b"b");
    let text = user.ok(&["upload", "--json", "a", "b"]);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["name"], &lines[0]["size"], &lines[1]["name"]), (&json!("a"), &json!(2), &json!("b")));
    let list: Value = serde_json::from_str(&user.ok(&["list", "--json"])).unwrap();
    assert_eq!(list["total"], 2);
    for command in ["status", "info", "version"] {
        assert!(serde_json::from_str::<Value>(&user.ok(&[command, "--json"])).is_ok(), "{command}");
    }
}

#[test]
fn setup_saves_a_server_that_answers_and_a_token_it_takes() {
    let (fake, user) = (Fake::start(), User::new());
    fake.state().token = Some("secret".into());
    let server = fake.address().authority();
    user.fails(4, &["setup", &server, "--token", "wrong"]);
    assert!(!user.path().join(".etransfer/client.json").exists());
    let said = stderr(&user.et(&["setup", &server]));
    assert!(said.contains("wants a token") && !said.contains("et login"), "{said}");
    assert_eq!(user.saved(), json!({"server": format!("http://{server}")}), "so that --token and a login can follow");
    user.ok(&["list", "--token", "secret"]);
    user.fails(4, &["list"]);
    user.ok(&["setup", &server, "--token", "secret"]);
    assert_eq!(user.saved(), json!({"server": format!("http://{server}"), "token": "secret"}));
    let file = user.path().join(".etransfer/client.json");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    user.ok(&["setup", &server]); // the saved one still holds
    assert_eq!(user.saved()["token"], "secret");
    let status = user.ok(&["status"]);
    assert!(status.contains(&server) && !status.contains("secret"), "{status}");
}

#[test]
fn setup_finds_the_token_a_local_server_left() {
    let (fake, user) = (Fake::start(), User::new());
    fake.state().token = Some("first-start".into());
    let server = fake.address().authority();
    std::fs::create_dir(user.path().join(".etransfer")).unwrap();
    let tokens = json!({ server.as_str(): "first-start", "127.0.0.1:1": "other" }).to_string();
    write_file(user.path(), ".etransfer/local.json", tokens.as_bytes());
    user.ok(&["setup", &server]);
    assert_eq!(user.saved()["token"], "first-start");
    user.ok(&["list"]);
}

#[test]
fn a_token_can_come_by_stdin_and_by_environment() {
    let (fake, user) = (Fake::start(), User::new());
    fake.state().token = Some("secret".into());
    let server = fake.address().authority();
    let mut child =
        user.command(&["setup", &server, "-t", "-"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"secret\n").unwrap();
    assert!(child.wait().unwrap().success());
    let other = User::new();
    let run = |token: &str| {
        let mut command = other.command(&["list"]);
        command.env("ETRANSFER_SERVER", &server).env("ETRANSFER_TOKEN", token);
        command.output().unwrap().status.code()
    };
    assert_eq!((run("secret"), run("wrong")), (Some(0), Some(4)));
}

#[test]
fn the_saved_token_goes_to_its_own_server_only() {
    let (fake, other, user) = (Fake::start(), Fake::start(), User::new());
    user.set_up(&fake);
    other.state().token = Some("secret".into());
    user.fails(4, &["list", "--server", &other.address().authority()]);
}

#[test]
fn every_end_has_its_code() {
    let (fake, user) = (Fake::start(), User::new());
    assert!(user.fails(1, &["list"]).contains("hint: run `et setup"));
    assert_eq!(user.et(&[]).status.code(), Some(2));
    assert_eq!(user.et(&["fly"]).status.code(), Some(2));
    assert_eq!(user.et(&["--help"]).status.code(), Some(0));
    assert!(user.fails(2, &["setup", "https://node"]).contains("TLS is not built in yet"));
    assert!(user.fails(6, &["setup", "127.0.0.1:1"]).contains("hint: is the server running"));
    user.set_up(&fake);
    write_file(user.path(), "a", b"aa");
    user.fails(1, &["upload", "absent"]);
    user.fails(1, &["upload", "a", "-r", "forever"]);
    user.fails(1, &["upload", "a", "-r", "ttl"]);
    user.fails(2, &["upload", "a", "-c", "many"]);
    user.fails(2, &["upload", "a", "-j", "33"]);
    user.fails(3, &["download", &"0".repeat(32)]);
    user.fails(3, &["download", "abc"]);
    user.fails(2, &["download", "../etc"]);
    user.fails(3, &["delete", "-f", "abc"]);
    user.fails(
        4,
        &["list", "--token", "x", "--server", &{
            fake.state().token = Some("secret".into());
            fake.address().authority()
        }],
    );
    fake.state().patch_faults = [Fault::Refuse(507, None)].into();
    assert!(user.fails(5, &["upload", "a", "--no-wait-on-quota"]).contains("hint: run the same command again"));
    fake.stop();
    user.fails(6, &["list"]);
    user.fails(6, &["upload", "a", "--patience", "0"]);
}

#[test]
fn one_bad_file_does_not_stop_the_others() {
    let (fake, user) = (Fake::start(), User::new());
    user.set_up(&fake);
    write_file(user.path(), "a", b"aa");
    write_file(user.path(), "b", b"b");
    let output = user.et(&["upload", "a", "absent", "b"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
    assert!(stderr(&output).contains("error: 1 of 3 failed"), "{}", stderr(&output));
}

#[test]
fn delete_asks_and_a_no_is_no_failure() {
    let (fake, user) = (Fake::start(), User::new());
    user.set_up(&fake);
    let id = fake.put("evil\x1b[2J.txt", b"x");
    let answer = |text: &str| {
        let mut child = piped(&mut user.command(&["delete", &id]));
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let asked = answer("n\n");
    assert_eq!(asked.status.code(), Some(0));
    assert!(stderr(&asked).contains("Delete?") && !stderr(&asked).contains('\x1b'));
    assert_eq!(answer("").status.code(), Some(1), "no server there");
    assert_eq!(fake.state().files.len(), 1);
    assert_eq!(answer("y\n").status.code(), Some(0));
    assert!(fake.state().files.is_empty());
}

#[test]
fn short_ids_are_found_across_pages_and_must_be_unique() {
    let (fake, user) = (Fake::start(), User::new());
    user.set_up(&fake);
    for number in 0..150 {
        fake.put(&format!("{number}"), b"x");
    }
    let last = fake.state().files.keys().last().unwrap().clone();
    user.ok(&["status", &last[..31]].map(|text| text));
    let ambiguous = user.fails(1, &["status", "0000"]);
    assert!(ambiguous.contains("150 ids"), "{ambiguous}");
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let (fake, user) = (Fake::start(), User::new());
    user.set_up(&fake);
    for number in 0..100 {
        fake.put(&format!("{}{number}", "x".repeat(150)), b"x");
    }
    let mut child = piped(&mut user.command(&["list", "--size", "100"]));
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn killed_and_run_again_it_continues() {
    let (fake, user) = (Fake::start(), User::new());
    user.set_up(&fake);
    let bytes = pattern(8 * MIB, 9);
    write_file(user.path(), "big", &bytes);
    let stall = || Fault::Refuse(503, Some(("Retry-After", "30")));
    fake.state().patch_faults = [Fault::None, Fault::None].into_iter().chain((0..4).map(|_| stall())).collect();
    let mut child = piped(&mut user.command(&["upload", "big", "-c", "1M"]));
    until("two slices are there", || fake.state().patches.iter().filter(|patch| patch.2 == 204).count() == 2);
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    fake.state().patch_faults.clear();
    let output = user.et(&["upload", "big", "-c", "1M"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("continuing"), "{}", stderr(&output));
    let id = fake.only().0;
    let travelled = fake.state().body_bytes;
    // What was in flight at the kill may travel again: at most one slice per connection.
    assert!(travelled <= 12 * MIB as u64, "{travelled} bytes for 8 MiB");

    fake.state().get_faults = [Fault::None, Fault::None].into_iter().chain((0..4).map(|_| stall())).collect();
    let mut child = piped(&mut user.command(&["download", &id, "-c", "1M", "-o", "out/"]));
    let journal = user.path().join("out/big.part.json");
    until("two ranges are recorded", || {
        let journal: Value =
            std::fs::read(&journal).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        journal["written"].as_array().is_some_and(|spans| !spans.is_empty())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    fake.state().get_faults.clear();
    let output = user.et(&["download", &id, "-o", "out/"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("continuing"), "{}", stderr(&output));
    assert!(std::fs::read(user.path().join("out/big")).unwrap() == bytes);
}

#[test]
fn ctrl_c_ends_with_130_and_says_how_to_go_on() {
    let (fake, user) = (Fake::start(), User::new());
    user.set_up(&fake);
    write_file(user.path(), "big", &pattern(8 * MIB, 9));
    fake.state().patch_faults = vec![Fault::Refuse(503, Some(("Retry-After", "30"))); 100].into();
    let child = piped(&mut user.command(&["upload", "big", "-c", "1M"]));
    until("it is under way", || !fake.state().patches.is_empty());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(stderr(&output).contains("hint: run the same command again"), "{}", stderr(&output));
}

#[test]
fn without_a_terminal_progress_is_a_line_now_and_then() {
    let (fake, user) = (Fake::start(), User::new());
    user.set_up(&fake);
    write_file(user.path(), "big", &pattern(4 * MIB, 9));
    fake.state().patch_faults =
        [Fault::None, Fault::None, Fault::None, Fault::Refuse(503, Some(("Retry-After", "3")))].into();
    let mut child = piped(&mut user.command(&["upload", "big", "-c", "1M", "-j", "1"]));
    let lines: Vec<String> = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok).collect();
    assert!(child.wait().unwrap().success());
    assert!(lines.iter().any(|line| line.starts_with("big: ") && line.contains('%')), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains(['\x1b', '\r'])), "{lines:?}");
}
