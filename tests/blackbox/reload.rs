//! Hot reload: easytransfer/CONTRACT.md §7, §9.2, §9.6.

use serde_json::{Value, json};

use crate::support::tus::{patch, post};
use crate::support::{Node, Reply, Request, TOKEN, wait};

/// Tokens come from the file here, not from the environment.
fn start(yaml: &str) -> Node {
    Node::setup().without_env("AUTH_TOKENS").config(yaml).start()
}

fn rewrite(node: &Node, yaml: &str) {
    std::fs::write(node.config_path(), yaml).expect("write the configuration");
}

fn reload_as(node: &Node, token: &str) -> Reply {
    node.send(&Request::new("POST", "/api/admin/reload-config").header("X-API-Token", token))
}

fn with_token(node: &Node, token: &str) -> u16 {
    node.send(&Request::get("/api/files").header("X-API-Token", token)).status
}

fn auth(tokens: &[&str]) -> String {
    format!("auth: {{tokens: {}}}\n", json!(tokens))
}

#[test]
fn section_7_tokens_change_for_the_next_request_and_live_grants_end_within_a_second() {
    let node = start(&auth(&[TOKEN, "other"]));
    let upload = node.create(100_000);
    // A grant for the uploads of this token is cached on every core from here on.
    for round in 0..8 {
        node.patch(&upload, round * 4096, &[7; 4096]).is(204);
    }
    rewrite(&node, &auth(&["other", "fresh"]));
    let answer = reload_as(&node, TOKEN).is(200).json();
    assert_eq!((&answer["reloaded"], answer["changes"].as_object().map(|all| all.len())), (&true.into(), Some(1)));
    let text = answer["changes"]["auth_tokens"].to_string();
    assert!(text.contains("***") && !text.contains("fresh"), "values are masked: {text}");
    assert_eq!((with_token(&node, "fresh"), with_token(&node, "other")), (200, 200));
    assert_eq!(with_token(&node, TOKEN), 401, "the old one counts no more");
    let refused = wait::within(std::time::Duration::from_secs(1), || {
        (0..8)
            .all(|_| node.send(&patch(&upload, 8 * 4096, &[7; 4096]).header("X-API-Token", TOKEN)).status == 401)
            .then_some(())
    });
    assert_eq!(refused, Some(()), "no core uses the grant of a token that is gone");
    let again = reload_as(&node, "fresh").is(200).json();
    assert_eq!((&again["reloaded"], &again["changes"]), (&false.into(), &json!({})), "15.19");
}

#[test]
fn section_5_7_verify_knows_the_live_list() {
    let node = start(&auth(&[TOKEN]));
    let valid = |token: &str| {
        let body = json!({"token": token}).to_string();
        node.send(&Request::new("POST", "/api/auth/verify").body(body)).is(200).json()["valid"] == true
    };
    assert_eq!((valid(TOKEN), valid("fresh")), (true, false));
    rewrite(&node, &auth(&["fresh"]));
    reload_as(&node, TOKEN).is(200);
    assert_eq!((valid(TOKEN), valid("fresh")), (false, true));
}

#[test]
fn section_7_a_broken_file_is_400_says_where_and_changes_nothing() {
    let node = start(&auth(&[TOKEN]));
    for (yaml, told) in [
        ("auth: {tokens: [", "config.yaml"),
        ("- a list", "config.yaml"),
        ("retention: {default: sometimes}", "retention.default"),
        ("retention: {default: ttl}", "retention.default_ttl"),
        ("storage: {max_storage_size: -5}", "storage.max_storage_size"),
    ] {
        rewrite(&node, yaml);
        let answer = reload_as(&node, TOKEN).is(400).json();
        assert!(answer["detail"].as_str().is_some_and(|text| text.contains(told)), "{yaml}: {answer}");
        assert_eq!(with_token(&node, TOKEN), 200, "{yaml}");
        assert_eq!(node.get("/api/info").json()["default_retention"], "permanent");
    }
    let metrics = node.get("/metrics").is(200).body;
    assert!(String::from_utf8_lossy(&metrics).contains(r#"et_reloads_total{result="failed"} 5"#));
}

#[test]
fn section_16_14_a_list_that_was_emptied_falls_back_to_the_nodes_own_token() {
    let node = start(&auth(&[TOKEN]));
    rewrite(&node, &auth(&[]));
    reload_as(&node, TOKEN).is(200);
    assert_eq!(node.send(&Request::get("/api/files")).status, 401, "it does not open the node");
    assert_eq!(with_token(&node, TOKEN), 401);
    let own = std::fs::read_to_string(node.storage().join("state/token")).expect("the node's own token");
    assert_eq!(with_token(&node, own.trim()), 200);
}

#[test]
fn section_7_other_hot_fields_count_at_once_and_static_ones_do_not() {
    let node = start(&auth(&[TOKEN]));
    rewrite(
        &node,
        &(auth(&[TOKEN])
            + "server: {port: 1, host: 192.0.2.1}\nstorage: {max_storage_size: 10}\n\
               retention: {default: ttl, default_ttl: 60, token_policies: {token-of-the-tests: {default_retention: download_once}}}\n\
               network: {advertised_endpoints: [\"files.example.org\"]}\n"),
    );
    let answer = reload_as(&node, TOKEN).is(200).json();
    assert!(!answer.to_string().contains(TOKEN), "a policy's token is masked too: {answer}");
    let changed: Vec<&str> = answer["changes"].as_object().expect("a map").keys().map(String::as_str).collect();
    let expected = [
        "advertised_endpoints",
        "default_retention",
        "default_retention_ttl",
        "max_storage_size",
        "token_retention_policies",
    ];
    assert_eq!(changed, expected);
    assert!(answer["hot_reloadable"].as_array().expect("a list").contains(&"role_quotas".into()));
    assert!(answer["requires_restart"].as_array().expect("a list").contains(&"port".into()));
    assert_eq!(node.get("/api/info").json()["default_retention"], "ttl");
    assert_eq!(node.get("/api/storage").json()["max"], 10);
    let endpoints: Value = node.get("/api/endpoints").json();
    assert!(
        endpoints["endpoints"][0]["url"].as_str().is_some_and(|url| url.contains("files.example.org")),
        "{endpoints}"
    );
    let upload = node.create(5);
    assert_eq!(node.get(&upload.file()).json()["metadata"]["retention"], "download_once", "the token's policy");
    let full = node.create(50);
    node.patch(&full, 0, &[1; 50]).is(507);
    let status = node.get("/api/admin/config-status").is(200).json();
    assert_eq!(status["config_watch"], false);
    assert!(status["config_file"].as_str().is_some_and(|path| path.ends_with("config.yaml")), "{status}");
}

#[test]
fn section_11_1_the_command_line_reloads_with_the_token_of_the_file() {
    let node = start(&auth(&[TOKEN]));
    let address = node.addr().to_string();
    let reload = || {
        let mut command = node.et(&["server", "reload", &address]);
        command.env_remove("ETRANSFER_TOKEN");
        wait::run(command)
    };
    assert!(reload().ok().stdout.starts_with("No changes"));
    rewrite(&node, &(auth(&[TOKEN]) + "retention: {default: download_once}\n"));
    let told = reload().ok().stdout;
    assert!(told.starts_with("Reloaded"), "{told}");
    assert!(told.contains("default_retention: permanent \u{2192} download_once"), "{told}");
    assert_eq!(node.get("/api/info").json()["default_retention"], "download_once");
    rewrite(&node, &auth(&["another"]));
    let refused = reload();
    assert_eq!(refused.code, Some(1), "the node does not know the token of the new file yet: {refused:?}");
    assert!(refused.stderr.contains("hint: give -t a token the server runs with"), "{refused:?}");
}

#[test]
fn section_9_2_what_the_environment_pins_does_not_change() {
    let node =
        Node::setup().config("retention: {default: permanent}\n").env("DEFAULT_RETENTION", "download_once").start();
    rewrite(&node, "retention: {default: ttl, default_ttl: 5}\nauth: {tokens: [intruder]}\n");
    let answer = reload_as(&node, TOKEN).is(200).json();
    assert_eq!(answer["changes"].as_object().expect("a map").keys().collect::<Vec<_>>(), ["default_retention_ttl"]);
    assert_eq!((with_token(&node, "intruder"), with_token(&node, TOKEN)), (401, 200));
}

#[test]
fn section_9_6_a_watched_file_is_taken_up_by_itself() {
    let yaml = auth(&[TOKEN]) + "server: {config_watch: true, config_watch_interval: 100ms}\n";
    let node = start(&yaml);
    assert_eq!(node.get("/api/admin/config-status").json()["config_watch"], true);
    rewrite(&node, "auth: {tokens: [");
    wait::until("the broken file is reported", || node.log().contains("the running settings stay").then_some(()));
    assert_eq!(with_token(&node, TOKEN), 200);
    rewrite(&node, &(yaml + "retention: {default: download_once}\n"));
    wait::until("it is taken up", || {
        (node.get("/api/info").json()["default_retention"] == "download_once").then_some(())
    });
}

#[test]
fn section_7_without_a_file_there_is_nothing_to_reload() {
    let node = Node::start();
    let answer = reload_as(&node, TOKEN).is(200).json();
    assert_eq!((&answer["reloaded"], &answer["changes"]), (&false.into(), &json!({})));
    node.send(&Request::new("POST", "/api/admin/reload-config")).is(401);
    node.send(&post().without("X-API-Token")).is(401);
}
