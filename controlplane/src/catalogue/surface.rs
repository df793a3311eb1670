//! Whom objects belong to, and where they are in their dialect.

use serde::{Deserialize, Serialize};

use crate::core::{SurfaceId, UserId};

/// Where a document is, or a record, if it has a place: unique in its surface.
pub type Place = (SurfaceId, String);

/// Whom an object belongs to: whose limit its bytes count against.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Owner {
    /// A person in the user database; a plain number in records.
    Person(UserId),
    /// A user whom a dialect knows by a name of its own.
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
