//! Which dialect, and which person.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A person's key in the user database.
pub type UserId = i64;

/// A dialect. Its name is what is stored, shown and measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SurfaceId {
    /// `/tus` and `/api`.
    #[default]
    #[serde(rename = "easytransfer")]
    EasyTransfer,
    /// secure_file_transfer/CONTRACT.md
    SecureFileTransfer,
    /// cloudbackend/CONTRACT.md
    #[serde(rename = "cloudbackend")]
    CloudBackend,
    /// stream_upload/CONTRACT.md
    StreamUpload,
    /// pyblobserver/CONTRACT.md
    #[serde(rename = "pyblobserver")]
    PyBlobServer,
}

impl SurfaceId {
    /// The dialect that owns what no other one owns.
    pub const MAIN: Self = Self::EasyTransfer;

    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::EasyTransfer, Self::SecureFileTransfer, Self::CloudBackend, Self::StreamUpload, Self::PyBlobServer];

    /// In lists, keys and metrics; the same word as in stored records. Never with a colon.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EasyTransfer => "easytransfer",
            Self::SecureFileTransfer => "secure_file_transfer",
            Self::CloudBackend => "cloudbackend",
            Self::StreamUpload => "stream_upload",
            Self::PyBlobServer => "pyblobserver",
        }
    }
}

impl FromStr for SurfaceId {
    type Err = Unknown;

    fn from_str(name: &str) -> Result<Self, Unknown> {
        Self::ALL.into_iter().find(|surface| surface.name() == name).ok_or_else(|| Unknown(name.to_owned()))
    }
}

/// No surface has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this node knows no surface {0:?}")]
pub struct Unknown(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surface_is_stored_under_its_name() {
        for surface in SurfaceId::ALL {
            assert_eq!(serde_json::to_value(surface).unwrap(), surface.name());
            assert_eq!(serde_json::from_value::<SurfaceId>(surface.name().into()).unwrap(), surface);
            assert_eq!(surface.name().parse(), Ok(surface));
            assert!(!surface.name().contains(':'), "keys are split at the first colon");
        }
    }

    #[test]
    fn an_unknown_name_is_told() {
        assert_eq!("x".parse::<SurfaceId>().unwrap_err().to_string(), "this node knows no surface \"x\"");
    }
}
