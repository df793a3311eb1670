//! Field lines up to the empty line, byte by byte: the part that heads, trailers and responses have in common.
//!
//! Must stay true: whether byte `i` is refused depends on the bytes up to `i` only.

use super::Reject;

/// How large a section may be, and what its excesses are called.
#[derive(Debug, Clone, Copy)]
pub(super) struct SectionLimits {
    /// End of the last byte the section may have, empty line included, as an index of the scanned bytes.
    pub end_max: usize,
    pub end_reject: Reject,
    pub fields_max: usize,
    pub fields_reject: Reject,
    /// One line without its CRLF.
    pub field_bytes_max: usize,
    pub field_reject: Reject,
}

/// A scan that goes on where it stopped when more bytes came.
#[derive(Debug, Clone)]
pub(super) struct SectionScan {
    at: usize,
    line_start: usize,
    fields: usize,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    LineStart,
    Name,
    Value,
    ValueLf,
    EndLf,
}

impl SectionScan {
    /// Starts at an index of the bytes.
    pub fn at(start: usize) -> Self {
        Self { at: start, line_start: start, fields: 0, state: State::LineStart }
    }

    /// The index after the empty line; `None` when it did not come yet. `bytes` are those of the call before, and more.
    pub fn scan(&mut self, bytes: &[u8], limits: &SectionLimits) -> Result<Option<usize>, Reject> {
        while let Some(&byte) = bytes.get(self.at) {
            if self.at >= limits.end_max {
                return Err(limits.end_reject);
            }
            match self.state {
                State::LineStart => self.start_line(byte, limits)?,
                State::Name => {
                    self.skip(bytes, limits, is_token);
                    self.end_name(bytes, limits)?;
                }
                State::Value => {
                    self.skip(bytes, limits, is_value);
                    self.end_value(bytes, limits)?;
                }
                State::ValueLf if byte == b'\n' => self.enter(State::LineStart),
                State::EndLf if byte == b'\n' => {
                    self.at += 1;
                    return Ok(Some(self.at));
                }
                State::ValueLf | State::EndLf => return Err(Reject::LineEnd),
            }
        }
        Ok(None)
    }

    fn enter(&mut self, state: State) {
        self.at += 1;
        self.state = state;
    }

    fn start_line(&mut self, byte: u8, limits: &SectionLimits) -> Result<(), Reject> {
        match byte {
            b'\r' => self.enter(State::EndLf),
            b'\n' => return Err(Reject::LineEnd),
            b' ' | b'\t' => return Err(Reject::Folded),
            _ if self.fields == limits.fields_max => return Err(limits.fields_reject),
            byte if !is_token(byte) => return Err(Reject::FieldName),
            _ => {
                self.fields += 1;
                self.line_start = self.at;
                self.state = State::Name;
            }
        }
        Ok(())
    }

    /// Moves to the first byte that is none of the class, or is one too many.
    fn skip(&mut self, bytes: &[u8], limits: &SectionLimits, is_inside: impl Fn(u8) -> bool) {
        let stop = bytes.len().min(limits.end_max).min(self.line_start + limits.field_bytes_max);
        let rest = &bytes[self.at.min(stop)..stop];
        self.at += rest.iter().position(|byte| !is_inside(*byte)).unwrap_or(rest.len());
    }

    fn end_name(&mut self, bytes: &[u8], limits: &SectionLimits) -> Result<(), Reject> {
        let Some(&byte) = bytes.get(self.at).filter(|_| self.at < limits.end_max) else { return Ok(()) };
        if self.at - self.line_start >= limits.field_bytes_max {
            return Err(limits.field_reject);
        }
        match byte {
            b':' => self.enter(State::Value),
            b' ' | b'\t' => return Err(Reject::SpaceBeforeColon),
            _ => return Err(Reject::FieldName),
        }
        Ok(())
    }

    fn end_value(&mut self, bytes: &[u8], limits: &SectionLimits) -> Result<(), Reject> {
        let Some(&byte) = bytes.get(self.at).filter(|_| self.at < limits.end_max) else { return Ok(()) };
        match byte {
            b'\r' => self.enter(State::ValueLf),
            _ if self.at - self.line_start >= limits.field_bytes_max => return Err(limits.field_reject),
            b'\n' => return Err(Reject::LineEnd),
            _ => return Err(Reject::FieldValue),
        }
        Ok(())
    }
}

/// RFC 9110 §5.6.2: a byte of a token.
pub(super) const fn is_token(byte: u8) -> bool {
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            table[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let others = b"!#$%&'*+-.^_`|~";
        let mut index = 0;
        while index < others.len() {
            table[others[index] as usize] = true;
            index += 1;
        }
        table
    };
    TABLE[byte as usize]
}

/// RFC 9110 §5.5: a byte of a field value, obs-text (0x80 and above) included.
pub(super) const fn is_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}
