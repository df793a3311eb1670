//! The JSON API of CloudBackend (contract cloudbackend.md Part A).

mod drive;
