//! Percent-encoding (RFC 3986 §2.1), strict: a broken escape is an error and not a text.

/// An escape is cut short or has other digits than hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// Decodes once; `+` stays a plus sign.
pub fn decode(text: &str) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let byte;
        (byte, rest) = match (first, after) {
            (b'%', [high, low, after @ ..]) => (digit(*high)? << 4 | digit(*low)?, after),
            (b'%', _) => return Err(Broken),
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
    }
    Ok(bytes)
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

fn digit(digit: u8) -> Result<u8, Broken> {
    char::from(digit).to_digit(16).map(|value| value as u8).ok_or(Broken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_decoded_once_or_refused() {
        for (text, decoded) in [
            ("a%2Fb", Ok(&b"a/b"[..])),
            ("a%2fb+c", Ok(b"a/b+c")),
            ("%252F", Ok(b"%2F")),
            ("%E6%8A%A5", Ok("报".as_bytes())),
            ("%ff", Ok(b"\xff")),
            ("%", Err(Broken)),
            ("%4", Err(Broken)),
            ("%4g", Err(Broken)),
            ("%+1", Err(Broken)),
        ] {
            assert_eq!(decode(text).as_deref(), decoded.as_deref(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back(text in ".*") {
            let encoded = encode(&text, b"/");
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(decode(&encoded), Ok(text.into_bytes()));
        }
    }
}
