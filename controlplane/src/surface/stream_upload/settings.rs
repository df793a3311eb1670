//! `surfaces.stream_upload.*` (SURFACES.md §3.3).

use serde_json::{Value, json};

use crate::config::surfaces::check::values::check_holders;
use crate::config::surfaces::check::{Report, path};
use crate::config::surfaces::section::Roots;
use crate::config::surfaces::{BaseUrl, Credential, SurfaceSettings};
use crate::core::SurfaceId;
use crate::core::setting::{Expected, Secret, Setting, Size};

/// A stream token has at least this many characters (SURFACES.md §4 item 7).
const STREAM_TOKEN_MIN: usize = 8;

table! {
    /// Chunks as `multipart/form-data`, put together at the last one.
    StreamUpload at "stream_upload", prefix "", origins [];
    /// Who may upload; several tokens may name one user.
    hot tokens: Vec<StreamToken> = Vec::new(), [];
    /// Whether `auth.tokens` and sessions of the user system open it too.
    hot server_tokens: bool = true, [];
    /// Largest file.
    hot max_file_bytes: Size = Size(100 << 20), [];
    /// Most chunks of one upload.
    hot max_chunks: u64 = 100_000, [];
    /// How long an upload without a chunk lives.
    hot upload_ttl_seconds: u64 = 86_400, [];
    /// How long a finished upload's id is remembered.
    hot tombstone_seconds: u64 = 86_400, [];
    /// How often uploads that ended are looked for; 0 counts as 1.
    hot cleanup_interval_seconds: u64 = 60, [];
    /// Whether a chunk must be `multipart/form-data`.
    hot strict_content_type: bool = false, [];
    /// Whether assets are anybody's to read.
    hot public_assets: bool = false, [];
    /// Start of `asset.url`; `None` = scheme, host and prefix of the request.
    hot base_url: Option<BaseUrl> = None, [];
}

impl SurfaceSettings for StreamUpload {
    const SURFACE: SurfaceId = SurfaceId::StreamUpload;
    const ORIGINAL_NAMES: &'static [&'static str] = &[];
    const ROOTS: Roots = &[&["api", "scratch"]];

    fn plain_credentials(&self) -> Option<(&'static str, Vec<Secret>)> {
        Some(("tokens", self.tokens.iter().filter_map(|token| token.credential.plain().cloned()).collect()))
    }

    fn check(&self, report: &mut Report<'_>) {
        let at = |key: &str| path(Self::SURFACE, key);
        for token in &self.tokens {
            if let Credential::Plain(text) = &token.credential
                && text.expose().len() < STREAM_TOKEN_MIN
            {
                let expected = format!("tokens of {STREAM_TOKEN_MIN} characters and more, for {:?} too", token.user);
                report.tell(at("tokens"), expected);
            }
        }
        let holders = self.tokens.iter().map(|token| (&token.credential, token.user.as_str()));
        check_holders(at("tokens"), holders, report);
    }
}

/// One token and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamToken {
    /// What is presented.
    pub credential: Credential,
    /// Whose it is.
    pub user: String,
    /// Most bytes that user may store; `None` = no limit of its own.
    pub quota: Option<Size>,
}

impl Setting for StreamToken {
    fn from_text(_: &str) -> Result<Self, Expected> {
        Err(Expected("maps with token or token_sha256, user, quota".into()))
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        let Value::Object(entries) = value else { return Self::from_text("") };
        let said = |name: &str| entries.get(name).filter(|value| !value.is_null() && *value != "");
        let credential = Credential::of_entries(entries)?;
        Ok(Self {
            credential: credential.ok_or_else(|| Expected("token or token_sha256 in every entry".into()))?,
            user: said("user")
                .map(String::from_value)
                .unwrap_or_else(|| Err(Expected("user in every entry".into())))?,
            quota: said("quota").map(Size::from_value).transpose()?,
        })
    }

    fn to_value(&self) -> Value {
        json!({"token": "***", "user": self.user, "quota": self.quota.to_value()})
    }
}
