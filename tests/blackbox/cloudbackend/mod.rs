//! The JSON API of CloudBackend (contract cloudbackend.md Part A).

pub mod accounts;
mod calls;
mod drive;
mod shares;
