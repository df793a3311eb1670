//! What every call has (cloudbackend/CONTRACT.md §A2): case 24 as far as it is about the API, bodies of every kind,
//! fields of every answer, both languages.

use serde_json::{Value, json};

use super::accounts::{call, cloud, json_post, setup};
use crate::support::{Reply, Request};

const FORM: &str = "------between";

fn post(target: &str, kind: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::new("POST", target).header("Content-Type", kind).body(body)
}

#[track_caller]
fn detail(reply: Reply, status: u16) -> String {
    reply.is(status).json()["detail"].as_str().expect("a text").to_owned()
}

#[test]
fn case_24_pages_of_other_origins() {
    let node = setup().start();
    let preflight = |target: &str| {
        Request::new("OPTIONS", target)
            .header("Origin", "https://front.example")
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "authorization,content-type")
    };
    for target in ["/user/login/", "/file/list", "/drop/get-drop/", "/file/uploaded/", "/user/7/"] {
        let reply = node.send(&preflight(target)).is(200);
        assert_eq!(reply.field("Access-Control-Allow-Origin"), "*");
        assert_eq!(reply.field("Access-Control-Allow-Methods"), "DELETE, GET, OPTIONS, PATCH, POST, PUT");
        let fields = "accept, authorization, content-type, user-agent, x-csrftoken, x-requested-with";
        assert_eq!(reply.field("Access-Control-Allow-Headers"), fields);
        assert_eq!(reply.field("Access-Control-Max-Age"), "86400");
    }
    let reply = node.send(&Request::get("/user/profile/").header("Origin", "https://front.example")).is(401);
    assert_eq!(reply.field("Access-Control-Allow-Origin"), "*");
    assert!(reply.header("Access-Control-Allow-Credentials").is_none());
}

#[test]
fn case_24_a_slash_at_the_end_changes_nothing() {
    let node = setup().start();
    let applicant = json!({"username": "alice", "password": "a secret", "email": "a@example.org"});
    let told = call(&node, "/user/register", &applicant).is(201).json();
    let bearer = format!("Bearer {}", told["access"].as_str().expect("a token"));
    for target in ["/user/profile", "/user/1", "/user", "/user/1/profile", "/drop", "/file"] {
        let ask = |target: &str| {
            let reply = node.send(&Request::get(target).header("Authorization", &bearer));
            (reply.status, reply.json())
        };
        assert_eq!(ask(target), ask(&format!("{target}/")), "{target}");
    }
    for target in
        ["/user//profile/", "/user/profile//", "/user/profile/x", "/user/%70rofile/", "/user/../user/profile/"]
    {
        let reply = node.send(&Request::get(target).header("Authorization", &bearer));
        assert_eq!(detail(reply, 404), "Not found.", "{target}");
    }
}

#[test]
fn a2_bodies_of_every_kind_mean_the_same() {
    let node = setup().start();
    let applicant = json!({"username": "alice", "password": "a secret", "email": "a@example.org"});
    call(&node, "/user/register/", &applicant).is(201);
    let form = |fields: &[(&str, &str)]| {
        let part = |(name, value): &(&str, &str)| {
            format!("--{FORM}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        format!("{}--{FORM}--\r\n", fields.iter().map(part).collect::<String>())
    };
    let multipart = format!("multipart/form-data; boundary={FORM}");
    let fields = [("username", "alice"), ("password", "a secret")];
    for (kind, body) in [
        ("application/json", json!({"username": "alice", "password": "a secret"}).to_string()),
        ("application/json; charset=utf-8", json!({"username": "alice", "password": "a secret"}).to_string()),
        ("application/x-www-form-urlencoded", "username=alice&password=a+secret".to_owned()),
        (&multipart, form(&fields)),
    ] {
        assert_eq!(node.send(&post("/user/login/", kind, body)).is(200).json()["user"]["id"], 1, "{kind}");
    }
    let chunked =
        post("/user/login/", "application/json", json!({"username": "alice", "password": "a secret"}).to_string());
    node.send(&chunked.chunked(7)).is(200);
    // Nothing at all is an empty object.
    node.send(&Request::new("POST", "/user/login/")).is(401);
    node.send(&post("/user/login/", "application/json", "")).is(401);

    for (kind, body) in [("text/plain", "x"), ("application/xml", "<x/>"), ("", "x")] {
        let told = detail(node.send(&post("/user/login/", kind, body)), 415);
        assert_eq!(told, format!("Unsupported media type \"{kind}\" in request."));
    }
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    for body in ["{", "{\"a\":NaN}", "{\"a\":1,\"a\":2}", "\u{feff}{}", &deep] {
        let told = detail(node.send(&post("/user/login/", "application/json", body)), 400);
        assert!(told.starts_with("JSON parse error - "), "{told}");
    }
    for (kind, body) in [("multipart/form-data", "x"), (multipart.as_str(), "no form")] {
        detail(node.send(&post("/user/login/", kind, body)), 400);
    }
    for body in ["[]", "[{\"username\":\"alice\"}]", "7", "\"x\"", "null", "true"] {
        assert_eq!(detail(node.send(&post("/user/login/", "application/json", body)), 400), "Invalid data", "{body}");
    }
    let long = json!({"username": "a".repeat(2 << 20)}).to_string();
    node.send(&post("/user/login/", "application/json", long)).is(413);
}

#[test]
fn a2_fields_of_every_answer_and_methods_that_are_none() {
    let node = setup().start();
    for (request, status) in [
        (Request::get("/user/profile/"), 401),
        (Request::get("/user/login/"), 405),
        (Request::get("/user/nothing/here/"), 404),
        (json_post("/user/login/", &json!({})), 401),
        (json_post("/user/register/", &json!({})), 400),
        (Request::new("OPTIONS", "/user/login/").header("Origin", "https://front.example"), 200),
    ] {
        let reply = node.send(&request).is(status);
        for (name, value) in [
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "same-origin"),
            ("Content-Type", "application/json"),
        ] {
            assert_eq!(reply.field(name), value, "{reply:?}");
        }
        assert!(reply.json().is_object());
    }
    for (method, target, allowed) in [
        ("GET", "/user/login/", "POST, OPTIONS"),
        ("DELETE", "/user/register/", "POST, OPTIONS"),
        ("POST", "/user/profile/", "GET, HEAD, OPTIONS"),
        ("POST", "/user/7/", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"),
        ("DELETE", "/drop/7/", "GET, HEAD, OPTIONS"),
        ("PUT", "/drop/", "GET, HEAD, OPTIONS"),
        ("GET", "/drop/get-drop/", "POST, OPTIONS"),
    ] {
        let refused = node.send(&Request::new(method, target)).is(405);
        assert_eq!(refused.field("Allow"), allowed, "{method} {target}");
        assert_eq!(refused.json()["detail"], format!("Method \"{method}\" not allowed."));
    }
}

#[test]
fn a9_messages_in_english() {
    let node = cloud(setup(), &[("MESSAGES", "en")]).start();
    let applicant = json!({"username": "alice", "password": "a secret", "email": "a@example.org"});
    let told = call(&node, "/user/register/", &applicant).is(201).json();
    let bearer = |told: &Value| format!("Bearer {}", told["access"].as_str().expect("a token"));
    // A token ends with its session: at logout, and when the password changes.
    let sign_in = |password: &str| {
        bearer(&call(&node, "/user/login/", &json!({"username": "alice", "password": password})).is(200).json())
    };
    let ask_as = |bearer: &str, target: &str, body: Value| {
        node.send(&json_post(target, &body).header("Authorization", bearer)).json()
    };
    let first = bearer(&told);
    let ask = |target: &str, body: Value| ask_as(&first, target, body);
    assert_eq!(ask("/user/login/", json!({}))["detail"], "Username or Password error");
    assert_eq!(ask("/user/logout/", json!({})), json!({"status": "Success"}));
    let changed = json!({"old_password": "a secret", "new_password": "another secret"});
    assert_eq!(ask_as(&sign_in("a secret"), "/user/change-password/", changed), json!({"status": "Success"}));
    let last = sign_in("another secret");
    let ask = |target: &str, body: Value| ask_as(&last, target, body);
    for (target, body, text) in [
        ("/user/refresh-token/", json!({}), "Require refresh token"),
        ("/user/refresh-token/", json!({"refresh": "x"}), "Uneffective token"),
        ("/user/change-password/", json!({"old_password": "x"}), "old_password error"),
        ("/user/update-email/", json!({}), "Email is neccessary"),
        ("/drop/create/", json!({}), "Need dropping list"),
        ("/drop/get-drop/", json!({}), "Need sharing code"),
        ("/drop/get-drop/", json!({"code": "x"}), "Invalid code"),
    ] {
        let told = ask(target, body);
        assert_eq!((&told["error"], &told["message"]), (&json!(text), &json!(text)), "{target}");
    }
}
