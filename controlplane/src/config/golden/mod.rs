//! The configuration as the program knows it: every key with its default, its variable in the environment, the variables of
//! original programs it obeys, and what a reload does with it. All of it is found by asking, so a key cannot be left out.

use std::collections::BTreeMap;

use super::reload::{STATIC, hot_fields, reload};
use super::*;
use crate::surface::SETTINGS;

/// Values of every kind there is; each key takes some of them.
const VALUES: [&str; 34] = [
    "7",
    "9",
    "30s",
    "true",
    "false",
    "x",
    "x,y",
    "*,https://a.example",
    "https://a.example",
    "/x",
    "a.example",
    "127.0.0.2",
    "127.0.0.1:3000",
    "10.0.0.0/8",
    "none",
    "every",
    "direct",
    "readiness",
    "memory",
    "mysql",
    "debug",
    "download_once",
    "exclusive",
    "create",
    "en",
    "open",
    "iso",
    "UTC",
    "redis://other",
    r#"{"guest": {"max_storage_size": 7}}"#,
    r#"{"some-token": {"default_retention": "download_once"}}"#,
    r#"{"eth0": 7}"#,
    r#"[{"device_id": "d", "secret": "long-enough-for-a-device"}]"#,
    r#"[{"token": "sixteen-letters-1", "user": "ann"}]"#,
];

type Environment = BTreeMap<String, String>;

/// What makes every single value above possible.
fn base() -> Environment {
    [
        ("AUTH_TOKENS", "x,y"),
        ("HOST", "127.0.0.1"),
        ("DEFAULT_RETENTION_TTL", "60"),
        ("SURFACES__CLOUDBACKEND__ACCESS_KEY_ID", "id"),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()))
    .into()
}

fn load(environment: Environment) -> Result<Loaded, ConfigError> {
    from_layers(Layers { environment, ..Layers::all() })?.checked()
}

/// Names of all variables, without `ETRANSFER_`.
fn variables() -> Vec<String> {
    let mut reader = Reader::new(Layers::all());
    let _ = Config::read(&mut reader);
    reader.asked_variables()
}

/// The key that a variable sets, however it takes the text.
fn key_of(source: &Source, layers: impl Fn(&str) -> Layers) -> String {
    for text in VALUES {
        let mut reader = Reader::new(layers(text));
        let _ = Config::read(&mut reader);
        let (shown, faults, _) = reader.finish();
        let of_shown = shown.into_iter().filter(|shown| shown.source == *source).map(|shown| shown.path);
        let of_faults = faults.into_iter().filter(|fault| fault.source == *source).map(|fault| fault.path);
        let mut found: Vec<String> = of_shown.chain(of_faults).collect();
        found.dedup();
        if let [key] = found.as_slice() {
            return key.clone();
        }
        assert!(found.is_empty(), "{source} sets {found:?}");
    }
    panic!("{source} sets nothing");
}

/// Whether a reload takes another value of the key up.
fn is_hot(key: &str, variable: &str) -> bool {
    let running = load(base()).unwrap();
    let value = |loaded: &Loaded| loaded.shown.iter().find(|shown| shown.path == key).map(|shown| shown.value.clone());
    let (mut taken, mut is_other, mut is_hot) = (0, false, false);
    for text in VALUES {
        let mut environment = base();
        environment.insert(variable.to_owned(), text.to_owned());
        let Ok(read) = load(environment) else { continue };
        taken += 1;
        is_other |= value(&read) != value(&running);
        is_hot |= reload(&running.config, read).is_ok_and(|reloaded| !reloaded.changes.is_empty());
    }
    // A secret looks the same whatever it is.
    let is_secret = value(&running) == Some("***".into());
    assert!(taken > 0 && (is_other || is_secret), "no value above is another one of {key}: {:?}", value(&running));
    is_hot
}

#[test]
fn every_key_is_as_ever() {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for variable in variables() {
        let source = Source::Environment(format!("ETRANSFER_{variable}"));
        let key = key_of(&source, |text| Layers {
            environment: [(variable.clone(), text.to_owned())].into(),
            ..Layers::all()
        });
        names.entry(key).or_default().push(variable);
    }
    let mut originals: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in SETTINGS.iter().flat_map(|dialect| dialect.original_names).copied() {
        let key = key_of(&Source::Original(name), |text| Layers {
            originals: [(name, text.to_owned())].into(),
            // What is wrong with a dialect that is not named is not told.
            environment: ["SECURE_FILE_TRANSFER", "CLOUDBACKEND", "PYBLOBSERVER"]
                .map(|surface| (format!("SURFACES__{surface}__ENABLED"), "true".to_owned()))
                .into(),
            ..Layers::all()
        });
        originals.entry(key).or_default().push(name);
    }
    let about =
        "Every key of the configuration: its default, its variable, original names it obeys, what a reload does.";
    let mut golden = crate::golden::golden("config", "keys.txt", about);
    for Shown { path, value, in_effect, .. } in load(Environment::new()).unwrap().shown {
        let [variable] = names[&path].as_slice() else { panic!("{path} has the variables {:?}", names[&path]) };
        let also = originals.get(&path).map(|names| format!("also {}\n", names.join(", "))).unwrap_or_default();
        let change = match (in_effect, in_effect && is_hot(&path, variable)) {
            (false, _) => "no effect",
            (true, true) => "hot",
            (true, false) => "needs a restart",
        };
        golden.text(&path, &format!("{value}\nETRANSFER_{variable}\n{also}{change}"));
    }
    golden.text("told as hot", &hot_fields().join("\n"));
    golden.text("told as static", &STATIC.join("\n"));
    golden.check();
}

#[test]
fn the_configuration_is_printed_as_ever() {
    let mut golden = crate::golden::golden("config", "printed.txt", "What `et server config` prints.");
    golden.text("all defaults", &load(Environment::new()).unwrap().to_yaml());
    let set = [
        ("AUTH_TOKENS", "x"),
        ("PORT", "7"),
        ("SURFACES__PYBLOBSERVER__TOKEN_BOOTSTRAP", "open"),
        ("MYSQL_PASSWORD", "p"),
    ];
    let set = set.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    let lines = load(set).unwrap().to_yaml();
    let lines: Vec<&str> = lines.lines().filter(|line| !line.ends_with("# default")).collect();
    golden.text("set in the environment", &lines.join("\n"));
    golden.check();
}
