//! The JSON of the API (easytransfer/CONTRACT.md §2.9, §5), read leniently: a missing or null field of an older server
//! is no error, and fields we do not know are kept for `--json`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A field that a server sends as `null` counts as absent.
pub(crate) fn null_is_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// `GET /api/info`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerInfo {
    /// Of the server.
    pub version: String,
    /// Protocol version.
    #[serde(default)]
    pub tus_version: Option<String>,
    /// What the server can do beyond the core protocol.
    #[serde(default, deserialize_with = "null_is_default")]
    pub tus_extensions: Vec<String>,
    /// Largest file.
    #[serde(default)]
    pub max_upload_size: Option<u64>,
    /// The chunk size it reports.
    #[serde(default)]
    pub chunk_size: Option<u64>,
    /// Files it holds.
    #[serde(default)]
    pub total_files: Option<u64>,
    /// Bytes it holds.
    #[serde(default)]
    pub total_size: Option<u64>,
    /// Policies to choose from.
    #[serde(default, deserialize_with = "null_is_default")]
    pub retention_policies: Vec<String>,
    /// What happens without a choice.
    #[serde(default)]
    pub default_retention: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Whether all bytes are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileStatus {
    /// Not yet.
    Partial,
    /// Yes.
    Complete,
}

/// One file or running upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileInfo {
    /// 32 hex digits.
    pub file_id: String,
    /// As the uploader called it: display text, never a path.
    pub filename: String,
    /// Bytes; `None` while an upload has not said.
    #[serde(default)]
    pub size: Option<u64>,
    /// Whether all bytes are there.
    pub status: FileStatus,
    /// Bytes there.
    #[serde(default, deserialize_with = "null_is_default")]
    pub uploaded_size: u64,
    /// UTC, no zone suffix.
    #[serde(default)]
    pub created_at: Option<String>,
    /// UTC, no zone suffix.
    #[serde(default)]
    pub updated_at: Option<String>,
    /// When a running upload is given up.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// Of which surface it is, in lists of all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surface: Option<String>,
    /// Retention.
    #[serde(default, deserialize_with = "null_is_default")]
    pub metadata: FileMetadata,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What happens to a file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FileMetadata {
    /// The policy.
    #[serde(default)]
    pub retention: Option<String>,
    /// Seconds, with `ttl`.
    #[serde(default)]
    pub retention_ttl: Option<u64>,
    /// When it goes away.
    #[serde(default)]
    pub retention_expires_at: Option<String>,
    /// Full downloads so far.
    #[serde(default)]
    pub download_count: Option<u64>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// `GET /api/files`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileList {
    /// This page.
    pub files: Vec<FileInfo>,
    /// On all pages.
    pub total: u64,
    /// From 1.
    #[serde(default, deserialize_with = "null_is_default")]
    pub page: u64,
    /// Files per page.
    #[serde(default, deserialize_with = "null_is_default")]
    pub page_size: u64,
}

/// `GET /api/files/{id}/info/download`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DownloadInfo {
    /// 32 hex digits.
    pub file_id: String,
    /// Display text, never a path.
    pub filename: String,
    /// Bytes; `None` while an upload has not said.
    #[serde(default)]
    pub size: Option<u64>,
    /// Prefix that can be fetched now; with `chunked_storage` the sum of the chunks instead.
    #[serde(default, deserialize_with = "null_is_default")]
    pub available_size: u64,
    /// No byte is missing; `None` from servers of the first generation, which never say it.
    #[serde(default)]
    is_upload_complete: Option<bool>,
    /// Chunks count, not the prefix.
    #[serde(default, deserialize_with = "null_is_default")]
    pub chunked_storage: bool,
    /// With `chunked_storage`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub chunk_size: u64,
    /// With `chunked_storage`: indices that can be fetched, sorted.
    #[serde(default, deserialize_with = "null_is_default")]
    pub available_chunks: Vec<u64>,
    /// Someone sent bytes in the last minutes; absent on old servers.
    #[serde(default)]
    pub upload_active: Option<bool>,
}

impl DownloadInfo {
    /// No byte is missing: as the server says, or, where it does not, when all bytes can be fetched.
    pub fn is_upload_complete(&self) -> bool {
        self.is_upload_complete.unwrap_or_else(|| self.size.is_some_and(|size| self.available_size >= size))
    }

    /// End of the bytes from 0 that can be fetched now.
    pub fn available_prefix(&self, size: u64) -> u64 {
        if self.is_upload_complete() {
            return size;
        }
        if !self.chunked_storage {
            return self.available_size.min(size);
        }
        let chunks = self.available_chunks.iter().zip(0..).take_while(|(index, expected)| **index == *expected).count();
        (chunks as u64).saturating_mul(self.chunk_size).min(size)
    }
}

/// `GET /api/storage`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StorageInfo {
    /// Bytes.
    #[serde(default, deserialize_with = "null_is_default")]
    pub used: u64,
    /// Bytes, `None` = no limit.
    #[serde(default)]
    pub max: Option<u64>,
    /// Bytes, `None` = no limit.
    #[serde(default)]
    pub available: Option<u64>,
    /// Whether an upload has a chance now.
    #[serde(default = "yes")]
    pub can_accept_uploads: bool,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

fn yes() -> bool {
    true
}

/// What shall happen to an uploaded file (easytransfer/CONTRACT.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Stays until deleted.
    Permanent,
    /// Goes after the first full download.
    DownloadOnce,
    /// Goes this many seconds after the upload completed.
    Ttl {
        /// At least 1.
        seconds: u64,
    },
}

impl Retention {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::DownloadOnce => "download_once",
            Self::Ttl { .. } => "ttl",
        }
    }
}

/// A choice of retention that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RetentionFault {
    /// Not one of the three names.
    #[error("the retention is permanent, download_once or ttl")]
    Unknown,
    /// `ttl` alone.
    #[error("retention ttl needs its seconds")]
    NoSeconds,
}

impl FromStr for Retention {
    type Err = RetentionFault;

    /// `permanent`, `download_once`, or `ttl:SECONDS`.
    fn from_str(text: &str) -> Result<Self, RetentionFault> {
        match text.split_once(':').unwrap_or((text, "")) {
            ("permanent", "") => Ok(Self::Permanent),
            ("download_once", "") => Ok(Self::DownloadOnce),
            ("ttl", seconds) => match seconds.parse() {
                Ok(seconds) if seconds > 0 => Ok(Self::Ttl { seconds }),
                _ => Err(RetentionFault::NoSeconds),
            },
            _ => Err(RetentionFault::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_fetched_is_a_prefix_in_every_mode() {
        let info = |json: Value| serde_json::from_value::<DownloadInfo>(json).unwrap();
        let base = |complete: bool, chunked: bool, chunks: &[u64]| {
            info(serde_json::json!({
                "file_id": "x", "filename": "x", "size": 25, "available_size": 20, "is_upload_complete": complete,
                "chunked_storage": chunked, "chunk_size": 10, "available_chunks": chunks,
            }))
        };
        for (complete, chunked, chunks, expected) in [
            (true, false, &[][..], 25),
            (false, false, &[], 20),
            (false, true, &[0, 2], 10),
            (false, true, &[1, 2], 0),
            (false, true, &[0, 1, 2], 25),
            (true, true, &[], 25),
        ] {
            assert_eq!(
                base(complete, chunked, chunks).available_prefix(25),
                expected,
                "{complete} {chunked} {chunks:?}"
            );
        }
    }

    #[test]
    fn a_server_of_the_first_generation_leaves_out_and_nulls_fields() {
        let info = |available: u64| {
            let text = format!(
                r#"{{"file_id":"a","filename":"b","size":9,"available_size":{available},"mime_type":null,"checksum":null,
                "supports_range":true,"chunked_storage":false,"chunk_size":null,"total_chunks":null,
                "available_chunks":null}}"#
            );
            serde_json::from_str::<DownloadInfo>(&text).unwrap()
        };
        for (available, complete) in [(0, false), (8, false), (9, true)] {
            let info = info(available);
            assert_eq!((info.is_upload_complete(), info.available_prefix(9)), (complete, available), "{available}");
        }
        let file = r#"{"file_id":"a","filename":"b","size":1,"status":"partial","uploaded_size":null,"metadata":null}"#;
        assert_eq!(serde_json::from_str::<FileInfo>(file).unwrap().uploaded_size, 0);
        let info = r#"{"version":"0.1.2","tus_extensions":null,"retention_policies":null,"total_files":null}"#;
        assert!(serde_json::from_str::<ServerInfo>(info).unwrap().tus_extensions.is_empty());
    }

    #[test]
    fn answers_of_older_servers_are_understood() {
        let file = r#"{"file_id":"a","filename":"b","size":1,"status":"complete","checksum":null,"mime_type":null}"#;
        let file: FileInfo = serde_json::from_str(file).unwrap();
        assert_eq!((file.uploaded_size, file.status), (0, FileStatus::Complete));
        assert!(file.extra.contains_key("checksum"));
        let info: ServerInfo = serde_json::from_str(r#"{"version":"0.1.0","interfaces":[]}"#).unwrap();
        assert!(info.tus_extensions.is_empty());
    }

    #[test]
    fn a_retention_is_one_of_three() {
        for (text, expected) in [
            ("permanent", Ok(Retention::Permanent)),
            ("download_once", Ok(Retention::DownloadOnce)),
            ("ttl:60", Ok(Retention::Ttl { seconds: 60 })),
            ("ttl", Err(RetentionFault::NoSeconds)),
            ("ttl:0", Err(RetentionFault::NoSeconds)),
            ("ttl:-1", Err(RetentionFault::NoSeconds)),
            ("forever", Err(RetentionFault::Unknown)),
            ("permanent:3", Err(RetentionFault::Unknown)),
        ] {
            assert_eq!(text.parse(), expected, "{text:?}");
        }
    }
}
