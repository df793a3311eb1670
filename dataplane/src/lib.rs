//! The data plane: it knows bytes, not business.
//!
//! *Absent on purpose:* no SQL, no users, no policy, no surface by name, no JSON beyond the line and its own refusals.
pub mod config;
pub mod http;
pub mod store;

pub use config::Config;
