//! Making a server take up its configuration file again (easytransfer/CONTRACT.md §7).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Client, Result};

/// `POST /api/admin/reload-config`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reloaded {
    /// Whether anything changed.
    pub reloaded: bool,
    /// By name of the field.
    #[serde(default)]
    pub changes: BTreeMap<String, Change>,
    /// The server's words about it.
    #[serde(default)]
    pub note: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Printed values, secrets masked by the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Change {
    /// Before.
    pub old: String,
    /// From now on.
    pub new: String,
}

impl Client {
    /// Any static token or an administrator's session may; 400 when the file cannot be used, and then nothing changed.
    pub fn reload_config(&self) -> Result<Reloaded> {
        self.post("/api/admin/reload-config", "the reload", "the reload")
    }
}
