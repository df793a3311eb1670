//! The storage plane.
#![allow(dead_code)]

mod access;
mod asked;
mod condition;
mod fields;
mod key;
mod parameters;
mod percent;
mod place;
mod policy;
mod refusal;
mod signature;
mod stored;
mod xml;
