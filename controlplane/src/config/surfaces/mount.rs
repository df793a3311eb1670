//! Where a surface is: the keys all of them have (SURFACES.md §2).

use std::net::SocketAddr;

use serde_json::Value;

use crate::config::reader::Reader;
use crate::core::setting::{Expected, Setting};

/// `surfaces.<name>.{enabled, prefix, hosts, listen, cors_origins}`
#[derive(Debug, Clone, PartialEq)]
pub struct Mount {
    /// `false`: no route and no listener; so it is unless the configuration names the surface.
    pub enabled: bool,
    /// Names in `Host` that belong to it as a whole.
    pub hosts: Vec<String>,
    /// Listeners of its own; port 0 is any free one.
    pub listen: Vec<SocketAddr>,
    /// Where it is on the main listener.
    pub prefix: Prefix,
    /// Origins of web pages that may use it; `*` is any.
    pub cors_origins: Vec<String>,
}

/// A place on the main listener: `None` = not there, empty = at the root, else `/` and segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(pub Option<String>);

impl Mount {
    /// Asks for the keys below `section`. A dialect with a host or listener of its own leaves the main listener, unless
    /// `prefix` says otherwise.
    pub fn read(reader: &mut Reader, section: &str, prefix: &str, origins: &[&'static str]) -> Self {
        // A dialect is there when the configuration names it: nothing unknown listens.
        let is_named =
            reader.names_below("surfaces").iter().any(|(name, _)| section.strip_prefix("surfaces.") == Some(name));
        let enabled = reader.get_in(section, "enabled", &[], is_named);
        let hosts: Vec<String> = reader.get_in(section, "hosts", &[], Vec::new());
        let listen: Vec<SocketAddr> = reader.get_in(section, "listen", &[], Vec::new());
        let is_elsewhere = !hosts.is_empty() || !listen.is_empty();
        let prefix = Prefix((!is_elsewhere).then(|| prefix.to_owned()));
        Self {
            enabled,
            hosts,
            listen,
            prefix: reader.get_in(section, "prefix", &[], prefix),
            cors_origins: reader.get_in(section, "cors_origins", origins, vec!["*".to_owned()]),
        }
    }

    /// Its place on the main listener, while it is enabled.
    pub fn on_main(&self) -> Option<&str> {
        self.prefix.0.as_deref().filter(|_| self.enabled)
    }
}

impl Setting for Prefix {
    const EMPTY_SAYS: bool = true;

    /// An empty variable says nothing, so the root is written as two quotes there.
    fn from_text(text: &str) -> Result<Self, Expected> {
        Ok(Self(match text.trim() {
            "null" => None,
            "\"\"" => Some(String::new()),
            _ => Some(text.to_owned()),
        }))
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        match value {
            Value::Null => Ok(Self(None)),
            Value::String(text) => Ok(Self(Some(text.clone()))),
            _ => Err(Expected("a path such as /files, \"\" for the root, or null".into())),
        }
    }

    fn to_value(&self) -> Value {
        self.0.clone().into()
    }
}
