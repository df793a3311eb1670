//! The JSON API of CloudBackend (contract cloudbackend.md Part A).

mod accounts;
mod calls;
mod drive;
mod shares;
