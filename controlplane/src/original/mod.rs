//! What a server of the original Python releases left behind (easytransfer/CONTRACT.md §10): its records, and where the
//! bytes lie. Read for `et server import`; nothing here is changed or removed.
//!
//! * [`state`] the records: its state file, or its keys in Redis
//! * [`record`] one of them, as this catalogue would have written it
//! * [`data`] the files and chunks that hold its bytes
//!
//! Must stay true: a record is trusted for names and policies, never for bytes; what counts as received is what the record
//! says *and* a file holds. Left out: locks, quota counters, folders and tasks; the user database needs no import, the
//! node is pointed at it.

pub mod data;
pub mod record;
pub mod state;

use std::path::Path;

use etransfer_contract::ObjectId;

use crate::catalogue::Record;
use data::{Layout, Piece};
use record::Original;
pub use state::{ReadError, State};

/// One upload or file that can be taken over.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// For the catalogue.
    pub record: Record,
    /// Its bytes.
    pub pieces: Vec<Piece>,
}

/// One that cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAlone {
    /// Its id.
    pub id: ObjectId,
    /// Why, and what to do.
    pub why: Why,
}

/// Why something stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The text is no record.
    #[error("its record cannot be read: {0}")]
    Unreadable(String),
    /// An upload that was not finished in time.
    #[error("the upload expired before it was complete")]
    Expired,
    /// The record says complete, the files say otherwise.
    #[error("its record says complete, but only {present} of {size} bytes are there")]
    Short {
        /// Bytes found.
        present: u64,
        /// Bytes it should have.
        size: u64,
    },
    /// A directory cannot be read.
    #[error("look for its bytes: {0}")]
    Io(String),
}

/// What there is to import.
#[derive(Debug, Default)]
pub struct Inventory {
    /// In the order of ids.
    pub found: Vec<Found>,
    /// In the order of ids.
    pub left: Vec<LeftAlone>,
}

/// Everything below `storage`, by the records of `state`. Blocking.
pub fn inventory(storage: &Path, state: &State, now_ms: u64) -> Result<Inventory, ReadError> {
    let layout = Layout::of(storage)?;
    let mut inventory = Inventory::default();
    for (id, texts) in state.read(storage)? {
        match one(id, &texts, &layout, now_ms) {
            Ok(found) => inventory.found.push(found),
            Err(why) => inventory.left.push(LeftAlone { id, why }),
        }
    }
    Ok(inventory)
}

fn one(id: ObjectId, texts: &state::Texts, layout: &Layout, now_ms: u64) -> Result<Found, Why> {
    let original = Original::read(texts).map_err(|error| Why::Unreadable(error.to_string()))?;
    let pieces = layout.pieces(id, &original).map_err(|error| Why::Io(error.to_string()))?;
    let present: u64 = pieces.iter().map(|piece| piece.span.len()).sum();
    if original.is_complete() && present != original.size {
        return Err(Why::Short { present, size: original.size });
    }
    if !original.is_complete() && original.expires_ms().is_some_and(|end| end <= now_ms) {
        return Err(Why::Expired);
    }
    Ok(Found { record: original.record(id, now_ms), pieces })
}

#[cfg(test)]
mod tests;
