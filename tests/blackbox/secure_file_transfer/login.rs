//! Logging in and tokens: cases 1 to 4 of secure_file_transfer/CONTRACT.md §9, and the errors of
//! secure_file_transfer/CONTRACT.md §3.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Device, detail, form, login, setup, start};
use crate::support::{Request, wait};

/// Long enough for the check of the configuration.
const KEY: &str = "the key of the tests, configured";

/// What `openssl` signs, as any other program might.
fn signed(key: &str, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let script = "import hmac, hashlib, base64, sys; print(base64.urlsafe_b64encode(hmac.new(sys.argv[1].encode(), sys.argv[2].encode(), hashlib.sha256).digest()).rstrip(b'=').decode())";
    let mut python = std::process::Command::new("python3");
    python.args(["-c", script, key, &message]);
    format!("{message}.{}", wait::run(python).ok().stdout.trim())
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()
}

#[test]
fn section_9_1_and_2_logging_in() {
    let node = start();
    let device = Device::one(&node);
    let claims = URL_SAFE_NO_PAD.decode(device.token.split('.').nth(1).expect("three parts")).expect("base64");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    assert_eq!(claims["sub"], "device1");
    assert!(claims["exp"].as_u64().expect("a number").abs_diff(now() + 30 * 60) <= 5, "{claims}");
    for fields in [
        "username=device1&password=wrong",
        "username=stranger&password=password1",
        "username=off&password=password4",
        "username=device1&password=password1%00",
    ] {
        let reply = login(&node, fields).is(401);
        assert_eq!(reply.json(), detail("Incorrect device ID or password"), "{fields}");
        assert_eq!(reply.field("WWW-Authenticate"), "Bearer");
    }
    login(&node, "grant_type=password&username=device1&password=password1&scope=&client_id=x").is(200);
    for (fields, locations) in [
        ("", &["username", "password"][..]),
        ("username=device1", &["password"]),
        ("username=device1&password=password1&grant_type=other", &["grant_type"]),
    ] {
        let reply = login(&node, fields).is(422).json();
        let told: Vec<&str> =
            reply["detail"].as_array().expect("a list").iter().filter_map(|one| one["loc"][1].as_str()).collect();
        assert_eq!(told, locations, "{fields}: {reply}");
    }
    let typed = |kind: &str| Request::new("POST", "/sft/auth/token").header("Content-Type", kind);
    let json_body = typed("application/json").body(r#"{"username": "device1", "password": "password1"}"#);
    assert_eq!(node.send(&json_body).is(422).json()["detail"].as_array().map(Vec::len), Some(2));
    let boundary = super::BOUNDARY;
    let field = |name: &str, value: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let fields = format!("{}{}--{boundary}--\r\n", field("username", "device1"), field("password", "password1"));
    node.send(&typed(&format!("multipart/form-data; boundary={boundary}")).body(fields)).is(200);
    let reply = node.send(&Request::get("/sft/auth/token")).is(405);
    assert_eq!((reply.json(), reply.field("Allow")), (detail("Method Not Allowed"), "POST"));
    assert!(!node.log().contains("password1"), "PROMISES.md P22");
}

#[test]
fn section_9_3_and_4_tokens() {
    let node = setup().env("SURFACES__SECURE_FILE_TRANSFER__SECRET_KEY", KEY).start();
    let ask = |token: &str| {
        let reply = node.send(&Request::get("/sft/api/files").header("Authorization", token));
        assert!(reply.status == 200 || reply.field("WWW-Authenticate") == "Bearer");
        (reply.status, reply.json()["detail"].as_str().unwrap_or_default().to_owned())
    };
    let none = node.send(&Request::get("/sft/api/files")).is(401);
    assert_eq!((none.json(), none.field("WWW-Authenticate")), (detail("Not authenticated"), "Bearer"));
    for scheme in ["Basic zzz", "zzz", ""] {
        assert_eq!(ask(scheme), (401, "Not authenticated".into()), "{scheme}");
    }
    let (alg, soon) = (json!({"alg": "HS256", "typ": "JWT"}), now() + 60);
    let bad: &[(&str, Value, Value)] = &[
        (KEY, json!({"alg": "none", "typ": "JWT"}), json!({"sub": "device1", "exp": soon})),
        (KEY, alg.clone(), json!({"sub": "device1", "exp": now() - 10})),
        (KEY, alg.clone(), json!({"sub": "device1"})),
        (KEY, alg.clone(), json!({"exp": soon})),
        (KEY, alg.clone(), json!({"sub": "", "exp": soon})),
        (KEY, alg.clone(), json!({"sub": "a/b", "exp": soon})),
        (KEY, alg.clone(), json!({"sub": "off", "exp": soon})),
        ("supersecretkey", alg.clone(), json!({"sub": "device1", "exp": soon})),
    ];
    for (key, header, claims) in bad {
        let token = signed(key, header, claims);
        assert_eq!(
            ask(&format!("Bearer {token}")),
            (401, "Could not validate credentials".into()),
            "{header} {claims}"
        );
    }
    assert_eq!(ask("Bearer zzz"), (401, "Could not validate credentials".into()));
    // A device that is in no list, in any spelling of the scheme.
    let token = signed(KEY, &alg, &json!({"sub": "any@where.example", "exp": soon}));
    assert_eq!(ask(&format!("bEARER {token}")).0, 200);
    // Before the body is read, and before anything else is looked at.
    let body = form("file", &[0; 100]);
    let unasked = Request::new("POST", "/sft/api/files/upload").header("Content-Length", "1000000000").body(body);
    assert_eq!(node.send(&unasked).is(401).json(), detail("Not authenticated"));
    for (path, status, text) in
        [("/sft/", 404, "Not Found"), ("/sft/api/filesx", 404, "Not Found"), ("/sft/auth", 404, "Not Found")]
    {
        assert_eq!(node.send(&Request::get(path)).is(status).json(), detail(text), "{path}");
    }
    let reply = node.send(&Request::new("PUT", "/sft/api/files/")).is(405);
    assert_eq!(reply.field("Allow"), "GET");
}
