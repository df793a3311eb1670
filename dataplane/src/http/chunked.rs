//! Chunked transfer coding (RFC 9112 §7.1), decoded in place: no allocation but for trailers, and those are bounded.

use std::ops::Range;

use etransfer_contract::span::OFFSET_MAX;

use super::Reject;
use super::trailers::Trailers;
use crate::bounds::{BODY_EXTENSIONS_BYTES_MAX, CHUNK_EXTENSION_BYTES_MAX};

/// Digits of a chunk size.
const SIZE_DIGITS_MAX: u8 = 16;

/// What ends a chunked body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// One chunked body on its way in.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    state: State,
    extension_bytes: u32,
    trailers: Trailers,
    fields: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Size { value: u64, digits: u8 },
    Extension { size: u64, bytes: u32 },
    SizeLf { size: u64 },
    Data { remaining: u64 },
    DataCr,
    DataLf,
    Trailers,
    Done,
    Failed(Reject),
}

impl Default for State {
    fn default() -> Self {
        Self::Size { value: 0, digits: 0 }
    }
}

/// What a step found. `consumed` bytes of the input belong to the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChunkStep {
    /// Body bytes: `data` is where they lie in the input; it ends at `consumed` and is not empty.
    Data {
        /// Bytes of the input that are done with, `data` included.
        consumed: usize,
        /// Where the body bytes are.
        data: Range<usize>,
    },
    /// The body is complete, trailers included.
    Done {
        /// The byte after is the next message's.
        consumed: usize,
    },
    /// The whole input was used up.
    NeedMore {
        /// Length of the input.
        consumed: usize,
    },
}

impl Decoder {
    /// Decodes up to the next piece of body bytes, the end of the body or the end of the input.
    pub fn step(&mut self, input: &[u8]) -> Result<ChunkStep, Reject> {
        self.step_within(input, usize::MAX)
    }

    /// The same, with at most `data_max` (at least 1) body bytes; framing bytes are not limited by it.
    pub fn step_within(&mut self, input: &[u8], data_max: usize) -> Result<ChunkStep, Reject> {
        let step = self.run(input, data_max.max(1));
        if let Err(reject) = step {
            self.state = State::Failed(reject);
        }
        step
    }

    /// Body bytes left in the chunk that has begun; 0 between chunks. So many may be received past this decoder, then
    /// [`advance`](Self::advance).
    pub fn remaining_in_chunk(&self) -> u64 {
        match self.state {
            State::Data { remaining } => remaining,
            State::Size { .. }
            | State::Extension { .. }
            | State::SizeLf { .. }
            | State::DataCr
            | State::DataLf
            | State::Trailers
            | State::Done
            | State::Failed(_) => 0,
        }
    }

    /// `bytes` of the chunk's data were received elsewhere.
    ///
    /// # Panics
    /// When that is more than [`remaining_in_chunk`](Self::remaining_in_chunk): a bug of the caller.
    pub fn advance(&mut self, bytes: u64) {
        let remaining = self.remaining_in_chunk();
        assert!(bytes <= remaining, "{bytes} bytes taken of a chunk that has {remaining} left");
        if bytes > 0 {
            self.state = data_or_end(remaining - bytes);
        }
    }

    /// The trailer fields, once [`ChunkStep::Done`] was seen.
    pub fn into_trailers(self) -> Vec<(String, Vec<u8>)> {
        self.fields
    }

    fn run(&mut self, input: &[u8], data_max: usize) -> Result<ChunkStep, Reject> {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            match self.state {
                State::Data { remaining } => {
                    let room = (input.len() - at).min(data_max);
                    let bytes = usize::try_from(remaining).map_or(room, |remaining| remaining.min(room));
                    self.state = data_or_end(remaining - bytes as u64);
                    return Ok(ChunkStep::Data { consumed: at + bytes, data: at..at + bytes });
                }
                State::Trailers => {
                    let (taken, ended) = self.trailers.take(&input[at..])?;
                    at += taken;
                    if ended {
                        self.fields = self.trailers.fields()?;
                        self.state = State::Done;
                    }
                }
                State::Done => return Ok(ChunkStep::Done { consumed: at }),
                State::Failed(reject) => return Err(reject),
                State::Size { .. } | State::Extension { .. } | State::SizeLf { .. } | State::DataCr | State::DataLf => {
                    self.state = self.line_byte(byte)?;
                    at += 1;
                }
            }
        }
        match self.state {
            State::Done => Ok(ChunkStep::Done { consumed: at }),
            State::Failed(reject) => Err(reject),
            _ => Ok(ChunkStep::NeedMore { consumed: at }),
        }
    }

    /// One byte between the data of two chunks.
    fn line_byte(&mut self, byte: u8) -> Result<State, Reject> {
        Ok(match (self.state, byte) {
            (State::Size { digits: 1.., value }, b'\r') => State::SizeLf { size: value },
            (State::Size { digits: 1.., value }, b';') => {
                self.extension_bytes += 1;
                State::Extension { size: value, bytes: 1 }
            }
            (State::Size { value, digits }, _) => size_digit(value, digits, byte)?,
            (State::Extension { size, .. }, b'\r') => State::SizeLf { size },
            (State::Extension { size, bytes }, b'\t' | b' '..=b'~' | 0x80..) => {
                self.extension_bytes += 1;
                if bytes == CHUNK_EXTENSION_BYTES_MAX || self.extension_bytes > BODY_EXTENSIONS_BYTES_MAX {
                    return Err(Reject::ChunkExtensions);
                }
                State::Extension { size, bytes: bytes + 1 }
            }
            (State::Extension { .. }, _) => return Err(Reject::ChunkExtensions),
            (State::SizeLf { size: 0 }, b'\n') => State::Trailers,
            (State::SizeLf { size }, b'\n') => State::Data { remaining: size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::default(),
            (State::SizeLf { .. } | State::DataCr | State::DataLf, _) => return Err(Reject::ChunkEnd),
            (State::Data { .. } | State::Trailers | State::Done | State::Failed(_), _) => {
                unreachable!("not between the data of two chunks")
            }
        })
    }
}

fn data_or_end(remaining: u64) -> State {
    if remaining == 0 { State::DataCr } else { State::Data { remaining } }
}

fn size_digit(value: u64, digits: u8, byte: u8) -> Result<State, Reject> {
    let digit = char::from(byte).to_digit(16).ok_or(Reject::ChunkSize)?;
    if digits == SIZE_DIGITS_MAX {
        return Err(Reject::ChunkSize);
    }
    // At most 16 digits, so nothing is shifted out.
    let value = value << 4 | u64::from(digit);
    if value > OFFSET_MAX {
        return Err(Reject::ChunkSize);
    }
    Ok(State::Size { value, digits: digits + 1 })
}

/// Appends `data` as one chunk; nothing for no data, which would end the body.
pub fn encode_chunk(out: &mut Vec<u8>, data: &[u8]) {
    if !data.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    }
}
