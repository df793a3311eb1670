//! The content of a request: its body, one part of the form that the body is, or one message of a WebSocket.
//!
//! ```text
//! plain:  │ content ............................................ │
//! socket: │ content │ content ....... │ content │ ........
//! form:   │ preamble │ CRLF--B │ part head │ content │ CRLF--B │ part head │ content │ CRLF--B-- │ epilogue │
//! ```
//!
//! Must stay true: a byte is handed out once, and a delimiter never; a delimiter is a whole line (RFC 2046 §5.1.1), so a line
//! that begins like one and goes on is content; bytes that may begin a delimiter wait in `held` until
//! more came, so `held` is small except right after a part's end, when it is at most the window that held the delimiter.
//! Large content of a form is received straight into the caller's buffer and searched there: it is not copied.

use std::ops::Range;
use std::time::Duration;

use memchr::memmem;

use super::pull::Filled;
use super::{Body, BodyError, Fill, Messages};
use crate::bounds::{BOUNDARY_PADDING_MAX, FORM_STEP_BYTES};
use crate::driver::Buf;
use crate::wire::Wire;

/// What is left of the content.
pub struct Content<'b> {
    body: &'b mut Body,
    /// Bytes of the body that were read and not handed out.
    held: Vec<u8>,
    /// What the content ends before; `None`: it ends with the body.
    delimiter: Option<memmem::Finder<'static>>,
    /// The delimiter stands at the front of `held`.
    at_delimiter: bool,
}

impl<'b> Content<'b> {
    /// The whole body is content.
    pub fn plain(body: &'b mut Body) -> Self {
        Self { body, held: Vec::new(), delimiter: None, at_delimiter: false }
    }

    /// From here on the body is read as a form with this boundary; before its first part is its preamble.
    pub fn begin_form(&mut self, boundary: &str) {
        let delimiter = format!("\r\n--{boundary}");
        self.delimiter = Some(memmem::Finder::new(delimiter.as_bytes()).into_owned());
        // A body that begins with its boundary has no line break before it.
        self.held.splice(0..0, *b"\r\n");
    }

    /// Takes [`begin_form`](Self::begin_form) back, before anything was handed out: the body is content as a whole.
    pub fn end_form(&mut self) {
        self.delimiter = None;
        self.held.drain(..2);
    }

    /// From here on the content is one message of a WebSocket after the other; the request had no body.
    pub fn begin_messages(&mut self) {
        self.body.begin_messages();
    }

    /// As [`Body::messages`].
    pub fn messages(&mut self) -> Option<&mut Messages> {
        self.body.messages()
    }

    /// The body is read as a form.
    pub fn is_form(&self) -> bool {
        self.delimiter.is_some()
    }

    /// Nothing of this content is left.
    pub fn is_done(&self) -> bool {
        if self.is_form() { self.at_delimiter } else { self.held.is_empty() && self.body.is_done() }
    }

    /// Bytes still to come: exact for plain content, at most this many for a part; `None` when the sender has not announced them.
    pub fn remaining(&self) -> Option<u64> {
        self.body.remaining().map(|bytes| bytes + self.held.len() as u64)
    }

    /// The sender cannot complete the body any more ([`Body::is_lost`]).
    pub fn is_lost(&self, wire: &Wire) -> bool {
        self.body.is_lost(wire)
    }

    /// The trailer fields of a chunked body; empty before its end.
    pub fn take_trailers(&mut self) -> Vec<(String, Vec<u8>)> {
        self.body.take_trailers()
    }

    /// As [`Body::fill`], for the content.
    pub async fn fill(&mut self, wire: &mut Wire, mut buf: Buf, at: Range<usize>, tick: Duration) -> Filled {
        loop {
            if self.at_delimiter {
                return (0, Ok(Fill::Done), buf);
            }
            if self.held.is_empty() {
                let start = at.start;
                let (bytes, end, mut buf) = self.body.fill(wire, buf, at, tick).await;
                if !self.is_form() {
                    return (bytes, end, buf);
                }
                let content = self.hold_back(&mut buf, start, bytes);
                return (content, end.and_then(|fill| self.judge(fill)), buf);
            }
            let safe = self.safe_bytes();
            if safe > 0 {
                let bytes = safe.min(at.len());
                buf[at.start..at.start + bytes].copy_from_slice(&self.held[..bytes]);
                self.held.drain(..bytes);
                self.at_delimiter = self.starts_with_delimiter();
                let fill = if self.is_done() { Fill::Done } else { Fill::Full };
                return (bytes, Ok(fill), buf);
            }
            self.at_delimiter = self.starts_with_delimiter();
            if !self.at_delimiter {
                match self.more(wire, tick).await {
                    Ok(true) => {}
                    Ok(false) => return (0, Ok(Fill::Tick), buf),
                    Err(error) => return (0, Err(error), buf),
                }
            }
        }
    }

    /// Reads on until at least `bytes` are held, or the body ended.
    pub async fn hold(&mut self, wire: &mut Wire, bytes: usize) -> Result<(), BodyError> {
        while self.held.len() < bytes && !self.body.is_done() {
            self.more(wire, Duration::MAX).await?;
        }
        Ok(())
    }

    /// What is held: at a delimiter, it and what follows.
    pub fn held(&self) -> &[u8] {
        &self.held
    }

    /// Drops a delimiter and a part's head: content follows.
    pub fn begin_part(&mut self, bytes: usize) {
        self.held.drain(..bytes);
        self.at_delimiter = self.starts_with_delimiter();
    }

    /// Reads a little more into `held`; `false` when nothing came within the tick. A form that ends without its delimiter
    /// is broken.
    async fn more(&mut self, wire: &mut Wire, tick: Duration) -> Result<bool, BodyError> {
        if self.body.is_done() {
            return Err(BodyError::Form);
        }
        let (bytes, end, buf) = self.body.fill(wire, Buf::heap(FORM_STEP_BYTES), 0..FORM_STEP_BYTES, tick).await;
        self.held.extend_from_slice(&buf[..bytes]);
        end?;
        Ok(bytes > 0 || self.body.is_done())
    }

    /// Bytes at the front of `held` that are content whatever follows.
    fn safe_bytes(&self) -> usize {
        match &self.delimiter {
            None => self.held.len(),
            Some(delimiter) => content_bytes(delimiter, &self.held, self.body.is_done()),
        }
    }

    fn starts_with_delimiter(&self) -> bool {
        let after = self.delimiter.as_ref().and_then(|delimiter| self.held.strip_prefix(delimiter.needle()));
        after.is_some_and(|after| line_after(after, self.body.is_done()) == BoundaryLine::Delimiter)
    }

    /// Of `bytes` just received into `buf`, keeps what is no content, or may be none.
    fn hold_back(&mut self, buf: &mut Buf, start: usize, bytes: usize) -> usize {
        let received = &buf[start..start + bytes];
        let is_done = self.body.is_done();
        let content = self.delimiter.as_ref().map_or(bytes, |delimiter| content_bytes(delimiter, received, is_done));
        self.held.extend_from_slice(&received[content..]);
        self.at_delimiter = self.starts_with_delimiter();
        content
    }

    fn judge(&self, fill: Fill) -> Result<Fill, BodyError> {
        match fill {
            _ if self.at_delimiter => Ok(Fill::Done),
            // The body ended inside the part.
            Fill::Done => Err(BodyError::Form),
            Fill::Full | Fill::Tick => Ok(fill),
        }
    }
}

/// What a line is that begins with a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BoundaryLine {
    Delimiter,
    Content,
    /// Not all of it is here.
    Unfinished,
}

/// Judges the line by what follows the boundary: `--` at the end of the form, white space, a line end; `is_done`: nothing
/// follows `after` any more.
fn line_after(after: &[u8], is_done: bool) -> BoundaryLine {
    let (rest, is_last) = match after {
        [b'-', b'-', rest @ ..] => (rest, true),
        [] | [b'-'] => return if is_done { BoundaryLine::Content } else { BoundaryLine::Unfinished },
        rest => (rest, false),
    };
    let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match &rest[padding..] {
        _ if padding > BOUNDARY_PADDING_MAX => BoundaryLine::Content,
        [b'\r', b'\n', ..] => BoundaryLine::Delimiter,
        [] if is_done && is_last => BoundaryLine::Delimiter,
        [] | [b'\r'] if !is_done => BoundaryLine::Unfinished,
        _ => BoundaryLine::Content,
    }
}

/// Bytes before the delimiter; without one, before whatever may be its beginning.
fn content_bytes(delimiter: &memmem::Finder<'_>, bytes: &[u8], is_done: bool) -> usize {
    let needle = delimiter.needle();
    let mut from = 0;
    while let Some(found) = delimiter.find(&bytes[from..]) {
        let after = from + found + needle.len();
        if line_after(&bytes[after..], is_done) != BoundaryLine::Content {
            return from + found;
        }
        from = after;
    }
    bytes.len() - partial(needle, bytes)
}

/// Length of the longest end of `bytes` that a delimiter may begin with.
fn partial(needle: &[u8], bytes: &[u8]) -> usize {
    let most = bytes.len().min(needle.len() - 1);
    (1..=most).rev().find(|len| bytes.ends_with(&needle[..*len])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_begin_a_delimiter_waits() {
        let finder = memmem::Finder::new(b"\r\n--B");
        for (bytes, content) in [
            ("", 0),
            ("abc", 3),
            ("abc\r", 3),
            ("abc\r\n", 3),
            ("abc\r\n--", 3),
            ("abc\r\n--C", 8),
            ("\r\r\n", 1),
            ("\r\n--\r\n--B", 4),
            ("\r\n-\r", 3),
        ] {
            assert_eq!(content_bytes(&finder, bytes.as_bytes(), false), content, "{bytes:?}");
        }
    }

    #[test]
    fn rfc_2046_section_5_1_1_a_delimiter_is_a_whole_line() {
        let finder = memmem::Finder::new(b"\r\n--B");
        let all = usize::MAX;
        let padded = |bytes| format!("a\r\n--B{}\r\n", " ".repeat(bytes));
        let (most, more) = (padded(BOUNDARY_PADDING_MAX), padded(BOUNDARY_PADDING_MAX + 1));
        for (bytes, open, done) in [
            ("a\r\n--B\r\n", 1, 1),
            ("a\r\n--B \t\r\n", 1, 1),
            ("a\r\n--B--\r\n", 1, 1),
            ("a\r\n--B-- \r\nb", 1, 1),
            // Whole only when nothing follows.
            ("a\r\n--B--", 1, 1),
            ("a\r\n--B--  ", 1, 1),
            // UndecidedMemory until more came; when nothing comes, no delimiter.
            ("a\r\n--B", 1, all),
            ("a\r\n--B-", 1, all),
            ("a\r\n--B\r", 1, all),
            ("a\r\n--B ", 1, all),
            ("a\r\n--B--\r", 1, all),
            // Content.
            ("a\r\n--Bx", all, all),
            ("a\r\n--B x", all, all),
            ("a\r\n--B\rx", all, all),
            ("a\r\n--B-x", all, all),
            ("a\r\n--B--x", all, all),
            ("a\r\n--B-- x", all, all),
            ("a\r\n--Bx\r\n--B\r\n", 7, 7),
            ("a\r\n--B\r\n--B\r\n", 1, 1),
            (&most, 1, 1),
            (&more, more.len() - 2, all),
        ] {
            let content = |is_done| content_bytes(&finder, bytes.as_bytes(), is_done);
            assert_eq!(content(false), open.min(bytes.len()), "{bytes:?}");
            // The end of a body may look like the beginning of a delimiter; it is none, and the form is broken.
            let unfinished = partial(b"\r\n--B", bytes.as_bytes());
            assert_eq!(content(true), done.min(bytes.len() - if done == all { unfinished } else { 0 }), "{bytes:?}");
        }
    }
}
