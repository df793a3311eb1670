//! What the control plane reads about the machine it runs on: interfaces and their counters. Reading only; choosing NICs
//! by measured headroom is the advertisement's affair.

pub mod addresses;
pub mod endpoints;
pub mod identity;
pub mod traffic;
