//! Small bodies, read whole: every framing, bounded. Bulk bodies never come here (see `download::fetch`).

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
        loop {
            let line = self.read_line()?;
            let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            let size = std::str::from_utf8(size).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let size =
                size.and_then(|text| u64::from_str_radix(text, 16).ok()).ok_or(WireError::Malformed("a chunk"))?;
            if size == 0 {
                break;
            }
            self.read_exactly(size, limit, body)?;
            if !self.read_line()?.is_empty() {
                return Err(WireError::Malformed("a chunk"));
            }
        }
        while !self.read_line()?.is_empty() {} // trailers
        Ok(())
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
