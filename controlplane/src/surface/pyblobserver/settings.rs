//! `surfaces.pyblobserver.*` (SURFACES.md §3.4).

use serde_json::{Value, json};

use crate::config::reader::Reader;
use crate::config::reload::Hot;
use crate::config::surfaces::check::values::{check_holders, repeated};
use crate::config::surfaces::check::{Report, path};
use crate::config::surfaces::section::{Roots, Table};
use crate::config::surfaces::{BaseUrl, Credential, SurfaceSettings, Zone};
use crate::core::SurfaceId;
use crate::core::setting::{Expected, Secret, Setting};

/// Who gets a user's first token, and who may look at a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenBootstrap {
    /// An administrator of this node; the user itself once it has a token.
    Admin,
    /// The first caller; any caller may look, as at the original.
    Open,
}

impl Setting for TokenBootstrap {
    /// `admin-only` and `first-call` are what earlier versions called the two.
    fn from_text(text: &str) -> Result<Self, Expected> {
        match text.trim().to_ascii_lowercase().as_str() {
            "admin" | "admin-only" => Ok(Self::Admin),
            "open" | "first-call" => Ok(Self::Open),
            _ => Err(Expected("one of admin open".into())),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Admin => "admin".into(),
            Self::Open => "open".into(),
        }
    }
}

words!(
    /// How points in time are written.
    DatetimeFormat {
        /// `2024-01-31 12:00:00`
        Plain = "plain",
        /// `2024-01-31T12:00:00+08:00`
        Iso = "iso",
    }
);

table! {
    /// Small files with short paths.
    PyBlobServer at "pyblobserver", prefix "/blob", origins ["ALLOWED_ORIGINS"];
    /// Start of links; `None` = the node's public URL, or scheme and host of the request, and the prefix.
    hot base_url: Option<BaseUrl> = None, ["BASE_URL"];
    /// Who may have a token.
    hot allowed_users: Vec<AllowedUser> = Vec::new(), ["ALLOWED_USERS"];
    /// Largest file in MiB.
    hot file_size_limit_mb: u64 = 10, ["FILE_SIZE_LIMIT_MB"];
    /// Most of one user in MiB.
    hot total_size_limit_mb: u64 = 500, ["TOTAL_SIZE_LIMIT_MB"];
    /// Characters of a short path, 8 to 64.
    hot short_path_length: usize = 8, ["DEFAULT_SHORT_PATH_LENGTH"];
    /// Requests per address and sliding minute before 429; 0 = off.
    hot requests_per_minute: u64 = 100, ["REQUEST_TIMES_PER_MINTUE", "REQUEST_TIMES_PER_MINUTE"];
    /// Who gets a user's first token.
    hot token_bootstrap: TokenBootstrap = TokenBootstrap::Admin, [];
    /// Whether a token may be changed without the old one.
    hot open_token_change: bool = false, [];
    /// Whether `/s/{id}` asks for a token.
    hot require_auth_for_download: bool = false, [];
    /// How long a file lives.
    hot expire_days: u64 = 90, [];
    /// Whether expired files are removed.
    hot auto_cleanup: bool = true, [];
    /// How points in time are written.
    hot datetime_format: DatetimeFormat = DatetimeFormat::Plain, [];
    /// In which zone.
    hot timezone: Zone = Zone::known("Asia/Hong_Kong"), [];
    /// Whether the extended routes exist.
    hot extended: bool = true, [];
}

impl SurfaceSettings for PyBlobServer {
    const SURFACE: SurfaceId = SurfaceId::PyBlobServer;
    const ORIGINAL_NAMES: &'static [&'static str] = &[
        "BASE_URL",
        "ALLOWED_USERS",
        "FILE_SIZE_LIMIT_MB",
        "TOTAL_SIZE_LIMIT_MB",
        "DEFAULT_SHORT_PATH_LENGTH",
        "REQUEST_TIMES_PER_MINTUE",
        "REQUEST_TIMES_PER_MINUTE",
        "ALLOWED_ORIGINS",
        "BASE_FOLDER",
        "DATABASE_URL",
        "CACHE_TTL",
        "TUS_TEMP_FOLDER",
    ];
    const ROOTS: Roots = &[
        &[],
        &["user"],
        &["s"],
        &["upload"],
        &["upload_batch"],
        &["upload_socket"],
        &["upload_tus"],
        &["list"],
        &["delete"],
        &["delete_all"],
        &["health"],
        &["auth"],
    ];
    const CLASHES: &'static [(SurfaceId, &'static str)] = &[(SurfaceId::CloudBackend, "\"/user/{x}\"")];

    fn accept_the_rest(reader: &mut Reader) {
        for (key, originals) in [
            ("secret_key", &[][..]),
            ("base_folder", &["BASE_FOLDER"]),
            ("database_url", &["DATABASE_URL"]),
            ("cache_ttl", &["CACHE_TTL"]),
            ("tus_temp_folder", &["TUS_TEMP_FOLDER"]),
        ] {
            reader.accept_in(Self::SECTION, key, originals);
        }
    }

    fn take_hot(&mut self, read: &Self, hot: &mut Hot<'_>) {
        self.take_table(read, hot);
        // The only key of SURFACES.md §2 that is listed in SURFACES.md §3 too.
        hot.take("surfaces.pyblobserver.cors_origins", &mut self.mount.cors_origins, &read.mount.cors_origins);
    }

    fn plain_credentials(&self) -> Option<(&'static str, Vec<Secret>)> {
        let presets = self.allowed_users.iter().filter_map(|allowed| allowed.preset.as_ref()?.plain());
        Some(("allowed_users", presets.cloned().collect()))
    }

    fn check(&self, report: &mut Report<'_>) {
        let at = |key: &str| path(Self::SURFACE, key);
        if !(8..=64).contains(&self.short_path_length) {
            report.tell(at("short_path_length"), "an integer from 8 to 64".into());
        }
        for allowed in &self.allowed_users {
            if let Some(Credential::Plain(token)) = &allowed.preset
                && !(16..=128).contains(&token.expose().len())
            {
                let expected = format!("a token of 16 to 128 visible ASCII characters for {:?}", allowed.user);
                report.tell(at("allowed_users"), expected);
            }
        }
        for twice in repeated(self.allowed_users.iter().map(|allowed| allowed.user.as_str())) {
            report.tell(at("allowed_users"), format!("every user once, and {twice:?} is there again"));
        }
        let holders = self.allowed_users.iter();
        let holders = holders.filter_map(|allowed| Some((allowed.preset.as_ref()?, allowed.user.as_str())));
        check_holders(at("allowed_users"), holders, report);
    }
}

/// One who may have a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedUser {
    /// Their id, as it stands in paths.
    pub user: String,
    /// The token they begin with.
    pub preset: Option<Credential>,
}

impl Setting for AllowedUser {
    fn from_text(text: &str) -> Result<Self, Expected> {
        Ok(Self { user: text.trim().to_owned(), preset: None })
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        match value {
            Value::Object(entries) => {
                let user = entries.get("user").filter(|user| !user.is_null());
                let user = user.ok_or_else(|| Expected("user in every entry".into()))?;
                Ok(Self { user: String::from_value(user)?, preset: Credential::of_entries(entries)? })
            }
            other => Self::from_text(&String::from_value(other)?),
        }
    }

    fn to_value(&self) -> Value {
        match &self.preset {
            None => self.user.clone().into(),
            Some(_) => json!({"user": self.user, "token": "***"}),
        }
    }
}
