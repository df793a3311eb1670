//! The control plane's end of the line (`etransfer_contract::line`).
//!
//! * [`meta`] what the data plane says about a request beside its head
//! * [`decision`] an ordinary answer or a grant, from the same handlers
//! * [`attached`] how a handler gets a body, [`told`] how it hears what came of a step
//! * [`calls`] facts, orders, claims, counters

pub mod attached;
pub mod calls;
pub mod decision;
pub mod meta;
pub mod told;
