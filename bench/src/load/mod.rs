//! The load itself: threads that each drive many connections from one epoll set, so that the generator is not the limit.
//!
//! In reading order: [`schedule`] says when operations start, [`worker`] chooses them, [`slots`] work them off, `job` knows what
//! an operation asks, `connection` moves the bytes, [`interval`] is what was seen.

mod answer;
mod connection;
pub mod failure;
pub mod idle;
pub mod interval;
mod job;
pub mod latency;
pub mod schedule;
pub mod slots;
pub mod worker;
