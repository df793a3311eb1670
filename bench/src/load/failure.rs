//! Why an operation failed. Its text is the key under which the record counts it, so it names the kind and nothing else.

use std::collections::BTreeMap;
use std::io;

/// How many of each kind.
pub type Failures = BTreeMap<String, u64>;

/// Adds `more` to `sum`.
pub fn add_failures(sum: &mut Failures, more: &Failures) {
    for (kind, count) in more {
        *sum.entry(kind.clone()).or_default() += count;
    }
}

/// One failed operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("status {0}")]
    Status(u16),
    #[error("connection closed")]
    Closed,
    #[error("timeout")]
    Timeout,
    #[error("wrong bytes")]
    WrongBytes,
    #[error("wrong length")]
    WrongLength,
    #[error("answer without length")]
    NoLength,
    #[error("no Location")]
    NoLocation,
    #[error("not HTTP")]
    NotHttp,
    #[error("{0}")]
    Io(io::ErrorKind),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}
