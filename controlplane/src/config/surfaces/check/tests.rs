//! Every kind of fault of SURFACES.md §4, alone and all at once; and what is no fault.

use crate::config::{ConfigError, Layers, from_layers, parse_yaml};

const PHC: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

/// The lines of the refusal of `surfaces: {<yaml>}`.
fn refused(yaml: &str) -> Vec<String> {
    let file = parse_yaml(&format!("server: {{port: 8765}}\nsurfaces: {{{yaml}}}")).unwrap();
    // All are there: a dialect that is not named has no faults.
    let all = ["SECURE_FILE_TRANSFER", "CLOUDBACKEND", "STREAM_UPLOAD", "PYBLOBSERVER"];
    let environment = all.map(|name| (format!("SURFACES__{name}"), "{}".to_owned())).into();
    match from_layers(Layers { file: Some(("test.yaml".into(), file)), environment, ..Layers::all() }) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Faults(faults)) => faults.iter().map(ToString::to_string).collect(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn section_4_conflicts_name_both_surfaces_and_what_they_quarrel_about() {
    for (kind, yaml, words) in [
        (1, "secure_file_transfer: {prefix: ''}", ["secure_file_transfer", "easytransfer", "/api/files"]),
        (1, "pyblobserver: {prefix: ''}", ["pyblobserver", "cloudbackend", "/user/{x}"]),
        (2, "secure_file_transfer: {prefix: /blob}", ["secure_file_transfer", "pyblobserver", "\"/blob\""]),
        (2, "secure_file_transfer: {prefix: /blob/x}", ["secure_file_transfer", "pyblobserver", "\"/blob/x\""]),
        (
            2,
            "stream_upload: {prefix: /a}, cloudbackend: {prefix: /a/b/c}",
            ["stream_upload", "cloudbackend", "\"/a/b/c\""],
        ),
        (3, "pyblobserver: {prefix: /api/blob}", ["pyblobserver", "easytransfer", "/api/blob"]),
        (3, "pyblobserver: {prefix: /docs}", ["pyblobserver", "easytransfer", "/docs"]),
        (3, "pyblobserver: {prefix: /openapi.json/x}", ["pyblobserver", "easytransfer", "/openapi.json"]),
        (3, "pyblobserver: {prefix: /user}", ["pyblobserver", "cloudbackend", "/user"]),
        (
            3,
            "secure_file_transfer: {prefix: /list}, cloudbackend: {enabled: false}, pyblobserver: {prefix: ''}",
            ["secure_file_transfer", "pyblobserver", "/list"],
        ),
        (3, "cloudbackend: {bucket: blob}", ["cloudbackend", "pyblobserver", "\"blob\""]),
        (3, "cloudbackend: {bucket: abc}, pyblobserver: {prefix: /abc/x}", ["cloudbackend", "pyblobserver", "\"abc\""]),
        (3, "cloudbackend: {bucket: static}", ["cloudbackend", "easytransfer", "\"static\""]),
        (3, "cloudbackend: {bucket: tus}", ["cloudbackend", "easytransfer", "\"tus\""]),
        (3, "cloudbackend: {bucket: user}", ["cloudbackend", "cloudbackend has", "\"user\""]),
        (3, "cloudbackend: {bucket: drop, prefix: /cb}", ["cloudbackend", "cloudbackend has", "\"drop\""]),
        (
            4,
            "stream_upload: {hosts: [a.test]}, pyblobserver: {hosts: ['A.test:80']}",
            ["stream_upload", "pyblobserver", "a.test"],
        ),
        (4, "stream_upload: {hosts: [a.test, A.TEST.]}", ["stream_upload", "stream_upload has", "a.test"]),
        (
            4,
            "cloudbackend: {oss_endpoint: 'https://oss.test:9/x'}, pyblobserver: {hosts: [cloud.OSS.test]}",
            ["cloudbackend", "pyblobserver", "cloud.oss.test"],
        ),
        (
            5,
            "stream_upload: {listen: ['127.0.0.1:3000']}, pyblobserver: {listen: ['127.0.0.1:3000']}",
            ["stream_upload", "pyblobserver", "127.0.0.1:3000"],
        ),
        (
            5,
            "stream_upload: {listen: ['0.0.0.0:3000', '127.0.0.1:3000']}",
            ["stream_upload", "stream_upload listens", "127.0.0.1:3000"],
        ),
        (5, "pyblobserver: {listen: ['127.0.0.1:8765']}", ["pyblobserver", "easytransfer", "127.0.0.1:8765"]),
    ] {
        let told = refused(yaml);
        assert_eq!(told.len(), 1, "{kind} {yaml}: {told:?}");
        for word in words {
            assert!(told[0].contains(word), "{kind} {yaml}: {word} in {told:?}");
        }
    }
}

#[test]
fn section_4_values_name_their_key() {
    let device = |rest: &str| format!("secure_file_transfer: {{devices: [{rest}]}}");
    let twice = "{device_id: d, secret: x}, {device_id: d, secret: y}";
    let users = |rest: &str| format!("pyblobserver: {{allowed_users: [{rest}]}}");
    let rows = [
        (6, "pyblobserver: {prefix: blob}".to_owned(), "pyblobserver.prefix"),
        (6, "pyblobserver: {prefix: /blob/}".to_owned(), "pyblobserver.prefix"),
        (6, "pyblobserver: {prefix: /a//b}".to_owned(), "pyblobserver.prefix"),
        (6, "pyblobserver: {prefix: /}".to_owned(), "pyblobserver.prefix"),
        (6, "pyblobserver: {prefix: /a/../b}".to_owned(), "pyblobserver.prefix"),
        (6, "pyblobserver: {prefix: /.}".to_owned(), "pyblobserver.prefix"),
        (6, "pyblobserver: {prefix: /a%2Fb}".to_owned(), "pyblobserver.prefix"),
        (6, "pyblobserver: {prefix: '/a?b'}".to_owned(), "pyblobserver.prefix"),
        (6, "pyblobserver: {prefix: '/a#b'}".to_owned(), "pyblobserver.prefix"),
        (6, "pyblobserver: {prefix: \"/a\\nb\"}".to_owned(), "pyblobserver.prefix"),
        (6, "pyblobserver: {prefix: '/a\\b'}".to_owned(), "pyblobserver.prefix"),
        (6, "pyblobserver: {prefix: 7}".to_owned(), "pyblobserver.prefix"),
        (6, "cloudbackend: {bucket: ab}".to_owned(), "cloudbackend.bucket"),
        (6, "cloudbackend: {bucket: Cloud}".to_owned(), "cloudbackend.bucket"),
        (6, "cloudbackend: {bucket: a-b-}".to_owned(), "cloudbackend.bucket"),
        (6, "cloudbackend: {messages: fr}".to_owned(), "cloudbackend.messages"),
        (6, "cloudbackend: {policy_seconds: -1}".to_owned(), "cloudbackend.policy_seconds"),
        (6, "cloudbackend: {share: {max_files: many}}".to_owned(), "cloudbackend.share.max_files"),
        (6, "cloudbackend: {share: {expire_days: []}}".to_owned(), "cloudbackend.share.expire_days"),
        (
            6,
            "cloudbackend: {share: {generated_code_length: 11}}".to_owned(),
            "cloudbackend.share.generated_code_length",
        ),
        (6, "cloudbackend: {user_quota: -5MB}".to_owned(), "cloudbackend.user_quota"),
        (6, device("{device_id: 'a b', secret: x}"), "secure_file_transfer.devices"),
        (6, device("{secret: x}"), "secure_file_transfer.devices"),
        (6, device("{device_id: d}"), "secure_file_transfer.devices"),
        (6, device("{device_id: d, secret: x, secret_hash: y}"), "secure_file_transfer.devices"),
        (6, device(twice), "secure_file_transfer.devices"),
        (6, device("{device_id: d, secret_hash: '$argon2id$nonsense'}"), "secure_file_transfer.devices"),
        (
            6,
            device(&format!("{{device_id: d, secret_hash: '{}'}}", PHC.replace("argon2id", "argon2i"))),
            "secure_file_transfer.devices",
        ),
        (
            6,
            "secure_file_transfer: {cleanup_interval_seconds: 0}".to_owned(),
            "secure_file_transfer.cleanup_interval_seconds",
        ),
        (6, users("ann, bob, ann"), "pyblobserver.allowed_users"),
        (
            6,
            users("{user: a, token: 1234567890123456}, {user: b, token: 1234567890123456}"),
            "pyblobserver.allowed_users",
        ),
        (6, users("{user: a, token: short}"), "pyblobserver.allowed_users"),
        (6, users("{user: a, token_sha256: abc}"), "pyblobserver.allowed_users"),
        (6, "pyblobserver: {token_bootstrap: never}".to_owned(), "pyblobserver.token_bootstrap"),
        (6, "pyblobserver: {datetime_format: long}".to_owned(), "pyblobserver.datetime_format"),
        (6, "pyblobserver: {timezone: Mars/Olympus}".to_owned(), "pyblobserver.timezone"),
        (6, "pyblobserver: {short_path_length: 7}".to_owned(), "pyblobserver.short_path_length"),
        (6, "pyblobserver: {short_path_length: 65}".to_owned(), "pyblobserver.short_path_length"),
        (6, "stream_upload: {listen: [localhost]}".to_owned(), "stream_upload.listen"),
        (
            6,
            "stream_upload: {tokens: [{token: 12345678, user: a}, {token: 12345678, user: b}]}".to_owned(),
            "stream_upload.tokens",
        ),
        (7, "cloudbackend: {access_key_secret: abc}".to_owned(), "cloudbackend.access_key_secret"),
        (7, "cloudbackend: {jwt_secret: fifteen-bytes-x}".to_owned(), "cloudbackend.jwt_secret"),
        (7, "secure_file_transfer: {secret_key: fifteen-bytes-x}".to_owned(), "secure_file_transfer.secret_key"),
        (7, "stream_upload: {tokens: [{token: 1234567, user: a}]}".to_owned(), "stream_upload.tokens"),
        (8, "secure_file_transfer: {secret_key: supersecretkey}".to_owned(), "secure_file_transfer.secret_key"),
        (8, "cloudbackend: {jwt_secret: django-insecure-0123456789}".to_owned(), "cloudbackend.jwt_secret"),
    ];
    for (kind, yaml, key) in rows {
        let told = refused(&yaml);
        assert_eq!(told.len(), 1, "{kind} {yaml}: {told:?}");
        assert!(told[0].starts_with(&format!("surfaces.{key} (from test.yaml): expected ")), "{kind} {yaml}: {told:?}");
        assert!(!told[0].contains('\n') && !told[0].contains("fifteen-bytes"), "{told:?}");
    }
}

#[test]
fn section_4_all_faults_are_told_in_one_go() {
    let yaml = "stream_upload: {listen: ['0.0.0.0:8765'], max_chunks: x}, cloudbackend: {bucket: Big, jwt_secret: short}, \
                secure_file_transfer: {prefix: '', devices: [{device_id: '?', secret: a}, {device_id: '!', secret: b}]}, \
                pyblobserver: {prefix: nowhere/, timezone: x}, blob: {}";
    let told = refused(yaml);
    let keys = [
        "blob",
        "cloudbackend.bucket",
        "cloudbackend.jwt_secret",
        "pyblobserver.prefix",
        "pyblobserver.timezone",
        "secure_file_transfer.devices",
        "secure_file_transfer.devices",
        "secure_file_transfer.prefix",
        "stream_upload.listen",
        "stream_upload.max_chunks",
    ];
    let mut found: Vec<&str> = told.iter().map(|line| line.split(' ').next().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, keys.map(|key| format!("surfaces.{key}")), "{told:#?}");
}

#[test]
fn section_4_what_is_no_fault() {
    for yaml in [
        "",
        "cloudbackend: {prefix: /cb, bucket: tus}",
        "cloudbackend: {enabled: false, bucket: Big, jwt_secret: x, prefix: /sft}, pyblobserver: {prefix: ''}",
        "pyblobserver: {enabled: false, prefix: nowhere/, timezone: x, short_path_length: many}",
        "pyblobserver: {prefix: /blobs}, secure_file_transfer: {prefix: /blob}",
        "pyblobserver: {prefix: /a/b}, secure_file_transfer: {prefix: /a/c}, stream_upload: {prefix: /a/bc}",
        "secure_file_transfer: {prefix: null}",
        "secure_file_transfer: {listen: ['127.0.0.1:0']}, pyblobserver: {listen: ['127.0.0.1:0', '127.0.0.1:0']}",
        "secure_file_transfer: {hosts: [a]}, pyblobserver: {hosts: [b]}, cloudbackend: {hosts: [c]}",
        "pyblobserver: {listen: ['[::]:8765']}",
        "stream_upload: {tokens: [{token: 12345678, user: a}, {token: 12345678, user: a}, {token: 87654321, user: a}]}",
        &format!("secure_file_transfer: {{devices: [{{device_id: a@b.c_-1, secret_hash: '{PHC}', quota: 1G}}]}}"),
    ] {
        assert_eq!(refused(yaml), Vec::<String>::new(), "{yaml}");
    }
}
