//! CloudBackend (contract cloudbackend.md).

pub mod oss;
