//! The fields of a parsed head: the bytes once, and where each name and value lies in them.

use std::ops::Range;

use etransfer_contract::tus;

use super::Reject;

/// Field lines in order. Names are tokens, values have no surrounding white space and no control byte but tab.
#[derive(Clone)]
pub(super) struct FieldTable {
    bytes: Box<[u8]>,
    at: Box<[FieldAt]>,
}

#[derive(Clone, Copy)]
struct FieldAt {
    name: Place,
    value: Place,
}

/// A range in four bytes less than a `Range<usize>` twice over.
#[derive(Clone, Copy)]
struct Place {
    start: u32,
    len: u32,
}

impl Place {
    fn of(part: &[u8], whole: &[u8]) -> Option<Self> {
        let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
        // Empty values may point anywhere; everything else lies inside.
        let start = if part.is_empty() { 0 } else { start };
        (start + part.len() <= whole.len())
            .then_some(Self { start: u32::try_from(start).ok()?, len: u32::try_from(part.len()).ok()? })
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

impl FieldTable {
    /// `headers` point into `head`; `extra` is appended to the owned bytes, so that the caller can point at it.
    pub fn new(head: &[u8], extra: &[u8], headers: &[httparse::Header<'_>]) -> Result<Self, Reject> {
        let place = |part: &[u8]| Place::of(part, head).ok_or(Reject::Ambiguous);
        let at = headers
            .iter()
            .map(|header| Ok(FieldAt { name: place(header.name.as_bytes())?, value: place(trim(header.value))? }))
            .collect::<Result<_, _>>()?;
        Ok(Self { bytes: [head, extra].concat().into_boxed_slice(), at })
    }

    /// Part of the owned bytes that the caller knows to be ASCII.
    pub fn text(&self, at: Range<usize>) -> &str {
        std::str::from_utf8(&self.bytes[at]).expect("the scanner let only ASCII through here")
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.at.iter().map(|field| (self.text(field.name.range()), &self.bytes[field.value.range()]))
    }

    /// Every value of a field, names compared without case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = move |field: &&FieldAt| self.bytes[field.name.range()].eq_ignore_ascii_case(name.as_bytes());
        self.at.iter().filter(named).map(|field| &self.bytes[field.value.range()])
    }

    /// The first value of a field.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        let named = |field: &&FieldAt| self.bytes[field.name.range()].eq_ignore_ascii_case(name.as_bytes());
        self.at.iter().find(named).map(|field| &self.bytes[field.value.range()])
    }
}

impl tus::Fields for FieldTable {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        Self::all(self, name)
    }
}

/// Optional white space (RFC 9110 §5.6.3) is no part of a value.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
