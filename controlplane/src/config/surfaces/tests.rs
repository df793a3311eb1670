//! Reading the keys of the surfaces: precedence, empty values, original names, what is unknown.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::config::reader::Source;
use crate::config::{ConfigError, Layers, Loaded, from_layers, parse_yaml};
use crate::core::{Secret, Size};
use crate::surface::SETTINGS;
use crate::surface::cloudbackend::settings::CloudBackend;
use crate::surface::pyblobserver::settings::PyBlobServer;
use crate::surface::secure_file_transfer::settings::SecureFileTransfer;
use crate::surface::stream_upload::settings::StreamToken;
use crate::surface::stream_upload::settings::StreamUpload;

fn load(yaml: &str, environment: &[(&str, &str)], originals: &[(&'static str, &str)]) -> Result<Loaded, ConfigError> {
    from_layers(Layers {
        dialects: SETTINGS,
        file: Some(("test.yaml".into(), parse_yaml(yaml).unwrap())),
        environment: environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        flags: BTreeMap::new(),
        originals: originals.iter().map(|(name, text)| (*name, (*text).to_owned())).collect(),
    })
}

/// Names that the original programs know.
fn original_names() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().flat_map(|dialect| dialect.original_names).copied()
}

fn source(loaded: &Loaded, path: &str) -> Source {
    loaded.shown.iter().find(|shown| shown.path == path).unwrap().source.clone()
}

#[test]
fn section_1_environment_beats_file_beats_original_name_beats_default() {
    let file = "surfaces: {pyblobserver: {file_size_limit_mb: 2}}";
    let (path, name) = ("surfaces.pyblobserver.file_size_limit_mb", "SURFACES__PYBLOBSERVER__FILE_SIZE_LIMIT_MB");
    let original = [("FILE_SIZE_LIMIT_MB", "3")];
    for (yaml, environment, originals, expected, from) in [
        (file, &[(name, "1")][..], &original[..], 1, Source::Environment(format!("ETRANSFER_{name}"))),
        (file, &[], &original, 2, Source::File("test.yaml".into())),
        ("", &[], &original, 3, Source::Original("FILE_SIZE_LIMIT_MB")),
        ("", &[], &[], 10, Source::Default),
        // An empty value is no value, in every layer.
        (file, &[(name, "")], &[], 2, Source::File("test.yaml".into())),
        (
            "surfaces: {pyblobserver: {file_size_limit_mb: null}}",
            &[],
            &original,
            3,
            Source::Original("FILE_SIZE_LIMIT_MB"),
        ),
        (
            "surfaces: {pyblobserver: {file_size_limit_mb: \"\"}}",
            &[],
            &[("FILE_SIZE_LIMIT_MB", "")],
            10,
            Source::Default,
        ),
    ] {
        let loaded = load(yaml, environment, originals).unwrap();
        assert_eq!(loaded.config.surfaces.of::<PyBlobServer>().file_size_limit_mb, expected, "{yaml} {environment:?}");
        assert_eq!(source(&loaded, path), from, "{yaml} {environment:?}");
        assert_eq!(loaded.unknown, Vec::<String>::new());
    }
}

#[test]
fn section_1_lists_and_maps_come_from_one_variable_or_from_one_each() {
    let loaded = load(
        "",
        &[
            ("SURFACES__PYBLOBSERVER__ALLOWED_USERS", "a@example.org,b"),
            ("SURFACES__STREAM_UPLOAD__TOKENS", r#"[{"token": "hunter2hunter2", "user": "ann", "quota": "1K"}]"#),
            ("SURFACES__CLOUDBACKEND__SHARE__EXPIRE_DAYS", "2,4"),
            ("SURFACES__CLOUDBACKEND__SHARE", r#"{"max_files": 5, "expire_days": [9], "typo": 1}"#),
            ("SURFACES__SECURE_FILE_TRANSFER", r#"{"prefix": ""}"#),
            ("SURFACES__SECURE_FILE_TRANSFER__PREFIX", "/x"),
        ],
        &[],
    );
    let loaded = loaded.unwrap();
    let surfaces = &loaded.config.surfaces;
    let users: Vec<&str> =
        surfaces.of::<PyBlobServer>().allowed_users.iter().map(|allowed| allowed.user.as_str()).collect();
    assert_eq!(users, ["a@example.org", "b"]);
    let credential = Credential::Plain(Secret::new("hunter2hunter2"));
    let token = StreamToken { credential, user: "ann".into(), quota: Some(Size(1024)) };
    assert_eq!(surfaces.of::<StreamUpload>().tokens, [token]);
    assert_eq!(
        (surfaces.of::<CloudBackend>().share_expire_days.as_slice(), surfaces.of::<CloudBackend>().share_max_files),
        (&[2, 4][..], 5)
    );
    assert_eq!(surfaces.of::<SecureFileTransfer>().mount.on_main(), Some("/x"));
    assert_eq!(loaded.unknown, ["surfaces.cloudbackend.share.typo"]);
}

#[test]
fn section_1_every_original_name_is_read_and_no_other() {
    let value = |name| match name {
        "SECRET_KEY" => "a-key-of-the-original",
        "OSS_BUCKET_NAME" => "original",
        _ => "16",
    };
    let values: Vec<_> = original_names().map(|name| (name, value(name))).collect();
    let loaded = load("", &[], &values).unwrap();
    let mut read: Vec<&str> = loaded
        .shown
        .iter()
        .filter_map(|shown| match shown.source {
            Source::Original(name) => Some(name),
            _ => None,
        })
        .collect();
    read.push("REQUEST_TIMES_PER_MINUTE"); // The other spelling came first.
    read.sort_unstable();
    let mut all: Vec<&str> = original_names().collect();
    all.sort_unstable();
    assert_eq!(read, all);
    let told: Vec<_> = loaded.originals().map(|(name, _)| name).collect();
    let silent: Vec<_> = loaded.without_effect().map(|shown| shown.source.to_string()).collect();
    assert_eq!(silent, ["BASE_FOLDER", "DATABASE_URL", "CACHE_TTL", "TUS_TEMP_FOLDER"]);
    assert_eq!(told.len() + silent.len(), all.len() - 1, "each is named once");
}

#[test]
fn section_1_an_unknown_key_is_reported_and_an_unknown_surface_refused() {
    let loaded = load(
        "surfaces: {stream_upload: {typo: 1}, pyblobserver: null}",
        &[("SURFACES__PYBLOBSERVER__TYPO", "1"), ("SURFACES__CLOUDBACKEND__SHARE__TYPO", "1")],
        &[],
    );
    let mut unknown = loaded.unwrap().unknown;
    unknown.sort();
    let expected = [
        "ETRANSFER_SURFACES__CLOUDBACKEND__SHARE__TYPO",
        "ETRANSFER_SURFACES__PYBLOBSERVER__TYPO",
        "surfaces.stream_upload.typo",
    ];
    assert_eq!(unknown, expected);
    for (yaml, variable, named) in [
        ("surfaces: {blob: {enabled: false}}", None, "surfaces.blob (from test.yaml)"),
        ("surfaces: {easytransfer: {prefix: /x}}", None, "surfaces.easytransfer"),
        ("", Some(("SURFACES__BLOB__ENABLED", "false")), "surfaces.blob (from ETRANSFER_SURFACES__BLOB__ENABLED)"),
    ] {
        let error = load(yaml, variable.as_slice(), &[]).unwrap_err().to_string();
        assert!(error.contains(named) && error.contains("one of secure_file_transfer"), "{error}");
    }
}

#[test]
fn section_2_a_place_of_its_own_leaves_the_main_listener_unless_the_prefix_is_given_too() {
    for (keys, expected) in [
        ("", Some("/blob")),
        ("prefix: \"\"", Some("")),
        ("prefix: null", None),
        ("hosts: [a]", None),
        ("listen: '127.0.0.1:0'", None),
        ("hosts: [a], prefix: /blob", Some("/blob")),
        ("hosts: []", Some("/blob")),
        ("enabled: false", None),
    ] {
        // Without CloudBackend, so that the root is free.
        let yaml = format!("surfaces: {{cloudbackend: {{enabled: false}}, pyblobserver: {{{keys}}}}}");
        let loaded = load(&yaml, &[], &[]).unwrap();
        let mount = &loaded.config.surfaces.of::<PyBlobServer>().mount;
        assert_eq!(mount.on_main(), expected, "{keys}");
    }
    for (text, expected) in [("\"\"", Some("")), ("null", None), ("", Some("/blob")), ("/y", Some("/y"))] {
        let environment = [("SURFACES__CLOUDBACKEND__ENABLED", "0"), ("SURFACES__PYBLOBSERVER__PREFIX", text)];
        let loaded = load("", &environment, &[]).unwrap();
        let mount = &loaded.config.surfaces.of::<PyBlobServer>().mount;
        assert_eq!(mount.on_main(), expected, "{text:?}");
    }
}

#[test]
fn section_1_secrets_are_not_printed() {
    let yaml = "surfaces:\n  secure_file_transfer: {secret_key: hunter2hunter2-a, devices: [{device_id: d, secret: hunter2-b}]}\n  \
                cloudbackend: {jwt_secret: hunter2hunter2-c, access_key_id: id, access_key_secret: hunter2-d}\n  \
                stream_upload: {tokens: [{token: hunter2hunter2-e, user: u}]}\n  \
                pyblobserver: {secret_key: hunter2-f, allowed_users: [{user: u, token: hunter2hunter2-g}]}\n";
    let loaded = load(yaml, &[], &[]).unwrap();
    let told = format!("{loaded:?}\n{}", loaded.to_yaml());
    assert!(!told.contains("hunter2"), "{told}");
    assert_eq!(parse_yaml(&loaded.to_yaml()).unwrap()["surfaces"]["stream_upload"]["tokens"][0]["user"], json!("u"));
}
