//! Configuration of the whole node (easytransfer/CONTRACT.md §9): found, layered, checked, and able to say where each
//! value came from.
//!
//! * [`Sources`] where values come from, and reading them (again)
//! * [`Config`] the settings, [`live`] the ones in force, [`reload`] what may change while the node runs
//! * [`surfaces`] those of the other dialects
//!
//! Must stay true: a secret is never printed; an unknown key is reported with its path and ignored; an unreadable value
//! stops the start, or leaves the running settings alone, with all faults named.

pub mod live;
pub mod reader;
pub mod reload;
#[macro_use]
pub mod surfaces;
mod tree;
mod yaml;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub use reader::{Fault, Layers, Shown, Source};
pub use tree::{Auth, Config, Database, Limit, Limits, Nics, Oidc, Retention, Server, Storage, Uploads, UserSystem};
pub use yaml::parse as parse_yaml;

use crate::core::{Policy, TokenPolicy};
use crate::quota::Quota;
use reader::Reader;
use surfaces::Registered;

/// `config.example.yaml`: every key, its default, when to change it.
pub const EXAMPLE: &str = include_str!("../../../config.example.yaml");

/// A configuration and what there is to say about it.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Every value with its source, in reading order.
    pub shown: Vec<Shown>,
    /// Unknown keys.
    pub unknown: Vec<String>,
}

/// Where the values of one node come from. The environment and the flags are those of its start: what they pin does not
/// change on reload (easytransfer/CONTRACT.md §9.2).
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file, found once (easytransfer/CONTRACT.md §9.1).
    pub file: Option<PathBuf>,
    /// A file named by `ETRANSFER_CONFIG` that does not exist.
    pub missing: Option<PathBuf>,
    environment: BTreeMap<String, String>,
    flags: Flags,
    originals: BTreeMap<&'static str, String>,
    dialects: &'static [Registered],
}

/// Flags that were given: path of the key → (flag, text).
pub type Flags = BTreeMap<&'static str, (&'static str, String)>;

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no YAML map.
    #[error("{path} is not a YAML map: {reason}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// Values that cannot be read, or contradict each other; one line each.
    #[error("{}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<Fault>),
}

impl Sources {
    /// Finds the file (easytransfer/CONTRACT.md §9.1), beside the process environment and `flags`.
    pub fn find(named: Option<&Path>, flags: Flags, dialects: &'static [Registered]) -> Self {
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((field_of(name.to_str()?)?, value.into_string().ok()?)))
            .collect();
        let (file, missing) = discover(named, &environment, std::env::home_dir().as_deref());
        let originals = dialects.iter().flat_map(|dialect| dialect.original_names);
        let originals = originals.filter_map(|name| Some((*name, std::env::var(name).ok()?))).collect();
        Self { file, missing, environment, flags, originals, dialects }
    }

    /// Reads the file and layers everything; the values may still contradict each other, but for those of `surfaces`.
    pub fn read(&self) -> Result<Loaded, ConfigError> {
        let file = self.file.clone().map(|path| read_file(&path).map(|file| (path, file))).transpose()?;
        let Self { environment, flags, originals, dialects, .. } = self.clone();
        from_layers(Layers { file, environment, flags, originals, dialects })
    }
}

/// `etransfer_port` → `PORT`. The name of a map's entry stays as it is written: it may be a token.
fn field_of(variable: &str) -> Option<String> {
    let (program, name) = variable.split_at_checked("ETRANSFER_".len())?;
    if !program.eq_ignore_ascii_case("ETRANSFER_") {
        return None;
    }
    let upper = name.to_ascii_uppercase();
    match name.split_once("__") {
        Some((field, entry)) if !upper.starts_with("SURFACES__") => {
            Some(format!("{}__{entry}", field.to_ascii_uppercase()))
        }
        _ => Some(upper),
    }
}

/// The settings that `layers` amount to.
pub fn from_layers(layers: Layers) -> Result<Loaded, ConfigError> {
    let mut reader = Reader::new(layers);
    let config = Config::read(&mut reader);
    let (shown, mut faults, unknown) = reader.finish();
    faults.extend(surfaces::check::faults(&config, &shown, &faults));
    let loaded = Loaded { config, shown, unknown };
    if faults.is_empty() { Ok(loaded) } else { Err(ConfigError::Faults(faults)) }
}

impl Config {
    /// Where the node listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.server.hosts.iter().map(|host| SocketAddr::new(host.0, self.server.port)).collect()
    }

    /// The storage directory as an absolute path.
    pub fn storage_path(&self) -> PathBuf {
        std::path::absolute(&self.storage.path).unwrap_or_else(|_| self.storage.path.clone())
    }

    /// Where the control plane keeps what is its own.
    pub fn state_path(&self) -> PathBuf {
        self.storage_path().join("state")
    }

    /// The Unix socket between the planes. A socket path holds at most 107 bytes; below a deeper storage directory it
    /// moves to the user's own runtime directory, or else to a directory of its own in the temporary one that must be this
    /// user's and private, under a name made from the storage path, so both planes still agree on it.
    pub fn line_socket(&self) -> PathBuf {
        if let Some(path) = &self.server.line_socket {
            return std::path::absolute(path).unwrap_or_else(|_| path.clone());
        }
        let path = self.storage_path().join("line").join("control.sock");
        if path.as_os_str().len() <= SOCKET_PATH_MAX {
            return path;
        }
        let user = rustix::process::getuid().as_raw();
        let name = crc32fast::hash(path.as_os_str().as_encoded_bytes());
        let own = PathBuf::from(format!("/run/user/{user}"));
        let is_own = std::fs::symlink_metadata(&own).is_ok_and(|found| found.is_dir() && found.uid() == user);
        let above = if is_own { own } else { std::env::temp_dir() };
        above.join(format!("etransfer-{user}-{name:08x}")).join("control.sock")
    }
}

/// `sun_path` less its NUL, with room to spare for a temporary name beside it.
const SOCKET_PATH_MAX: usize = 100;

fn discover(
    named: Option<&Path>,
    environment: &BTreeMap<String, String>,
    home: Option<&Path>,
) -> (Option<PathBuf>, Option<PathBuf>) {
    if let Some(path) = named {
        return (Some(path.to_owned()), None);
    }
    let mut missing = None;
    if let Some(path) = environment.get("CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from) {
        if path.is_file() {
            return (Some(path), None);
        }
        missing = Some(path);
    }
    let places = ["config.yaml".into(), "config/config.yaml".into()];
    let places = places.into_iter().chain(home.map(|home| home.join(".etransfer/server.yaml")));
    (places.into_iter().find(|path: &PathBuf| path.is_file()), missing)
}

fn read_file(path: &Path) -> Result<Value, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse_yaml(&text).map_err(|reason| ConfigError::Parse { path: path.to_owned(), reason })
}

impl Loaded {
    /// The same, unless values that are readable one by one make no sense together.
    pub fn checked(self) -> Result<Self, ConfigError> {
        let faults = contradictions(&self.config, &self.shown);
        if faults.is_empty() { Ok(self) } else { Err(ConfigError::Faults(faults)) }
    }
}

fn contradictions(config: &Config, shown: &[Shown]) -> Vec<Fault> {
    let source = |path: &str| shown.iter().find(|shown| shown.path == path).map(|shown| shown.source.clone());
    let fault = |path: &str, expected: &str| Fault {
        path: path.into(),
        source: source(path).unwrap_or(Source::Default),
        expected: expected.into(),
    };
    let mut faults = Vec::new();
    if config.retention.default == Policy::Ttl && config.retention.default_ttl.is_none() {
        faults.push(fault("retention.default_ttl", "seconds, because retention.default is ttl"));
    }
    if config.server.chunk_size.0 == 0 {
        faults.push(fault("server.chunk_size", "a size above 0"));
    }
    if config.server.hosts.is_empty() {
        faults.push(fault("server.host", "at least one IP address"));
    }
    if config.nics.bind_device && config.server.hosts.iter().any(|host| host.0.is_unspecified()) {
        faults.push(fault("server.host", "the address of each NIC, because network.bind_device is true"));
    }
    if config.nics.speed_mbps.values().any(|speed| *speed == 0) {
        faults.push(fault("network.speed_mbps", "speeds above 0, in Mbit/s"));
    }
    if config.server.config_watch_interval.is_zero() {
        faults.push(fault("server.config_watch_interval", "a duration above 0"));
    }
    if config.auth.admin_tokens.iter().any(|token| !config.auth.tokens.contains(token)) {
        faults.push(fault("auth.admin_tokens", "tokens that auth.tokens names too"));
    }
    if config.retention.cleanup_interval.is_zero() {
        faults.push(fault("cleanup_interval", "a duration above 0"));
    }
    let without_seconds =
        |policy: &TokenPolicy| policy.policy == Policy::Ttl && policy.ttl.or(config.retention.default_ttl).is_none();
    if config.retention.token_policies.values().any(without_seconds) {
        faults.push(fault("retention.token_policies", "default_ttl beside default_retention: ttl"));
    }
    let role_without_seconds = |quota: &Quota| {
        let seconds = quota.default_retention_ttl.or(config.retention.default_ttl);
        quota.default_retention == Some(Policy::Ttl) && seconds.is_none()
    };
    if config.user_system.role_quotas.0.values().any(role_without_seconds) {
        faults.push(fault("user_system.role_quotas", "default_retention_ttl beside default_retention: ttl"));
    }
    if let Some(url) = &config.server.public_url {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let plain = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        if !rest.is_some_and(plain) {
            faults.push(fault("server.public_url", "a URL such as https://files.example.org"));
        }
    }
    faults
}

impl Loaded {
    /// The settings in force as YAML, each line with its source; secrets masked.
    pub fn to_yaml(&self) -> String {
        let all: Vec<(&Shown, &str)> = self.shown.iter().map(|shown| (shown, shown.path.as_str())).collect();
        let mut text = String::new();
        print_section(&all, 0, &mut text);
        text
    }

    /// What was set by the name an original program knows it by: that name, and the key's path.
    pub fn originals(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.shown.iter().filter(|shown| shown.in_effect).filter_map(|shown| match shown.source {
            Source::Original(name) => Some((name, shown.path.as_str())),
            Source::Default | Source::File(_) | Source::Environment(_) | Source::Flag(_) => None,
        })
    }

    /// Keys that were set although nothing obeys them.
    pub fn without_effect(&self) -> impl Iterator<Item = &Shown> {
        self.shown.iter().filter(|shown| !shown.in_effect && shown.source != Source::Default)
    }
}

/// Prints settings whose remaining path stands beside them; a section is printed whole where it first appears.
fn print_section(settings: &[(&Shown, &str)], depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let mut printed = Vec::new();
    for (shown, path) in settings {
        match path.split_once('.') {
            None => {
                let note = if shown.in_effect { "" } else { ", no effect" };
                *text += &format!("{indent}{path}: {}  # {}{note}\n", shown.value, shown.source);
            }
            Some((section, _)) if printed.contains(&section) => {}
            Some((section, _)) => {
                printed.push(section);
                let inside: Vec<(&Shown, &str)> = settings
                    .iter()
                    .filter_map(|(shown, path)| Some((*shown, path.split_once('.')?)))
                    .filter_map(|(shown, (name, rest))| (name == section).then_some((shown, rest)))
                    .collect();
                *text += &format!("{indent}{section}:\n");
                print_section(&inside, depth + 1, text);
            }
        }
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
