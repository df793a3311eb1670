//! Where a message ends: the one place that decides it (RFC 9112 §6, stricter as PROMISES.md §4 demands).

use etransfer_contract::span::OFFSET_MAX;
use etransfer_contract::tus::Fields;

use super::Reject;
use crate::bounds::LENGTH_DIGITS_MAX;

/// How the body of a message is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// So many bytes, at most 2^63 - 1.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
}

impl Framing {
    /// Decides; every refusal closes the connection, since what follows cannot be trusted to be a request.
    pub(super) fn of(version_minor: u8, fields: &impl Fields) -> Result<Self, Reject> {
        let mut codings = fields.all("transfer-encoding");
        let mut lengths = fields.all("content-length");
        match (codings.next(), lengths.next()) {
            (None, None) => Ok(Self::None),
            (None, Some(_)) if lengths.next().is_some() => Err(Reject::LengthRepeated),
            (None, Some(length)) => length_of(length).map(Self::Length).ok_or(Reject::LengthMalformed),
            (Some(_), Some(_)) => Err(Reject::LengthAndCoding),
            (Some(_), None) if version_minor == 0 => Err(Reject::CodingInOldVersion),
            (Some(_), None) if codings.next().is_some() => Err(Reject::CodingRepeated),
            (Some(coding), None) => coding_of(coding),
        }
    }

    /// The text of `Etransfer-Body`.
    pub fn announcement(self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Length(bytes) => bytes.to_string(),
            Self::Chunked => "chunked".to_owned(),
        }
    }

    /// Whether at least one byte may follow.
    pub const fn has_body(self) -> bool {
        match self {
            Self::None | Self::Length(0) => false,
            Self::Length(_) | Self::Chunked => true,
        }
    }
}

fn length_of(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > LENGTH_DIGITS_MAX || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length = text.iter().fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
    (length <= OFFSET_MAX).then_some(length)
}

fn coding_of(text: &[u8]) -> Result<Framing, Reject> {
    let is_chunked = |member: &&[u8]| member.trim_ascii().eq_ignore_ascii_case(b"chunked");
    if text.is_empty() {
        Err(Reject::CodingEmpty)
    } else if is_chunked(&text) {
        Ok(Framing::Chunked)
    } else if text.split(|byte| *byte == b',').filter(is_chunked).count() > 1 {
        Err(Reject::CodingRepeated)
    } else {
        Err(Reject::CodingUnknown)
    }
}
