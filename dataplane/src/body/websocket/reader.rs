//! What the next byte of a client belongs to: fragments become messages, control frames come in between.
//!
//! Must stay true: content is unmasked where it lies, by [`Reader::take`] alone; a control frame is handed out whole; after a
//! [`Violation`] nothing more is read.

use super::Violation;
use super::frame::{Control, FrameHead, MessageKind, Opcode};
use super::mask::Mask;

/// The frames of one client.
#[derive(Debug, Default)]
pub struct Reader {
    message: Option<Message>,
}

/// The message that has begun, and its frame.
#[derive(Debug)]
struct Message {
    /// The message ends with this frame.
    is_last: bool,
    left: u64,
    mask: Mask,
}

/// What stands next in the input. `consumed` bytes of it are done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameStep {
    /// A message begins.
    Begin {
        /// Of the input.
        consumed: usize,
        /// What it is.
        kind: MessageKind,
    },
    /// The message goes on in another frame.
    Fragment {
        /// Of the input.
        consumed: usize,
    },
    /// So many bytes at the front of the input are content, masked, at least one: they go through [`Reader::take`].
    Content(usize),
    /// A ping.
    Ping {
        /// Of the input.
        consumed: usize,
        /// Goes back in a pong.
        payload: Vec<u8>,
    },
    /// A pong.
    Pong {
        /// Of the input.
        consumed: usize,
    },
    /// The client ends the conversation; its code, if it sent one.
    Close(Option<u16>),
    /// More input is needed; nothing of this one is done with.
    NeedMore,
}

impl Reader {
    /// What stands at the front of `input`.
    pub fn step(&mut self, input: &[u8]) -> Result<FrameStep, Violation> {
        if let left @ 1.. = self.remaining_in_frame() {
            let bytes = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            return Ok(if bytes == 0 { FrameStep::NeedMore } else { FrameStep::Content(bytes) });
        }
        let Some((head, consumed)) = FrameHead::parse(input)? else { return Ok(FrameStep::NeedMore) };
        let next = Message { is_last: head.is_last, left: head.length, mask: head.mask };
        match (head.opcode, &mut self.message) {
            (Opcode::Control(control), _) => {
                let end = consumed + head.length as usize;
                let Some(payload) = input.get(consumed..end) else { return Ok(FrameStep::NeedMore) };
                control_frame(control, head.mask, payload.to_vec(), end)
            }
            (Opcode::Begin(kind), message @ None) => {
                *message = Some(next);
                Ok(FrameStep::Begin { consumed, kind })
            }
            (Opcode::Begin(_), Some(_)) => Err(Violation::Interleaved),
            (Opcode::Continuation, None) => Err(Violation::Continuation),
            (Opcode::Continuation, Some(message)) => {
                *message = next;
                Ok(FrameStep::Fragment { consumed })
            }
        }
    }

    /// Bytes left in the frame that has begun. So many may be received past [`step`](Self::step), then
    /// [`take`](Self::take).
    pub fn remaining_in_frame(&self) -> u64 {
        self.message.as_ref().map_or(0, |message| message.left)
    }

    /// Content bytes left in the message, when it will not go on in another frame.
    pub fn remaining(&self) -> Option<u64> {
        match &self.message {
            None => Some(0),
            Some(Message { is_last, left, .. }) => is_last.then_some(*left),
        }
    }

    /// Unmasks the next content bytes of the frame.
    ///
    /// # Panics
    /// When there are more than [`remaining_in_frame`](Self::remaining_in_frame): a bug of the caller.
    pub fn take(&mut self, content: &mut [u8]) {
        let left = self.remaining_in_frame();
        assert!(content.len() as u64 <= left, "{} bytes taken of a frame that has {left} left", content.len());
        if let Some(message) = &mut self.message {
            message.left -= content.len() as u64;
            message.mask.apply(content);
        }
    }

    /// Whether the message is over: its last byte was taken. The next one may begin then.
    pub fn end_message(&mut self) -> bool {
        if self.remaining() == Some(0) {
            self.message = None;
        }
        self.message.is_none()
    }

    /// Between two messages.
    pub fn is_between(&self) -> bool {
        self.message.is_none()
    }
}

fn control_frame(
    control: Control,
    mut mask: Mask,
    mut payload: Vec<u8>,
    consumed: usize,
) -> Result<FrameStep, Violation> {
    mask.apply(&mut payload);
    match control {
        Control::Ping => Ok(FrameStep::Ping { consumed, payload }),
        Control::Pong => Ok(FrameStep::Pong { consumed }),
        Control::Close => close_code(&payload).map(FrameStep::Close),
    }
}

/// RFC 6455 §5.5.1, and §7.4 for what may stand there.
fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(Violation::CloseCode) };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::CloseCode);
    }
    std::str::from_utf8(reason).map(|_| Some(code)).map_err(|_| Violation::NotUtf8)
}
