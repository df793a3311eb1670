//! The JSON API of CloudBackend (cloudbackend/CONTRACT.md §A). Cases are those of cloudbackend/CONTRACT.md §C.

pub mod accounts;
mod calls;
mod drive;
mod shares;
