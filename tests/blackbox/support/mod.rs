//! The kit: a node, a raw client, an oracle, and the audit at the end. Each piece has a control that it must catch.

pub mod audit;
pub mod database;
pub mod disk;
pub mod idle;
pub mod netns;
pub mod node;
pub mod oracle;
pub mod provider;
pub mod raw;
pub mod redis;
pub mod tus;
pub mod wait;

pub use node::{Node, OTHER_TOKEN, Role, TOKEN};
pub use oracle::Oracle;
pub use raw::{Conn, DEADLINE, NoReply, Reply, Request};
pub use tus::Upload;
