//! A refusal that every dialect of TUS words the same.

use std::borrow::Cow;

/// Status, text for people, and the fields the status demands. How the text is wrapped is the surface's affair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Status of the reply.
    pub status: u16,
    /// What is wrong, for a person; never echoes the request.
    pub detail: Cow<'static, str>,
    /// 412 carries `Tus-Version`.
    pub headers: Vec<(&'static str, String)>,
}

impl Refusal {
    /// A refusal without fields of its own.
    pub fn new(status: u16, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, detail: detail.into(), headers: Vec::new() }
    }

    /// Adds a field to the reply.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The head is malformed.
    pub(super) fn bad(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, detail)
    }
}
