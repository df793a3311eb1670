//! What tests of several crates share. Black-box tests live in `blackbox/`.

pub mod golden;
mod skips;

pub use skips::{has_root, library};
