//! What every room of the control plane speaks of, and what depends on nothing in it.
//!
//! * [`SurfaceId`] which dialect · [`UserId`] a person
//! * [`setting`] one value of the configuration, [`choice`] those that are one of a few words, [`size`] sizes
//! * [`query`], [`percent`] what targets of requests are written in · [`html`] texts in pages · [`network`] addresses that
//!   count as one

#[macro_use]
pub mod choice;
pub mod html;
mod id;
pub mod network;
pub mod percent;
pub mod query;
pub mod setting;
pub mod size;

pub use choice::{
    Durability, Engine, Host, LogLevel, Network, OnceMode, PeopleBackend, Policy, StateBackend, TokenPolicy, UserCheck,
    WriteMode,
};
pub use id::{SurfaceId, Unknown, UserId};
pub use setting::{Expected, Hours, Password, Secret, Setting, Size};
