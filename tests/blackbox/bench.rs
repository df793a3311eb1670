//! et-bench against the real server: what it counts is what the server holds, what it verifies is what was sent, and what
//! fails is said. Loads are tiny: nothing here is a figure. `ET_BENCH_BIN` names another et-bench than this build's.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::node::et;
use crate::support::{Node, TOKEN, wait};

fn et_bench() -> PathBuf {
    if let Some(path) = std::env::var_os("ET_BENCH_BIN") {
        return path.into();
    }
    let path = et().with_file_name("et-bench");
    assert!(path.exists(), "{} is not there: run `cargo build --workspace` first", path.display());
    path
}

/// `et-bench` with these words, for the node, with its token where tokens belong.
fn command(node: &Node, words: &str) -> Command {
    let mut command = Command::new(et_bench());
    command.args(words.split_whitespace()).current_dir(node.dir());
    command.env_clear().envs(crate::support::node::clean_env(&node.home()));
    command.env("ET_BENCH_TOKEN", TOKEN).env("ET_BENCH_URL", node.url());
    command
}

fn load(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("the record is JSON")
}

/// Runs `workload` and gives its record.
#[track_caller]
fn record(node: &Node, workload: &str, flags: &str) -> Value {
    std::fs::write(node.dir().join("load.yaml"), workload).expect("write the workload");
    wait::run(command(node, &format!("run load.yaml --quiet --json record.json {flags}"))).ok();
    load(&node.dir().join("record.json"))
}

#[track_caller]
fn number(record: &Value, pointer: &str) -> u64 {
    record.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no number at {pointer} in {record:#}"))
}

/// Files and bytes as the server lists them.
fn held(node: &Node) -> (u64, u64) {
    let (mut files, mut bytes) = (0, 0);
    for page in 1.. {
        let list = node.get(&format!("/api/files?page={page}&page_size=100")).is(200).json();
        let rows = list["files"].as_array().expect("a list").clone();
        if rows.is_empty() {
            assert_eq!(list["total"], files);
            break;
        }
        files += rows.len() as u64;
        bytes += rows.iter().map(|row| row["size"].as_u64().expect("a size")).sum::<u64>();
        assert!(rows.iter().all(|row| row["status"] == "complete"), "{rows:?}");
    }
    (files, bytes)
}

const EVERY_UPLOAD: &str = "
connections: 4
operations:
  - {name: small, action: upload, size: 4097}
  - {name: inline, action: upload, size: 5000, with_creation: true}
  - {name: parts, action: upload, size: 200000, part: 65536}
  - {name: parallel, action: upload, size: 300001, part: 64KiB, parallel: 2}
  - {name: fresh, action: upload, size: 100, fresh: true}
  - {name: empty, action: upload, size: 0}
";

#[test]
fn counted_bytes_are_the_bytes_the_server_holds() {
    let node = Node::start();
    for flags in ["", "--rate 150", "--workers 2 --rate 150"] {
        let before = held(&node);
        let flags = format!("--keep --verify --warm-up 100ms --duration 400ms {flags}");
        let record = record(&node, EVERY_UPLOAD, &flags);
        let after = held(&node);
        assert!(after.0 > before.0, "something was uploaded");
        assert_eq!(number(&record, "/whole_run/uploads"), after.0 - before.0, "{flags}");
        assert_eq!(number(&record, "/whole_run/stored_bytes"), after.1 - before.1, "{flags}");
        let read_back = number(&record, "/verify/read_back/bytes");
        assert_eq!(read_back, number(&record, "/whole_run/stored_bytes"), "all of it was read back and compared");
        assert_eq!(record["window"]["failures"], serde_json::json!({}));
    }
}

#[test]
fn the_tus_dialect_asks_for_plain_tus() {
    let node = Node::start();
    let workload = "
connections: 2
operations:
  - {name: parts, action: upload, size: 200000, part: 65536}
  - {name: inline, action: upload, size: 5000, with_creation: true}
";
    let flags = format!("--dialect tus --url {}/tus --rate 60 --keep --warm-up 0s --duration 300ms", node.url());
    let record = record(&node, workload, &flags);
    assert_eq!(record["window"]["failures"], serde_json::json!({}));
    assert_eq!((number(&record, "/whole_run/uploads"), number(&record, "/whole_run/stored_bytes")), held(&node));
}

#[test]
fn downloads_are_compared_and_nothing_is_left() {
    let node = Node::start();
    let workload = "
connections: 4
operations:
  - {name: whole, action: download, size: 2MiB, files: 2}
  - {name: ranged, action: download, size: 1000000, part: 64KiB, files: 2}
  - {name: parallel, action: download, size: 1MiB, parallel: 2, files: 1}
  - {name: random, action: download, size: 1000000, part: 1000, random: true, files: 2}
  - {name: fresh, action: download, size: 1KiB, fresh: true, files: 1}
";
    let record = record(&node, workload, "--verify --warm-up 0s --duration 500ms --idle 20");
    let received: u64 =
        record["connections"].as_array().expect("a list").iter().map(|one| number(one, "/received")).sum();
    assert!(received > 0);
    assert_eq!(number(&record, "/verify/compared_bytes"), received, "every byte that came was compared");
    assert_eq!(record["window"]["failures"], serde_json::json!({}));
    assert_eq!((number(&record, "/idle/held"), number(&record, "/idle/survivors")), (20, 20));
    assert_eq!(node.listed(), 0, "what it made it has removed");
}

#[test]
fn room_bounds_what_lies_at_the_server() {
    let node = Node::start();
    let workload = "{connections: 1, room: 64KiB, operations: [{name: a, action: upload, size: 16KiB}]}";
    let record = record(&node, workload, "--keep --threads 1 --warm-up 0s --duration 500ms --rate 60");
    assert!(number(&record, "/whole_run/removed") > 0, "{record:#}");
    assert_eq!(node.listed(), number(&record, "/whole_run/uploads") - number(&record, "/whole_run/removed"));
    assert!(held(&node).1 <= (64 + 16) << 10);
}

#[test]
fn the_servers_cpu_and_memory_are_in_the_record() {
    let node = Node::start();
    let pid = node.pid(crate::support::Role::Both).expect("it runs");
    let workload = "operations: [{name: a, action: upload, size: 64KiB}]";
    let record = record(&node, workload, &format!("--pid {pid} --room 8MiB --warm-up 0s --duration 1s"));
    assert_eq!(number(&record, "/server/pids/0"), u64::from(pid));
    assert!(number(&record, "/server/resident_max_bytes") > 0);
    assert!(record["server"]["cpu_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{record:#}");
}

#[test]
fn the_servers_cpu_is_that_of_the_whole_window() {
    let node = Node::start();
    let pid = node.pid(crate::support::Role::Both).expect("it runs");
    let workload = "{connections: 16, operations: [{name: a, action: download, size: 1KiB, files: 1}]}";
    // Nothing is left to do behind the window, so the workers end with it: a race with the thread that looks at the
    // server.
    for _run in 0..4 {
        let record = record(&node, workload, &format!("--pid {pid} --keep --warm-up 0s --duration 200ms"));
        assert!(record["seconds"][0]["server"].is_object(), "{record:#}");
    }
}

#[test]
fn p22_what_fails_is_said_without_the_token() {
    let node = Node::start();
    let mut wrong = command(&node, "run inline --json record.json --warm-up 0s --duration 300ms");
    wrong.env("ET_BENCH_TOKEN", "canary-of-a-token");
    let ran = wait::run(wrong);
    assert_eq!(ran.code, Some(1), "nothing succeeded: {ran:?}");
    assert!(ran.stdout.contains("status 401"), "{ran:?}");
    let record = std::fs::read_to_string(node.dir().join("record.json")).expect("a record");
    assert!(!format!("{record}{ran:?}").contains("canary"));
    for (words, says) in [
        ("run nothing.yaml", "neither a preset"),
        ("run parallel --dialect tus", "in order"),
        ("run small --pid 4194305", "--pid"),
        ("run small --url https://127.0.0.1", "TLS"),
        ("run small --url http://127.0.0.1:1 --warm-up 0s -d 100ms", "refused"),
        ("run download --url http://127.0.0.1:1", "refused"),
    ] {
        let ran = wait::run(command(&node, words));
        assert_eq!(ran.code, Some(1), "{words}: {ran:?}");
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains(says), "{words}: {ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{words}: {ran:?}");
    }
    assert_eq!(node.listed(), 0);
}

#[test]
fn the_knee_is_found_and_written_down() {
    let node = Node::start();
    let words = "sweep storm --over rate --first 20 --most 40 --duration 250ms --warm-up 0s --json sweep.json";
    let ran = wait::run(command(&node, words)).ok();
    assert!(ran.stdout.lines().last().is_some_and(|line| line.starts_with("knee ")), "{ran:?}");
    let sweep = load(&node.dir().join("sweep.json"));
    assert_eq!(sweep["steps"][0]["at"], 20.0, "{sweep}");
    assert!(sweep["knee"]["at"].as_f64().is_some_and(|at| (20.0..=40.0).contains(&at)), "{sweep}");
    let ran = wait::run(command(&node, &format!("{words} --slo p50=1us")));
    assert_eq!(ran.code, Some(3), "no step keeps an impossible promise: {ran:?}");
}

#[test]
fn records_are_compared_drawn_and_judged() {
    let node = Node::start();
    let run = "run inline --rate 50 --duration 1s --warm-up 0s --quiet --slo errors=0 --html a.html --json";
    wait::run(command(&node, &format!("{run} a.json"))).ok();
    let missed = wait::run(command(&node, &format!("{run} b.json --slo p50=1us")));
    assert_eq!(missed.code, Some(3), "{missed:?}");
    assert!(missed.stdout.contains("p50=1us") && missed.stdout.contains("MISSED"), "{missed:?}");
    let compared = wait::run(command(&node, "compare a.json b.json")).ok();
    assert!(compared.stdout.contains("operations/s"), "{compared:?}");
    wait::run(command(&node, "html a.json b.json -o both.html")).ok();
    for page in ["a.html", "both.html"] {
        let page = std::fs::read_to_string(node.dir().join(page)).expect("a page");
        assert!(page.contains("<svg") && !page.contains("<script") && !page.contains(" src="), "{page}");
    }
    let usage = wait::run(command(&node, "run inline --slo quick"));
    assert_eq!(usage.code, Some(2), "{usage:?}");
}

#[test]
fn nginx_and_this_server_go_through_the_same_matrix() {
    let there = Command::new("nginx").arg("-v").output().is_ok_and(|output| output.status.success());
    assert!(there, "nginx is not installed: apt-get install nginx-light");
    let mut node = Node::start();
    node.without_audit();
    std::fs::write(
        node.dir().join("both.yaml"),
        "operations: [{name: up, action: upload, size: 64KiB}, {name: down, action: download, size: 64KiB, part: 16KiB}]",
    )
    .expect("write the workload");
    let mut run = command(&node, "peers --rounds 1 --workloads both.yaml --duration 300ms --warm-up 0s --verify");
    run.args(["--room", "4MiB", "--output", "out", "--dir", ".", "--peer", "nginx=nginx", "--peer"]);
    run.arg(format!("et={}", et().display()));
    let ran = wait::run(run).ok();
    for name in ["nginx", "et"] {
        assert!(ran.stdout.lines().any(|line| line.split_whitespace().nth(1) == Some(name)), "{ran:?}");
        let record = load(&node.dir().join(format!("out/both-{name}-1.json")));
        assert!(number(&record, "/verify/read_back/bytes") > 0, "{record:#}");
        assert_eq!(record["window"]["failures"], serde_json::json!({}), "{name}");
        assert!(record["server"]["cpu_seconds"].is_number());
    }
}

#[test]
fn figures_upload_in_every_dialect() {
    let mut node = Node::start();
    node.without_audit();
    let mut run =
        command(&node, "figures --quick --rounds 1 --dir . --output out --peer nginx=nginx --scenes dialects");
    run.arg("--peer").arg(format!("et={}", et().display()));
    wait::run(run).ok();
    let file = load(&node.dir().join("out/figures.json"));
    let row = &file["rows"][0];
    assert_eq!(row["notes"], serde_json::json!([]), "{row:#}");
    let samples = row["samples"].as_object().expect("samples by entrant");
    assert_eq!(samples.len(), 7, "six dialects and md5sum: {row:#}");
    for (entrant, rounds) in samples {
        assert!(rounds[0]["bytes_per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{entrant}: {row:#}");
    }
}

#[test]
fn the_table_of_figures_is_measured_and_a_row_again() {
    let mut node = Node::start();
    node.without_audit();
    for (scenes, rows) in [("small", vec!["small"]), ("random,idle", vec!["small", "random", "idle"])] {
        let mut run = command(&node, "figures --quick --rounds 1 --dir . --output out --peer nginx=nginx --scenes");
        run.args([scenes, "--peer"]).arg(format!("et={}", et().display()));
        let ran = wait::run(run).ok();
        let file = load(&node.dir().join("out/figures.json"));
        let measured: Vec<&str> =
            file["rows"].as_array().expect("rows").iter().filter_map(|row| row["scene"].as_str()).collect();
        assert_eq!(measured, rows, "{ran:?}");
        let figures = file["rows"].as_array().into_iter().flatten().flat_map(|row| row["figures"].as_array());
        // CPU time has a clock of 10 ms: so short a window may have none. There is no TUS peer here.
        let counted = figures.flatten().filter(|figure| figure["metric"] == "operations_per_second");
        let (mut measured, mut absent) = (0, 0);
        for figure in counted {
            *(if figure["value"].is_null() { &mut absent } else { &mut measured }) += 1;
        }
        assert!(measured > 0, "{file:#}");
        assert_eq!(absent, 1, "only the one against the best TUS peer: {file:#}");
    }
    let page = std::fs::read_to_string(node.dir().join("out/figures.html")).expect("a page");
    assert!(page.contains("<svg") && page.contains("idle connections") && !page.contains("<script"), "{page}");
    let ran = wait::run(command(&node, "figures --peer nginx=nginx --peer et=et --scenes nothing"));
    assert!(ran.code == Some(1) && ran.stderr.contains("upload-"), "{ran:?}");
}
