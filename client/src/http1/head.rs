//! Request heads written, response heads parsed. The framing of a body is decided in one place,
//! [`ResponseHead::framing`].

use super::{FIELDS_MAX, HEAD_BYTES_MAX, WireError};

/// A request without its body.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// In capitals.
    pub method: &'a str,
    /// Path and query, ready for the wire.
    pub target: &'a str,
    /// Besides `Host` and `Content-Length`.
    pub fields: &'a [(&'a str, &'a str)],
    /// `None`: no body and no `Content-Length`.
    pub body_bytes: Option<u64>,
}

impl Request<'_> {
    /// The bytes of the head. Control characters in values cannot end a line early: they are dropped.
    pub(super) fn write(&self, host: &str) -> Vec<u8> {
        let mut head = Vec::with_capacity(512);
        for part in [self.method, " ", self.target, " HTTP/1.1\r\nHost: ", host, "\r\n"] {
            head.extend(part.bytes().filter(|byte| !matches!(byte, 0..=9 | 11..=12 | 14..=31 | 127)));
        }
        for (name, value) in self.fields {
            head.extend(name.bytes());
            head.extend(b": ");
            head.extend(value.bytes().filter(|byte| !byte.is_ascii_control()));
            head.extend(b"\r\n");
        }
        if let Some(bytes) = self.body_bytes {
            head.extend(format!("Content-Length: {bytes}\r\n").bytes());
        }
        head.extend(b"\r\n");
        head
    }
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Empty,
    /// This many bytes.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
    /// Until the server closes.
    UntilClose,
}

/// Status and fields of an answer.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    /// The status number.
    pub status: u16,
    /// How the body ends.
    pub framing: Framing,
    /// Whether the connection may carry another request afterwards.
    pub keep_alive: bool,
    fields: Vec<(String, String)>,
}

impl ResponseHead {
    /// The first field of this name, in any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// A field that holds a non-negative decimal number; `None` when absent or anything else.
    pub fn number(&self, name: &str) -> Option<u64> {
        parse_number(self.field(name)?)
    }

    /// `None` while the head is not whole; else the head and how many bytes it took.
    pub(super) fn parse(bytes: &[u8], to_head: bool) -> Result<Option<(Self, usize)>, WireError> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let taken = match response.parse(bytes) {
            Ok(httparse::Status::Complete(taken)) => taken,
            Ok(httparse::Status::Partial) if bytes.len() >= HEAD_BYTES_MAX => return Err(WireError::TooLarge),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(WireError::Malformed("the head")),
        };
        let status = response.code.ok_or(WireError::Malformed("no status"))?;
        let fields: Vec<(String, String)> = response
            .headers
            .iter()
            .map(|field| (field.name.to_owned(), String::from_utf8_lossy(field.value).trim().to_owned()))
            .collect();
        let mut head = Self { status, framing: Framing::Empty, keep_alive: response.version == Some(1), fields };
        head.framing = head.decide_framing(to_head)?;
        let asked_to_close = head.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        head.keep_alive &= !asked_to_close && head.framing != Framing::UntilClose;
        Ok(Some((head, taken)))
    }

    /// RFC 9112 §6.3, response side.
    fn decide_framing(&self, to_head: bool) -> Result<Framing, WireError> {
        if to_head || matches!(self.status, 100..=199 | 204 | 304) {
            return Ok(Framing::Empty);
        }
        let mut lengths = self.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = lengths.next().map(|(_, value)| value);
        if lengths.any(|(_, other)| Some(other) != length) {
            return Err(WireError::Malformed("two lengths"));
        }
        match (self.field("transfer-encoding"), length) {
            (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
            (Some(_), _) => Err(WireError::Malformed("the transfer coding")),
            (None, Some(length)) => parse_number(length).map(Framing::Length).ok_or(WireError::Malformed("the length")),
            (None, None) => Ok(Framing::UntilClose),
        }
    }
}

/// ASCII digits only, up to 2^63-1.
fn parse_number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|number| *number <= i64::MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_framing_of_an_answer_follows_the_standard() {
        for (head, to_head, expected) in [
            ("200 OK\r\nContent-Length: 5\r\n", false, Some(Framing::Length(5))),
            ("200 OK\r\nContent-Length: 5\r\n", true, Some(Framing::Empty)),
            ("204 No Content\r\nContent-Length: 5\r\n", false, Some(Framing::Empty)),
            ("200 OK\r\nTransfer-Encoding: Chunked\r\n", false, Some(Framing::Chunked)),
            ("200 OK\r\n", false, Some(Framing::UntilClose)),
            ("200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n", false, Some(Framing::Length(5))),
            ("200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n", false, None),
            ("200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", false, None),
            ("200 OK\r\nTransfer-Encoding: gzip\r\n", false, None),
            ("200 OK\r\nContent-Length: -5\r\n", false, None),
            ("200 OK\r\nContent-Length: 9223372036854775808\r\n", false, None),
        ] {
            let text = format!("HTTP/1.1 {head}\r\n");
            let parsed = ResponseHead::parse(text.as_bytes(), to_head);
            assert_eq!(parsed.ok().map(|head| head.unwrap().0.framing), expected, "{head:?}");
        }
    }

    #[test]
    fn a_head_is_taken_whole_or_not_at_all() {
        let text = b"HTTP/1.1 204 No Content\r\nUpload-Offset: 7\r\nX: +7\r\n\r\nrest";
        for end in 0..text.len() - 4 {
            assert!(ResponseHead::parse(&text[..end], false).unwrap().is_none(), "{end}");
        }
        let (head, taken) = ResponseHead::parse(text, false).unwrap().unwrap();
        assert_eq!((taken, head.number("upload-offset"), head.number("x")), (text.len() - 4, Some(7), None));
        assert!(head.keep_alive);
        assert!(ResponseHead::parse(b"SSH-2.0-server\r\n\r\n", false).is_err());
        assert!(ResponseHead::parse(&vec![b'x'; HEAD_BYTES_MAX], false).is_err());
    }

    #[test]
    fn a_value_cannot_smuggle_a_line() {
        let request =
            Request { method: "GET", target: "/", fields: &[("X", "a\r\nEvil: 1"), ("Y", "b")], body_bytes: Some(3) };
        let head = String::from_utf8(request.write("node:1")).unwrap();
        assert_eq!(head, "GET / HTTP/1.1\r\nHost: node:1\r\nX: aEvil: 1\r\nY: b\r\nContent-Length: 3\r\n\r\n");
    }
}
