//! Small bodies, read whole or, where there is no end to wait for, piece by piece: every framing, bounded. Bulk bodies
//! never come here (see `download::fetch`).

use super::{Connection, Framing, ResponseHead, WireError};

/// Longest line with the size of a chunk.
const CHUNK_LINE_MAX: usize = 4096;

impl Connection {
    /// The whole body, at most `limit` bytes of it.
    pub fn read_body(&mut self, head: &ResponseHead, limit: u64) -> Result<Vec<u8>, WireError> {
        let mut body = Vec::new();
        match head.framing {
            Framing::Empty => {}
            Framing::Length(length) => self.read_exactly(length, limit, &mut body)?,
            Framing::Chunked => self.read_chunks(limit, &mut body)?,
            Framing::UntilClose => self.read_to_close(limit, &mut body)?,
        }
        self.answer_read(head);
        Ok(body)
    }

    /// The next piece of a body that has no end in sight: a chunk, or what came; `None` at the end.
    pub fn read_piece(&mut self, head: &ResponseHead, limit: u64) -> Result<Option<Vec<u8>>, WireError> {
        let mut piece = Vec::new();
        match head.framing {
            Framing::Chunked => {
                self.read_chunk(limit, &mut piece)?;
            }
            Framing::UntilClose => {
                piece.extend_from_slice(self.buffered_or_more()?);
                self.consume(piece.len());
            }
            Framing::Empty | Framing::Length(_) => return Err(WireError::Malformed("a stream with an end")),
        }
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }

    /// Some bytes of a body of known length, at least one and at most `most`.
    pub(crate) fn some_body(&mut self, most: u64) -> Result<Vec<u8>, WireError> {
        let some = self.buffered_or_more()?;
        let take = some.len().min(most as usize);
        if take == 0 {
            return Err(WireError::Closed);
        }
        let bytes = some[..take].to_vec();
        self.consume(take);
        Ok(bytes)
    }

    fn read_exactly(&mut self, length: u64, limit: u64, body: &mut Vec<u8>) -> Result<(), WireError> {
        if length > limit.saturating_sub(body.len() as u64) {
            return Err(WireError::TooLarge);
        }
        let end = body.len() + length as usize; // fits: at most `limit`, which callers keep small
        while body.len() < end {
            let some = self.buffered_or_more()?;
            let take = some.len().min(end - body.len());
            if take == 0 {
                return Err(WireError::Closed);
            }
            body.extend_from_slice(&some[..take]);
            self.consume(take);
        }
        Ok(())
    }

    fn read_chunks(&mut self, limit: u64, body: &mut Vec<u8>) -> Result<(), WireError> {
        while self.read_chunk(limit, body)? {}
        while !self.read_line()?.is_empty() {} // trailers
        Ok(())
    }

    /// `false` for the last one, which is empty.
    fn read_chunk(&mut self, limit: u64, body: &mut Vec<u8>) -> Result<bool, WireError> {
        let line = self.read_line()?;
        let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(size).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let size = size.and_then(|text| u64::from_str_radix(text, 16).ok()).ok_or(WireError::Malformed("a chunk"))?;
        if size == 0 {
            return Ok(false);
        }
        self.read_exactly(size, limit, body)?;
        match self.read_line()?.is_empty() {
            true => Ok(true),
            false => Err(WireError::Malformed("a chunk")),
        }
    }

    fn read_to_close(&mut self, limit: u64, body: &mut Vec<u8>) -> Result<(), WireError> {
        loop {
            let some = self.buffered_or_more()?;
            if some.is_empty() {
                return Ok(());
            }
            if (some.len() + body.len()) as u64 > limit {
                return Err(WireError::TooLarge);
            }
            body.extend_from_slice(some);
            let taken = some.len();
            self.consume(taken);
        }
    }

    fn read_line(&mut self) -> Result<Vec<u8>, WireError> {
        let mut line = Vec::new();
        loop {
            let some = self.buffered_or_more()?;
            if some.is_empty() {
                return Err(WireError::Closed);
            }
            let end = some.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(some.len(), |end| end + 1);
            line.extend_from_slice(&some[..taken]);
            self.consume(taken);
            if line.len() > CHUNK_LINE_MAX {
                return Err(WireError::TooLarge);
            }
            if end.is_some() {
                let stripped = line.strip_suffix(b"\r\n").ok_or(WireError::Malformed("a chunk"))?;
                return Ok(stripped.to_vec());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::Cancel;
    use crate::http1::{Dial, Request};

    /// Lets a server send exactly these pieces, and reads the answer.
    fn answer(pieces: &[&str], limit: u64) -> Result<(Vec<u8>, bool), WireError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut socket, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                while !request.windows(4).any(|four| four == b"\r\n\r\n") {
                    assert!(socket.read(&mut request).unwrap() > 0);
                }
                for piece in pieces {
                    let _ = socket.write_all(piece.as_bytes()); // a client that refuses the answer is gone by then
                }
            });
            let mut connection = Connection::open(&address, &Dial::default(), &Cancel::new())?;
            let request = Request { method: "GET", target: "/", fields: &[], body_bytes: None };
            connection.send_head(&request, false)?;
            let head = connection.read_head(false)?;
            let body = connection.read_body(&head, limit)?;
            Ok((body, head.keep_alive))
        })
    }

    #[test]
    fn bodies_are_read_in_every_framing() {
        for (pieces, expected, keep_alive) in [
            (&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "cde"][..], "abcde", true),
            (&["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], "", true),
            (&["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"], "x", true),
            (&["HTTP/1.1 200 OK\r\n\r\nab", "c"], "abc", false),
            (&["HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"], "x", false),
            (
                &[
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                    "3;x=y\r\nabc\r",
                    "\nA\r\n0123456789\r\n0\r\nT: u\r\n\r\n",
                ],
                "abc0123456789",
                true,
            ),
        ] {
            let (body, kept) = answer(pieces, 100).unwrap();
            assert_eq!((String::from_utf8(body).unwrap().as_str(), kept), (expected, keep_alive), "{pieces:?}");
        }
    }

    #[test]
    fn a_body_that_is_too_large_short_or_odd_is_refused() {
        for (pieces, large) in [
            (&["HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n"][..], true),
            (&["HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n"], true),
            (&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n"], true),
            (&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"], true),
            (&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"], false),
            (&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab"], false),
            (&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nab\r\n0\r\n\r\n"], false),
            (&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n"], false),
            (&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n"], false),
            (&["HTTP/1.1 200 OK\r\nConten"], false),
            (&[""], false),
        ] {
            match answer(pieces, 100) {
                Err(error) => assert_eq!(matches!(error, WireError::TooLarge), large, "{pieces:?}: {error}"),
                Ok(body) => panic!("{pieces:?}: {body:?}"),
            }
        }
    }
}
