//! The data plane's end of the line to the control plane (contract crate, `line`): decisions asked per request, facts
//! delivered in batches, orders fetched by a long poll.

mod budgets;
mod client;
mod facts;
mod orders;

pub use budgets::Budgets;
pub use client::{LineClient, LineReply};
pub use facts::{Delivery, Facts};
pub use orders::follow_orders;

#[cfg(test)]
mod golden;
