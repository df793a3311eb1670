//! Criterion benches live in `benches/`; this crate has no library of its own.
