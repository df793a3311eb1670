//! The head of a response from the control link, as strict as that of a request.

use etransfer_contract::link::FIELD_PREFIX;
use etransfer_contract::tus::Fields;

use super::fields::FieldTable;
use super::hop::HopByHop;
use super::section::{SectionLimits, SectionScan};
use super::{Framing, Reject};
use crate::bounds::{HEAD_FIELDS_MAX, STATUS_LINE_BYTES_MAX};

const LIMITS: SectionLimits = SectionLimits {
    end_max: 64 * 1024,
    end_reject: Reject::HeadTooLarge,
    fields_max: HEAD_FIELDS_MAX,
    fields_reject: Reject::TooManyFields,
    field_bytes_max: 16 * 1024,
    field_reject: Reject::FieldTooLarge,
};

/// What came over the link is no HTTP/1.1 response with a framing of its own. The connection cannot be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadResponse {
    /// The status line is malformed.
    #[error("malformed status line")]
    StatusLine,
    /// A field line, or the framing, is refused.
    #[error("malformed head: {0}")]
    Head(#[from] Reject),
}

#[derive(Clone)]
pub struct ResponseHead {
    fields: FieldTable,
    status: u16,
    framing: Framing,
    keep_alive: bool,
}

impl ResponseHead {
    /// The head at the start of `bytes` and how many bytes it took; `None` when more are needed. `to_head`: the request
    /// was a HEAD, so no body follows whatever the fields say.
    pub fn parse(bytes: &[u8], to_head: bool) -> Result<Option<(Self, usize)>, BadResponse> {
        let Some(line_end) = bytes.iter().take(STATUS_LINE_BYTES_MAX).position(|byte| *byte == b'\n') else {
            let too_long = bytes.len() >= STATUS_LINE_BYTES_MAX;
            return if too_long { Err(BadResponse::StatusLine) } else { Ok(None) };
        };
        let Some(end) = SectionScan::at(line_end + 1).scan(bytes, &LIMITS)? else { return Ok(None) };
        let mut headers = [httparse::EMPTY_HEADER; HEAD_FIELDS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&bytes[..end]) {
            Ok(httparse::Status::Complete(parsed)) if parsed == end && bytes[..line_end].ends_with(b"\r") => {}
            Ok(_) | Err(_) => return Err(BadResponse::StatusLine),
        }
        let (Some(status @ 100..=599), Some(1)) = (response.code, response.version) else {
            return Err(BadResponse::StatusLine);
        };
        let fields = FieldTable::new(&bytes[..end], &[], response.headers)?;
        let bodiless = to_head || matches!(status, 100..200 | 204 | 304);
        let framing = if bodiless { Framing::None } else { Framing::of(1, &fields)? };
        let keep_alive = !fields.all("connection").any(|value| value.eq_ignore_ascii_case(b"close"));
        // Without a framing the body would last until the end of the connection: the link always has a length.
        if framing == Framing::None && !bodiless {
            return Err(Reject::LengthMalformed.into());
        }
        Ok(Some((Self { fields, status, framing, keep_alive }, end)))
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    /// 1xx: another head follows.
    pub fn is_interim(&self) -> bool {
        self.status < 200
    }

    /// How the body ends.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the connection takes another request after this response.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// The first value of a field.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.fields.first(name)
    }

    /// The fields that travel on to the client, in order.
    pub fn relayed_fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let stays = HopByHop::of(&self.fields);
        let ours =
            |name: &str| name.get(..FIELD_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(FIELD_PREFIX));
        let is_kept = move |name: &str| !stays.holds(name) && !ours(name) && !name.eq_ignore_ascii_case("date");
        self.fields.iter().filter(move |(name, _)| is_kept(name))
    }
}

impl Fields for ResponseHead {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.all(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<(ResponseHead, usize)>, BadResponse> {
        ResponseHead::parse(text.as_bytes(), false)
    }

    #[test]
    fn a_response_is_read_and_its_travelling_fields_are_told() {
        let text = "HTTP/1.1 201 Created\r\nLocation: /x\r\nConnection: X-Hop\r\nx-hop: 1\r\nDate: d\r\ncontent-length: 5\r\nA:\r\n\r\nhello";
        let (head, end) = parse(text).unwrap().unwrap();
        assert_eq!((head.status(), head.framing(), &text[end..]), (201, Framing::Length(5), "hello"));
        assert_eq!(head.relayed_fields().collect::<Vec<_>>(), [("Location", &b"/x"[..]), ("A", b"")]);
        assert!(head.keep_alive() && !head.is_interim());
        for cut in 0..end {
            assert!(matches!(ResponseHead::parse(&text.as_bytes()[..cut], false), Ok(None)), "{cut}");
        }
    }

    #[test]
    fn framing_follows_status_method_and_fields() {
        let framing = |text: &str, to_head| {
            ResponseHead::parse(text.as_bytes(), to_head).map(|head| head.unwrap().0.framing()).map_err(|_| ())
        };
        for (text, to_head, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, Ok(Framing::Length(5))),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, Ok(Framing::None)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, Ok(Framing::Chunked)),
            ("HTTP/1.1 204 No Content\r\n\r\n", false, Ok(Framing::None)),
            ("HTTP/1.1 304\r\n\r\n", false, Ok(Framing::None)),
            ("HTTP/1.1 100 Continue\r\n\r\n", false, Ok(Framing::None)),
            ("HTTP/1.1 200 OK\r\n\r\n", false, Err(())),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", false, Err(())),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false, Err(())),
            ("HTTP/1.1 099 x\r\nContent-Length: 5\r\n\r\n", false, Err(())),
            ("HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\n", false, Err(())),
            ("HTTP/1.1 200 OK\r\n folded\r\n\r\n", false, Err(())),
            ("nonsense\r\n\r\n", false, Err(())),
        ] {
            assert_eq!(framing(text, to_head), expected, "{text:?}");
        }
        let (head, _) = ResponseHead::parse(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true).unwrap().unwrap();
        assert_eq!((head.framing(), head.get("content-length")), (Framing::None, Some(&b"5"[..])));
        assert_eq!(parse(&"x".repeat(STATUS_LINE_BYTES_MAX)).err(), Some(BadResponse::StatusLine));
    }
}
