//! What a client may not do: one table of RFC 6455.

use etransfer_contract::step::CloseCode;

/// Why a conversation ends at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// RFC 6455 §5.1
    #[error("a client's frame must be masked")]
    Unmasked,
    /// RFC 6455 §5.2: no extension was agreed on.
    #[error("a reserved bit is set")]
    ReservedBit,
    /// RFC 6455 §5.2
    #[error("the opcode is not known")]
    Opcode,
    /// RFC 6455 §5.2
    #[error("a length is above 2^63-1")]
    Length,
    /// RFC 6455 §5.5
    #[error("a control frame is fragmented, or above 125 bytes")]
    Control,
    /// RFC 6455 §5.4
    #[error("a continuation without a beginning")]
    Continuation,
    /// RFC 6455 §5.4
    #[error("a message begins inside another one")]
    Interleaved,
    /// RFC 6455 §5.5.1, §7.4
    #[error("the status of a close frame is none a client may send")]
    CloseCode,
    /// RFC 6455 §8.1
    #[error("text that is not UTF-8")]
    NotUtf8,
}

impl Violation {
    /// Status of the close frame that says so.
    pub const fn code(self) -> CloseCode {
        match self {
            Self::Unmasked
            | Self::ReservedBit
            | Self::Opcode
            | Self::Length
            | Self::Control
            | Self::Continuation
            | Self::Interleaved
            | Self::CloseCode => CloseCode::Protocol,
            Self::NotUtf8 => CloseCode::NotText,
        }
    }
}
