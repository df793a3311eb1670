//! Wrong credentials (one limiter for all dialects), what is not configured, and what a stranger learns.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::database::{Database, person, session};
use crate::support::node::Setup;
use crate::support::provider::Provider;
use crate::support::{Node, OTHER_TOKEN, Reply, Request, TOKEN, wait};

/// All dialects, few failures, a proxy in front that tells who asks.
fn setup() -> Setup {
    Node::setup()
        .env("TRUSTED_PROXIES", "127.0.0.0/8")
        .env("AUTH_FAILURES_PER_ADDRESS", 6)
        .env("SURFACES__SECURE_FILE_TRANSFER__DEVICES", r#"[{"device_id": "cam", "secret": "a long secret of cam"}]"#)
        .env("SURFACES__STREAM_UPLOAD__TOKENS", r#"[{"token": "a-token-for-streams", "user": "ann"}]"#)
        .env("SURFACES__PYBLOBSERVER__ALLOWED_USERS", r#"[{"user": "bob", "token": "a-token-for-blobs"}]"#)
        .env("SURFACES__PYBLOBSERVER__REQUESTS_PER_MINUTE", 0)
}

fn from(address: &str, request: Request) -> Request {
    request.header("X-Forwarded-For", address)
}

fn bearer(path: &str, token: &str) -> Request {
    Request::get(path).header("Authorization", format!("Bearer {token}"))
}

fn device_login(secret: &str) -> Request {
    let body = format!("username=cam&password={secret}");
    Request::new("POST", "/sft/auth/token").header("Content-Type", "application/x-www-form-urlencoded").body(body)
}

fn account_login(name: &str, password: &str) -> Request {
    let body = json!({"username": name, "password": password}).to_string();
    Request::new("POST", "/user/login/").header("Content-Type", "application/json").body(body)
}

fn object(signature: &str) -> Request {
    let ends = "99999999999";
    let id = "OSSAccessKeyId=nobodys";
    Request::get(&format!("/cloud/u/x?{id}&Expires={ends}&Signature={signature}"))
}

/// Every way to be wrong, each with an unknown credential.
fn wrong() -> Vec<(&'static str, Request, u16)> {
    let verify = Request::new("POST", "/api/auth/verify").body(r#"{"token": "wrong-1"}"#);
    vec![
        ("easytransfer", Request::get("/api/files").header("X-API-Token", "wrong-0"), 401),
        ("verify", verify, 200),
        ("device", device_login("wrong-2"), 401),
        ("device token", bearer("/sft/api/files", "wrong-3"), 401),
        ("stream", bearer("/api/scratch/assets", "wrong-4"), 401),
        ("blob", bearer("/blob/list", "wrong-5"), 401),
        ("account", account_login("stranger", "wrong-6"), 401),
        ("account token", bearer("/user/profile/", "wrong-7"), 401),
        ("bucket", object("wrong-8"), 403),
    ]
}

#[test]
fn one_limiter_counts_the_failures_of_every_dialect() {
    let node = setup().start();
    // Each dialect's failure counts: six of the same kind, then anybody's guess is refused.
    for (at, (name, request, status)) in wrong().into_iter().enumerate() {
        let address = format!("192.0.2.{at}");
        node.send(&from(&address, request)).is(status);
        for guess in 0..5 {
            let request = Request::get("/api/files").header("X-API-Token", format!("{name} {guess}"));
            node.send(&from(&address, request)).is(401);
        }
        let refused = node.send(&from(&address, Request::get("/api/files").header("X-API-Token", OTHER_TOKEN))).is(429);
        assert!((1..=301).contains(&refused.number("Retry-After")), "{name}: {refused:?}");
    }
    // And each dialect refuses past it.
    let full = "198.51.100.1";
    for guess in 0..6 {
        node.send(&from(full, Request::get("/api/files").header("X-API-Token", format!("guess {guess}")))).is(401);
    }
    for (name, request, _) in wrong() {
        let refused: Reply = node.send(&from(full, request));
        assert_eq!(refused.status, 429, "{name}: {refused:?}");
        assert!(refused.number("Retry-After") > 0, "{name}: {refused:?}");
    }
}

#[test]
fn who_is_right_is_not_shut_out_by_others_behind_the_same_address() {
    let node = setup().start();
    let here = "192.0.2.9";
    let right = [
        Request::get("/api/files").header("X-API-Token", TOKEN),
        bearer("/api/scratch/assets", "a-token-for-streams"),
        bearer("/blob/list", "a-token-for-blobs"),
        device_login("a+long+secret+of+cam"),
    ];
    for request in &right {
        node.send(&from(here, request.clone())).is(200);
    }
    for guess in 0..6 {
        node.send(&from(here, Request::get("/api/files").header("X-API-Token", format!("guess {guess}")))).is(401);
    }
    node.send(&from(here, Request::get("/api/files").header("X-API-Token", "one more"))).is(429);
    for request in &right {
        node.send(&from(here, request.clone())).is(200);
    }
    // A program that repeats one wrong token is no guesser.
    let there = "192.0.2.10";
    for _ in 0..50 {
        node.send(&from(there, Request::get("/api/files").header("X-API-Token", "a token that ended"))).is(401);
    }
    node.send(&from(there, Request::get("/api/files").header("X-API-Token", OTHER_TOKEN))).is(200);
}

#[test]
fn logins_of_a_device_are_limited_wherever_they_come_from() {
    let node = setup().env("AUTH_FAILURES_PER_PRINCIPAL", 4).start();
    node.send(&from("192.0.2.99", device_login("a+long+secret+of+cam"))).is(200);
    for address in 1..=4 {
        node.send(&from(&format!("192.0.2.{address}"), device_login(&format!("guess{address}")))).is(401);
    }
    let refused = node.send(&from("192.0.2.5", device_login("a+long+secret+of+cam"))).is(429);
    assert!(refused.number("Retry-After") > 0);
    node.send(&from("192.0.2.99", device_login("a+long+secret+of+cam"))).is(200);
}

#[test]
fn a_carrier_that_says_two_things_says_nothing_and_costs_no_lookup() {
    let provider = Provider::start();
    let node = Node::setup().config(&provider.config("")).start();
    let mut flood = Request::get("/api/files");
    for number in 0..95 {
        flood = flood.header("X-Session-Token", format!("no session {number}"));
    }
    Database::of(&node).run(&format!("{}{}", person("ann", "user", true), session("ann", "a-session-of-ann")));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..40 {
                    node.send(&flood).is(401);
                }
            });
        }
        for _ in 0..40 {
            node.send(&Request::get("/api/users/me").header("X-Session-Token", "a-session-of-ann")).is(200);
            node.get("/api/files").is(200);
        }
    });
    let twice = |name: &str, one: &str, other: &str| Request::get("/api/files").header(name, one).header(name, other);
    node.send(&twice("X-API-Token", TOKEN, OTHER_TOKEN)).is(401);
    node.send(&twice("Authorization", &format!("Bearer {TOKEN}"), "Bearer x")).is(401);
}

#[test]
fn short_tokens_work_and_are_warned_of() {
    let node = Node::setup().env("AUTH_TOKENS", "[\"four\",\"token-of-the-tests\"]").start();
    node.send(&Request::get("/api/files").header("X-API-Token", "four")).is(200);
    let log = node.log();
    let line = log.lines().find(|line| line.contains("16 characters")).expect("a warning");
    assert!(line.contains("1 of 2") && line.contains("auth.tokens"), "{line}");
    assert!(!log.contains("\"four\""), "PROMISES.md P22");
}

#[test]
fn an_empty_configuration_has_easytransfer_alone() {
    let names = ["SECURE_FILE_TRANSFER", "CLOUDBACKEND", "STREAM_UPLOAD", "PYBLOBSERVER"];
    let bare = || names.iter().fold(Node::setup(), |setup, name| setup.without_env(&format!("SURFACES__{name}")));
    let paths = ["/sft/auth/token", "/user/profile/", "/cloud/x", "/blob/health", "/file/list/"];
    let node = bare().start();
    for path in paths {
        assert_eq!(node.send(&Request::get(path)).is(404).json(), json!({"detail": "Not Found"}), "{path}");
    }
    node.send(&Request::get("/api/scratch/assets")).is(401);
    assert!(node.get("/api/scratch/assets").is(404).json()["detail"].is_string());
    let node = bare().config("surfaces: {pyblobserver: {}}").start();
    assert_eq!(node.send(&Request::get("/blob/health")).is(200).json(), json!({"status": "ok"}));
    node.send(&Request::get("/sft/auth/token")).is(404);
}

#[test]
fn a_stranger_learns_neither_paths_nor_names() {
    let node = Node::start();
    for path in ["/api/nothing", "/api/users/1/nothing", "/api/files/x/nothing", "/api"] {
        let refused = node.send(&Request::get(path)).is(401);
        assert_eq!(
            (refused.json()["error"].as_str(), refused.field("WWW-Authenticate")),
            (Some("Unauthorized"), "Bearer")
        );
        assert!(node.get(path).is(404).json()["detail"].is_string(), "{path}");
    }
    for path in ["/cloud//x", "/cloud/%ff", "/cloud/%zz", "/cloud/a/b?x=%zz"] {
        for method in ["GET", "PUT", "DELETE"] {
            let refused = node.send(&Request::new(method, path)).is(403);
            let text = String::from_utf8_lossy(&refused.body).into_owned();
            assert!(text.contains("<Code>AccessDenied</Code>"), "{method} {path}: {text}");
        }
    }
    // Nor does a question about what may be asked end in an error.
    for path in ["/api/migrations/jobs", "/api/migrations/bucket", "/api/tasks", "/api/files", "/api/users/me"] {
        let reply = node.send(&Request::new("OPTIONS", path));
        assert!(matches!(reply.status, 401 | 405), "{path}: {reply:?}");
    }
}

#[test]
fn an_administrators_name_is_the_operators_to_give() {
    let node = Node::setup()
        .env("SURFACES__CLOUDBACKEND__REGISTRATION", "true")
        .env("SURFACES__CLOUDBACKEND__ADMINS", "root")
        .start();
    let register = |name: &str, password: &str| {
        let body = json!({"username": name, "password": password, "email": format!("{name}@example.org")}).to_string();
        node.send(&Request::new("POST", "/user/register/").header("Content-Type", "application/json").body(body))
    };
    for name in ["root", "Root"] {
        let refused = register(name, "a good password").is(400).json();
        assert_eq!(refused, json!({"username": ["user with this username already exists."]}), "{name}");
    }
    assert!(register("ann", "seven77").is(400).json()["password"][0].as_str().is_some_and(|text| text.contains('8')));
    assert_eq!(register("ann", "eight888").is(201).json()["permission"], "user");
    std::fs::write(node.dir().join("password"), "a good password\n").expect("write the password");
    let mut add = node.et(&["server", "user", "add", "root", "--storage"]);
    add.arg(node.storage()).stdin(std::fs::File::open(node.dir().join("password")).expect("open the password"));
    assert!(add.output().expect("et").status.success());
    let told = node.send(&account_login("root", "a good password")).is(200).json();
    assert_eq!(told["user"]["permission"], "admin");
}

#[test]
fn every_decision_about_a_person_is_a_row() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("audit.jsonl");
    let node = setup()
        .env("AUDIT_LOG", file.display())
        .env("SURFACES__CLOUDBACKEND__REGISTRATION", "true")
        .env("SURFACES__PYBLOBSERVER__OPEN_TOKEN_CHANGE", "true")
        .start();
    let here = "203.0.113.7";
    let send = |request: Request| node.send(&from(here, request));
    let body = json!({"username": "ann", "password": "a good password", "email": "ann@example.org"}).to_string();
    send(Request::new("POST", "/user/register/").header("Content-Type", "application/json").body(body)).is(201);
    send(account_login("ann", "a secret that is wrong")).is(401);
    send(account_login("a password in the wrong field", "x")).is(401);
    let access =
        send(account_login("ann", "a good password")).is(200).json()["access"].as_str().expect("text").to_owned();
    let change = json!({"old_password": "a good password", "new_password": "a better password"}).to_string();
    let change = Request::new("POST", "/user/change-password/").header("Content-Type", "application/json").body(change);
    send(change.header("Authorization", format!("Bearer {access}"))).is(200);
    send(device_login("a+long+secret+of+cam")).is(200);
    send(device_login("wrong")).is(401);
    send(Request::get("/blob/user/bob?function=change_token")).is(200);
    for _ in 0..20 {
        send(Request::get("/api/files")).is(401);
    }
    let expected = [
        ("cloudbackend \"ann\"", "register", "ok"),
        ("cloudbackend \"ann\"", "sign in", "denied"),
        ("cloudbackend \"nobody known\"", "sign in", "denied"), // word: ok
        ("cloudbackend \"ann\"", "sign in", "ok"),
        ("cloudbackend \"ann\"", "change password", "ok"),
        ("secure_file_transfer \"cam\"", "sign in", "ok"),
        ("secure_file_transfer \"cam\"", "sign in", "denied"),
        ("pyblobserver \"anyone\"", "change token", "ok"),
    ];
    let rows = wait::within(Duration::from_secs(20), || {
        let text = std::fs::read_to_string(&file).ok()?;
        let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let has = |(who, action, result): &(&str, &str, &str)| {
            rows.iter().any(|row| row["who"] == *who && row["action"] == *action && row["result"] == *result)
        };
        expected.iter().all(has).then_some(rows)
    });
    let text = std::fs::read_to_string(&file).expect("the audit log");
    let rows = rows.unwrap_or_else(|| panic!("rows are missing:\n{text}"));
    assert!(rows.iter().all(|row| row["from"] == here || row["from"] == "127.0.0.1"), "{text}");
    let refused = rows.iter().filter(|row| row["surface"] == "easytransfer" && row["status"] == 401);
    assert_eq!(refused.count(), 1, "refusals of a minute are one row: {text}");
    for secret in ["good password", "wrong field", "long secret", &access] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[test]
fn a_node_without_credentials_is_no_strangers_pages_to_use() {
    let node = Node::setup().open().start();
    let page = |method: &str, path: &str, origin: &str| Request::new(method, path).header("Origin", origin);
    let read = node.send(&page("GET", "/api/files", "https://evil.example")).is(200);
    assert_eq!(read.header("Access-Control-Allow-Origin"), None);
    assert_eq!(read.header("Access-Control-Allow-Credentials"), None);
    let asked =
        page("OPTIONS", "/api/files/x", "https://evil.example").header("Access-Control-Request-Method", "DELETE");
    assert_eq!(node.send(&asked).header("Access-Control-Allow-Methods"), None);
    node.send(&page("POST", "/api/files/cleanup", "https://evil.example")).is(403);
    node.send(&page("POST", "/api/files/cleanup", &node.url())).is(200);
    node.send(&Request::new("POST", "/api/files/cleanup")).is(200);
    let rebound = Request::get("/api/files").header("Host", format!("evil.example:{}", node.addr().port()));
    node.send(&rebound).is(421);
    let named = Request::get("/api/files").header("Host", format!("localhost:{}", node.addr().port()));
    node.send(&named).is(200);
}
