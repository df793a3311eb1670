//! What one client, credential or address may use of a core and of the node, and how a slow peer is recognised
//! (PROMISES.md P16). The figures that no configuration sets are in [`bounds`](crate::bounds).
//!
//! * [`sources`] open connections per address · [`holders`] requests under way per credential
//! * [`undecided`] memory of requests without a decision
//! * [`stall_detector`] the rate of a peer, window by window · [`uptake`] how a client takes its answer · [`stalled`] the
//!   readers that take it too slowly
pub mod holders;
pub mod sources;
pub mod stall_detector;
pub mod stalled;
pub mod undecided;
pub mod uptake;
