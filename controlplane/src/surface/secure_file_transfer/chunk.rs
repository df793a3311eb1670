//! What a chunk says about itself (CONTRACT.md §4): 17 bytes before its data, and `Content-Range`.

use etransfer_contract::Span;
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;

/// Length of the header.
pub const HEADER_BYTES: u16 = 17;

/// A chunk's header, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its bytes in the file.
    pub span: Span,
    /// The sum of its data modulo 256.
    pub sum: u8,
    /// The whole file, as `Content-Range` declares it.
    pub total: Option<u64>,
}

impl Chunk {
    /// Checks 1 to 3 and 5; `header` in hex as the data plane tells it, shorter when the content is.
    pub fn read(header: &str, content_range: Option<&str>, length_max: u64) -> Result<Self, Refusal> {
        let bytes = from_hex(header).and_then(|bytes| <[u8; 17]>::try_from(bytes).ok()).ok_or(Refusal::TooSmall)?;
        let number = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes of seventeen"));
        let (start, last) = (number(0), number(8));
        if last < start {
            return Err(Refusal::Backwards);
        }
        let end = last.checked_add(1).filter(|end| *end <= length_max).ok_or(Refusal::FileTooLarge)?;
        let span = Span::new(start, end).ok_or(Refusal::FileTooLarge)?;
        let total = content_range.map_or(Ok(None), |text| declared(text, start, last))?;
        if total.is_some_and(|total| total > length_max) {
            return Err(Refusal::FileTooLarge);
        }
        Ok(Self { span, sum: bytes[16], total })
    }

    /// The header of an empty file: all of it zero, and no data behind it. A total says that there is data.
    pub fn is_of_nothing(&self) -> bool {
        self.total.is_none() && self.span.start() == 0 && self.span.end() == 1 && self.sum == 0
    }
}

/// `bytes s-e/T` (CONTRACT.md §6.2 item 1); `T` may be `*`.
fn declared(text: &str, start: u64, last: u64) -> Result<Option<u64>, Refusal> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten().ok_or(Refusal::OtherRange)
    };
    let (unit, rest) = text.trim().split_once(' ').ok_or(Refusal::OtherRange)?;
    let (range, total) = rest.trim().split_once('/').ok_or(Refusal::OtherRange)?;
    let (first, end) = range.split_once('-').ok_or(Refusal::OtherRange)?;
    if !unit.eq_ignore_ascii_case("bytes") || number(first)? != start || number(end)? != last {
        return Err(Refusal::OtherRange);
    }
    if total == "*" {
        return Ok(None);
    }
    let total = number(total)?;
    if last >= total { Err(Refusal::OtherRange) } else { Ok(Some(total)) }
}

/// Bytes of a hex text of either case.
pub fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect::<Option<Vec<u8>>>()?;
    digits.chunks(2).map(|pair| Some(pair[0] << 4 | pair.get(1)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(start: u64, last: u64, sum: u8) -> String {
        format!("{start:016x}{last:016x}{sum:02x}")
    }

    #[test]
    fn section_4_headers() {
        let hello = Chunk::read("0000000000000000 0000000000000004 f4".replace(' ', "").as_str(), None, 100).unwrap();
        assert_eq!(hello, Chunk { span: Span::new(0, 5).unwrap(), sum: 0xf4, total: None });
        for (text, refusal) in [
            (String::new(), Refusal::TooSmall),
            ("00".repeat(16), Refusal::TooSmall),
            (header(9, 0, 0), Refusal::Backwards),
            (header(0, 99, 0), Refusal::FileTooLarge),
            (header(0, u64::MAX, 0), Refusal::FileTooLarge),
            (header(u64::MAX, u64::MAX, 0), Refusal::FileTooLarge),
            (header(0, i64::MAX as u64, 0), Refusal::FileTooLarge),
        ] {
            assert_eq!(Chunk::read(&text, None, 99), Err(refusal), "{text}");
        }
        assert_eq!(Chunk::read(&header(0, i64::MAX as u64, 0), None, u64::MAX), Err(Refusal::FileTooLarge));
        assert!(Chunk::read(&header(0, 98, 0), None, 99).is_ok());
        assert!(Chunk::read(&header(0, 0, 0), None, 99).unwrap().is_of_nothing());
        assert!(!Chunk::read(&header(0, 0, 1), None, 99).unwrap().is_of_nothing());
    }

    #[test]
    fn section_6_2_content_range() {
        for (text, total) in [
            ("bytes 5-9/10", Ok(Some(10))),
            ("Bytes 5-9/99", Ok(Some(99))),
            (" bytes  5-9/* ", Ok(None)),
            ("bytes 5-9/9", Err(Refusal::OtherRange)),
            ("bytes 4-9/10", Err(Refusal::OtherRange)),
            ("bytes 5-8/10", Err(Refusal::OtherRange)),
            ("bytes 5-9", Err(Refusal::OtherRange)),
            ("bytes */10", Err(Refusal::OtherRange)),
            ("bytes +5-9/10", Err(Refusal::OtherRange)),
            ("bytes 5-9/x", Err(Refusal::OtherRange)),
            ("items 5-9/10", Err(Refusal::OtherRange)),
            ("bytes 5-9/99999999999999999999999", Err(Refusal::OtherRange)),
            ("", Err(Refusal::OtherRange)),
            ("bytes 5-9/101", Err(Refusal::FileTooLarge)),
        ] {
            assert_eq!(Chunk::read(&header(5, 9, 0), Some(text), 100).map(|chunk| chunk.total), total, "{text}");
        }
    }

    #[test]
    fn hex_has_two_digits_a_byte() {
        for (text, bytes) in
            [("", Some(vec![])), ("0aF", None), ("0aFf", Some(vec![10, 255])), ("zz", None), ("é", None)]
        {
            assert_eq!(from_hex(text), bytes, "{text}");
        }
    }
}
