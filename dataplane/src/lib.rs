//! The data plane: it knows bytes, not business.
//!
//! *Absent on purpose:* no SQL, no users, no policy, no surface by name, no JSON beyond the line and its own refusals.
//!
//! The byte path, in reading order: [`node`] starts the cores, `drive` accepts, `connection` reads heads ([`http`]), `grants`
//! asks who may and `grant_cache` remembers (`permission` says whether that still holds), `act` moves the bytes (`rates` says
//! how fast; `messages` is where they come from after an upgrade, [`websocket`] how they look then), [`store`] knows what is
//! there and `journal_writer` writes that down, `line` tells the control plane; `counters` is what a core counts meanwhile. What any of
//! them may hold, and for how long, is in [`bounds`]; `pace` judges a sender and `uptake` a reader (`stalled` has
//! the slow ones), `undecided` holds the memory of strangers, `crowd` counts where connections come from and `holders` whose requests are
//! under way, `heap` gives back what was freed.
pub mod config;
pub mod node;

mod act;
mod body;
#[doc(hidden)] // Its defaults are those of the configuration.
pub mod bounds;
mod connection;
mod content;
mod core;
mod counters;
mod crowd;
mod data_file;
mod drive;
#[doc(hidden)] // Public for bench/micro alone.
pub mod grant_cache;
mod grants;
mod health;
mod heap;
mod holders;
pub mod http;
mod journal_writer;
mod line;
mod listen;
mod messages;
mod pace;
mod permission;
mod rates;
mod readiness;
mod recover;
mod ring;
mod scan;
mod stalled;
pub mod store;
mod transfers;
mod undecided;
mod uptake;
pub mod websocket;
mod wire;
pub mod world;

pub use config::Config;
pub use node::{Node, Opened, StartError, open, start};
