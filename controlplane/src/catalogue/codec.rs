//! One record or document as bytes: version, CRC-32 of what follows, content.
//!
//! ```text
//! 0        1                5
//! | version | crc32 (LE) | JSON of the record, or the document as it is |
//! ```
//! Version 1 is the only one so far. A reader of a newer node refuses the start; fields added to [`Record`] carry a serde
//! default and need no new version.

use super::record::Record;
use crate::core::Unknown;

const VERSION: u8 = 1;
const HEAD: usize = 5;

/// A stored record or document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    /// Shorter than its head.
    #[error("only {0} bytes")]
    Short(usize),
    /// Written by a newer node.
    #[error("version {0}; this node reads {VERSION}")]
    Version(u8),
    /// A flipped byte (PROMISES.md P19).
    #[error("checksum {found:08x}, stored {stored:08x}")]
    Checksum {
        /// Of the bytes as they are.
        found: u32,
        /// When they were written.
        stored: u32,
    },
    /// The JSON is no record.
    #[error("not a record: {0}")]
    Shape(String),
    /// A document of a dialect a newer node speaks.
    #[error(transparent)]
    SurfaceId(#[from] Unknown),
}

/// A record as bytes.
pub fn encode(record: &Record) -> Vec<u8> {
    seal(&serde_json::to_vec(record).expect("a record has only string keys, so it is always JSON"))
}

/// The record in `bytes`.
pub fn decode(bytes: &[u8]) -> Result<Record, Damaged> {
    serde_json::from_slice(unseal(bytes)?).map_err(|error| Damaged::Shape(error.to_string()))
}

/// A document as bytes.
pub fn seal(content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + content.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
    bytes.extend_from_slice(content);
    bytes
}

/// The document in `bytes`.
pub fn unseal(bytes: &[u8]) -> Result<&[u8], Damaged> {
    let Some((head, content)) = bytes.split_first_chunk::<HEAD>() else { return Err(Damaged::Short(bytes.len())) };
    let [version, checksum @ ..] = head;
    if *version != VERSION {
        return Err(Damaged::Version(*version));
    }
    let (found, stored) = (crc32fast::hash(content), u32::from_le_bytes(*checksum));
    if found == stored { Ok(content) } else { Err(Damaged::Checksum { found, stored }) }
}

#[cfg(test)]
mod tests {
    use etransfer_contract::ObjectId;

    use super::*;
    use crate::catalogue::tests::record;

    #[test]
    fn p19_every_flipped_byte_is_seen() {
        let record = record(ObjectId::from_bytes([7; 16]), 5);
        let bytes = encode(&record);
        assert_eq!(decode(&bytes), Ok(record));
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 0x20;
            assert!(decode(&damaged).is_err(), "byte {index}");
        }
        assert_eq!(decode(&bytes[..3]), Err(Damaged::Short(3)));
    }

    #[test]
    fn b7_a_record_from_before_its_maker_was_written_down_has_none() {
        let made = Record { maker: "p192.0.2.1".into(), ..record(ObjectId::from_bytes([7; 16]), 5) };
        assert_eq!(decode(&encode(&made)), Ok(made.clone()));
        let mut json = serde_json::to_value(&made).unwrap();
        json.as_object_mut().unwrap().remove("maker");
        let older = seal(json.to_string().as_bytes());
        assert_eq!(decode(&older), Ok(Record { maker: String::new(), ..made }));
    }
}
