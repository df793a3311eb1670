//! What the program says and leaves, as ever: help texts, `/metrics`, `/openapi.json`, the shapes of what every client asks
//! first, and the names in the storage directory and the user's own. Values that differ from run to run are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use etransfer_tests::golden::Golden;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::node::{clean_env, et};
use crate::support::{Node, Reply, Request, TOKEN, wait};

fn golden(name: &str, about: &str) -> Golden {
    Golden::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("blackbox/golden").join(name), about)
}

/// What `--help` says. Its width and its words depend on nothing: no terminal, no variable.
fn help(program: &Path, words: &[String]) -> String {
    let mut command = Command::new(program);
    command.args(words).arg("--help").env_clear().envs(clean_env(Path::new("/nonexistent")));
    wait::run(command).ok().stdout
}

/// Commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description may go on in further lines, which are indented more.
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The help of a program and of every command below it; `hidden` are those that no help lists.
fn check_help(program: &Path, file: &str, hidden: &[&str]) {
    let name = program.file_name().expect("a program has a name").to_string_lossy().into_owned();
    let mut golden = golden(file, &format!("What `{name}` and each of its commands say with --help."));
    let mut waiting: Vec<Vec<String>> =
        hidden.iter().map(|words| words.split(' ').map(str::to_owned).collect()).collect();
    waiting.push(Vec::new());
    while let Some(words) = waiting.pop() {
        let text = help(program, &words);
        let below = commands(&text).into_iter().rev().map(|command| [&words[..], &[command]].concat());
        waiting.extend(below);
        golden.text(&[std::slice::from_ref(&name), &words[..]].concat().join(" "), &text);
    }
    golden.check();
}

#[test]
fn help_of_et() {
    check_help(&et(), "help_et.txt", &["server plant"]);
}

#[test]
fn help_of_et_bench() {
    let bench = std::env::var_os("ET_BENCH_BIN").map_or_else(|| et().with_file_name("et-bench"), PathBuf::from);
    check_help(&bench, "help_et_bench.txt", &[]);
}

/// A node of which everything is known that a machine may know of itself, and that every kind of request came to.
fn busy_node() -> Node {
    let node = Node::setup().env("INTERFACES", "lo").env("NETWORK_SPEED_MBPS", r#"{"lo": 1000}"#);
    let node = node.env("MAX_STORAGE_SIZE", "1G").start();
    let file = node.complete(&[7; 300_000]);
    node.get(&file.download()).is(200);
    let upload = node.create(100_000);
    node.patch(&upload, 0, &[7; 1000]).is(204);
    node.send(&Request::new("POST", "/api/admin/reload-config").header("X-API-Token", TOKEN)).is(200);
    node
}

/// Labels of a sample, in order: name and value.
fn labels(sample: &str) -> Vec<(&str, &str)> {
    let inside = sample.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(inside, _)| inside);
    inside.split(',').filter_map(|label| label.split_once('=')).collect()
}

/// The samples of a page without what a run makes of them: each name once with its labels; of a label the values where they
/// are words of the program.
fn families(page: &str) -> BTreeMap<String, (Vec<String>, BTreeSet<String>)> {
    let mut all: BTreeMap<String, (Vec<String>, BTreeSet<String>)> = BTreeMap::new();
    let mut family = String::new();
    for line in page.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# ") {
            family = rest.split(' ').nth(1).unwrap_or_default().to_owned();
            all.entry(family.clone()).or_default().0.push(line.to_owned());
            continue;
        }
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let is_word = |label: &str| matches!(label, "le" | "result" | "source" | "state");
        let shown =
            |(label, value): (&str, &str)| if is_word(label) { format!("{label}={value}") } else { label.to_owned() };
        let labels: Vec<String> = labels(line).into_iter().map(shown).collect();
        all.entry(family.clone()).or_default().1.insert(format!("{name}{{{}}}", labels.join(",")));
    }
    all
}

#[test]
fn the_families_of_metrics() {
    let node = busy_node();
    let families = wait::until("every family has a row", || {
        let page = node.get("/metrics").is(200);
        let families = families(&String::from_utf8(page.body).expect("OpenMetrics is UTF-8"));
        families.values().all(|(_, rows)| !rows.is_empty()).then_some(families)
    });
    let mut golden =
        golden("metrics.txt", "Families of /metrics: type, unit, help, and the rows without their values.");
    for (family, (about, rows)) in families {
        let lines: Vec<String> = about.into_iter().chain(rows).collect();
        golden.text(&family, &lines.join("\n"));
    }
    golden.check();
}

/// One line for each place in a JSON value, with the kinds of what stands there; elements of a list are one place.
fn shape(value: &Value, at: &str, shapes: &mut BTreeMap<String, BTreeSet<&'static str>>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    };
    shapes.entry(at.to_owned()).or_default().insert(kind);
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| shape(element, &format!("{at}[]"), shapes)),
        Value::Object(entries) => {
            entries.iter().for_each(|(key, value)| shape(value, &format!("{at}.{key}"), shapes));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn shape_of(value: &Value) -> String {
    let mut shapes = BTreeMap::new();
    shape(value, "$", &mut shapes);
    let line = |(at, kinds): (String, BTreeSet<&str>)| format!("{at}: {}\n", Vec::from_iter(kinds).join(" or "));
    shapes.into_iter().map(line).collect()
}

/// Status, names of the fields, and the shape of the body.
fn shape_of_reply(reply: &Reply) -> String {
    let mut fields: Vec<String> = reply.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    fields.sort();
    format!("{}\n{}\n{}", reply.status, fields.join(" "), shape_of(&reply.json()))
}

#[test]
fn answers_that_clients_ask_for_first() {
    let node = busy_node();
    wait::until("it is ready", || (node.send(&Request::get("/readyz")).status == 200).then_some(()));
    wait::until("it has looked at its interfaces", || {
        let traffic = node.get("/api/traffic").is(200).json();
        (!traffic["interfaces"].as_array().is_some_and(Vec::is_empty)).then_some(())
    });
    let mut golden = golden("answers.txt", "Answers of a node: status, names of fields, and the shape of the body.");
    for path in ["/livez", "/readyz", "/api/health", "/api/health?nonce=0123456789abcdef0123456789abcdef"] {
        golden.text(&format!("GET {path}, by anybody"), &shape_of_reply(&node.send(&Request::get(path))));
    }
    for path in [
        "/api/health",
        "/api/info",
        "/api/endpoints",
        "/api/storage",
        "/api/traffic",
        "/api/stats",
        "/api/files",
        "/api/admin/config-status",
    ] {
        let shape = shape_of_reply(&node.get(path)).replace(&node.addr().to_string(), "ADDRESS");
        golden.text(&format!("GET {path}"), &shape);
    }
    golden.text("GET /api/info without a token", &shape_of_reply(&node.send(&Request::get("/api/info"))));
    golden.check();
}

#[test]
fn the_description_of_the_api() {
    let node = Node::start();
    let reply = node.send(&Request::get("/openapi.json")).is(200);
    let document = reply.json();
    let mut golden =
        golden("openapi.txt", "/openapi.json: its operations, and the SHA-256 of all of it but the version.");
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let names =
                |at: &str| operation[at].as_object().map(|all| all.keys().cloned().collect::<Vec<_>>().join(" "));
            let text = format!(
                "{}\nanswers {}",
                operation["operationId"].as_str().unwrap_or_default(),
                names("responses").unwrap_or_default()
            );
            golden.text(&format!("{} {path}", method.to_ascii_uppercase()), &text);
        }
    }
    let version = document["info"]["version"].as_str().expect("a version");
    let text = String::from_utf8(reply.body).expect("JSON is UTF-8");
    let said = format!("\"version\":\"{version}\"");
    assert_eq!(text.matches(&said).count(), 1);
    let digest = Sha256::digest(text.replace(&said, ""));
    golden.text("SHA-256", &digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    golden.check();
}

/// Every name below a directory, with its mode. Of directories that are one of 256 the first is shown.
fn tree(root: &Path, below: &Path, random: &[&str], lines: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(below).expect("a directory") {
        let entry = entry.expect("an entry");
        let meta = entry.metadata().expect("what it is");
        let path = entry.path();
        let mut name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
        for random in random {
            name = name.replace(&format!("{}/{random}", &random[..2]), "NN/ID");
        }
        // The client names a file by a hash of what it is about.
        let is_hash = |part: &str| part.len() == 16 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(hash) = name.split(['/', '.']).find(|part| is_hash(part)) {
            name = name.replace(&hash.to_owned(), "HASH");
        }
        let is_one_of_many = name.strip_prefix("objects/").is_some_and(|rest| rest.len() == 2);
        let name = if is_one_of_many { "objects/NN".to_owned() } else { name };
        let end = if meta.is_dir() { "/" } else { "" };
        lines.insert(format!("{:o} {name}{end}", meta.permissions().mode() & 0o777));
        if meta.is_dir() {
            tree(root, &path, random, lines);
        }
    }
}

fn tree_of(root: &Path, random: &[&str]) -> String {
    let mut lines = BTreeSet::new();
    tree(root, root, random, &mut lines);
    Vec::from_iter(lines).join("\n")
}

#[test]
fn what_is_in_the_storage_directory() {
    let mut golden =
        golden("storage.txt", "Modes and names in the storage directory of a node with one file, on one core.");
    let mut node = Node::setup().env("WORKERS", "1").wrapped(&["taskset", "-c", "0"]).start();
    let file = node.complete(b"content");
    golden.text("while it runs", &tree_of(node.storage(), &[&file.id]));
    assert!(node.stop().success());
    golden.text("when it has ended", &tree_of(node.storage(), &[&file.id]));
    golden.check();
}

#[test]
fn what_the_command_line_keeps() {
    let node = Node::start();
    let file = node.complete(b"content");
    let mut setup = node.et(&["setup", &node.addr().to_string(), "--token", TOKEN]);
    setup.env_remove("ETRANSFER_SERVER").env_remove("ETRANSFER_TOKEN");
    wait::run(setup).ok();
    wait::run(node.et(&["download", &file.id, "-o", "a.bin"])).ok();
    let kept = node.home().join(".etransfer");
    let mut golden =
        golden("client.txt", "Modes and names in ~/.etransfer after a setup and a download, and what they hold.");
    golden.text("names", &tree_of(&kept, &[&file.id]));
    for entry in
        std::fs::read_dir(&kept).expect("the user's own directory").map(|entry| entry.expect("an entry").path())
    {
        let Ok(text) = std::fs::read_to_string(&entry) else { continue };
        let json: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        golden.text(&entry.file_name().expect("a name").to_string_lossy(), &shape_of(&json));
    }
    golden.check();
}
