//! Black-box tests live in `blackbox/`; this crate has no library of its own.
