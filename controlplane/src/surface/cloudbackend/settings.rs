//! `surfaces.cloudbackend.*` (SURFACES.md §3.2).

use crate::config::surfaces::check::values::check_key;
use crate::config::surfaces::check::{Report, path};
use crate::config::surfaces::host::bare;
use crate::config::surfaces::section::Roots;
use crate::config::surfaces::{BaseUrl, Generated, SurfaceSettings};
use crate::core::SurfaceId;
use crate::core::setting::Size;

words!(
    /// Which texts people read.
    Language {
        /// Chinese.
        Zh = "zh",
        /// English.
        En = "en",
    }
);

table! {
    /// Accounts, a virtual drive, direct upload to an object store, shares.
    CloudBackend at "cloudbackend", prefix "", origins [];
    /// HMAC key of the tokens, the text's UTF-8 bytes.
    hot jwt_secret: Generated = Generated::UNSET, [];
    /// How long an access token lives.
    hot access_token_minutes: u64 = 60, [];
    /// How long a refresh token lives.
    hot refresh_token_days: u64 = 7, [];
    /// How long a rotated refresh token still yields the same new pair; 0 = never.
    hot refresh_reuse_seconds: u64 = 10, [];
    /// Key id that clients are shown.
    cold access_key_id: Generated = Generated::UNSET, ["ALIYUN_ACCESS_KEY"];
    /// What policies and links are signed with.
    cold access_key_secret: Generated = Generated::UNSET, ["ALIYUN_ACCESS_KEY_SECRET"];
    /// First segment of the object store's paths.
    cold bucket: String = "cloud".to_owned(), ["OSS_BUCKET_NAME"];
    /// Shown in tokens, scheme optional; `None` = the server's address.
    cold oss_endpoint: Option<String> = None, ["OSS_ENDPOINT"];
    /// `token.host`; `None` = scheme and host of the request, prefix and bucket.
    hot oss_public_host: Option<BaseUrl> = None, [];
    /// How long an upload policy is good.
    hot policy_seconds: u64 = 3600, [];
    /// How long an upload id is good.
    hot upload_id_seconds: u64 = 3600, [];
    /// How long a download link is good.
    hot download_url_seconds: u64 = 3600, [];
    /// Bound of the plain upload token.
    hot max_file_size: Size = Size(100 << 20), [];
    /// Quota of a new account.
    hot user_quota: Size = Size(10 << 30), [];
    /// Whether anyone may register.
    hot registration: bool = false, [];
    /// Usernames with the permission `admin`.
    hot admins: Vec<String> = Vec::new(), [];
    /// Which texts people read.
    hot messages: Language = Language::Zh, [];
    /// How long the bytes of a deleted file are kept.
    hot deleted_grace_seconds: u64 = 604_800, [];
    /// How long bytes that were uploaded and never registered are kept.
    hot orphan_seconds: u64 = 86_400, [];
    /// Failed logins per user and per address in the window before 429; 0 = off.
    hot login_failures: u64 = 10, [];
    /// That window.
    hot login_window_seconds: u64 = 300, [];
    /// Accepted lifetimes of a share; the first is the default.
    hot share_expire_days as "share.expire_days": Vec<u64> = vec![1, 3, 7, 15], [];
    /// Longest code of a share.
    hot share_max_code_length as "share.max_code_length": usize = 10, [];
    /// Length of a code that the server makes.
    hot share_generated_code_length as "share.generated_code_length": usize = 8, [];
    /// Most files of a share.
    hot share_max_files as "share.max_files": usize = 1000, [];
    /// Most downloads a share may allow.
    hot share_max_download_count as "share.max_download_count": u64 = 1_000_000, [];
    /// Wrong codes and passwords per address and minute before 429; 0 = off.
    hot share_failures_per_minute as "share.failures_per_minute": u64 = 20, [];
    /// Wrong passwords per code and hour before it is locked; 0 = off.
    hot share_password_failures_per_hour as "share.password_failures_per_hour": u64 = 50, [];
    /// How long it is locked; 0 = off.
    hot share_lock_seconds as "share.lock_seconds": u64 = 900, [];
}

impl SurfaceSettings for CloudBackend {
    const SURFACE: SurfaceId = SurfaceId::CloudBackend;
    const ORIGINAL_NAMES: &'static [&'static str] =
        &["ALIYUN_ACCESS_KEY", "ALIYUN_ACCESS_KEY_SECRET", "OSS_BUCKET_NAME", "OSS_ENDPOINT"];
    const ROOTS: Roots = &[&["user"], &["user-settings"], &["file"], &["drop"]];

    fn own_host(&self) -> Option<String> {
        self.bucket_host()
    }

    fn own_root(&self) -> Option<(&'static str, &str)> {
        Some(("bucket", &self.bucket))
    }

    fn generated(&mut self) -> Vec<(&'static str, &mut Generated)> {
        vec![
            ("jwt_secret", &mut self.jwt_secret),
            ("access_key_id", &mut self.access_key_id),
            ("access_key_secret", &mut self.access_key_secret),
        ]
    }

    fn check(&self, report: &mut Report<'_>) {
        let at = |key: &str| path(Self::SURFACE, key);
        check_key(at("jwt_secret"), &self.jwt_secret, report);
        if self.access_key_secret.configured().is_some() && self.access_key_id.configured().is_none() {
            report.tell(at("access_key_secret"), "access_key_id beside it".into());
        }
        if !is_bucket(&self.bucket) {
            let expected = format!("3 to 63 of a-z 0-9 -, no - at either end, and not {:?}", self.bucket);
            report.tell(at("bucket"), expected);
        }
        if self.share_expire_days.is_empty() {
            report.tell(at("share.expire_days"), "at least one number of days".into());
        }
        if !(1..=self.share_max_code_length).contains(&self.share_generated_code_length) {
            report.tell(at("share.generated_code_length"), "an integer from 1 to share.max_code_length".into());
        }
    }
}

fn is_bucket(bucket: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (3..=63).contains(&bucket.len()) && bucket.bytes().all(inner) && !bucket.starts_with('-') && !bucket.ends_with('-')
}

impl CloudBackend {
    /// Whether an account of this name administers the surface, or would be taken for one that does.
    pub fn names_admin(&self, username: &str) -> bool {
        self.admins.iter().any(|admin| admin.eq_ignore_ascii_case(username))
    }

    /// The `Host` that is the bucket, when the endpoint has a name: `<bucket>.<its host>` in lower case.
    pub fn bucket_host(&self) -> Option<String> {
        let endpoint = self.oss_endpoint.as_deref()?.trim();
        let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
        let host = bare(rest.split('/').next().unwrap_or(rest));
        (!host.is_empty()).then(|| format!("{}.{host}", self.bucket))
    }
}
