//! The configuration file as a tree of which every scalar is the text that stands in the file.
//!
//! YAML reads `1e5`, `1.10`, `yes` and `0x1F` as numbers and truth values, and what it makes of them cannot be turned back
//! into what the operator wrote: a token would open nothing, and a user would have another name. So a plain scalar that
//! YAML interprets is taken from the source by its place, and the kind of the setting alone decides what it means
//! ([`crate::core::setting`]). `null` stays nothing.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;
use serde_saphyr::options::NonFiniteFloatPolicy;

/// Text of a configuration file as a tree.
pub fn parse(text: &str) -> Result<Value, String> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Value::Object(Map::new()));
    }
    let options = serde_saphyr::options! { non_finite_float_policy: NonFiniteFloatPolicy::PassThrough };
    let root: Spanned<Node> = serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
    match as_written(root, text, "")? {
        Value::Null => Ok(Value::Object(Map::new())),
        value @ Value::Object(_) => Ok(value),
        _ => Err("the top level is no map".into()),
    }
}

/// What YAML makes of one place in the file.
enum Node {
    Nothing,
    Text(String),
    /// A plain scalar that is a number or a truth value to YAML.
    Interpreted,
    List(Vec<Spanned<Node>>),
    Map(Vec<(Option<String>, Spanned<Node>)>),
}

fn as_written(node: Spanned<Node>, source: &str, path: &str) -> Result<Value, String> {
    let line = node.referenced.line();
    match node.value {
        Node::Nothing => Ok(Value::Null),
        Node::Text(text) => Ok(Value::String(text)),
        Node::Interpreted => match plain(&node, source) {
            Some(text) => Ok(Value::String(text.to_owned())),
            None => Err(format!("line {line}: {path} is a number or a truth value with a tag of its own: quote it")),
        },
        Node::List(items) => items.into_iter().map(|item| as_written(item, source, path)).collect(),
        Node::Map(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let Some(key) = key else {
                    let place = if path.is_empty() { "the file" } else { path };
                    let line = value.referenced.line();
                    return Err(format!("line {line}: a key of {place} reads as null: quote it"));
                };
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                map.insert(key, as_written(value, source, &path)?);
            }
            Ok(Value::Object(map))
        }
    }
}

/// The characters of a plain scalar; none of those that YAML interprets holds a space, a quote or a tag.
fn plain<'a>(node: &Spanned<Node>, source: &'a str) -> Option<&'a str> {
    let span = node.defined.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
    let text = source.get(start..end)?.trim();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte);
    (!text.is_empty() && text.bytes().all(is_plain)).then_some(text)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Interpreted)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Interpreted)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Interpreted)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Interpreted)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries: Vec<(Option<String>, Spanned<Node>)> = Vec::new();
        while let Some(key) = map.next_key::<Option<String>>()? {
            if entries.iter().any(|(other, _)| *other == key) {
                return Err(A::Error::custom(format_args!("{} stands twice", key.unwrap_or_default())));
            }
            entries.push((key, map.next_value()?));
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{ConfigError, Layers, Loaded, from_layers};
    use crate::core::Secret;
    use crate::surface::cloudbackend::settings::CloudBackend;
    use crate::surface::pyblobserver::settings::PyBlobServer;
    use crate::surface::secure_file_transfer::settings::SecureFileTransfer;
    use crate::surface::stream_upload::settings::StreamUpload;

    fn read(text: &str) -> Result<Loaded, String> {
        let file = Some(("test.yaml".into(), parse(text)?));
        from_layers(Layers { file, ..Layers::all() }).map_err(|error| error.to_string())
    }

    fn refused(outcome: Result<Loaded, String>, key: &str) {
        let told = outcome.expect_err(key);
        assert!(told.contains(key) && told.contains("quote it"), "{told}");
    }

    /// Spellings that YAML, or an older YAML, reads as something else than a text, and what stands there.
    const SPELLINGS: [(&str, &str); 34] = [
        ("1e5", "1e5"),
        ("1.10", "1.10"),
        ("1.0", "1.0"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("Off", "Off"),
        ("TRUE", "TRUE"),
        ("y", "y"),
        ("007", "007"),
        ("-007", "-007"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        (".5", ".5"),
        ("+1", "+1"),
        ("-0", "-0"),
        ("2026-12-01", "2026-12-01"),
        ("infinity", "infinity"),
        (".nan", ".nan"),
        (".INF", ".INF"),
        ("-.inf", "-.inf"),
        ("1e999", "1e999"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("!!str 1e5", "1e5"),
        ("!!str null", "null"),
        ("! 007", "007"),
        ("\"1e5\"", "1e5"),
        ("'yes'", "yes"),
        ("\"null\"", "null"),
        ("'~'", "~"),
        ("&name 1.10", "1.10"),
        ("\"1\\u0065\\x35\"", "1e5"),
    ];

    #[test]
    fn a_text_is_what_stands_in_the_file() {
        for (spelling, text) in SPELLINGS {
            for file in [
                format!("auth: {{tokens: [{spelling}]}}"),
                format!("# é\nauth:\n  tokens:\n    - {spelling}   # a comment\nserver: {{port: 1}}\n"),
                format!("auth:\n  tokens: {spelling}"),
            ] {
                let tokens = read(&file).expect(&file).config.auth.tokens;
                assert_eq!(tokens, [Secret::new(text)], "{file}");
            }
            let file = format!("user_system: {{oidc: {{client_secret: {spelling}, client_id: {spelling}}}}}");
            let oidc = read(&file).expect(&file).config.user_system.oidc;
            assert_eq!((oidc.client_secret.0.expose(), oidc.client_id.as_str()), (text, text), "{file}");
            let file = format!("storage: {{path: {spelling}}}");
            assert_eq!(read(&file).expect(&file).config.storage.path.to_str(), Some(text), "{file}");
        }
    }

    #[test]
    fn a_key_is_what_stands_in_the_file() {
        for (spelling, text) in SPELLINGS {
            let file = format!(
                "retention: {{token_policies: {{{spelling}: {{default_retention: permanent}}}}}}\n\
                 network:\n  speed_mbps:\n    {spelling}: 5\n"
            );
            let config = read(&file).expect(&file).config;
            assert_eq!(config.retention.token_policies.keys().collect::<Vec<_>>(), [&Secret::new(text)], "{file}");
            assert_eq!(config.nics.speed_mbps, BTreeMap::from([(text.to_owned(), 5)]), "{file}");
        }
    }

    #[test]
    fn what_reads_as_null_is_no_text() {
        for nothing in ["null", "~", "Null", "!!null x"] {
            refused(read(&format!("auth: {{tokens: [sixteen-letters-1, {nothing}]}}")), "auth.tokens");
            refused(
                read(&format!("surfaces: {{pyblobserver: {{allowed_users: [{nothing}]}}}}")),
                "surfaces.pyblobserver.allowed_users",
            );
            refused(
                read(&format!("network:\n  speed_mbps:\n    {nothing}: 5\n")),
                "line 3: a key of network.speed_mbps",
            );
            refused(
                read(&format!("retention:\n  token_policies:\n    {nothing}: {{default_retention: ttl}}\n")),
                "line 3: a key of retention.token_policies",
            );
        }
    }

    #[test]
    fn texts_inside_lists_of_surfaces_are_what_stands_in_the_file() {
        let file = "surfaces:\n  secure_file_transfer: {devices: [{device_id: 1.10, secret: 0x1F0x1F, quota: 1_000}]}\n  \
                    stream_upload: {tokens: [{token: 12345678e5, user: 007, quota: 5}]}\n  \
                    pyblobserver: {allowed_users: [no, 1e5, {user: 0o17, token: 1234567890123456.0}]}\n  \
                    cloudbackend: {bucket: 1e5, jwt_secret: 0012345678901234567}\n";
        let surfaces = read(file).unwrap().config.surfaces;
        let device = &surfaces.of::<SecureFileTransfer>().devices[0];
        assert_eq!((device.device_id.as_str(), device.quota.map(|quota| quota.0)), ("1.10", Some(1000)));
        let token = &surfaces.of::<StreamUpload>().tokens[0];
        assert!(token.credential.admits("12345678e5") && token.user == "007");
        let users = &surfaces.of::<PyBlobServer>().allowed_users;
        assert_eq!(users.iter().map(|user| user.user.as_str()).collect::<Vec<_>>(), ["no", "1e5", "0o17"]);
        assert!(users[2].preset.as_ref().unwrap().admits("1234567890123456.0"));
        let cloud = surfaces.of::<CloudBackend>();
        assert_eq!((cloud.bucket.as_str(), cloud.jwt_secret.expose()), ("1e5", "0012345678901234567"));
    }

    #[test]
    fn an_alias_is_what_stands_at_its_anchor() {
        let tokens = read("auth:\n  tokens: [&one 1.10, *one]\n  admin_tokens: [*one]\n").unwrap().config.auth;
        assert_eq!(tokens.tokens, [Secret::new("1.10"), Secret::new("1.10")]);
        assert_eq!(tokens.admin_tokens, [Secret::new("1.10")]);
    }

    #[test]
    fn numbers_and_truth_values_mean_what_they_did() {
        let file = "server: {port: 0x1F90, grace: 1_0, workers: +2, config_watch: Yes, chunk_size: 0x1000}\n\
                    upload_expiration_hours: .5\nuploads: {open_max: !!int 7}\n";
        let config = read(file).unwrap().config;
        assert_eq!((config.server.port, config.server.grace.as_secs(), config.server.workers), (8080, 10, 2));
        assert_eq!((config.server.config_watch, config.server.chunk_size.0), (true, 4096));
        assert_eq!((config.uploads.expiration.as_secs(), config.uploads.open_max), (1800, 7));
        for file in ["server: {port: 1e3}", "server: {port: 1.0}", "server: {port: .nan}", "server: {port: [1]}"] {
            assert!(read(file).unwrap_err().contains("server.port"), "{file}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        for file in ["auth: {enabled: true, enabled: false}", "network: {speed_mbps: {1e5: 1, 1e5: 2}}"] {
            assert!(read(file).is_err(), "{file}");
        }
        assert!(parse("- 1").is_err() && parse("7").is_err());
    }

    #[test]
    fn json_in_the_environment_is_what_stands_there_or_refused() {
        let read = |name: &str, text: &str| {
            let environment = [(name.to_owned(), text.to_owned())].into();
            from_layers(Layers { environment, ..Layers::all() }).map_err(|error: ConfigError| error.to_string())
        };
        for spelling in ["1e5", "1.10", "null", "-0", "123456789012345678901234567890"] {
            refused(read("AUTH_TOKENS", &format!("[{spelling}]")), "auth.tokens (from ETRANSFER_AUTH_TOKENS)");
            let device = format!(r#"[{{"user": "u", "token": {spelling}}}]"#);
            if spelling != "null" {
                refused(read("SURFACES__STREAM_UPLOAD__TOKENS", &device), "surfaces.stream_upload.tokens");
            }
            let section = format!(r#"{{"jwt_secret": {spelling}, "user_quota": 5}}"#);
            if spelling != "null" {
                refused(read("SURFACES__CLOUDBACKEND", &section), "surfaces.cloudbackend.jwt_secret");
            }
        }
        for (text, token) in [("[12345]", "12345"), ("[true]", "true"), (r#"["1e5"]"#, "1e5"), ("1e5", "1e5")] {
            let tokens = read("AUTH_TOKENS", text).unwrap().config.auth.tokens;
            assert_eq!(tokens, [Secret::new(token)], "{text}");
        }
        let hours = read("UPLOAD_EXPIRATION_HOURS", "0.5").unwrap().config.uploads.expiration;
        assert_eq!(hours.as_secs(), 1800);
    }
}
