//! What the node tells its operator: counters that are exact, readiness that is true, and no secret in either.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use crate::support::tus::{patch, patch_head};
use crate::support::{DEADLINE, Node, OTHER_TOKEN, Oracle, Request, Role, TOKEN, wait};

pub fn metrics(node: &Node) -> String {
    let reply = node.get("/metrics").is(200);
    assert!(reply.field("Content-Type").starts_with("application/openmetrics-text"), "{reply:?}");
    String::from_utf8(reply.body).expect("OpenMetrics is UTF-8")
}

/// The sum of a family's samples that have all these labels.
pub fn sum(text: &str, name: &str, labels: &[&str]) -> f64 {
    let samples = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    let samples = samples.filter(|line| labels.iter().all(|label| line.contains(label)));
    samples.map(|line| line.rsplit_once(' ').expect(line).1.parse::<f64>().expect(line)).sum()
}

/// Asks the control plane without the data plane.
fn readiness_on_the_line(node: &Node) -> String {
    let mut socket = UnixStream::connect(node.storage().join("line/control.sock")).expect("the control plane's socket");
    socket.set_read_timeout(Some(DEADLINE)).expect("a time limit");
    socket.write_all(b"GET /readyz HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").expect("ask");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    answer
}

/// faults.md M4: totals are of clients, in bytes of content; what clients upload is not what the node sends.
#[test]
fn totals_are_what_clients_sent_and_received() {
    let node = Node::start();
    let upload = node.complete(&[7; 300_000]);
    for _ in 0..2 {
        node.get(&upload.download()).is(200);
    }
    wait::until("the cores told it", || {
        let stats = node.get("/api/stats").json();
        (stats["total_upload_bytes"] == 300_000 && stats["total_download_bytes"] == 600_000).then_some(())
    });
}

#[test]
fn counters_grow_by_exactly_the_bytes_that_moved() {
    let node = Node::start();
    let sizes = [1usize, 70_000, (1 << 20) + 7, 3 << 20];
    let uploads: Vec<_> = sizes.iter().map(|size| node.complete(&Oracle(7).bytes(0..*size as u64))).collect();
    let upload = node.create(100_000);
    let content = Oracle(8).bytes(0..100_000);
    node.send(&patch(&upload, 0, &content[..60_000]).chunked(1000)).is(204);
    node.patch(&upload, 60_000, &content[60_000..]).is(204);
    for upload in &uploads {
        node.get(&upload.download()).is(200);
    }
    let ranged = Request::get(&uploads[3].download()).header("X-API-Token", TOKEN).header("Range", "bytes=5-1000004");
    node.send(&ranged).is(206);
    node.send(&Request::new("HEAD", &uploads[3].download()).header("X-API-Token", TOKEN)).is(200);
    node.delete(&uploads[0].file()).is(200);
    let files: usize = sizes.iter().sum();
    let (received, sent) = ((files + 100_000) as f64, (files + 1_000_000) as f64);
    let kinds = ["append", "serve", "remove"];
    let requests =
        |text: &str, kind: &str| sum(text, "et_requests_total", &[&format!("kind=\"{kind}\""), r#"outcome="2xx""#]);
    let text = wait::until("every core has told", || {
        let text = metrics(&node);
        (kinds.map(|kind| requests(&text, kind)) == [6.0, 6.0, 1.0]).then_some(text)
    });
    assert_eq!(sum(&text, "et_content_received_bytes_total", &[r#"address="127.0.0.1""#]), received, "{text}");
    assert_eq!(sum(&text, "et_content_sent_bytes_total", &[r#"address="127.0.0.1""#]), sent, "{text}");
    assert_eq!(sum(&text, "et_first_byte_seconds_count", &[]), 5.0, "a HEAD sends no content: {text}");
    assert!(sum(&text, "et_journal_bytes_total", &[]) > 0.0, "{text}");
    assert_eq!(sum(&text, "et_files", &[]), 4.0, "{text}");
    assert!(sum(&text, "et_catalogue_commit_seconds_count", &[]) > 0.0, "{text}");
    assert_eq!(sum(&text, "et_data_plane_up", &[]), 1.0, "{text}");
    let upload = node.create(10_000);
    let mut conn = node.connect();
    conn.send_head(&patch_head(&upload, 0).header("Content-Length", "10000"));
    conn.send(&content[..5000]);
    drop(conn);
    let text = wait::until("the body that died is told", || {
        let text = metrics(&node);
        (sum(&text, "et_requests_total", &[r#"kind="append""#, r#"outcome="cut""#]) == 1.0).then_some(text)
    });
    assert_eq!(sum(&text, "et_content_received_bytes_total", &[]), received + 5000.0, "as far as it came: {text}");
}

#[test]
fn p22_no_token_name_or_id_is_in_the_metrics() {
    let node = Node::start();
    let upload = node.complete_as(&[("filename", "name-of-the-canary.bin")], b"content");
    node.get(&format!("{}?token={OTHER_TOKEN}", upload.download())).is(200);
    node.send(&Request::get("/path-of-the-canary").header("X-API-Token", OTHER_TOKEN)).is(404);
    node.send(&Request::get("/metrics")).is(401);
    node.send(&Request::get("/metrics").header("X-API-Token", "wrong-canary")).is(401);
    let text = wait::until("the cores have told", || {
        let text = metrics(&node);
        (sum(&text, "et_requests_total", &[r#"kind="serve""#]) > 0.0).then_some(text)
    });
    for secret in [TOKEN, OTHER_TOKEN, "canary", upload.id.as_str()] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let probes = ["/livez", "/readyz", "/openapi.json", "/docs"].map(|path| node.send(&Request::get(path)).is(200));
    for reply in probes {
        assert!(!String::from_utf8_lossy(&reply.body).contains(TOKEN), "{reply:?}");
    }
}

#[test]
fn p14_readiness_follows_both_planes() {
    let mut node = Node::setup().two_processes().start();
    wait::until("the node is ready", || (node.send(&Request::get("/readyz")).status == 200).then_some(()));
    node.kill_one(Role::Data);
    let answer = wait::until("the silence of the data plane is noticed", || {
        let answer = readiness_on_the_line(&node);
        answer.starts_with("HTTP/1.1 503").then_some(answer)
    });
    assert!(answer.contains(r#""missing":["data_plane"]"#), "{answer}");
    node.spawn(Role::Data).expect("the data plane starts");
    wait::until("the node is ready again", || (node.send(&Request::get("/readyz")).status == 200).then_some(()));
    node.kill_one(Role::Control);
    for path in ["/livez", "/readyz"] {
        node.send(&Request::get(path)).is(503);
    }
    node.spawn(Role::Control).expect("the control plane starts");
    wait::until("the node is ready once more", || {
        node.try_send(&Request::get("/readyz")).ok().filter(|reply| reply.status == 200)
    });
    node.send(&Request::get("/livez")).is(200);
    wait::until("a control plane that was away hears all that was counted meanwhile", || {
        (sum(&metrics(&node), "et_grants_total", &[r#"source="away""#]) >= 2.0).then_some(())
    });
}
