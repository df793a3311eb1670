//! How long files live (easytransfer/CONTRACT.md §3).
//!
//! * [`policy`] which policy an upload gets
//! * [`once`] who gets a `download_once` file
//! * [`receiver`] who a delivery goes to
//! * [`tally`] when the ranges of one receiver add up to a full download

pub mod once;
pub mod policy;
pub mod receiver;
pub mod tally;
