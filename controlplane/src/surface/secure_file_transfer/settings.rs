//! `surfaces.secure_file_transfer.*` (SURFACES.md §3.1).

use serde_json::{Value, json};

use crate::bounds::PIECES_MAX;
use crate::config::surfaces::check::values::{check_key, repeated};
use crate::config::surfaces::check::{Report, path};
use crate::config::surfaces::section::Roots;
use crate::config::surfaces::{Generated, SurfaceSettings};
use crate::core::SurfaceId;
use crate::core::setting::{Expected, Secret, Setting, Size};
use crate::surface::password::is_usable;

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
    /// How long `.partial` files are kept; 0 = forever.
    hot partial_retention_seconds: u64 = 604_800, [];
}

impl SurfaceSettings for SecureFileTransfer {
    const SURFACE: SurfaceId = SurfaceId::SecureFileTransfer;
    const ORIGINAL_NAMES: &'static [&'static str] =
        &["SECRET_KEY", "ACCESS_TOKEN_EXPIRE_MINUTES", "CLEANUP_INTERVAL_SECONDS", "STALE_UPLOAD_TIMEOUT_SECONDS"];
    const ROOTS: Roots = &[&["auth"], &["api", "files"]];
    const CLASHES: &'static [(SurfaceId, &'static str)] = &[(SurfaceId::EasyTransfer, "\"/api/files\"")];

    fn generated(&mut self) -> Vec<(&'static str, &mut Generated)> {
        vec![("secret_key", &mut self.secret_key)]
    }

    fn check(&self, report: &mut Report<'_>) {
        let at = |key: &str| path(Self::SURFACE, key);
        check_key(at("secret_key"), &self.secret_key, report);
        for (key, value) in
            [("cleanup_interval_seconds", self.cleanup_interval_seconds), ("max_pieces", self.max_pieces)]
        {
            if value == 0 {
                report.tell(at(key), "an integer from 1".into());
            }
        }
        for device in &self.devices {
            if !is_device_id(&device.device_id) {
                let expected = format!("ids of 1 to 128 of A-Z a-z 0-9 . _ @ -, and not {:?}", device.device_id);
                report.tell(at("devices"), expected);
            }
            if let DeviceSecret::Hash(hash) = &device.secret
                && !is_usable(hash.expose())
            {
                let expected = format!(
                    "an argon2id PHC string (m up to 1048576, t up to 16) as secret_hash of {:?}",
                    device.device_id
                );
                report.tell(at("devices"), expected);
            }
        }
        for twice in repeated(self.devices.iter().map(|device| device.device_id.as_str())) {
            report.tell(at("devices"), format!("every device once, and {twice:?} is there again"));
        }
    }
}

fn is_device_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte))
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
    /// `secret`: the password itself; code that keeps it beyond reading hashes it.
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
