//! What the node makes for itself, and what it tells of what it was given.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::Node;

#[test]
fn section_1_generated_secrets_are_private_and_the_same_after_a_restart() {
    let mut node = Node::start();
    let path = node.storage().join("state/surfaces.json");
    let made = std::fs::read_to_string(&path).expect("secrets of the surfaces");
    assert_eq!(std::fs::metadata(&path).expect("its mode").permissions().mode() & 0o777, 0o600);
    let kept: serde_json::Value = serde_json::from_str(&made).expect("JSON");
    let secrets: Vec<&str> = kept.as_object().expect("a map").values().filter_map(|secret| secret.as_str()).collect();
    assert_eq!(secrets.len(), 4, "{kept}");
    node.kill_and_start_again();
    assert_eq!(std::fs::read_to_string(&path).expect("secrets of the surfaces"), made);
    let log = node.log();
    assert!(secrets.iter().all(|secret| secret.len() >= 30 && !log.contains(secret)), "a secret stands in the log");
}

#[test]
fn section_1_an_original_name_is_told_once_without_its_value() {
    let node = Node::setup()
        .wrapped(&["env", "SECRET_KEY=a-key-of-the-original", "ALLOWED_USERS=annabel,bob", "CACHE_TTL=60"])
        .env("SURFACES__PYBLOBSERVER__ALLOWED_USERS", "carl")
        .start();
    let log = node.log();
    for (name, times) in [("SECRET_KEY", 1), ("CACHE_TTL", 1), ("ALLOWED_USERS", 0)] {
        assert_eq!(log.matches(name).count(), times, "{name}: {log}");
    }
    assert!(!log.contains("a-key-of-the-original") && !log.contains("annabel"), "{log}");
}
