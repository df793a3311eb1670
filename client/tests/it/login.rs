//! Signing in and out with the `et` binary (easytransfer/CONTRACT.md §6.1, §6.2, §11.1).

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::fake::{Fake, Fault};
use crate::fake_people::{EXPIRES, People, SESSION};
use crate::user::{User, piped, stderr};
use crate::{until, write_file};

const PAGE: &str = "https://id.example/authorize?state=s&scope=openid";
const ENDED: &str = "2020-01-01T00:00:00.000000";

/// A server with people and a static token that no client here has.
fn closed() -> Fake {
    let fake = Fake::start();
    fake.state().token = Some("static".into());
    fake.state().people.offers_login = true;
    fake
}

/// As saved by a login.
fn with_session(fake: &Fake, token: &str, expires_at: &str) -> User {
    let user = User::new();
    save(
        &user,
        &json!({"server": fake.address().to_string(), "token": token, "username": "anna", "role": "user",
                        "expires_at": expires_at, "theme": "dark"}),
    );
    fake.state().people.sessions.insert(SESSION.into(), People::anna());
    user
}

fn save(user: &User, saved: &Value) {
    std::fs::create_dir_all(user.path().join(".etransfer")).unwrap();
    write_file(user.path(), ".etransfer/client.json", saved.to_string().as_bytes());
}

fn seen_tokens(fake: &Fake) -> Vec<String> {
    fake.state().people.seen.iter().map(|seen| seen.token.clone()).collect()
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn section_11_1_login_waits_for_the_person_and_saves_the_session() {
    let (fake, user) = (closed(), User::new());
    save(&user, &json!({"server": fake.address().authority(), "token": "older", "theme": "dark"}));
    fake.state().people.polls = [Fault::None].into();
    fake.state().people.has_short_url = true;
    assert_eq!(user.ok(&["login"]), "http://node.example/l/state-1\n");

    let file = user.path().join(".etransfer/client.json");
    let expected = format!(
        "{{\n  \"server\": \"{}\",\n  \"token\": \"{SESSION}\",\n  \"username\": \"anna\",\n  \"role\": \"user\",\n  \
         \"expires_at\": \"{EXPIRES}\",\n  \"theme\": \"dark\"\n}}\n",
        fake.address()
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(file.parent().unwrap().read_dir().unwrap().count(), 1, "no leftovers");

    let poll = "/api/users/login/poll/state-1";
    assert_eq!(fake.state().people.paths(), ["/api/users/login/start", poll, poll]);
    assert!(seen_tokens(&fake).iter().all(String::is_empty), "a login sends no credential");
    user.ok(&["list"]);
}

#[test]
fn login_as_json_is_the_page_and_then_the_session() {
    let (fake, user) = (closed(), User::new());
    let server = fake.address().to_string();
    let text = user.ok(&["login", "--json", "-q", "--server", &server]);
    let expected = [
        json!({"server": server, "login_url": PAGE}),
        json!({"server": server, "username": "anna", "role": "user", "expires_at": EXPIRES}),
    ];
    assert_eq!(json_lines(&text), expected);
    assert_eq!(user.saved()["server"], server, "the server of the session is the saved one");
}

#[test]
fn section_11_1_a_login_nobody_finishes_ends_with_1_and_changes_nothing() {
    let fake = closed();
    let user = with_session(&fake, "older", EXPIRES);
    let before = user.saved();
    fake.state().people.never_completes = true;
    let output = user.et(&["login", "--timeout", "1"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("not finished within 1 s") && text.contains("hint: run `et login` again"), "{text}");
    assert_eq!(fake.state().people.paths().len(), 3, "asked at the start and at the end");
    assert_eq!(user.saved(), before);
}

#[test]
fn section_6_where_nobody_logs_in_login_says_so_and_ends_well() {
    for status in [501, 404] {
        let (fake, user) = (Fake::start(), User::new());
        user.set_up(&fake);
        fake.state().people.without_login = Some(status);
        let output = user.et(&["login"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).contains("no login needed"), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
        let told = json_lines(&user.ok(&["login", "--json"]));
        assert_eq!(told, [json!({"server": fake.address().to_string(), "login_offered": false})]);
        assert_eq!(user.saved()["token"], "secret");
    }
}

#[test]
fn section_6_1_a_login_the_server_forgot_has_expired() {
    let (fake, user) = (closed(), User::new());
    fake.state().people.polls = [Fault::Refuse(404, None)].into();
    let output = user.et(&["login", "--server", &fake.address().authority()]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("the login has expired") && text.contains("hint: run `et login` again"), "{text}");
    assert!(!user.path().join(".etransfer/client.json").exists());
}

#[test]
fn login_waits_for_a_provider_that_is_away() {
    let (fake, user) = (closed(), User::new());
    let away = || Fault::Refuse(503, Some(("Retry-After", "1")));
    fake.state().people.start_faults = [away()].into();
    fake.state().people.polls = [away()].into();
    let output = user.et(&["login", "--server", &fake.address().authority()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("trying again: the server answered 503"), "{}", stderr(&output));
    assert_eq!(user.saved()["token"], SESSION);
}

#[test]
fn login_survives_a_restart_of_the_server() {
    let (fake, user) = (closed(), User::new());
    fake.state().people.never_completes = true;
    let mut child = piped(&mut user.command(&["login", "--server", &fake.address().authority()]));
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    until("it waits", || fake.state().people.paths().len() >= 2);
    fake.stop();
    assert!(lines.any(|line| line.contains("trying again: cannot reach")));
    fake.state().people.never_completes = false;
    fake.restart();
    assert!(child.wait().unwrap().success());
    assert_eq!(user.saved()["token"], SESSION);
}

#[test]
fn a_server_that_is_away_from_the_start_is_not_waited_for() {
    let (fake, user) = (closed(), User::new());
    fake.stop();
    assert!(user.fails(6, &["login", "--server", &fake.address().authority()]).contains("hint: is the server running"));
    assert!(User::new().fails(1, &["login"]).contains("hint: run `et setup"));
}

#[test]
fn ctrl_c_ends_a_login_with_130_and_saves_nothing() {
    let (fake, user) = (closed(), User::new());
    fake.state().people.never_completes = true;
    let mut child = piped(&mut user.command(&["login", "--server", &fake.address().authority()]));
    until("it waits", || fake.state().people.paths().len() >= 2);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    let mut page = String::new();
    child.stdout.take().unwrap().read_to_string(&mut page).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(page, format!("{PAGE}\n"));
    assert!(!user.path().join(".etransfer/client.json").exists());
}

#[test]
fn section_11_1_whoami_tells_user_role_groups_and_quota() {
    let fake = closed();
    let user = with_session(&fake, SESSION, EXPIRES);
    let text = user.ok(&["whoami"]);
    for line in ["user        anna", "role        user", "groups      staff, dev", "512 B of 1.0 KiB (50%)", EXPIRES] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let told = &json_lines(&user.ok(&["whoami", "--json"]))[0];
    assert_eq!((&told["user"]["username"], &told["user"]["id"]), (&json!("anna"), &json!(1)));
    assert_eq!((&told["quota"]["usage_percent"], &told["expires_at"]), (&json!(50.0), &json!(EXPIRES)));
    assert!(!told.to_string().contains(SESSION));
    let given = user.ok(&["whoami", "--json", "--token", SESSION, "--server", &fake.address().authority()]);
    assert_eq!(json_lines(&given)[0]["user"]["username"], "anna");
}

#[test]
fn section_11_1_whoami_without_a_session_that_holds_ends_with_1() {
    let fake = closed();
    let server = fake.address().to_string();
    for (saved, args, said, asked) in [
        (json!({ "server": server }), &["whoami"][..], "not logged in at", false),
        (json!({"server": server, "token": SESSION, "expires_at": ENDED}), &["whoami"], "has expired", false),
        (json!({"server": server, "token": "gone"}), &["whoami"], "knows no session", true),
        (json!({ "server": server }), &["whoami", "-t", "static"], "knows no session", true),
        (
            json!({"server": "http://127.0.0.1:1", "token": SESSION}),
            &["whoami", "--server", &server],
            "not logged in",
            false,
        ),
    ] {
        let user = User::new();
        save(&user, &saved);
        fake.state().people.seen.clear();
        let text = user.fails(1, args);
        assert!(text.contains(said) && text.contains("et login"), "{args:?} {saved}: {text}");
        assert_eq!(!fake.state().people.seen.is_empty(), asked, "{args:?} {saved}");
    }
    let elsewhere = format!("{server}/elsewhere"); // where there is no such route at all
    assert!(User::new().fails(1, &["whoami", "--server", &elsewhere, "-t", "static"]).contains("has no users"));
}

#[test]
fn an_expired_session_is_not_sent_and_the_user_learns_it() {
    let fake = closed();
    let user = with_session(&fake, SESSION, ENDED);
    let text = user.fails(4, &["list"]);
    assert!(text.contains("has expired; log in again with `et login`"), "{text}");
    assert!(text.contains("hint: run `et login`"), "{text}");
    assert!(user.ok(&["status"]).contains("token       expired"));
    user.ok(&["list", "--token", "static"]);
    let quiet = user.fails(4, &["list", "-q"]);
    assert!(!quiet.contains("has expired"), "{quiet}");

    fake.state().token = None; // an open server needs none
    user.ok(&["list"]);
}

#[test]
fn a_token_is_taken_from_the_option_the_environment_and_the_file_in_this_order() {
    let fake = Fake::start();
    let user = with_session(&fake, SESSION, EXPIRES);
    for (option, environment, expected) in [
        (Some("option"), Some("environment"), "option"),
        (None, Some("environment"), "environment"),
        (None, Some(""), SESSION),
        (None, None, SESSION),
    ] {
        let mut command = user.command(&["whoami"]);
        command.args(option.map(|token| ["--token", token]).into_iter().flatten());
        command.envs(environment.map(|token| ("ETRANSFER_TOKEN", token)));
        fake.state().people.seen.clear();
        command.output().unwrap();
        assert_eq!(seen_tokens(&fake)[0], expected, "in both places a server may look");
    }
}

#[test]
fn section_11_1_logout_ends_the_session_here_and_there() {
    let fake = closed();
    let user = with_session(&fake, SESSION, EXPIRES);
    assert_eq!(user.ok(&["logout"]), "");
    assert_eq!(user.saved(), json!({"server": fake.address().to_string(), "theme": "dark"}));
    assert!(!fake.state().people.knows(SESSION), "the server was told");
    let told = json_lines(&user.ok(&["logout", "--json"]));
    assert_eq!(told, [json!({"was_logged_in": false, "server_told": false})], "a second time is no failure");
    assert_eq!(fake.state().people.paths(), ["/api/users/logout"]);
    assert_eq!(User::new().et(&["logout"]).status.code(), Some(0), "nor without any server");
}

#[test]
fn section_11_1_logout_needs_no_server() {
    let fake = closed();
    for (saved_expires, stop, said) in [(EXPIRES, true, true), (ENDED, false, false)] {
        let user = with_session(&fake, SESSION, saved_expires);
        if stop {
            fake.stop();
        }
        let output = user.et(&["logout"]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(stderr(&output).contains("could not be told: cannot reach"), said, "{}", stderr(&output));
        assert_eq!(user.saved(), json!({"server": fake.address().to_string(), "theme": "dark"}));
        if stop {
            fake.restart();
        }
    }
    assert!(fake.state().people.seen.is_empty(), "an expired session is not sent");
}

#[test]
fn section_11_1_setup_reports_whether_a_login_is_needed() {
    for (offers, without, info, code, said, saved) in [
        (true, None, None, 0, "log in with `et login`", true),
        (true, None, Some(503), 0, "log in with `et login`", true),
        (false, None, None, 0, "wants a token", true),
        (false, Some(404), None, 0, "wants a token", true),
        (true, None, Some(500), 1, "answered 500", false),
    ] {
        let (fake, user) = (closed(), User::new());
        let server = fake.address().authority();
        {
            let mut state = fake.state();
            (state.people.offers_login, state.people.without_login, state.people.info_status) = (offers, without, info);
        }
        let output = user.et(&["setup", &server]);
        assert_eq!(output.status.code(), Some(code), "{said}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
        assert_eq!(user.path().join(".etransfer/client.json").exists(), saved, "{said}");
        user.fails(if info == Some(500) { 1 } else { 4 }, &["setup", &server, "--token", "wrong"]);
        fake.state().people.info_status = None;
        user.ok(&["setup", &server, "--token", "static"]);
        assert_eq!(user.saved()["token"], "static");
    }
    let (open, user) = (Fake::start(), User::new());
    let output = user.et(&["setup", &open.address().authority()]);
    assert!(stderr(&output).contains("no login needed"), "{}", stderr(&output));
}

#[test]
fn section_11_1_setup_keeps_a_session_at_its_address_and_drops_it_elsewhere_or_when_it_ended() {
    let (fake, other) = (closed(), closed());
    let user = with_session(&fake, SESSION, EXPIRES);
    let (here, there) = (fake.address(), other.address());
    user.ok(&["setup", &here.authority()]);
    assert_eq!((&user.saved()["token"], &user.saved()["username"]), (&json!(SESSION), &json!("anna")));
    let tokens = json!({ here.authority(): "static" }).to_string();
    write_file(user.path(), ".etransfer/local.json", tokens.as_bytes());
    user.ok(&["setup", &here.authority()]);
    assert_eq!(user.saved()["token"], SESSION, "what a local server left does not push a session out");
    user.ok(&["setup", &there.authority()]);
    assert_eq!(user.saved(), json!({"server": there.to_string(), "theme": "dark"}));

    for (token, expires_at) in [("ended early", EXPIRES), (SESSION, ENDED)] {
        let user = with_session(&fake, token, expires_at);
        user.ok(&["setup", &here.authority()]);
        assert_eq!(user.saved(), json!({"server": here.to_string(), "theme": "dark"}), "{token}");
    }
    let user = with_session(&fake, SESSION, EXPIRES);
    user.ok(&["setup", &here.authority(), "--token", "static"]);
    let expected = json!({"server": here.to_string(), "token": "static", "theme": "dark"});
    assert_eq!(user.saved(), expected, "a static token has no name");
}
