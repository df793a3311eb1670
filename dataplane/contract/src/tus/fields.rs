//! Header fields by name, and the rules for reading one value out of them (T-HDR-2, T-HDR-3, T-HDR-4).

use super::Refusal;
use crate::list;
use crate::span::OFFSET_MAX;

/// A decimal number in a protocol field has at most this many digits: those of 2^63 - 1 (T-HDR-2).
const DIGITS_MAX: usize = 19;

/// Where header fields come from: the data plane's heads and `http::HeaderMap`.
pub trait Fields {
    /// Every value of `name` in order, surrounding white space removed. `name` is lower-case; names compare without
    /// case (T-HDR-4).
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]>;
}

impl Fields for http::HeaderMap {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.get_all(name).iter().map(http::HeaderValue::as_bytes)
    }
}

/// Names in any case: trailers, and tests.
impl<N: AsRef<str>, V: AsRef<[u8]>> Fields for Vec<(N, V)> {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(other, _)| other.as_ref().eq_ignore_ascii_case(name)).map(|(_, value)| value.as_ref())
    }
}

/// The only value of a field; a second one is refused even when it is equal (T-HDR-3).
pub(super) fn single<'a>(fields: &'a impl Fields, name: &'static str) -> Result<Option<&'a [u8]>, Refusal> {
    let mut values = fields.all(name);
    let value = values.next();
    match values.next() {
        None => Ok(value),
        Some(_) => Err(Refusal::bad(format!("{name} is given more than once"))),
    }
}

/// The only value of a field as a number: ASCII digits, at most 19, at most 2^63 - 1 (T-HDR-2).
pub(super) fn number(fields: &impl Fields, name: &'static str) -> Result<Option<u64>, Refusal> {
    let Some(text) = single(fields, name)? else { return Ok(None) };
    let value = decimal(text).ok_or_else(|| Refusal::bad(format!("{name} is not a number from 0 to 2^63-1")))?;
    Ok(Some(value))
}

/// Whether one of the comma-separated members of `name` is `member`, without case.
pub(super) fn lists(fields: &impl Fields, name: &'static str, member: &str) -> bool {
    list::lists(fields.all(name), member)
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > DIGITS_MAX || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = text.iter().fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
    (value <= OFFSET_MAX).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_plain_digits_up_to_2_63_minus_1() {
        for (text, value) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("9223372036854775807", Some(OFFSET_MAX)),
            ("9223372036854775808", None),
            ("18446744073709551616", None),
            ("00000000000000000000", None),
            ("", None),
            ("-1", None),
            ("+1", None),
            (" 1", None),
            ("1 ", None),
            ("1.0", None),
            ("0x10", None),
            ("1e3", None),
            ("1,1", None),
            ("١", None),
        ] {
            assert_eq!(decimal(text.as_bytes()), value, "{text:?}");
            let fields = vec![("UPLOAD-offset", text.as_bytes())];
            assert_eq!(number(&fields, "upload-offset").ok().flatten(), value, "{text:?}");
        }
    }

    #[test]
    fn a_field_given_twice_is_refused_even_when_both_agree() {
        let fields = vec![("Upload-Offset", b"0"), ("upload-offset", b"0")];
        assert_eq!(single(&fields, "upload-offset").unwrap_err().status, 400);
        assert_eq!(single(&fields, "upload-length"), Ok(None));
    }

    #[test]
    fn list_members_compare_without_case() {
        let fields = vec![("Trailer", &b"x, "[..]), ("trailer", b"a,\tUPLOAD-Checksum ")];
        assert!(lists(&fields, "trailer", "upload-checksum"));
        assert!(!lists(&fields, "trailer", "upload"));
    }
}
