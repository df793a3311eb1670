//! One file per command: its arguments and what it does.

#[cfg(feature = "server")]
mod audit_file;
pub mod delete;
#[cfg(feature = "server")]
pub mod doctor;
pub mod download;
#[cfg(feature = "server")]
pub mod import;
pub mod info;
pub mod list;
pub mod login;
pub mod logout;
#[cfg(feature = "server")]
pub mod plant;
#[cfg(feature = "server")]
pub mod reload;
#[cfg(feature = "server")]
pub mod server;
pub mod setup;
pub mod status;
pub mod top;
pub mod upload;
#[cfg(feature = "server")]
pub mod user;
#[cfg(feature = "server")]
pub mod verify;
pub mod version;
pub mod whoami;
