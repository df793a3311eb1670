//! The dialects: one folder each. A surface owns its paths, its errors and its limits; below it there is one node.

pub mod attempts;
pub mod easytransfer;
pub mod html;
pub mod jwt;
pub mod password;
pub mod query;
pub mod refusal;
