//! The control plane's end of the control link (`etransfer_contract::link`).
//!
//! * [`meta`] what the data plane says about a request beside its head
//! * [`decision`] an ordinary answer or a grant, from the same handlers

pub mod decision;
pub mod meta;
