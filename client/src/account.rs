//! Whose session it is, what it may use, and its end (easytransfer/CONTRACT.md §6.1 logout, §6.2).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Client, Result};

/// A user, as told to that user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    /// Unique at the provider, not a display name.
    pub username: String,
    /// As the person wants to be called; older servers send an empty text for none.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// `guest`, `user` or `admin`.
    #[serde(default, deserialize_with = "crate::types::null_is_default")]
    pub role: String,
    /// Administrator by word of the provider, whatever the role.
    #[serde(default, deserialize_with = "crate::types::null_is_default")]
    pub is_admin: bool,
    /// Names.
    #[serde(default, deserialize_with = "crate::types::null_is_default")]
    pub groups: Vec<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// `GET /api/users/me/quota`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QuotaUse {
    /// Bytes.
    #[serde(default, deserialize_with = "crate::types::null_is_default")]
    pub storage_used: u64,
    /// What role and groups amount to.
    #[serde(default)]
    pub quota: Option<Limits>,
    /// Whether nothing more fits.
    #[serde(default, deserialize_with = "crate::types::null_is_default")]
    pub is_over_quota: bool,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// RoleQuota, as far as it limits: `None` = unlimited.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of all files.
    #[serde(default)]
    pub max_storage_size: Option<u64>,
    /// Bytes of one file.
    #[serde(default)]
    pub max_upload_size: Option<u64>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Client {
    /// `GET /api/users/me`: the user of our session.
    pub fn me(&self) -> Result<User> {
        self.get("/api/users/me", "the user", "the user")
    }

    /// `GET /api/users/me/quota`.
    pub fn quota_use(&self) -> Result<QuotaUse> {
        self.get("/api/users/me/quota", "the use of the quota", "the quota")
    }

    /// `POST /api/users/logout`: our session ends.
    pub fn logout(&self) -> Result<()> {
        self.post::<Value>("/api/users/logout", "the logout", "the logout").map(|_| ())
    }
}
