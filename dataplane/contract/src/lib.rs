//! The words that both planes share.
//!
//! *Absent on purpose:* no I/O, no runtime, no clock, no policy. The data plane and the control plane both depend on
//! this crate and never on each other; what they must agree on is here, and nothing else.
//!
//! Reading order: [`id`] and [`span`] are the nouns; [`grant`] is the control plane's answer to a decision;
//! [`step`] its answer when it writes the reply itself; [`fact`] is what the data plane reports, [`counters`] what it counts; [`order`] is what the control plane wants done;
//! [`link`] names the paths and header fields between them; [`tus`], [`ranges`], [`conditions`] and [`list`] parse the heads that both planes judge.
#![forbid(unsafe_code)]

pub mod conditions;
pub mod counters;
pub mod fact;
pub mod grant;
pub mod id;

pub mod limit;
pub mod link;
pub mod list;
pub mod order;
pub mod ranges;
pub mod span;
pub mod step;
pub mod tus;

pub use fact::Fact;
pub use grant::Grant;
pub use id::ObjectId;
pub use span::{Span, SpanSet};

#[cfg(test)]
mod golden;
