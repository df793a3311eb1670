//! The client library: what the `et` command is made of, usable without it.
//!
//! *Absent on purpose:* no printing (progress goes through [`Progress`]), no async runtime, no configuration lookup
//! (the binary decides where state lives and hands over paths).
//!
//! # Why blocking sockets and plain threads
//!
//! A transfer has at most 32 connections, each of which does one thing at a time. A thread per connection costs nothing
//! at that number, lets the kernel move the bytes up (`sendfile`: no byte of the file enters this process) and takes
//! them down with one read and one write per MiB (`splice` gains little over that, IO.md §1). It also leaves one
//! HTTP/1.1 implementation ([`http1`]) with one set of time limits for API calls and bulk alike. An async client would
//! add a runtime, and would still need a path of its own for the bulk bytes.
//!
//! Reading order: [`Address`] and [`Client`] talk to a server; [`SignIn`] gets a session; [`Candidates`] are the addresses
//! of its node; [`upload`] and [`download`] move files, over one or over several of them; [`Cancel`] and [`Transfer`] end
//! them early; [`Error`] says what went wrong and whether trying again helps.
#![forbid(unsafe_code)]

mod account;
mod address;
mod cancel;
mod client;
mod endpoints;
mod error;
mod fields;
mod files;
pub mod http1;
mod key;
mod login;
mod names;
mod patience;
mod private;
mod progress;
mod proof;
mod reload;
mod secret;
mod slices;
mod spread;
mod traffic;
mod transfer;
mod types;

pub mod download;
pub mod upload;

pub use account::{Limits, QuotaUse, User};
pub use address::{Address, AddressFault};
pub use cancel::Cancel;
pub use client::{Client, NewUpload, UploadState, Wanted};
pub use endpoints::{
    Advised, Candidate, Candidates, Direction, Endpoint, EndpointList, Found, Nics, NicsFault, PROBE_TIMEOUT,
};
pub use error::{Error, Result};
pub use login::{PendingLogin, Session, SignIn};
pub use names::text_of;
pub use private::{make_private_dir, read_json, write_private_json};
pub use progress::{NoProgress, Note, Progress, Why};
pub use reload::{Change, Reloaded};
pub use secret::Secret;
pub use spread::Share;
pub use traffic::{Nic, Rates, Traffic, TrafficFeed};
pub use transfer::Transfer;
pub use types::{
    DownloadInfo, FileInfo, FileList, FileMetadata, FileStatus, Retention, RetentionFault, ServerInfo, StorageInfo,
};
