//! The head of an answer, as much of it as a load generator needs, and where its body ends.

use super::failure::Failure;

/// A whole head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub body: BodyLength,
    /// The server closes the connection behind it.
    pub closes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    Known(u64),
    Chunked,
}

const FIELDS_MAX: usize = 64;

impl Answer {
    /// The answer at the start of `bytes` and where its head ends; `None` while it is not whole. Interim answers (1xx)
    /// count as part of the head.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Failure> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut head = httparse::Response::new(&mut fields);
        let end = match head.parse(bytes) {
            Ok(httparse::Status::Complete(end)) => end,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Failure::NotHttp),
        };
        let status = head.code.ok_or(Failure::NotHttp)?;
        if status < 200 {
            return Ok(Self::parse(&bytes[end..])?.map(|(answer, after)| (answer, end + after)));
        }
        let field = |name: &str| {
            let found = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
            str::from_utf8(found.value).ok()
        };
        let body = if matches!(status, 204 | 304) {
            BodyLength::Known(0)
        } else if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            BodyLength::Chunked
        } else {
            let length = field("content-length").and_then(|length| length.trim().parse().ok());
            BodyLength::Known(length.ok_or(Failure::NoLength)?)
        };
        let closes = field("connection").is_some_and(|word| word.eq_ignore_ascii_case("close"));
        Ok(Some((Self { status, location: field("location").map(str::to_owned), body, closes }, end)))
    }
}

/// Where the chunked body at the start of `bytes` ends (without trailers); `None` while it is not whole.
pub fn chunked_end(bytes: &[u8]) -> Result<Option<usize>, Failure> {
    let mut at = 0;
    loop {
        let (start, length) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Failure::NotHttp),
        };
        let length = usize::try_from(length).map_err(|_| Failure::NotHttp)?;
        at = at.checked_add(start).and_then(|at| at.checked_add(length)).ok_or(Failure::NotHttp)?;
        match bytes.get(at..).and_then(|rest| rest.get(..2)) {
            None => return Ok(None),
            Some(b"\r\n") => at += 2,
            Some(_) => return Err(Failure::NotHttp),
        }
        if length == 0 {
            return Ok(Some(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let answer = |status, body| Answer { status, location: None, body, closes: false };
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", Ok(Some((answer(200, BodyLength::Known(5)), 38)))),
            ("HTTP/1.1 204 No Content\r\n\r\n", Ok(Some((answer(204, BodyLength::Known(0)), 27)))),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 x\r\n\r\n", Ok(Some((answer(204, BodyLength::Known(0)), 43)))),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2", Ok(None)),
            ("HTTP/1.1 201 x\r\nTransfer-Encoding: chunked\r\n\r\n", Ok(Some((answer(201, BodyLength::Chunked), 46)))),
            ("HTTP/1.1 200 OK\r\n\r\n", Err(Failure::NoLength)),
            ("HTTP/1.1 200 OK\r\ncontent-le", Ok(None)),
            ("", Ok(None)),
            ("SSH-2.0-OpenSSH\r\n", Err(Failure::NotHttp)),
        ] {
            assert_eq!(Answer::parse(text.as_bytes()), expected, "{text:?}");
        }
        let text = "HTTP/1.1 201 x\r\nLocation: /tus/1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let (answer, _) = Answer::parse(text.as_bytes()).expect("parses").expect("is whole");
        assert_eq!((answer.location.as_deref(), answer.closes), (Some("/tus/1"), true));
    }

    #[test]
    fn ends_of_chunked_bodies() {
        for (text, expected) in [
            ("0\r\n\r\n", Ok(Some(5))),
            ("5\r\nhello\r\n0\r\n\r\nHTTP", Ok(Some(15))),
            ("5\r\nhello\r\n0\r\n", Ok(None)),
            ("5\r\nhel", Ok(None)),
            ("", Ok(None)),
            ("5\r\nhelloXX", Err(Failure::NotHttp)),
            ("xyz\r\n", Err(Failure::NotHttp)),
        ] {
            assert_eq!(chunked_end(text.as_bytes()), expected, "{text:?}");
        }
    }
}
