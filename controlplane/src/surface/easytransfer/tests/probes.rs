//! `/livez`, `/readyz`, `/metrics`: who may, what they tell, and that they tell no secret.

use std::collections::BTreeMap;

use etransfer_contract::SpanSet;
use etransfer_contract::counters::{AddressBytes, CoreCounters, CountersReport, RequestKind, RequestOutcome};

use super::*;
use crate::catalogue::health::BackendHealth;
use crate::catalogue::{Backend, Change, Commit, Snapshot};

/// A poll of a data plane with two cores.
fn poll(control_run: u64, degraded: Option<&str>) -> OrdersQuery {
    let node =
        NodeFacts { engine: "ring".into(), cores: 2, degraded: degraded.map(str::to_owned), ..NodeFacts::default() };
    OrdersQuery { version: VERSION, run: 1, control_run, epoch: 0, after: 0, busy: false, node }
}

fn report(core: usize, counters: CoreCounters) -> CountersReport {
    CountersReport { version: VERSION, run: 1, core, counters }
}

async fn polled(node: &Node, control_run: u64, degraded: Option<&str>) -> u64 {
    let answer = node.call(link::ORDERS_PATH, &poll(control_run, degraded)).await;
    serde_json::from_slice::<Orders>(&answer.body).unwrap().control_run
}

async fn missing(node: &Node) -> Vec<String> {
    let answer = node.ask_as("GET", "/readyz", &[], "none").await;
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    let missing: Vec<String> = serde_json::from_value(told["missing"].clone()).unwrap();
    assert_eq!(
        (answer.status, &told["ready"]),
        if missing.is_empty() { (200, &json!(true)) } else { (503, &json!(false)) }
    );
    missing
}

#[tokio::test]
async fn p14_readiness_names_what_is_missing_and_liveness_does_not_care() {
    let node = Node::new(|_| {});
    assert_eq!(missing(&node).await, ["data_plane", "inventory"]);
    let run = polled(&node, 0, None).await;
    assert_eq!(missing(&node).await, ["data_plane", "inventory"], "it polls, but no core has told anything");
    for core in 0..2 {
        assert_eq!(node.call(link::COUNTERS_PATH, &report(core, CoreCounters::default())).await.status, 204);
        assert_eq!(missing(&node).await.contains(&"data_plane".into()), core == 0, "every core counts");
    }
    let whole = || vec![Fact::Inventory { objects: Vec::new(), last: true }];
    node.tell(whole()).await;
    assert!(missing(&node).await.is_empty());
    polled(&node, run, Some("sync of object 1 failed")).await;
    assert_eq!(missing(&node).await, ["disk"]);
    polled(&node, 0, None).await;
    assert_eq!(missing(&node).await, ["inventory"], "a data plane that is new to us tells it again");
    node.tell(whole()).await;
    assert!(missing(&node).await.is_empty());
    let restarted = CountersReport { run: 2, ..report(0, CoreCounters::default()) };
    node.call(link::COUNTERS_PATH, &restarted).await;
    assert_eq!(missing(&node).await, ["data_plane"], "reports of an earlier run count no more");
    assert_eq!(node.ask_as("GET", "/livez", &[], "none").await.status, 200);
}

#[tokio::test]
async fn p7_a_catalogue_that_cannot_be_written_is_not_ready() {
    struct Full;
    impl Backend for Full {
        fn write(&self, _: Vec<Change>) -> Commit {
            Commit::Done
        }
        fn health(&self) -> BackendHealth {
            BackendHealth { is_failing: true, ..BackendHealth::default() }
        }
    }
    let mut node = Node::new(|_| {});
    let snapshot = Snapshot { backend: Box::new(Full), ..Snapshot::of_memory() };
    node.app.node = Arc::new(crate::node::Node::new(node.app.node.config(), snapshot));
    node.routes = Routes::of(&node.app);
    assert!(missing(&node).await.contains(&"catalogue".into()));
}

/// Takes OpenMetrics text apart, line by line; refuses what Prometheus would refuse.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let (mut found, mut family, mut seen) = (BTreeMap::new(), String::new(), std::collections::HashSet::new());
    assert!(text.ends_with("# EOF\n"), "cut short");
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(comment) = line.strip_prefix("# ") {
            let (what, rest) = comment.split_once(' ').expect(line);
            let (name, _) = rest.split_once(' ').expect(line);
            if what == "HELP" {
                family = name.to_owned();
                assert!(seen.insert(family.clone()), "{name} is told twice");
            }
            assert!(["HELP", "TYPE", "UNIT"].contains(&what) && name == family && name.starts_with("et_"), "{line}");
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').expect(line);
        let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
        let suffix = name.strip_prefix(family.as_str()).expect(line);
        assert!(["", "_total", "_sum", "_count", "_bucket", "_info"].contains(&suffix), "{line}");
        let labels = labels.strip_suffix('}').expect(line);
        assert!(labels.is_empty() || labels.split("\",").all(|label| label.contains("=\"")), "{line}");
        assert!(found.insert(sample.to_owned(), value.parse().expect(line)).is_none(), "{line} stands twice");
    }
    found
}

async fn metrics(node: &Node) -> String {
    let answer = node.ask("GET", "/metrics", &[], "none").await;
    assert_eq!((answer.status, answer.field("content-type")), (200, crate::metrics::MEDIA_TYPE));
    answer.text()
}

#[tokio::test]
async fn metrics_add_up_what_the_cores_told() {
    let node = Node::new(|_| {});
    let before = samples(&metrics(&node).await);
    assert_eq!(before["et_data_plane_up"], 0.0);
    polled(&node, 0, None).await;
    let mut counters = CoreCounters { accepted: 7, crowded: 1, closed: 3, undecided: 2, ..CoreCounters::default() };
    counters.addresses = vec![AddressBytes { address: "192.0.2.1".parse().ok(), received: 1 << 40, sent: 5 }];
    counters.requests.count(RequestKind::Serve, RequestOutcome::Cut);
    counters.decide.observe(std::time::Duration::from_micros(300));
    node.call(link::COUNTERS_PATH, &report(0, counters)).await;
    let rest = CoreCounters {
        addresses: vec![AddressBytes { address: None, received: 1, sent: 2 }],
        ..CoreCounters::default()
    };
    node.call(link::COUNTERS_PATH, &report(1, rest)).await;
    let told = samples(&metrics(&node).await);
    for (sample, value) in [
        (r#"et_connections_accepted_total{core="0"}"#, 7.0),
        (r#"et_connections_refused_total{core="0"}"#, 1.0),
        (r#"et_connections_open{core="0"}"#, 4.0),
        (r#"et_grants_total{core="0",source="away"}"#, 2.0),
        (r#"et_requests_total{core="0",kind="serve",outcome="cut"}"#, 1.0),
        (r#"et_content_received_bytes_total{core="0",address="192.0.2.1"}"#, (1u64 << 40) as f64),
        (r#"et_content_sent_bytes_total{core="1",address="other"}"#, 2.0),
        (r#"et_decide_seconds_bucket{le="0.000256",core="0"}"#, 0.0),
        (r#"et_decide_seconds_bucket{le="0.000512",core="0"}"#, 1.0),
        (r#"et_decide_seconds_bucket{le="+Inf",core="0"}"#, 1.0),
        (r#"et_decide_seconds_count{core="0"}"#, 1.0),
        ("et_data_plane_up", 1.0),
        (r#"et_data_plane_cores{engine="ring"}"#, 2.0),
    ] {
        assert_eq!(told.get(sample), Some(&value), "{sample} in {told:#?}");
    }
}

#[tokio::test]
async fn p22_metrics_name_routes_and_never_what_was_asked_for() {
    let node = Node::new(|_| {});
    let (id, path) = node.create("5", &[("upload-metadata", "filename Y2FuYXJ5LW5hbWU=")]).await;
    node.patch(&path, "0", "5").await.grant();
    node.ask("GET", "/api/files/canary-path?token=canary-query", &[], "none").await;
    node.ask("GET", "/canary-unknown", &[], "none").await;
    node.ask("CANARY-METHOD", "/tus", &[], "none").await;
    node.ask_as("GET", "/api/files", &[("x-api-token", "canary-token")], "none").await;
    let text = metrics(&node).await;
    let told = samples(&text);
    let decided = |method: &str, route: &str, answer: &str| {
        let labels = format!(r#"surface="easytransfer",method="{method}",route="{route}",answer="{answer}""#);
        told.get(&format!("et_decisions_total{{{labels}}}")).copied()
    };
    assert_eq!(decided("POST", "/tus", "2xx"), Some(1.0), "{text}");
    assert_eq!(decided("PATCH", "/tus/{id}", "grant"), Some(1.0));
    assert_eq!(decided("GET", "/api/files/{id}", "4xx"), Some(1.0));
    assert_eq!(decided("GET", "unknown", "4xx"), Some(1.0));
    assert_eq!(decided("GET", "/api/files", "4xx"), Some(1.0));
    assert_eq!(decided("other", "/tus", "4xx"), Some(1.0));
    for canary in ["canary", "secret", &id.to_string(), "192.0.2.7"] {
        assert!(!text.to_lowercase().contains(canary), "{canary}: {text}");
    }
}

#[tokio::test]
async fn metrics_are_for_tokens_and_administrators() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::with_people(dir.path(), |_| {});
    let (admin, _) = node.sign_in("ada", true).await;
    let (person, _) = node.sign_in("bob", false).await;
    for (fields, status) in [
        (vec![], 401),
        (vec![("x-api-token", "wrong")], 401),
        (vec![("authorization", "Bearer secret")], 200),
        (vec![("x-session-token", person.as_str())], 403),
        (vec![("x-session-token", admin.as_str())], 200),
    ] {
        assert_eq!(node.ask_as("GET", "/metrics", &fields, "none").await.status, status, "{fields:?}");
    }
    assert_eq!(node.ask_as("POST", "/metrics", &[], "none").await.status, 405);
}

#[tokio::test]
async fn metrics_tell_what_the_node_stores_now() {
    let node = Node::new(|_| {});
    let (id, _) = node.create("5", &[]).await;
    node.tell(vec![Fact::Progress(Presence { spans: SpanSet::new(), ..presence(id, 3, 5) })]).await;
    node.ask("POST", "/api/files/cleanup", &[], "none").await;
    let told = samples(&metrics(&node).await);
    assert_eq!((told["et_uploads"], told["et_files"]), (1.0, 0.0));
    assert_eq!(told[r#"et_content_stored_bytes{state="incomplete"}"#], 3.0);
    assert_eq!((told["et_storage_used_bytes"], told["et_sweeps_total"]), (3.0, 1.0));
}
