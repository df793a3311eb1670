//! Finds the end of a request head, and refuses what can never become one, as early as the bytes permit.
//!
//! Must stay true: a refusal depends on the bytes up to the one refused, so every split into reads gets the same one; a
//! connection that keeps its [`HeadScan`] looks at each byte once, however slowly they drip.

use std::ops::Range;

use super::Reject;
use super::section::{SectionLimits, SectionScan, is_token};
use super::target;
use crate::bounds::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX};

/// How large a request head may be (PROMISES.md §4).
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// The request line without its CRLF; longer is 414.
    pub request_line_bytes_max: usize,
    /// The whole head with its empty line; larger is 431.
    pub head_bytes_max: usize,
    /// One field line without its CRLF; longer is 431.
    pub field_bytes_max: usize,
    /// Field lines, at most 100; more is 431.
    pub fields_max: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            request_line_bytes_max: 8 * 1024,
            head_bytes_max: HEAD_BYTES_MAX,
            field_bytes_max: 16 * 1024,
            fields_max: HEAD_FIELDS_MAX,
        }
    }
}

/// Where the scan of one head stands. Keep it beside the bytes until the head is complete, then start a new one.
#[derive(Debug, Clone)]
pub struct HeadScan {
    at: usize,
    line_start: usize,
    state: State,
}

impl Default for HeadScan {
    fn default() -> Self {
        Self { at: 0, line_start: 0, state: State::Start }
    }
}

#[derive(Debug, Clone)]
enum State {
    /// RFC 9112 §2.2: "a server … SHOULD ignore at least one empty line (CRLF) received prior to the request-line".
    /// Exactly one here.
    Start,
    StartLf,
    Line,
    LineLf,
    Fields(RequestLine, SectionScan),
}

/// A head that has its end.
#[derive(Debug, Clone)]
pub(super) struct Scanned {
    pub line: RequestLine,
    /// Where the request line starts, and the index after the empty line.
    pub bytes: Range<usize>,
}

/// A well-formed request line, as indices of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestLine {
    pub method: Range<usize>,
    pub target: Range<usize>,
    pub version_minor: u8,
}

impl HeadScan {
    /// Goes on with the bytes of the call before and more; `None` when the head has no end yet.
    pub(super) fn scan(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<Option<Scanned>, Reject> {
        loop {
            if let State::Fields(line, section) = &mut self.state {
                let end = section.scan(bytes, &section_limits(limits))?;
                return Ok(end.map(|end| Scanned { line: line.clone(), bytes: self.line_start..end }));
            }
            let Some(&byte) = bytes.get(self.at) else { return Ok(None) };
            self.state = match (&self.state, byte) {
                (State::Start, b'\r') => State::StartLf,
                (State::Start, _) => {
                    self.line_start = self.at;
                    self.state = State::Line;
                    continue;
                }
                (State::StartLf, b'\n') => {
                    self.line_start = self.at + 1;
                    State::Line
                }
                (State::Line, _) => match self.skip_line(bytes, limits)? {
                    true => State::LineLf,
                    false => return Ok(None),
                },
                (State::LineLf, b'\n') => {
                    let line = request_line(bytes, self.line_start..self.at - 1)?;
                    State::Fields(line, SectionScan::at(self.at + 1))
                }
                (State::StartLf | State::LineLf, _) => return Err(Reject::LineEnd),
                (State::Fields(..), _) => unreachable!("handled above"),
            };
            self.at += 1;
        }
    }

    /// Moves to the CR that ends the request line; `false` when the bytes end first.
    fn skip_line(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<bool, Reject> {
        let line_max = limits.request_line_bytes_max.min(limits.head_bytes_max);
        let stop = bytes.len().min(self.line_start + line_max);
        let rest = &bytes[self.at.min(stop)..stop];
        self.at += rest.iter().position(|byte| !matches!(byte, b' '..=b'~')).unwrap_or(rest.len());
        match bytes.get(self.at) {
            None => Ok(false),
            Some(b'\r') => Ok(true),
            Some(_) if self.at - self.line_start >= line_max => Err(Reject::RequestLineTooLong),
            Some(b'\n') => Err(Reject::LineEnd),
            Some(_) => Err(Reject::RequestLine),
        }
    }
}

fn section_limits(limits: &HeadLimits) -> SectionLimits {
    SectionLimits {
        end_max: limits.head_bytes_max,
        end_reject: Reject::HeadTooLarge,
        fields_max: limits.fields_max.min(HEAD_FIELDS_MAX),
        fields_reject: Reject::TooManyFields,
        field_bytes_max: limits.field_bytes_max,
        field_reject: Reject::FieldTooLarge,
    }
}

/// RFC 9112 §3: method SP request-target SP HTTP-version, exactly.
fn request_line(bytes: &[u8], at: Range<usize>) -> Result<RequestLine, Reject> {
    let line = &bytes[at.clone()];
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target)) = (parts.next(), parts.next()) else { return Err(Reject::RequestLine) };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) || target.is_empty() {
        return Err(Reject::RequestLine);
    }
    let version_minor = match (parts.next(), parts.next()) {
        (Some(version), None) => version_minor(version)?,
        // "GET /path" is HTTP/0.9.
        (None, _) => return Err(Reject::VersionMalformed),
        (Some(_), Some(_)) => return Err(Reject::RequestLine),
    };
    if !target.iter().all(|byte| target::is_target(*byte)) {
        return Err(Reject::Target);
    }
    let method = at.start..at.start + method.len();
    let target = method.end + 1..method.end + 1 + target.len();
    Ok(RequestLine { method, target, version_minor })
}

fn version_minor(version: &[u8]) -> Result<u8, Reject> {
    match version {
        b"HTTP/1.1" => Ok(1),
        b"HTTP/1.0" => Ok(0),
        [b'H', b'T', b'T', b'P', b'/', major @ b'1'..=b'9', b'.', minor]
            if minor.is_ascii_digit() && (*major > b'1' || *minor > b'1') =>
        {
            Err(Reject::VersionUnknown)
        }
        _ => Err(Reject::VersionMalformed),
    }
}
