//! The fields after a chunked body.

use super::Reject;
use super::section::{SectionLimits, SectionScan};
use crate::bounds::{TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX};

const LIMITS: SectionLimits = SectionLimits {
    end_max: TRAILER_BYTES_MAX,
    end_reject: Reject::TrailersTooLarge,
    fields_max: TRAILER_FIELDS_MAX,
    fields_reject: Reject::TrailersTooLarge,
    field_bytes_max: TRAILER_BYTES_MAX,
    field_reject: Reject::TrailersTooLarge,
};

/// Fields that decide framing, routing, authority or the place of the body: they must be known before it, so a trailer
/// that brings one is an attack or a mistake (RFC 9110 §6.5.1, T-SUM-9). Everything else is kept and may be ignored.
const FORBIDDEN: [&str; 34] = [
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "max-forwards",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "tus-resumable",
    "upgrade",
    "upload-concat",
    "upload-defer-length",
    "upload-length",
    "upload-metadata",
    "upload-offset",
    "via",
    "x-http-method-override",
];
const FORBIDDEN_PREFIXES: [&str; 4] = ["etransfer-", "x-api-token", "x-forwarded-", "x-session-token"];

/// A trailer section on its way in.
#[derive(Debug, Clone)]
pub(super) struct Trailers {
    bytes: Vec<u8>,
    scan: SectionScan,
}

impl Default for Trailers {
    fn default() -> Self {
        Self { bytes: Vec::new(), scan: SectionScan::at(0) }
    }
}

impl Trailers {
    /// Takes what it can of `input`; returns how much, and whether that was the end.
    pub fn take(&mut self, input: &[u8]) -> Result<(usize, bool), Reject> {
        // One byte above the limit is enough for the scan to see that it is passed.
        let room = (TRAILER_BYTES_MAX + 1).saturating_sub(self.bytes.len());
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&input[..input.len().min(room)]);
        match self.scan.scan(&self.bytes, &LIMITS)? {
            Some(end) => {
                self.bytes.truncate(end);
                Ok((end - before, true))
            }
            None => Ok((self.bytes.len() - before, false)),
        }
    }

    /// The fields of a section that ended.
    pub fn fields(&self) -> Result<Vec<(String, Vec<u8>)>, Reject> {
        let mut headers = [httparse::EMPTY_HEADER; TRAILER_FIELDS_MAX];
        match httparse::parse_headers(&self.bytes, &mut headers) {
            Ok(httparse::Status::Complete((end, fields))) if end == self.bytes.len() => {
                if fields.iter().any(|field| is_forbidden(field.name)) {
                    return Err(Reject::TrailerForbidden);
                }
                Ok(fields.iter().map(|field| (field.name.to_owned(), field.value.trim_ascii().to_vec())).collect())
            }
            Ok(_) | Err(_) => Err(Reject::Ambiguous),
        }
    }
}

fn is_forbidden(name: &str) -> bool {
    let starts = |prefix: &&str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden)) || FORBIDDEN_PREFIXES.iter().any(starts)
}
