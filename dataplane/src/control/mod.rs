//! What a core says over the control link ([`etransfer_contract::link`]), with the types of [`link`](crate::link).
//!
//! * [`decide`] one decision per request · [`live_grant`] whether a grant still holds for a body under way
//! * [`report`] facts and counters · [`orders`] what the control plane wants done, fetched by a long poll

pub mod decide;
pub mod live_grant;
pub mod orders;
pub mod report;

#[cfg(test)]
mod golden;
