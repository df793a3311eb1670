//! The surfaces: the dialects whose objects share one catalogue, and whom those objects belong to.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::record::UserId;

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

/// Where a document is, or a record, if it has a place: unique in its surface.
pub type Place = (SurfaceId, String);

/// Whom an object belongs to: whose limit its bytes count against.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Owner {
    /// Somebody in the user database; a plain number in records.
    Person(UserId),
    /// Somebody a surface knows by a name of its own.
    Member(SurfaceId, String),
}

impl Owner {
    /// Their key in the user database, if they are in it.
    pub const fn person(&self) -> Option<UserId> {
        match self {
            Self::Person(id) => Some(*id),
            Self::Member(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
    fn a_name_nobody_has_is_told() {
        assert_eq!("x".parse::<SurfaceId>().unwrap_err().to_string(), "this node knows no surface \"x\"");
    }

    #[test]
    fn owners_read_back_and_a_number_of_an_older_record_is_a_person() {
        for (owner, json) in [
            (None, json!(null)),
            (Some(Owner::Person(7)), json!(7)),
            (Some(Owner::Person(-1)), json!(-1)),
            (Some(Owner::Member(SurfaceId::PyBlobServer, "ann".into())), json!(["pyblobserver", "ann"])),
            (Some(Owner::Member(SurfaceId::CloudBackend, "7".into())), json!(["cloudbackend", "7"])),
        ] {
            assert_eq!(serde_json::to_value(&owner).unwrap(), json);
            assert_eq!(serde_json::from_value::<Option<Owner>>(json).unwrap(), owner);
        }
        for wrong in [json!("ann"), json!(1.5), json!([7, "ann"]), json!(["nowhere", "ann"])] {
            assert!(serde_json::from_value::<Option<Owner>>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
