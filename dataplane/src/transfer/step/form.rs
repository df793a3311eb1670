//! The head of one part of a form (RFC 7578, RFC 2046 §5.1.1).
//!
//! Must stay true: whatever a part calls itself is text for the control plane; nothing here is a path.

use etransfer_contract::step::Part;

use crate::bounds::{PART_HEAD_BYTES_MAX, STEP_FIELDS_MAX};

/// What follows a delimiter.
#[derive(Debug, PartialEq, Eq)]
pub enum After {
    /// A part, and how many bytes its delimiter and head have.
    Part(Part, usize),
    /// The last delimiter.
    End,
    /// Not all of it is here.
    More,
    /// No form looks like this.
    Broken,
}

/// Reads what follows the delimiter of `delimiter_bytes` at the front of `held`.
pub fn after_delimiter(held: &[u8], delimiter_bytes: usize) -> After {
    let rest = &held[delimiter_bytes..];
    if rest.starts_with(b"--") {
        return After::End;
    }
    // RFC 2046: "transport padding" between the boundary and its line end.
    let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let head = match &rest[padding..] {
        [b'\r', b'\n', head @ ..] => head,
        [] | [b'\r'] | [b'-'] => return unfinished(held),
        _ => return After::Broken,
    };
    let mut fields = [httparse::EMPTY_HEADER; STEP_FIELDS_MAX];
    match httparse::parse_headers(head, &mut fields) {
        Ok(httparse::Status::Complete((bytes, fields))) => {
            let before = held.len() - head.len();
            part(fields).map_or(After::Broken, |part| After::Part(part, before + bytes))
        }
        Ok(httparse::Status::Partial) => unfinished(held),
        Err(_) => After::Broken,
    }
}

fn unfinished(held: &[u8]) -> After {
    if held.len() < PART_HEAD_BYTES_MAX { After::More } else { After::Broken }
}

/// A part without a name is no part of a form.
fn part(fields: &[httparse::Header<'_>]) -> Option<Part> {
    let value = |name: &str| fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value);
    let disposition = value("content-disposition")?;
    let (kind, mut rest) = split(disposition, b';');
    if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return None;
    }
    let (mut name, mut filename, mut extended) = (None, None, None);
    while let Some((key, value, after)) = parameter(rest) {
        rest = after;
        let slot = match key.to_ascii_lowercase().as_slice() {
            b"name" => &mut name,
            b"filename" => &mut filename,
            b"filename*" => &mut extended,
            _ => continue,
        };
        slot.get_or_insert(value);
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Some(Part {
        name: text(name?),
        filename: extended.and_then(|value| decode_extended(&value)).or(filename.map(text)),
        content_type: value("content-type").map(|value| text(value.trim_ascii().to_vec())),
    })
}

fn split(bytes: &[u8], at: u8) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == at) {
        Some(place) => (&bytes[..place], &bytes[place + 1..]),
        None => (bytes, &[]),
    }
}

/// The next `key=value` and what follows its semicolon. In quotes, `\"` is a quote and `\\` a backslash; any other
/// backslash stands for itself, as browsers send it.
fn parameter(bytes: &[u8]) -> Option<(&[u8], Vec<u8>, &[u8])> {
    let equals = bytes.iter().position(|byte| *byte == b'=')?;
    let key = bytes[..equals].trim_ascii();
    let after = bytes[equals + 1..].trim_ascii_start();
    let Some(quoted) = after.strip_prefix(b"\"") else {
        let (value, rest) = split(after, b';');
        return Some((key, value.trim_ascii().to_vec(), rest));
    };
    let mut value = Vec::with_capacity(quoted.len());
    let mut rest = quoted;
    loop {
        match rest {
            [] => return None,
            [b'"', after @ ..] => return Some((key, value, split(after, b';').1)),
            [b'\\', escaped @ (b'"' | b'\\'), after @ ..] => {
                value.push(*escaped);
                rest = after;
            }
            [byte, after @ ..] => {
                value.push(*byte);
                rest = after;
            }
        }
    }
}

/// `UTF-8''…` of `filename*` (RFC 8187), which some clients send although RFC 7578 forbids it.
fn decode_extended(value: &[u8]) -> Option<String> {
    let prefix = value.get(..7).filter(|prefix| prefix.eq_ignore_ascii_case(b"utf-8''"))?;
    let mut rest = &value[prefix.len()..];
    let mut bytes = Vec::with_capacity(rest.len());
    while let [first, after @ ..] = rest {
        (bytes, rest) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let hex = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
                bytes.push(hex(*high)? << 4 | hex(*low)?);
                (bytes, after)
            }
            (byte, after) => {
                bytes.push(*byte);
                (bytes, after)
            }
        };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(after: &str) -> After {
        after_delimiter(format!("\r\n--B{after}").as_bytes(), 5)
    }

    #[test]
    fn rfc_7578_heads_of_parts() {
        let part = |name: &str, filename: Option<&str>, content_type: Option<&str>| Part {
            name: name.into(),
            filename: filename.map(str::to_owned),
            content_type: content_type.map(str::to_owned),
        };
        for (head, told) in [
            ("\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n", part("a", None, None)),
            ("  \t\r\ncontent-disposition:form-data;name=a\r\n\r\n", part("a", None, None)),
            (
                "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a;b.txt\"\r\nContent-Type: text/plain\r\n\r\n",
                part("file", Some("a;b.txt"), Some("text/plain")),
            ),
            (
                "\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\\\"b\\c.txt\"\r\n\r\n",
                part("f", Some("a\"b\\c.txt"), None),
            ),
            ("\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\n\r\n", part("f", Some(""), None)),
            (
                "\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"; filename*=UTF-8''%E6%96%87\r\n\r\n",
                part("f", Some("文"), None),
            ),
            ("\r\nContent-Disposition: form-data; name=\"f\"; filename=\"文\"\r\n\r\n", part("f", Some("文"), None)),
        ] {
            assert_eq!(read(head), After::Part(told, 5 + head.len()), "{head:?}");
        }
    }

    #[test]
    fn what_is_no_head_of_a_part() {
        for (head, told) in [
            ("--", After::End),
            ("--\r\n", After::End),
            ("", After::More),
            ("-", After::More),
            ("\r", After::More),
            ("\r\nContent-Disposition: form-data; na", After::More),
            ("x\r\n\r\n", After::Broken),
            ("\r\n\r\n", After::Broken),
            ("\r\nContent-Type: text/plain\r\n\r\n", After::Broken),
            ("\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n", After::Broken),
            ("\r\nContent-Disposition: form-data\r\n\r\n", After::Broken),
            ("\r\nContent-Disposition: form-data; name=\"a\r\n\r\n", After::Broken),
            ("\r\nno colon\r\n\r\n", After::Broken),
        ] {
            assert_eq!(read(head), told, "{head:?}");
        }
        assert_eq!(read(&format!("\r\nX: {}", "a".repeat(PART_HEAD_BYTES_MAX))), After::Broken);
    }
}
