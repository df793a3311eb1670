//! A whole data plane over real sockets, its control plane a few lines of the test: what only shows with cores,
//! connections and time together. Every test runs on both engines.
#![allow(clippy::disallowed_methods, reason = "tests prepare files and wait for threads by themselves")]

mod bed;
mod bounds;
mod client;
mod control;
mod conversations;
mod crowd;
mod faults;
mod rates;
mod readers;
mod revoked;
mod steps;
