//! One record of the original, both generations, and what it becomes in this catalogue (easytransfer/CONTRACT.md §10).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use etransfer_contract::span::OFFSET_MAX;
use etransfer_contract::{ObjectId, Span, SpanSet};
use serde::Deserialize;
use serde::de::Error as _;
use serde_json::Value;

use super::state::Texts;
use crate::catalogue::text::{display_name, is_media_type};
use crate::catalogue::{Kind, Owner, Record};
use crate::clock::moment;
use crate::core::Policy;
use crate::core::{SurfaceId, UserId};
use crate::retention::once::Once;
use crate::retention::policy::Keep;

/// The fields that count; every one but the size may be missing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Original {
    filename: String,
    /// Declared length, bytes.
    #[serde(deserialize_with = "size")]
    pub size: u64,
    offset: u64,
    mime_type: String,
    checksum: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
    completed_at: Option<String>,
    expires_at: Option<String>,
    is_final: bool,
    is_complete: bool,
    retention: String,
    retention_ttl: Option<u64>,
    retention_expires_at: Option<String>,
    download_count: u64,
    owner_id: Option<UserId>,
    received_ranges: Vec<(u64, u64)>,
    /// Bytes of a chunk file, where it is stored in chunks.
    pub chunk_size: u64,
    relative_path: String,
    folder_id: String,
    folder_name: String,
}

/// No length is longer than a file can be.
fn size<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let size = u64::deserialize(deserializer)?;
    if size <= OFFSET_MAX { Ok(size) } else { Err(D::Error::custom("size is longer than any file")) }
}

impl Original {
    /// The record of a file counts before that of its upload, which only knows what the former leaves out.
    pub fn read(texts: &Texts) -> serde_json::Result<Self> {
        let parse = |text: &Option<String>| text.as_deref().map(serde_json::from_str::<Self>).transpose();
        let (file, upload) = (parse(&texts.file)?, parse(&texts.upload)?);
        let mut record = file.or_else(|| upload.clone()).ok_or_else(|| serde_json::Error::custom("there is none"))?;
        if let Some(upload) = upload {
            record.download_count = record.download_count.max(upload.download_count);
            record.owner_id = record.owner_id.or(upload.owner_id);
            record.checksum = record.checksum.filter(|text| !text.is_empty()).or(upload.checksum);
            if record.received_ranges.is_empty() {
                (record.received_ranges, record.offset) = (upload.received_ranges, record.offset.max(upload.offset));
            }
        }
        Ok(record)
    }

    /// It was a file for its users.
    pub fn is_complete(&self) -> bool {
        self.is_final || self.is_complete
    }

    /// When an incomplete upload goes; Unix milliseconds.
    pub fn expires_ms(&self) -> Option<u64> {
        moment(self.expires_at.as_deref()?)
    }

    /// What was received, as far as the record knows.
    pub fn received(&self) -> SpanSet {
        let whole = self.is_complete().then_some((0, self.size));
        let prefix = self.received_ranges.is_empty().then_some((0, self.offset));
        let ranges = self.received_ranges.iter().copied();
        let spans = ranges.chain(prefix).chain(whole).filter_map(|(start, end)| Span::new(start, end.min(self.size)));
        spans.collect()
    }

    /// As if it had been uploaded here at its times.
    pub fn record(&self, id: ObjectId, now_ms: u64) -> Record {
        let created_ms = self.created_at.as_deref().and_then(moment).unwrap_or(now_ms);
        let keep = self.keep();
        let completed_ms = self.is_complete().then(|| {
            let ends = self.retention_expires_at.as_deref().and_then(moment);
            let from_end =
                ends.zip(keep.ttl_s).and_then(|(end, seconds)| end.checked_sub(seconds.saturating_mul(1000)));
            let told = [&self.completed_at, &self.updated_at].into_iter().find_map(|text| moment(text.as_deref()?));
            from_end.or(told).unwrap_or(created_ms)
        });
        Record {
            id,
            created_ms,
            filename: display_name(&self.filename),
            mime: Some(self.mime_type.clone()).filter(|mime| is_media_type(mime)),
            checksum: self.checksum.clone().unwrap_or_default(),
            metadata: Some(self.metadata()),
            length: Some(self.size),
            keep,
            kind: Kind::File,
            completed_ms,
            download_count: self.download_count,
            once: Once::default(),
            idempotency_key: None,
            owner: self.owner_id.map(Owner::Person),
            maker: String::new(),
            surface: SurfaceId::EasyTransfer,
            key: String::new(),
            detail: Value::Null,
        }
    }

    /// A `ttl` without seconds never ended there, and does not begin to here.
    fn keep(&self) -> Keep {
        let ttl_s = self.retention_ttl.filter(|seconds| *seconds > 0);
        let policy = match self.retention.as_str() {
            "download_once" => Policy::DownloadOnce,
            "ttl" if ttl_s.is_some() => Policy::Ttl,
            _ => Policy::Permanent,
        };
        Keep { policy, ttl_s: ttl_s.filter(|_| policy == Policy::Ttl) }
    }

    /// `Upload-Metadata` as the client must have sent it.
    fn metadata(&self) -> String {
        let pairs = [
            ("filename", self.filename.as_str()),
            ("filetype", &self.mime_type),
            ("relativePath", &self.relative_path),
            ("folderId", &self.folder_id),
            ("folderName", &self.folder_name),
        ];
        let told = pairs.into_iter().filter(|(key, value)| *key == "filename" || !value.is_empty());
        let texts: Vec<_> = told.map(|(key, value)| format!("{key} {}", BASE64_STANDARD.encode(value))).collect();
        texts.join(",")
    }
}
