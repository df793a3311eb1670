//! The small files of the state directory: their names, modes and contents.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{TIME, golden};
use crate::authority::first_token;
use crate::bounds::EPOCHS_PER_START;
use crate::config::Config;
use crate::machine::identity;
use crate::machine::proof::ProofKey;
use crate::node::epochs;
use crate::surface::cloudbackend::settings::CloudBackend;
use crate::surface::secure_file_transfer::settings::SecureFileTransfer;

/// Makes all of them where they are missing, and tells what they say.
fn open(state: &Path) -> BTreeMap<&'static str, String> {
    let mut surfaces = Config::defaults().surfaces;
    surfaces.make_secrets(state).unwrap();
    let cloud = surfaces.of::<CloudBackend>();
    BTreeMap::from([
        ("epoch", epochs::reserve(&etransfer_disk::Os, state, TIME).unwrap().to_string()),
        ("node_id", identity::load_or_make(state).unwrap()),
        ("proof.key", ProofKey::load_or_make(state).unwrap().expose().to_owned()),
        ("token", first_token::load_or_make(state).unwrap().token.expose().to_owned()),
        ("surfaces.json, secret_key", surfaces.of::<SecureFileTransfer>().secret_key.expose().to_owned()),
        ("surfaces.json, jwt_secret", cloud.jwt_secret.expose().to_owned()),
        ("surfaces.json, access_key_id", cloud.access_key_id.expose().to_owned()),
        ("surfaces.json, access_key_secret", cloud.access_key_secret.expose().to_owned()),
    ])
}

/// What is drawn at random, as stars.
fn stars(text: &str, secrets: &[&String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(*secret, &"*".repeat(secret.len())))
}

#[test]
fn files_of_the_state_directory_are_as_ever() {
    let made = tempfile::tempdir().unwrap();
    let said = open(made.path());
    assert_eq!(open(made.path())["token"], said["token"], "a second start keeps it");
    let secrets: Vec<&String> = said.iter().filter(|(name, _)| **name != "epoch").map(|(_, text)| text).collect();
    let about = "Files of the state directory, with their modes; what is drawn at random is a star for each character.";
    let mut golden = golden("", "state.txt", about);
    let mut files: Vec<_> = std::fs::read_dir(made.path()).unwrap().map(|entry| entry.unwrap()).collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        let text = std::fs::read_to_string(file.path()).unwrap();
        let name = file.file_name().into_string().unwrap();
        let end = if text.ends_with('\n') { "a line end" } else { "no line end" };
        golden.text(&format!("{name} {mode:o}, {end}"), &stars(&text, &secrets));
    }
    golden.check();
}

#[test]
fn what_an_earlier_run_wrote_is_read() {
    let state = tempfile::tempdir().unwrap();
    let hex = "0123456789abcdef";
    for (name, text) in [
        ("epoch", "1700000000123\n".to_owned()),
        ("node_id", format!("{}\n", hex.repeat(2))),
        ("proof.key", hex.repeat(4)),
        ("token", "abcdefghijklmnopqrstuvwxyz-_0123\n".to_owned()),
        (
            "surfaces.json",
            r#"{"cloudbackend.access_key_id":"id","cloudbackend.access_key_secret":"secret","cloudbackend.jwt_secret":"jwt",
            "secure_file_transfer.secret_key":"key"}"#
                .to_owned(),
        ),
    ] {
        std::fs::write(state.path().join(name), text).unwrap();
    }
    let said = open(state.path());
    let expected = BTreeMap::from([
        ("epoch", TIME.to_string()),
        ("node_id", hex.repeat(2)),
        ("proof.key", hex.repeat(4)),
        ("token", "abcdefghijklmnopqrstuvwxyz-_0123".to_owned()),
        ("surfaces.json, secret_key", "key".to_owned()),
        ("surfaces.json, jwt_secret", "jwt".to_owned()),
        ("surfaces.json, access_key_id", "id".to_owned()),
        ("surfaces.json, access_key_secret", "secret".to_owned()),
    ]);
    assert_eq!(said, expected);
    let next = std::fs::read_to_string(state.path().join("epoch")).unwrap();
    assert_eq!(next, format!("{}\n", TIME + EPOCHS_PER_START));
}
