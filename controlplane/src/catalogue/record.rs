//! What is known about one upload or file, beside its bytes: the unit that is stored.
//!
//! Must stay true: how many bytes are there is *not* in here (the data plane knows, and says so again after a restart);
//! whatever decides who may still get the file is, so that a restart gives nothing out twice.

use etransfer_contract::ObjectId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::surface::{Owner, Place};
use crate::core::{Policy, SurfaceId};
use crate::retention::once::Once;
use crate::retention::policy::Keep;

/// One upload or file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its name; it never changes.
    pub id: ObjectId,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// Display name; never a path.
    pub filename: String,
    /// From `filetype`, a valid media type.
    pub mime: Option<String>,
    /// From `checksum`: free text, never verified.
    pub checksum: String,
    /// `Upload-Metadata` exactly as it came.
    pub metadata: Option<String>,
    /// Declared length; `None` while deferred.
    pub length: Option<u64>,
    /// What happens to it once complete.
    pub keep: Keep,
    /// Its part in concatenation.
    pub kind: Kind,
    /// When all bytes were there; Unix milliseconds.
    pub completed_ms: Option<u64>,
    /// Full downloads so far.
    pub download_count: u64,
    /// Who got what of a `download_once` file.
    #[serde(default)]
    pub once: Once,
    /// `Idempotency-Key` of the creating request (T-CON-10).
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// Whom it belongs to; `None`: made with a static token, or on an open node.
    #[serde(default)]
    pub owner: Option<Owner>,
    /// What it was made with when it belongs to no user: the digest of a static token, or an address. Empty: it has an
    /// owner, or is older than this field, and then counts on no limit. It gives no rights.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub maker: String,
    /// The dialect it is of.
    #[serde(default, skip_serializing_if = "is_default")]
    pub surface: SurfaceId,
    /// Its place in the surface, which no other record of it has; empty: it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// What only the dialect understands.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// What is so of most records takes no room in the catalogue.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Part in concatenation (TUS.md §A11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// An ordinary upload.
    File,
    /// Made to become part of a final; never listed, downloaded or consumed.
    Partial,
    /// Built from partials.
    Final {
        /// `Upload-Concat` exactly as received.
        header: String,
    },
}

impl Record {
    /// All bytes are there.
    pub const fn is_complete(&self) -> bool {
        self.completed_ms.is_some()
    }

    /// Appears as a file or upload. Partials never do, finals only when they are whole.
    pub fn is_listed(&self) -> bool {
        match self.kind {
            Kind::File => true,
            Kind::Partial => false,
            Kind::Final { .. } => self.is_complete(),
        }
    }

    /// Its place, if it has one.
    pub fn place(&self) -> Option<Place> {
        (!self.key.is_empty()).then(|| (self.surface, self.key.clone()))
    }

    /// When a complete `ttl` file goes; Unix milliseconds.
    pub fn ttl_ends_ms(&self) -> Option<u64> {
        match self.keep.policy {
            Policy::Ttl => Some(self.completed_ms?.saturating_add(self.keep.ttl_s?.saturating_mul(1000))),
            Policy::Permanent | Policy::DownloadOnce => None,
        }
    }
}
