//! The head of a frame (RFC 6455 §5.2), and the frames this server sends.
//!
//! ```text
//! │ FIN RSV1-3 opcode │ MASK length │ length, 2 or 8 bytes more │ mask, 4 bytes │ payload
//! ```

use etransfer_contract::step::CloseCode;

use super::Violation;
use super::mask::Mask;

/// Longest payload of a control frame.
pub const CONTROL_BYTES_MAX: u64 = 125;
/// A close frame begins with its status.
const CODE_BYTES: usize = 2;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
/// Values of the length that say where it stands instead.
const LENGTH_IN_2: u8 = 126;
const LENGTH_IN_8: u8 = 127;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// More of the message that began.
    Continuation,
    /// The beginning of a message.
    Begin(MessageKind),
    /// No part of a message; it may stand between the fragments of one.
    Control(Control),
}

/// A frame that is no part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// The end of the conversation.
    Close,
    /// Wants a pong.
    Ping,
    /// Wants nothing.
    Pong,
}

/// The head of a client's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// The message ends with it.
    pub is_last: bool,
    /// What it is for.
    pub opcode: Opcode,
    /// Bytes of payload, up to 2^63 - 1.
    pub length: u64,
    /// What the payload is masked with.
    pub mask: Mask,
}

impl FrameHead {
    /// The head at the start of `bytes` and how many bytes it took; `None` when more are needed.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let Some((&[first, second], rest)) = bytes.split_first_chunk() else { return Ok(None) };
        let opcode = opcode(first & OPCODE).ok_or(Violation::Opcode)?;
        let is_last = first & FIN != 0;
        let short = second & LENGTH;
        if first & RESERVED != 0 {
            return Err(Violation::ReservedBit);
        }
        if second & MASKED == 0 {
            return Err(Violation::Unmasked);
        }
        if matches!(opcode, Opcode::Control(_)) && (!is_last || u64::from(short) > CONTROL_BYTES_MAX) {
            return Err(Violation::Control);
        }
        let long = match short {
            LENGTH_IN_2 => {
                rest.split_first_chunk().map(|(length, rest)| (u64::from(u16::from_be_bytes(*length)), rest))
            }
            LENGTH_IN_8 => rest.split_first_chunk().map(|(length, rest)| (u64::from_be_bytes(*length), rest)),
            short => Some((u64::from(short), rest)),
        };
        let Some((length, rest)) = long else { return Ok(None) };
        if i64::try_from(length).is_err() {
            return Err(Violation::Length);
        }
        let Some((mask, payload)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        Ok(Some((Self { is_last, opcode, length, mask: (*mask).into() }, bytes.len() - payload.len())))
    }
}

const fn opcode(number: u8) -> Option<Opcode> {
    Some(match number {
        0x0 => Opcode::Continuation,
        0x1 => Opcode::Begin(MessageKind::Text),
        0x2 => Opcode::Begin(MessageKind::Binary),
        0x8 => Opcode::Control(Control::Close),
        0x9 => Opcode::Control(Control::Ping),
        0xa => Opcode::Control(Control::Pong),
        _ => return None,
    })
}

/// A text message in one frame.
pub fn text(text: &str) -> Vec<u8> {
    frame(0x1, text.as_bytes())
}

/// A pong to a ping with this payload.
pub fn pong(payload: &[u8]) -> Vec<u8> {
    frame(0xa, payload)
}

/// A close frame. The reason is cut to what fits.
pub fn close(code: CloseCode, reason: &str) -> Vec<u8> {
    let fits = reason.floor_char_boundary(CONTROL_BYTES_MAX as usize - CODE_BYTES);
    frame(0x8, &[&(code as u16).to_be_bytes(), &reason.as_bytes()[..fits]].concat())
}

/// The answer to a client's close frame: its own code, if it sent one (RFC 6455 §5.5.1).
pub fn close_back(code: Option<u16>) -> Vec<u8> {
    frame(0x8, code.map(u16::to_be_bytes).as_ref().map_or(&[], <[u8; CODE_BYTES]>::as_slice))
}

/// One unmasked frame that is a whole message: a server masks nothing (RFC 6455 §5.1).
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 10);
    out.push(FIN | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if short < LENGTH_IN_2 => out.push(short),
        (_, Ok(length)) => {
            out.push(LENGTH_IN_2);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(LENGTH_IN_8);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}
