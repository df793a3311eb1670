//! easytransfer/CONTRACT.md §6.1, PROMISES.md §5 "Login": a browser, a command line, and what must not work.

use std::process::Command;

use super::get;
use crate::clients::{client_home, installed, source};
use crate::support::node::clean_env;
use crate::support::provider::{PUBLIC, Provider, browse, sign_in};
use crate::support::{Node, Oracle, Request, oracle, wait};

#[test]
fn a_browser_signs_in_and_out() {
    let provider = Provider::start();
    let node = Node::setup().config(&provider.config("")).start();
    let info = node.send(&Request::get("/api/users/login-info")).is(200).json();
    assert_eq!((&info["provider"], &info["client_id"]), (&"oidc".into(), &"etransfer".into()), "{info}");
    let token = sign_in(&node, "ada+staff");
    let me = get(&node, &token, "/api/users/me").is(200).json();
    assert_eq!(
        (&me["username"], &me["role"], &me["groups"]),
        (&"ada".into(), &"user".into(), &serde_json::json!(["staff"])),
        "{me}"
    );
    let logout = super::by(&token, Request::new("POST", "/api/users/logout"));
    node.send(&logout).is(200);
    get(&node, &token, "/api/users/me").is(401);
    assert!(!node.log().contains(&token), "PROMISES.md P22: the token stands in the log");
}

#[test]
fn the_published_command_line_signs_in_and_moves_a_file() {
    let provider = Provider::start();
    let node = Node::setup().config(&provider.config("")).start();
    let cli = |args: &[&str]| {
        let mut command = Command::new(installed().join("venv/bin/etransfer"));
        command.args(args).env_clear().envs(clean_env(&client_home(&node))).current_dir(node.dir());
        command.env("COLUMNS", "400").env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
        command
    };
    wait::run(cli(&["setup", &node.addr().to_string()])).ok();
    let login = wait::Running::start(cli(&["login"]));
    let link = wait::until("the login's link", || {
        let said = login.read(None).stdout;
        let at = said.find(&format!("{PUBLIC}/l/"))?;
        said[at..].split(|c: char| c.is_whitespace() || c == '\u{2502}').next().map(str::to_owned)
    });
    let (status, page) = browse(&node, &link, "grace");
    assert!(status == 200 && page.contains("Go back to the command line"), "{status} {page}");
    login.finish().ok();
    let saved = std::fs::read_to_string(client_home(&node).join(".etransfer/client.json")).expect("what it saved");
    let saved: serde_json::Value = serde_json::from_str(&saved).expect("JSON");
    assert_eq!(saved["username"], "grace", "{saved}");
    let file = source(&node, "hers.bin", Oracle(4), 5_000_000);
    wait::run(cli(&["upload", file.to_str().expect("UTF-8"), "-r", "permanent"])).ok();
    let token = saved["token"].as_str().expect("a token");
    let files = get(&node, token, "/api/files").is(200).json();
    let id = files["files"][0]["file_id"].as_str().expect("her file").to_owned();
    let out = node.dir().join("out");
    wait::run(cli(&["download", &id, "--path", out.to_str().expect("UTF-8")])).ok();
    oracle::check_file(&out.join("hers.bin"), Oracle(4), 5_000_000);
    assert_eq!(get(&node, token, "/api/users/me/quota").is(200).json()["storage_used"], 5_000_000);
}

#[test]
fn a_login_is_collected_once_and_only_after_the_person_confirmed() {
    let provider = Provider::start();
    let node = Node::setup().config(&provider.config("")).start();
    let begun = node.send(&Request::new("POST", "/api/users/login/start")).is(200).json();
    let text = |name: &str| begun[name].as_str().expect("a text").to_owned();
    assert!(!text("authorize_url").contains(&text("state")), "the poll id is not the state of the URL");
    let poll = || node.send(&Request::get(&text("poll_endpoint")));
    assert_eq!(poll().is(200).json(), serde_json::json!({"completed": false}));
    let program = crate::clients::script("browser.py");
    let args = [program.to_str().expect("UTF-8"), &text("authorize_url"), "ada", PUBLIC, &node.url(), "--no-confirm"];
    let asked = wait::run(crate::clients::python(&node, &args)).ok().stdout;
    assert!(asked.contains("A command line wants to be signed in as"), "{asked}");
    assert_eq!(poll().is(200).json()["completed"], false, "it was not confirmed");
    let confirmation = asked.split("value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("its value");
    let foreign = Request::new("POST", "/api/users/login/confirm").body(format!("confirmation={confirmation}"));
    node.send(&foreign).is(400);
    assert_eq!(poll().is(200).json()["completed"], false, "another browser's yes is no yes");

    let begun = node.send(&Request::new("POST", "/api/users/login/start")).is(200).json();
    let (status, page) = browse(&node, begun["short_url"].as_str().expect("a text"), "ada");
    assert_eq!(status, 200, "{page}");
    let endpoint = begun["poll_endpoint"].as_str().expect("a text");
    let done = node.send(&Request::get(endpoint)).is(200).json();
    assert_eq!((&done["completed"], &done["user"]["username"]), (&true.into(), &"ada".into()), "{done}");
    get(&node, done["token"].as_str().expect("a token"), "/api/users/me").is(200);
    node.send(&Request::get(endpoint)).is(404);
    node.send(&Request::get("/api/users/login/poll/unknown")).is(404);
    node.send(&Request::get("/l/unknown")).is(404);
}

#[test]
fn what_did_not_come_from_a_login_under_way_is_400_and_makes_nobody() {
    let provider = Provider::start();
    let node = Node::setup().config(&provider.config("")).start();
    for query in ["code=x&state=y", "code=x", "code=a&code=b&state=c", "error=access_denied&state=x"] {
        node.send(&Request::get(&format!("/api/users/callback?{query}"))).is(400);
    }
    node.send(&Request::get("/api/users/callback?state=x")).is(422);
    assert_eq!(node.get("/api/stats").is(200).json()["user_count"], 0);
}

#[test]
fn one_address_begins_so_many_logins_and_no_more() {
    let provider = Provider::start();
    let node = Node::setup().config(&provider.config("")).start();
    let start = || node.send(&Request::new("POST", "/api/users/login/start"));
    (0..120).for_each(|_| drop(start().is(200)));
    assert!((1..=60).contains(&start().is(429).number("Retry-After")));
    node.send(&Request::get("/api/users/login")).is(429);
    node.send(&Request::get("/api/users/login-info")).is(200);
}

#[test]
fn section_6_without_a_provider_nobody_needs_to_sign_in() {
    let node = Node::setup().config("user_system: {enabled: true}").start();
    node.send(&Request::get("/api/users/login-info")).is(501);
    node.send(&Request::new("POST", "/api/users/login/start")).is(501);
    let node = Node::start();
    node.send(&Request::get("/api/users/login-info")).is(501);
    node.get("/api/users/me").is(404);
}

/// `user_system` with a provider that is away.
fn away(more: &str) -> String {
    format!(
        "user_system:\n  enabled: true\n  oidc:\n    issuer_url: http://127.0.0.1:1\n    client_id: etransfer\n    \
         client_secret: the-clients-secret\n{more}"
    )
}

#[test]
fn a_login_begins_while_the_provider_is_away() {
    let node = Node::setup().config(&away("")).start();
    let info = node.send(&Request::get("/api/users/login-info")).is(200).json();
    assert_eq!(info["authorize_url"], "http://127.0.0.1:1/login/oauth/authorize", "{info}");
    let begun = node.send(&Request::new("POST", "/api/users/login/start")).is(200).json();
    let told = begun["authorize_url"].as_str().expect("a URL");
    assert!(told.starts_with("http://127.0.0.1:1/login/oauth/authorize?client_id=etransfer&"), "{begun}");
    let configured = "    authorize_url: https://id.example/oauth/authorize\n    token_url: https://id.example/token\n    \
                      userinfo_url: https://api.id.example/me\n";
    let node = Node::setup().config(&away(configured)).start();
    let info = node.send(&Request::get("/api/users/login-info")).is(200).json();
    assert_eq!(info["authorize_url"], "https://id.example/oauth/authorize", "{info}");
}

#[test]
fn the_short_link_does_not_collect_the_session() {
    let node = Node::setup().config(&away("")).start();
    let begun = node.send(&Request::new("POST", "/api/users/login/start")).is(200).json();
    let (poll, short) = (begun["state"].as_str().expect("an id"), begun["short_url"].as_str().expect("a URL"));
    let link = short.rsplit('/').next().expect("an id");
    assert!(poll != link && !short.contains(poll) && begun["poll_endpoint"] == format!("/api/users/login/poll/{poll}"));
    node.send(&Request::get(&format!("/api/users/login/poll/{poll}"))).is(200);
    node.send(&Request::get(&format!("/api/users/login/poll/{link}"))).is(404);
    node.send(&Request::get(&format!("/l/{link}"))).is(307);
    node.send(&Request::get(&format!("/l/{poll}"))).is(404);
}

#[test]
fn one_public_address_stands_in_every_link_of_every_dialect() {
    const PUBLIC: &str = "https://files.example/et";
    let node = Node::setup()
        .config(&away(""))
        .env("PUBLIC_URL", PUBLIC)
        .env("SURFACES__PYBLOBSERVER__ALLOWED_USERS", r#"[{"user": "bob", "token": "a-token-for-blobs"}]"#)
        .env("SURFACES__STREAM_UPLOAD__TOKENS", r#"[{"token": "a-token-for-streams", "user": "ann"}]"#)
        .env("SURFACES__CLOUDBACKEND__REGISTRATION", "true")
        .start();
    let begun = node.send(&Request::new("POST", "/api/users/login/start")).is(200).json();
    assert_eq!(begun["callback_url"], format!("{PUBLIC}/api/users/callback"));
    assert!(begun["short_url"].as_str().is_some_and(|url| url.starts_with(&format!("{PUBLIC}/l/"))), "{begun}");
    let cookie = node.send(&Request::get("/api/users/login")).is(307).field("Set-Cookie").to_owned();
    assert!(cookie.contains("Path=/et/api/users;") && cookie.contains("Secure"), "{cookie}");
    let created = node.send(&crate::support::tus::post().header("Upload-Length", "5")).is(201);
    assert!(created.field("Location").starts_with(&format!("{PUBLIC}/tus/")));
    let form = |name: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a.txt\"\r\n\r\nhello\r\n--b--\r\n")
    };
    let multipart = "multipart/form-data; boundary=b";
    let blob = Request::new("POST", "/blob/upload").header("Content-Type", multipart).body(form("file"));
    let blob = node.send(&super::by("a-token-for-blobs", blob)).is(200);
    let text = String::from_utf8_lossy(&blob.body).into_owned();
    assert!(text.contains(&format!("{PUBLIC}/blob/s/")) && !text.contains("127.0.0.1"), "{text}");
    let body =
        serde_json::json!({"username": "ann", "password": "a good password", "email": "a@example.org"}).to_string();
    let register = Request::new("POST", "/user/register/").header("Content-Type", "application/json").body(body);
    let access = node.send(&register).is(201).json()["access"].as_str().expect("a token").to_owned();
    let told = node.send(&super::by(&access, Request::get("/file/get-token/"))).is(200).json();
    assert_eq!(told["token"]["host"], format!("{PUBLIC}/cloud"), "{told}");
}

#[test]
fn what_a_stranger_writes_is_not_said_on_our_page() {
    let node = Node::setup().config(&away("")).start();
    let page = node.send(&Request::get("/api/users/callback?error=Call%20us%20at%20555-0100")).is(400);
    assert!(!String::from_utf8_lossy(&page.body).contains("Call us"));
    let page = node.send(&Request::get("/api/users/callback?error=access_denied")).is(400);
    assert!(String::from_utf8_lossy(&page.body).contains("access_denied"));
}
