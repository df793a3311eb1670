//! What may change while the node runs (easytransfer/CONTRACT.md §7): exactly the hot fields, all at once or none.
//!
//! A field whose key vanished from the file keeps its value; a static field that changed in the file is left alone. The
//! result is checked as a whole before anything of it counts. Which keys of the surfaces are hot, their tables say.

use std::collections::BTreeMap;

use serde_json::Value;

use super::reader::{Shown, Source};
use super::{Config, ConfigError, Loaded};
use crate::core::Setting;

/// Field names of what needs a restart, as easytransfer/CONTRACT.md §7 lists them.
pub const STATIC: [&str; 18] = [
    "host",
    "port",
    "workers",
    "storage_path",
    "state_backend",
    "redis_url",
    "oidc_issuer_url",
    "oidc_client_id",
    "oidc_client_secret",
    "oidc_callback_url",
    "oidc_scope",
    "user_db_backend",
    "user_db_path",
    "mysql_host",
    "mysql_port",
    "mysql_user",
    "mysql_password",
    "mysql_database",
];

/// The printed values of one field before and after, cut for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Before.
    pub old: String,
    /// From now on.
    pub new: String,
}

/// What a reload leads to.
#[derive(Debug)]
pub struct Reloaded {
    /// The settings, hot fields taken from the file.
    pub config: Config,
    /// Field name, below `surfaces` the path → what changed.
    pub changes: BTreeMap<String, Changed>,
}

/// Takes hot keys of surfaces from what was read, and remembers what changed.
pub struct Hot<'r> {
    is_said: &'r dyn Fn(&str) -> bool,
    changes: &'r mut BTreeMap<String, Changed>,
}

impl Hot<'_> {
    /// From now on `running` is what was read, if anybody said so.
    pub fn take<T: Setting + Clone + PartialEq>(&mut self, path: &str, running: &mut T, read: &T) {
        if running != read && (self.is_said)(path) {
            let changed = Changed { old: printable(&running.to_value()), new: printable(&read.to_value()) };
            self.changes.insert(path.to_owned(), changed);
            running.clone_from(read);
        }
    }
}

/// One hot field: its name, its key, and how it gets from one configuration into another.
struct Field {
    field: &'static str,
    path: &'static str,
    take: fn(&mut Config, Config) -> Option<(Value, Value)>,
}

macro_rules! hot {
    ($($field:literal $path:literal $($at:ident).+;)*) => {
        const HOT: &[Field] = &[$(Field {
            field: $field,
            path: $path,
            take: |running, read| {
                let (old, new) = (&mut running.$($at).+, read.$($at).+);
                (*old != new).then(|| (std::mem::replace(old, new.clone()).to_value(), new.to_value()))
            },
        }),*];
    };
}

hot! {
    "advertised_endpoints" "network.advertised_endpoints" nics.advertised_endpoints;
    "allow_permanent_retention" "retention.allow_permanent" retention.allow_permanent;
    "auth_admin_tokens" "auth.admin_tokens" auth.admin_tokens;
    "auth_tokens" "auth.tokens" auth.tokens;
    "default_retention" "retention.default" retention.default;
    "default_retention_ttl" "retention.default_ttl" retention.default_ttl;
    "max_concurrent_tasks" "tasks.max_concurrent" max_concurrent_tasks;
    "max_storage_size" "storage.max_storage_size" storage.max_storage_size;
    "role_quotas" "user_system.role_quotas" user_system.role_quotas;
    "token_retention_policies" "retention.token_policies" retention.token_policies;
}

/// Names of the hot fields, sorted.
pub fn hot_fields() -> Vec<&'static str> {
    HOT.iter().map(|hot| hot.field).collect()
}

/// What `running` becomes when `read` is taken up.
pub fn reload(running: &Config, read: Loaded) -> Result<Reloaded, ConfigError> {
    let mut config = running.clone();
    let mut changes = BTreeMap::new();
    let is_said = |path: &str| read.shown.iter().any(|shown| shown.path == path && shown.source != Source::Default);
    for hot in HOT.iter().filter(|hot| is_said(hot.path)) {
        if let Some((old, new)) = (hot.take)(&mut config, read.config.clone()) {
            changes.insert(hot.field.to_owned(), Changed { old: printable(&old), new: printable(&new) });
        }
    }
    let mut hot = Hot { is_said: &is_said, changes: &mut changes };
    config.surfaces.take_hot(&read.config.surfaces, &mut hot);
    let shown: Vec<Shown> = read.shown;
    let checked = Loaded { config, shown, unknown: Vec::new() }.checked()?;
    Ok(Reloaded { config: checked.config, changes })
}

/// At most 200 characters (easytransfer/CONTRACT.md §7). Secrets were masked when they became a [`Value`].
fn printable(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Layers, from_layers, parse_yaml};
    use super::*;
    use crate::core::{Policy, Secret, Size};
    use crate::surface::cloudbackend::settings::CloudBackend;
    use crate::surface::pyblobserver::settings::PyBlobServer;

    fn read(yaml: &str) -> Loaded {
        let file = Some(("test.yaml".into(), parse_yaml(yaml).unwrap()));
        from_layers(Layers { file, ..Layers::all() }).unwrap()
    }

    fn changed(old: &str, new: &str) -> Changed {
        Changed { old: old.into(), new: new.into() }
    }

    #[test]
    fn section_7_exactly_the_hot_fields_change() {
        let running = read("server: {port: 1}\nauth: {tokens: [old]}\nstorage: {max_storage_size: 5}").config;
        let file = "server: {port: 2, host: 1.2.3.4}\nauth: {tokens: [old, new]}\nstorage: {max_storage_size: 1K}\n\
                    retention: {default: ttl, default_ttl: 60}";
        let reloaded = reload(&running, read(file)).unwrap();
        let expected = [
            ("auth_tokens", changed("[\"***\"]", "[\"***\",\"***\"]")),
            ("default_retention", changed("permanent", "ttl")),
            ("default_retention_ttl", changed("null", "60")),
            ("max_storage_size", changed("5", "1024")),
        ];
        assert_eq!(reloaded.changes, BTreeMap::from(expected.map(|(field, changed)| (field.to_owned(), changed))));
        let config = reloaded.config;
        assert_eq!((config.server.port, config.storage.max_storage_size), (1, Some(Size(1024))), "the port is static");
        assert_eq!(config.auth.tokens, [Secret::new("old"), Secret::new("new")]);
        assert!(reload(&config, read(file)).unwrap().changes.is_empty(), "nothing differs the second time");
    }

    #[test]
    fn section_7_a_key_that_vanished_keeps_its_value() {
        let running = read("retention: {default: ttl, default_ttl: 60}\nauth: {tokens: [a]}").config;
        let reloaded = reload(&running, read("retention: {default_ttl: 90}")).unwrap();
        assert_eq!(reloaded.changes.keys().collect::<Vec<_>>(), ["default_retention_ttl"]);
        assert_eq!((reloaded.config.retention.default, reloaded.config.auth.tokens.len()), (Policy::Ttl, 1));
        let emptied = reload(&running, read("auth: {tokens: []}")).unwrap();
        assert!(emptied.config.auth.tokens.is_empty(), "an empty list is said");
    }

    #[test]
    fn section_7_what_contradicts_changes_nothing() {
        let running = read("retention: {default: permanent}").config;
        let error = reload(&running, read("retention: {default: ttl}\nstorage: {max_storage_size: 1}")).unwrap_err();
        assert!(
            error.to_string().contains("retention.default_ttl (from test.yaml)")
                || error.to_string().contains("retention.default_ttl")
        );
    }

    #[test]
    fn surfaces_section_1_their_hot_keys_change_and_cold_ones_do_not() {
        let running =
            read("surfaces: {cloudbackend: {bucket: one, user_quota: 5}, pyblobserver: {expire_days: 1}}").config;
        let file = "surfaces: {cloudbackend: {bucket: two, share: {max_files: 7}, prefix: /cb, cors_origins: []}, \
                    pyblobserver: {cors_origins: [\"https://a\"], allowed_users: [{user: ann, token: sixteen-letters-1}]}}";
        let reloaded = reload(&running, read(file)).unwrap();
        let expected = [
            ("surfaces.cloudbackend.share.max_files", changed("1000", "7")),
            ("surfaces.pyblobserver.allowed_users", changed("[]", r#"[{"token":"***","user":"ann"}]"#)),
            ("surfaces.pyblobserver.cors_origins", changed(r#"["*"]"#, r#"["https://a"]"#)),
        ];
        assert_eq!(reloaded.changes, BTreeMap::from(expected.map(|(path, changed)| (path.to_owned(), changed))));
        let cloud = |config: &Config| config.surfaces.of::<CloudBackend>().clone();
        let (old, new) = (cloud(&running), cloud(&reloaded.config));
        let expire_days = reloaded.config.surfaces.of::<PyBlobServer>().expire_days;
        assert_eq!(new.share_max_files, 7);
        assert_eq!((&new.bucket, &new.mount), (&old.bucket, &old.mount));
        assert_eq!((new.user_quota, expire_days), (Size(5), 1), "what vanished stays");
    }

    #[test]
    fn section_7_hot_and_static_fields_are_told_sorted() {
        assert!(hot_fields().is_sorted());
        assert!(STATIC.iter().all(|field| !hot_fields().contains(field)));
    }
}
