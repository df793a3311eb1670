//! The whole of configuration: the example file, precedence, contradictions.

use super::*;
use crate::core::Secret;

fn from_layers(layers: Layers) -> Result<Loaded, ConfigError> {
    super::from_layers(layers)?.checked()
}

fn yaml(text: &str) -> Layers {
    Layers { file: Some(("test.yaml".into(), parse_yaml(text).unwrap())), ..Layers::all() }
}

fn example() -> Value {
    parse_yaml(EXAMPLE).unwrap()
}

#[test]
fn the_example_file_names_every_key_and_its_default() {
    let defaults = from_layers(Layers::all()).unwrap();
    let layers = Layers { file: Some(("config.example.yaml".into(), example())), ..Layers::all() };
    let loaded = from_layers(layers).unwrap();
    assert_eq!(loaded.unknown, Vec::<String>::new());
    for (ours, shown) in defaults.shown.iter().zip(&loaded.shown) {
        assert_eq!(ours.path, shown.path);
        assert_eq!(ours.value, shown.value, "{}", ours.path);
        let name = shown.path.rsplit('.').next().unwrap();
        assert!(EXAMPLE.contains(&format!("{name}:")), "{} is missing", shown.path);
        if !ours.value.is_null() {
            assert!(shown.source != Source::Default, "{} is missing", ours.path);
        }
    }
}

#[test]
fn section_9_3_keys_stand_under_server_too() {
    let loaded = from_layers(yaml(
        "server:\n  storage_path: /srv\n  upload_expiration_hours: 2\n  cors_origins: [\"https://a\"]\nstorage:\n",
    ))
    .unwrap();
    assert_eq!(loaded.config.storage.path, Path::new("/srv"));
    assert_eq!(loaded.config.uploads.expiration.as_secs(), 7200);
    assert_eq!(loaded.config.cors_origins, ["https://a"]);
    assert!(loaded.unknown.is_empty());
}

#[test]
fn section_9_3_documented_keys_count() {
    let defaults = from_layers(yaml("server:\nauth:\n")).unwrap().config;
    assert_eq!(defaults.cors_origins, ["*"]);
    assert_eq!(
        (defaults.retention.cleanup_interval.as_secs(), defaults.uploads.expiration.as_secs()),
        (3600, 24 * 3600)
    );
    let loaded =
        from_layers(yaml("cors: {origins: [\"https://a\"]}\ncleanup_interval: 7\nupload_expiration_hours: 2\n"))
            .unwrap();
    let config = loaded.config;
    assert_eq!((config.cors_origins.as_slice(), loaded.unknown), (&["https://a".to_owned()][..], vec![]));
    assert_eq!((config.retention.cleanup_interval.as_secs(), config.uploads.expiration.as_secs()), (7, 7200));
}

#[test]
fn section_9_5_every_size_field_takes_every_form() {
    let with = |size: &str| {
        from_layers(yaml(&format!(
            "server: {{max_upload_size: {size}, chunk_size: {size}}}\nstorage: {{max_storage_size: {size}}}\n\
             limits: {{body_rate_min: {size}}}\nuser_system: {{role_quotas: {{user: {{max_storage_size: {size}, \
             max_upload_size: {size}, upload_speed_limit: {size}, download_speed_limit: {size}}}}}}}\n"
        )))
    };
    for (text, bytes) in [("2048", 2048), ("2K", 2048), ("\"2 KiB\"", 2048), ("1.5mb", 3 << 19)] {
        let config = with(text).unwrap().config;
        let quota = &config.user_system.role_quotas.0["user"];
        let sizes = [config.server.max_upload_size, Some(config.server.chunk_size), config.storage.max_storage_size];
        assert_eq!(sizes.map(|size| size.unwrap().0), [bytes; 3], "{text}");
        assert_eq!(config.limits.body_rate_min.0, bytes, "{text}");
        let limits =
            [quota.max_storage_size, quota.max_upload_size, quota.upload_speed_limit, quota.download_speed_limit];
        assert_eq!(limits, [Some(bytes); 4], "{text}");
    }
    for text in ["-5", "\"-5MB\"", "\"\"", "1PB"] {
        let told = with(text).unwrap_err().to_string();
        for field in [
            "server.max_upload_size",
            "server.chunk_size",
            "storage.max_storage_size",
            "limits.body_rate_min",
            "user_system.role_quotas",
        ] {
            assert!(told.contains(field), "{text}: {field} in {told}");
        }
    }
}

#[test]
fn section_9_3_unknown_keys_are_named_and_ignored() {
    let loaded = from_layers(yaml("storage: {pathh: /srv}\nfoo: 1\n")).unwrap();
    let mut unknown = loaded.unknown;
    unknown.sort();
    assert_eq!(unknown, ["foo", "storage.pathh"]);
}

#[test]
fn every_fault_is_named_with_its_source() {
    let faults = "server: {port: x, workers: -1}\nstate: {backend: radish}";
    let error = from_layers(yaml(faults)).unwrap_err();
    let text = error.to_string();
    for part in ["server.port (from test.yaml)", "server.workers", "state.backend"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let yaml = yaml("server: {chunk_size: 0}\nretention: {default: ttl}\nauth: {tokens: [a], admin_tokens: [b]}");
    let text = from_layers(yaml).unwrap_err().to_string();
    for part in ["server.chunk_size (from test.yaml)", "retention.default_ttl", "auth.admin_tokens"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_ttl_policy_of_a_token_needs_seconds_from_somewhere() {
    let policy = "retention: {token_policies: {tok: {default_retention: ttl}}}";
    assert!(from_layers(yaml(policy)).is_err());
    let policy = "retention: {default_ttl: 60, token_policies: {tok: {default_retention: ttl}}}";
    assert!(from_layers(yaml(policy)).is_ok());
}

#[test]
fn printed_settings_are_yaml_again_and_hide_secrets() {
    let mut layers = yaml("auth: {tokens: [hunter2]}\nserver: {port: 1}\n");
    layers.environment.insert("WORKERS".into(), "2".into());
    let text = from_layers(layers).unwrap().to_yaml();
    assert!(!text.contains("hunter2") && text.contains("***"));
    assert!(text.contains("  workers: 2  # ETRANSFER_WORKERS"), "{text}");
    let again = parse_yaml(&text).unwrap();
    assert_eq!(again["server"]["port"], "1");
}

#[test]
fn section_9_4_map_entries_come_from_the_environment_one_by_one() {
    let environment = [
        ("TOKEN_RETENTION_POLICIES__tok__default_retention", "ttl"),
        ("TOKEN_RETENTION_POLICIES__tok__default_ttl", "60"),
    ];
    let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let loaded = from_layers(Layers { environment, ..Layers::all() }).unwrap();
    let policy = loaded.config.retention.token_policies[&Secret::new("tok")];
    assert_eq!(policy, TokenPolicy { policy: Policy::Ttl, ttl: Some(60) });
    assert!(loaded.unknown.is_empty());
}

#[test]
fn section_9_4_an_entry_of_the_environment_has_the_letters_it_is_written_with() {
    let named = |variable: &str| {
        let environment = [(field_of(variable).unwrap(), "download_once".to_owned())].into();
        let loaded = from_layers(Layers { environment, ..Layers::all() }).unwrap();
        assert!(loaded.unknown.is_empty(), "{variable}");
        loaded.config.retention.token_policies.keys().map(|token| token.expose().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(named("ETRANSFER_TOKEN_RETENTION_POLICIES__aBc1E5__default_retention"), ["aBc1E5"]);
    assert_eq!(named("etransfer_token_retention_policies__aBc1E5__DEFAULT_RETENTION"), ["aBc1E5"]);
    assert_eq!(named("ETRANSFER_TOKEN_RETENTION_POLICIES__TOK__DEFAULT_RETENTION"), ["tok"]);
    assert_eq!(field_of("etransfer_surfaces__pyBlobServer__base_url").unwrap(), "SURFACES__PYBLOBSERVER__BASE_URL");
    assert_eq!((field_of("ETRANSFER"), field_of("HOST"), field_of("OTHER_PROGRAM_HOST")), (None, None, None));
}

#[test]
fn a_device_is_bound_with_an_address_of_its_own() {
    let error = from_layers(yaml("network: {bind_device: true}")).unwrap_err();
    assert!(error.to_string().contains("server.host (from default): expected the address of each NIC"), "{error}");
    assert!(from_layers(yaml("network: {bind_device: true}\nserver: {host: [10.0.0.1, 10.0.1.1]}")).is_ok());
}

#[test]
fn the_speed_of_an_interface_comes_from_the_file_or_the_environment() {
    let file = from_layers(yaml("network: {speed_mbps: {eth0: 10000, eth1: 0.0.0.0}}")).unwrap_err();
    assert!(file.to_string().contains("network.speed_mbps (from test.yaml): expected an integer"), "{file}");
    assert!(from_layers(yaml("network: {speed_mbps: {eth0: 0}}")).unwrap_err().to_string().contains("above 0"));
    let speeds = |name: &str, text: &str| {
        let environment = [(name.to_owned(), text.to_owned())].into();
        let loaded = from_layers(Layers { environment, ..Layers::all() }).unwrap();
        assert!(loaded.unknown.is_empty());
        loaded.config.nics.speed_mbps
    };
    let expected = BTreeMap::from([("eth0".to_owned(), 10_000)]);
    assert_eq!(speeds("NETWORK_SPEED_MBPS", r#"{"eth0": 10000}"#), expected);
    assert_eq!(speeds("NETWORK_SPEED_MBPS__eth0", "10000"), expected);
}

#[test]
fn section_9_1_discovery() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    std::fs::create_dir_all(home.join(".etransfer")).unwrap();
    std::fs::write(home.join(".etransfer/server.yaml"), "").unwrap();
    let gone = dir.path().join("gone.yaml");
    let environment = [("CONFIG".to_owned(), gone.to_string_lossy().into_owned())].into();
    let (found, missing) = discover(None, &environment, Some(&home));
    assert_eq!((found, missing), (Some(home.join(".etransfer/server.yaml")), Some(gone.clone())));
    assert_eq!(discover(Some(&gone), &environment, Some(&home)).0, Some(gone));
}

#[test]
fn a_deep_storage_directory_moves_the_socket_to_a_short_path() {
    let mut config = Config::defaults();
    config.storage.path = format!("/{}", "d".repeat(120)).into();
    let first = config.line_socket();
    assert!(first.as_os_str().len() <= SOCKET_PATH_MAX);
    assert_eq!(first, config.line_socket());
}
