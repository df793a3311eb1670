//! Percent-encoding (RFC 3986 §2.1), strict: a broken escape is an error and not a text.

/// Why a text cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undecodable {
    /// An escape is cut short or has other digits than hex.
    Broken,
    /// It says bytes that are no UTF-8.
    NotUtf8,
}

/// Decodes once; `+` stays a plus sign.
pub fn decode(text: &str) -> Result<String, Undecodable> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let byte;
        (byte, rest) = match (first, after) {
            (b'%', [high, low, after @ ..]) => (digit(*high)? << 4 | digit(*low)?, after),
            (b'%', _) => return Err(Undecodable::Broken),
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| Undecodable::NotUtf8)
}

/// Everything but unreserved characters and those in `kept` as `%XX`.
pub fn encode(text: &str, kept: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn digit(digit: u8) -> Result<u8, Undecodable> {
    char::from(digit).to_digit(16).map(|value| value as u8).ok_or(Undecodable::Broken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Undecodable::{Broken, NotUtf8};
    use super::*;

    #[test]
    fn escapes_are_decoded_once_or_refused() {
        for (text, decoded) in [
            ("a%2Fb", Ok("a/b")),
            ("a%2fb+c", Ok("a/b+c")),
            ("%252F", Ok("%2F")),
            ("%E6%8A%A5", Ok("报")),
            ("%ff", Err(NotUtf8)),
            ("%c0%af", Err(NotUtf8)),
            ("%ff%", Err(Broken)),
            ("%", Err(Broken)),
            ("%4", Err(Broken)),
            ("%4g", Err(Broken)),
            ("%+1", Err(Broken)),
        ] {
            assert_eq!(decode(text), decoded.map(str::to_owned), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back(text in ".*") {
            let encoded = encode(&text, b"/");
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(decode(&encoded), Ok(text));
        }
    }
}
