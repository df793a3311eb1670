//! The data plane's end of the line to the control plane (contract crate, `line`): decisions asked per request, facts
//! delivered in batches, orders fetched by a long poll.

mod budgets;
pub mod decide;
mod facts;
#[doc(hidden)] // Public for bench/micro alone.
pub mod grant_cache;
mod link;
pub mod live_grant;
pub mod open_transfers;
mod orders;

pub use budgets::Budgets;
pub use facts::{EndedDelivery, Facts};
pub use link::{ControlLink, ControlReply};
pub use orders::follow_orders;

#[cfg(test)]
mod golden;
