//! CONTRACT.md §17.7: the description is true. Paths and methods are compared with the router both ways, who may with
//! the gate, and schemas with real answers.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::*;
use crate::surface::easytransfer::{MIGRATIONS, UNBUILT, people, routes, tus};

const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

async fn document(node: &Node) -> Value {
    let answer = node.ask_as("GET", "/openapi.json", &[], "none").await;
    assert_eq!((answer.status, answer.field("content-type")), (200, "application/json"));
    serde_json::from_slice(&answer.body).unwrap()
}

/// Answers without an end; who may is tested beside it (`facts`).
const ENDLESS: &str = "/api/traffic/stream";

/// Every operation: path, method, description.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let keys = item.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters");
        keys.map(move |(method, operation)| {
            assert!(METHODS.contains(&method.as_str()), "{path} {method}");
            (path.as_str(), method.as_str(), operation)
        })
    })
}

/// A path that exists in form: no person and no object has these names.
fn filled(path: &str) -> String {
    let id = if path.starts_with("/api/users") || path.starts_with("/api/groups") {
        "7"
    } else {
        "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"
    };
    path.replace("{id}", id).replace("{user}", "8").replace("{rest}", "x")
}

#[tokio::test]
async fn section_17_7_document_and_router_have_the_same_paths_and_methods() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::with_people(dir.path(), |_| {});
    let document = document(&node).await;
    let mut described: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in operations(&document) {
        described.entry(path.to_owned()).or_default().insert(method.to_uppercase());
    }
    let mut routed = BTreeMap::new();
    for (path, _) in routes().into_iter().chain(tus::routes()).chain(people()) {
        let answer = node.ask("TRACE", &filled(path), &[], "none").await;
        assert_eq!(answer.status, 405, "{path}");
        let mut allowed: BTreeSet<String> =
            answer.field("allow").split(',').map(|name| name.trim().to_owned()).collect();
        if allowed.contains("GET") {
            allowed.remove("HEAD");
        }
        routed.insert(path.to_owned(), allowed);
    }
    for path in UNBUILT.into_iter().chain(MIGRATIONS) {
        let path = path.replace("{*rest}", "{rest}");
        assert!(described.remove(&path).is_some_and(|methods| !methods.is_empty()), "{path} is not described");
    }
    assert_eq!(described, routed);
}

#[tokio::test]
async fn section_17_7_what_is_not_built_says_so_and_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::with_people(dir.path(), |_| {});
    let document = document(&node).await;
    for (path, method, operation) in operations(&document).filter(|(path, ..)| *path != ENDLESS) {
        let answers: BTreeSet<&str> = operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
        let is_promised = answers.iter().all(|status| ["401", "403", "501"].contains(status));
        let answer = node.ask(&method.to_uppercase(), &filled(path), &[], "none").await;
        // A node without a provider answers 501 on the routes of the login too; those say so beside their other answers.
        assert_eq!(answer.status == 501, answers.contains("501"), "{method} {path}: {}", answer.status);
        assert_eq!(is_promised, operation["tags"][0] == "Not built", "{method} {path}");
    }
}

#[tokio::test]
async fn section_17_7_the_document_says_who_may() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::with_people(dir.path(), |_| {});
    let document = document(&node).await;
    for (path, method, operation) in operations(&document).filter(|(path, ..)| *path != ENDLESS) {
        // Afresh each time: one of the routes ends the session.
        let (person, _) = node.sign_in("bob", false).await;
        let (url, name) = (filled(path), method.to_uppercase());
        let stranger = node.ask_as(&name, &url, &[], "none").await.status;
        let member = node.ask_as(&name, &url, &[("x-session-token", person.as_str())], "none").await.status;
        let token = node.ask(&name, &url, &[], "none").await.status;
        let access = operation["x-access"].as_str().unwrap();
        let expected = match access {
            "anyone" => stranger != 401,
            "credential" => stranger == 401 && token != 401 && member != 401 && member != 403,
            "session" => stranger == 401 && token == 401 && member == 200,
            "operator" => stranger == 401 && token != 401 && token != 403 && member == 403,
            "administrator" => stranger == 401 && token == 401 && member == 403,
            other => panic!("{method} {path}: what is {other}?"),
        };
        assert!(expected, "{method} {path} is for {access}: {stranger} {token} {member}");
        assert_eq!(operation["security"] == json!([]), access == "anyone", "{method} {path}");
    }
}

fn references<'d>(value: &'d Value, found: &mut Vec<&'d str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let Some(target) = value["$ref"].as_str() else { return value };
    document.pointer(target.strip_prefix('#').expect("inside the document")).unwrap_or_else(|| panic!("{target}"))
}

#[tokio::test]
async fn section_17_7_the_document_is_whole() {
    let node = Node::new(|_| {});
    let document = document(&node).await;
    assert_eq!(
        (&document["openapi"], &document["info"]["version"]),
        (&json!("3.1.0"), &json!(env!("CARGO_PKG_VERSION")))
    );
    let mut found = Vec::new();
    references(&document, &mut found);
    let targets: BTreeSet<&str> = found.into_iter().collect();
    for target in &targets {
        assert!(document.pointer(target.strip_prefix('#').expect(target)).is_some(), "{target}");
    }
    for kind in ["schemas", "responses", "headers", "parameters"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(targets.contains(format!("#/components/{kind}/{name}").as_str()), "nothing names {kind}/{name}");
        }
    }
    let tags: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    for (path, method, operation) in operations(&document) {
        assert!(tags.contains(&&operation["tags"][0]) && operation["summary"].is_string(), "{method} {path}");
        let shared = document["paths"][path]["parameters"].as_array().into_iter().flatten();
        let own = operation["parameters"].as_array().into_iter().flatten();
        let named: BTreeSet<&str> = shared
            .chain(own)
            .map(|parameter| resolved(&document, parameter))
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let in_path: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(named, in_path, "{method} {path}");
    }
}

/// `value` has exactly the fields of `schema`, with values of its types.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) {
    let schema = resolved(document, schema);
    let name = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        several => several.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    };
    let fits = types.contains(&name) || (name == "integer" && types.contains(&"number")) || types.is_empty();
    assert!(fits, "{at} is {value}, not {types:?}");
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{at} is {value}");
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(document, &schema["items"], item, &format!("{at}[{index}]"));
    }
    let fields = value.as_object().into_iter().flatten();
    for (key, value) in fields {
        let known = schema["properties"].get(key).or_else(|| schema.get("additionalProperties"));
        check(document, known.unwrap_or_else(|| panic!("{at}.{key} is not described")), value, &format!("{at}.{key}"));
    }
    for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        assert!(value.get(key).is_some(), "{at}.{key} is missing");
    }
}

#[tokio::test]
async fn section_17_7_real_answers_have_the_fields_that_are_described() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::with_people(dir.path(), |config| {
        config.auth.admin_tokens = config.auth.tokens.clone();
    });
    let document = document(&node).await;
    let (person, _) = node.sign_in("bob", false).await;
    node.orders().await;
    let (id, _) = node.create("5", &[("upload-metadata", "filename YQ==,retention dHRs,retention_ttl NjA=")]).await;
    node.complete(id, 5).await;
    node.create("9", &[]).await;
    let group = node.send("POST", "/api/groups", "secret", json!({"name": "readers"})).await;
    assert_eq!(group.status, 200, "{}", group.text());
    let group: Value = serde_json::from_slice(&group.body).unwrap();
    check(
        &document,
        &document["paths"]["/api/groups"]["post"]["responses"]["200"]["content"]["application/json"]["schema"],
        &group,
        "group",
    );
    for (method, path, query, status) in [
        ("GET", "/api/health", "", 200),
        ("GET", "/api/info", "", 200),
        ("GET", "/api/endpoints", "", 200),
        ("GET", "/api/storage", "", 200),
        ("GET", "/api/traffic", "", 200),
        ("GET", "/api/stats", "", 200),
        ("GET", "/livez", "", 200),
        ("GET", "/readyz", "", 503),
        ("GET", "/api/admin/config-status", "", 200),
        ("POST", "/api/admin/reload-config", "", 200),
        ("POST", "/api/admin/recalculate-storage", "", 200),
        ("GET", "/api/files", "", 200),
        ("GET", "/api/files", "?page=0", 422),
        ("GET", "/api/files/{id}", "", 200),
        ("GET", "/api/files/{id}/info/download", "", 200),
        ("GET", "/api/files/{id}/ranges", "", 200),
        ("GET", "/api/files/{id}/ranges", "?limit=0", 422),
        ("POST", "/api/files/cleanup", "", 200),
        ("GET", "/api/users", "", 200),
        ("GET", "/api/users/me", "", 200),
        ("GET", "/api/users/me/quota", "", 200),
        ("PUT", "/api/users/{id}/role", "?role=guest", 404),
        ("GET", "/api/groups", "", 200),
        ("GET", "/api/tasks", "", 501),
    ] {
        let credential = if path.starts_with("/api/users/me") {
            ("x-session-token", person.as_str())
        } else {
            ("x-api-token", "secret")
        };
        let url = filled(path).replace("0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a", &id.to_string()) + query;
        let answer = node.ask_as(method, &url, &[credential], "none").await;
        assert_eq!(answer.status, status, "{method} {url}: {}", answer.text());
        let operation = &document["paths"][path][method.to_lowercase()];
        let described = resolved(&document, &operation["responses"][status.to_string()]);
        let schema = &described["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path} {status} has no schema");
        check(&document, schema, &serde_json::from_slice(&answer.body).unwrap(), path);
    }
    let unauthorized = node.ask_as("GET", "/api/files", &[], "none").await;
    let schema = &document["components"]["schemas"]["Unauthorized"];
    check(&document, schema, &serde_json::from_slice(&unauthorized.body).unwrap(), "401");
}

#[tokio::test]
async fn section_17_7_the_page_shows_every_route_and_runs_nothing() {
    let node = Node::new(|_| {});
    let document = document(&node).await;
    let [docs, redoc] =
        [node.ask_as("GET", "/docs", &[], "none").await, node.ask_as("GET", "/redoc", &[], "none").await];
    assert_eq!((docs.status, docs.field("content-type"), &docs.body), (200, "text/html; charset=utf-8", &redoc.body));
    let page = docs.text();
    for (path, method, _) in operations(&document) {
        let heading = format!("<h3>{} {path}</h3>", method.to_uppercase());
        assert_eq!(page.matches(&heading).count(), 1, "{heading}");
    }
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("http"), "nothing from elsewhere");
    let style = page.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).unwrap().0;
    let hash = STANDARD.encode(Sha256::digest(style));
    let policy = docs.field("content-security-policy");
    assert!(policy.starts_with("default-src 'none';") && policy.contains(&format!("'sha256-{hash}'")), "{policy}");
}
