//! The way to the control plane, and what waits for it: connections, the queue of facts, reserved space in use, grants that
//! may be used again. Plain types; `control` has the tasks and calls that use them.
//!
//! * `client` connections and answers · `facts` what happened, queued for delivery · `budgets` reserved space in use
//! * `granted` a grant as a core keeps it · [`grant_cache`] those that serve equal requests · [`open_transfers`] large bodies
//!   under way

mod budgets;
mod client;
mod facts;
#[doc(hidden)] // Public for bench/micro alone.
pub mod grant_cache;
mod granted;
pub mod open_transfers;

pub use budgets::Budgets;
pub use client::{ControlLink, ControlLinkError, ControlReply};
pub use facts::{EndedDelivery, Facts, Urgency};
pub use grant_cache::GrantCache;
pub use granted::Granted;
