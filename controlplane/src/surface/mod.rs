//! The dialects: one folder each. A surface owns its paths, its errors and its limits; below it there is one node.
//!
//! * [`entry`] what happens to every request, whosever it is · [`cross_origin`] pages of other origins
//! * [`percent`], [`query`], [`multipart`] what requests are written in · [`delivery`] files on their way out
//! * [`jwt`], [`password`] what several of them log people in with
//! * [`easytransfer`], [`secure_file_transfer`], [`cloudbackend`], [`stream_upload`], [`pyblobserver`]

pub mod attempts;
pub mod cloudbackend;
pub mod cross_origin;
pub mod delivery;
pub mod easytransfer;
pub mod entry;
pub mod html;
pub mod jwt;
pub mod multipart;
pub mod openings;
pub mod password;
pub mod percent;
pub mod pyblobserver;
pub mod query;
pub mod recheck;
pub mod refusal;
pub mod secure_file_transfer;
pub mod stream_upload;
