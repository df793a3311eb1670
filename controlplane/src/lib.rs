//! The control plane: it knows business, not bytes.
//!
//! *Absent on purpose:* no file content passes through it, and it opens no client socket; everything it hears comes over
//! the control link (`etransfer_contract::link`), everything it wants done with bytes is a grant or an order.
#![forbid(unsafe_code)]

pub mod app;
pub mod audit;
pub mod authority;
pub mod bounds;
pub mod catalogue;
pub mod clock;
#[macro_use]
pub mod core;
#[macro_use]
pub mod config;
#[cfg(test)]
mod golden;
pub mod link;
pub mod login;
pub mod machine;
pub mod metrics;
pub mod mounts;
pub mod node;
pub mod offline;
pub mod original;
pub mod people;
mod private_file;
pub mod quota;
pub mod retention;
pub mod server;
pub mod socket;
pub mod surface;
mod usage;

pub use server::{Running, StartError, start};
