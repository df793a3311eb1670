//! What the start refuses: in one go, one line per fault, before anything is bound or written; and the same in a reload.

use std::process::Command;

use crate::support::node::et;
use crate::support::wait::{self, Ran};
use crate::support::{Node, Request, TOKEN};

/// Starts a node over `surfaces: {<yaml>}` that must not start, and leaves nothing behind.
#[track_caller]
fn refused(yaml: &str, environment: &[(&str, &str)]) -> Ran {
    let dir = tempfile::tempdir().expect("a directory");
    let (config, storage) = (dir.path().join("config.yaml"), dir.path().join("storage"));
    std::fs::write(&config, format!("surfaces: {{{yaml}}}")).expect("write the configuration");
    let mut command = Command::new(et());
    command.args(["server", "start", "--host", "127.0.0.1", "--port", "8765"]);
    command.arg("--storage").arg(&storage).arg("--config").arg(&config);
    // All are there: a dialect that is not named has no faults.
    let surfaces = ["SECURE_FILE_TRANSFER", "CLOUDBACKEND", "STREAM_UPLOAD", "PYBLOBSERVER"];
    command.env_clear().envs(surfaces.map(|name| (format!("ETRANSFER_SURFACES__{name}"), "{}")));
    command.envs(environment.iter().copied()).current_dir(dir.path());
    let ran = wait::run(command);
    assert!(ran.code.is_some_and(|code| code != 0), "{yaml}: {ran:#?}");
    assert!(!ran.stdout.contains("listening") && !storage.exists(), "{yaml}: {ran:#?}");
    ran
}

#[test]
fn section_4_every_kind_of_fault_ends_the_start_with_one_line() {
    for (kind, yaml, words) in [
        (1, "secure_file_transfer: {prefix: ''}", ["secure_file_transfer", "easytransfer", "/api/files"]),
        (1, "pyblobserver: {prefix: ''}", ["pyblobserver", "cloudbackend", "/user/{x}"]),
        (2, "secure_file_transfer: {prefix: /blob/x}", ["secure_file_transfer", "pyblobserver", "/blob/x"]),
        (3, "pyblobserver: {prefix: /metrics}", ["pyblobserver", "easytransfer", "/metrics"]),
        (3, "cloudbackend: {bucket: sft}", ["cloudbackend", "secure_file_transfer", "sft"]),
        (
            4,
            "pyblobserver: {hosts: [h.test]}, stream_upload: {hosts: [H.test]}",
            ["pyblobserver", "stream_upload", "h.test"],
        ),
        (5, "pyblobserver: {listen: ['127.0.0.1:8765']}", ["pyblobserver", "easytransfer", "127.0.0.1:8765"]),
        (6, "cloudbackend: {bucket: Big}", ["surfaces.cloudbackend.bucket", "config.yaml", "Big"]),
        (6, "nowhere: {enabled: true}", ["surfaces.nowhere", "config.yaml", "one of"]),
        (7, "stream_upload: {tokens: [{token: short, user: u}]}", ["surfaces.stream_upload.tokens", "8", "\"u\""]),
        (
            8,
            "secure_file_transfer: {secret_key: supersecretkey}",
            ["surfaces.secure_file_transfer.secret_key", "published", "original"],
        ),
    ] {
        let ran = refused(yaml, &[]);
        let lines: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("surfaces.")).collect();
        assert_eq!(lines.len(), 1, "{kind} {yaml}: {ran:#?}");
        for word in words {
            assert!(lines[0].contains(word), "{kind} {yaml}: {word} in {lines:?}");
        }
        assert!(!ran.stderr.contains("supersecretkey") && !ran.stderr.contains("panicked"), "{ran:#?}");
    }
}

#[test]
fn section_4_all_faults_are_told_in_one_go_wherever_they_come_from() {
    let yaml = "secure_file_transfer: {prefix: ''}, stream_upload: {max_chunks: -1}, pyblobserver: {timezone: nowhere}";
    let ran = refused(yaml, &[("OSS_BUCKET_NAME", "Big"), ("ETRANSFER_SURFACES__PYBLOBSERVER__PREFIX", "blob")]);
    let mut told: Vec<String> = Vec::new();
    for line in ran.stderr.lines() {
        let key = line.split_once("surfaces.").and_then(|(_, rest)| rest.split(' ').next());
        told.extend(key.map(str::to_owned));
    }
    told.sort();
    let expected = [
        "cloudbackend.bucket",
        "pyblobserver.prefix",
        "pyblobserver.timezone",
        "secure_file_transfer.prefix",
        "stream_upload.max_chunks",
    ];
    assert_eq!(told, expected, "{}", ran.stderr);
    for source in ["from OSS_BUCKET_NAME", "from ETRANSFER_SURFACES__PYBLOBSERVER__PREFIX"] {
        assert!(ran.stderr.contains(source), "{source} in {}", ran.stderr);
    }
}

#[test]
fn section_4_the_same_faults_in_a_reload_change_nothing() {
    let before = "surfaces: {pyblobserver: {expire_days: 1}}";
    let node = Node::setup().config(before).start();
    let reload = || node.send(&Request::new("POST", "/api/admin/reload-config").header("X-API-Token", TOKEN));
    for (yaml, words) in [
        ("pyblobserver: {expire_days: 5, prefix: /sft}", ["pyblobserver", "secure_file_transfer"]),
        (
            "pyblobserver: {expire_days: 5}, cloudbackend: {bucket: Big}",
            ["surfaces.cloudbackend.bucket", "config.yaml"],
        ),
        ("pyblobserver: {expire_days: many}", ["surfaces.pyblobserver.expire_days", "integer"]),
        ("pyblobserver: {expire_days: 5}, elsewhere: {}", ["surfaces.elsewhere", "one of"]),
    ] {
        std::fs::write(node.config_path(), format!("surfaces: {{{yaml}}}")).expect("write the configuration");
        let told = reload().is(400).json()["detail"].to_string();
        assert!(words.iter().all(|word| told.contains(word)), "{yaml}: {told}");
    }
    std::fs::write(node.config_path(), before).expect("write the configuration");
    assert_eq!(reload().is(200).json()["reloaded"], false, "nothing of it was taken over");
}
