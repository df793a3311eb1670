//! The control plane over its real socket: start, ask, stop, start again.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::*;
use crate::core::Secret;

fn config(storage: &Path) -> Config {
    let mut config = Config::defaults();
    config.storage.path = storage.to_owned();
    config.auth.tokens = vec![Secret::new("secret")];
    config
}

/// One request by hand, as curl would send it.
fn ask(line: &Path, request: &str) -> String {
    let mut socket = UnixStream::connect(line).unwrap();
    write!(socket, "{request}\r\nHost: files.test\r\nX-API-Token: secret\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn p18_one_control_plane_per_storage_and_what_was_created_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = Arc::new(config(dir.path()));
    let running = start(Arc::clone(&config), Sources::default()).unwrap();
    let healthy = ask(running.line(), "GET /api/health HTTP/1.1");
    assert!(healthy.contains(r#"{"status":"healthy"}"#));
    let node = |answer: &str| answer.to_lowercase().split_once("x-node: ").unwrap().1[..32].to_owned();
    let created = ask(running.line(), "POST /tus HTTP/1.1\r\nUpload-Length: 0");
    assert!(
        created.starts_with("HTTP/1.1 201") && created.contains("\r\nLocation: http://files.test/tus/"),
        "{created}"
    );
    assert!(matches!(start(Arc::clone(&config), Sources::default()), Err(StartError::Taken(_))));
    running.stop();
    running.join();
    let again = start(config, Sources::default()).unwrap();
    assert_eq!(node(&ask(again.line(), "GET /api/health HTTP/1.1")), node(&healthy), "the same node");
    let list = ask(again.line(), "GET /api/files HTTP/1.1");
    assert!(list.contains(r#""total":1"#), "{list}");
    drop(again);
}

#[test]
fn a_held_poll_does_not_hold_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Arc::new(config(dir.path())), Sources::default()).unwrap();
    let mut socket = UnixStream::connect(running.line()).unwrap();
    let version = etransfer_contract::link::VERSION;
    let known = |control_run: u64, epoch: u64| {
        format!(
            r#"{{"version":{version},"run":1,"control_run":{control_run},"epoch":{epoch},"after":0,"node":{{"engine":"","cores":1,"addresses":[],"degraded":null,"disk_free":0,"disk_size":0}}}}"#
        )
    };
    let mut poll = |body: String| {
        let length = body.len();
        write!(
            socket,
            "POST /line/orders HTTP/1.1\r\nHost: x\r\nEtransfer-Line: call\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = vec![0; 4096];
        let bytes = socket.read(&mut answer).unwrap();
        String::from_utf8(answer[..bytes].to_vec()).unwrap()
    };
    let first = poll(known(0, 0));
    let orders: serde_json::Value = serde_json::from_str(first.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let (run, epoch) = (orders["control_run"].as_u64().unwrap(), orders["epoch"].as_u64().unwrap());
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        running.stop();
        running.join();
    });
    assert!(poll(known(run, epoch)).contains(r#""orders":[]"#), "answered at the stop");
    stopper.join().unwrap();
}
