//! `surfaces.secure_file_transfer.*` (SURFACES.md §3.1).

use serde_json::{Value, json};

use super::Generated;
use crate::bounds::PIECES_MAX;
use crate::config::setting::{Expected, Secret, Setting, Size};

table! {
    /// Devices that upload in chunks with a binary prefix.
    SecureFileTransfer at "secure_file_transfer", prefix "/sft", origins [];
    /// HMAC key of the tokens, the text's UTF-8 bytes.
    hot secret_key: Generated = Generated::UNSET, ["SECRET_KEY"];
    /// How long a token lives.
    hot access_token_expire_minutes: u64 = 30, ["ACCESS_TOKEN_EXPIRE_MINUTES"];
    /// Who may log in.
    hot devices: Vec<Device> = Vec::new(), [];
    /// Largest file.
    hot max_file_bytes: Size = Size(1 << 40), [];
    /// Separate pieces that an upload may be in; at least 1.
    hot max_pieces: u64 = PIECES_MAX as u64, [];
    /// How often uploads that went stale are looked for; at least 1.
    hot cleanup_interval_seconds: u64 = 3600, ["CLEANUP_INTERVAL_SECONDS"];
    /// When an upload without a chunk has gone stale.
    hot stale_upload_timeout_seconds: u64 = 86_400, ["STALE_UPLOAD_TIMEOUT_SECONDS"];
    /// How long `.partial` files are kept; 0 = for ever.
    hot partial_retention_seconds: u64 = 604_800, [];
}

/// One that may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub device_id: String,
    /// Its password.
    pub secret: DeviceSecret,
    /// May not log in at the moment.
    pub disabled: bool,
    /// Most bytes it may store; `None` = no limit of its own.
    pub quota: Option<Size>,
}

/// What a device proves itself with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceSecret {
    /// `secret`: the password itself; whoever keeps it longer than reading takes hashes it.
    Plain(Secret),
    /// `secret_hash`: its argon2id PHC string.
    Hash(Secret),
}

impl Setting for Device {
    fn from_text(_: &str) -> Result<Self, Expected> {
        Err(Expected("maps with device_id, secret or secret_hash, disabled, quota".into()))
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        let Value::Object(entries) = value else { return Self::from_text("") };
        let said = |name: &str| entries.get(name).filter(|value| !value.is_null() && *value != "");
        let text = |value: &Value| String::from_value(value).map(Secret::new);
        let secret = match (said("secret"), said("secret_hash")) {
            (Some(secret), None) => DeviceSecret::Plain(text(secret)?),
            (None, Some(hash)) => DeviceSecret::Hash(text(hash)?),
            (None, None) | (Some(_), Some(_)) => {
                return Err(Expected("secret or secret_hash for every device, and not both".into()));
            }
        };
        Ok(Self {
            device_id: said("device_id").map_or(Ok(String::new()), String::from_value)?,
            secret,
            disabled: said("disabled").map_or(Ok(false), bool::from_value)?,
            quota: said("quota").map(Size::from_value).transpose()?,
        })
    }

    fn to_value(&self) -> Value {
        json!({"device_id": self.device_id, "secret": "***", "disabled": self.disabled, "quota": self.quota.to_value()})
    }
}
