//! What a chunk says about itself: the `x-` fields (CONTRACT.md §4.1, §4.2).

use http::{HeaderMap, HeaderValue};

use super::refusal::Refusal;
use super::upload::About;
use crate::catalogue::text::is_media_type;
use crate::core::percent;

const NAME_BYTES_MAX: usize = 255;
const ID_BYTES_MAX: usize = 128;

/// One chunk of one upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkHead {
    /// The upload.
    pub id: String,
    /// Which of its chunks.
    pub index: u64,
    /// The file.
    pub about: About,
}

impl ChunkHead {
    /// Checks 2 and 3 of CONTRACT.md §4.4.
    pub fn read(headers: &HeaderMap, chunks_max: u64, size_max: u64) -> Result<Self, Refusal> {
        let number = |name| number(headers.get(name)?);
        let id = headers.get("x-upload-id").and_then(|value| value.to_str().ok()).map(str::trim).unwrap_or_default();
        let total = number("x-total-chunks").filter(|total| (1..=chunks_max).contains(total));
        let index = number("x-chunk-index").filter(|index| total.is_some_and(|total| *index < total));
        let name = headers.get("x-filename").and_then(|value| name(value.as_bytes()));
        let size = headers.get("x-filesize").and_then(number_or_more);
        let (Some(total), Some(index), Some(name), Some(size), true) = (total, index, name, size, is_id(id)) else {
            return Err(Refusal::Incomplete);
        };
        if size > size_max {
            return Err(Refusal::TooLarge { limit: size_max });
        }
        let mime = headers.get("x-filetype").and_then(|value| value.to_str().ok()).map(str::trim);
        let mime = mime.filter(|mime| is_media_type(mime)).unwrap_or("application/octet-stream").to_owned();
        Ok(Self { id: id.to_owned(), index, about: About { name, mime, size, total } })
    }
}

/// `^[A-Za-z0-9._-]{1,128}$`, and no name of a directory.
pub fn is_id(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_letter) && text != "." && text != ".."
}

/// Digits alone.
fn number(value: &HeaderValue) -> Option<u64> {
    number_or_more(value).filter(|number| *number < u64::MAX)
}

/// The same; what no number holds is more than any limit.
fn number_or_more(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// CONTRACT.md §4.2: UTF-8 or Latin-1; escapes count when they hide a name that no field can hold.
fn name(bytes: &[u8]) -> Option<String> {
    let text =
        std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().copied().map(char::from).collect(), str::to_owned);
    let hidden = percent::decode(text.trim()).ok().filter(|name| !name.is_ascii());
    let text = hidden.unwrap_or_else(|| text.trim().to_owned());
    let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_fine = (1..=NAME_BYTES_MAX).contains(&last.len()) && !last.contains(char::is_control);
    is_fine.then(|| last.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(changes: &[(&'static str, Option<&[u8]>)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-filename", "a.bin"),
            ("x-filesize", "30"),
            ("x-chunk-index", "1"),
            ("x-total-chunks", "3"),
            ("x-upload-id", "u-1"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        for (name, value) in changes {
            headers.remove(*name);
            if let Some(value) = value {
                headers.insert(*name, HeaderValue::from_bytes(value).unwrap());
            }
        }
        headers
    }

    #[test]
    fn section_9_14_15_fields_that_are_missing_or_malformed() {
        let read = |changes: &[(&'static str, Option<&[u8]>)]| ChunkHead::read(&headers(changes), 10, 100);
        let about = About { name: "a.bin".into(), mime: "application/octet-stream".into(), size: 30, total: 3 };
        assert_eq!(read(&[]), Ok(ChunkHead { id: "u-1".into(), index: 1, about }));
        let long = "i".repeat(129);
        for (name, values) in [
            ("x-filename", &["", " ", "a/", "\t"][..]),
            ("x-filesize", &["", "abc", "-1", "1e3", "+1", "0x10", "1.0", "1 2"]),
            ("x-chunk-index", &["", "3", "-1", "99999999999999999999999"]),
            ("x-total-chunks", &["", "0", "11", "1", "99999999999999999999999"]),
            ("x-upload-id", &["", "../../etc/passwd", "a/b", ".", "..", "a b", "a%2f", &long]),
        ] {
            assert_eq!(read(&[(name, None)]), Err(Refusal::Incomplete), "{name}");
            for value in values {
                assert_eq!(read(&[(name, Some(value.as_bytes()))]), Err(Refusal::Incomplete), "{name}: {value}");
            }
        }
        for size in ["101", "99999999999999999999999"] {
            assert_eq!(read(&[("x-filesize", Some(size.as_bytes()))]), Err(Refusal::TooLarge { limit: 100 }), "{size}");
        }
        assert_eq!(read(&[("x-filesize", Some(b" 100 "))]).unwrap().about.size, 100);
    }

    #[test]
    fn section_4_2_names() {
        for (sent, name) in [
            (&b"a.txt"[..], Some("a.txt")),
            ("文.txt".as_bytes(), Some("文.txt")),
            (b"caf\xe9.txt", Some("caf\u{e9}.txt")),
            (b"%E6%96%87.txt", Some("文.txt")),
            (b"100%25.txt", Some("100%25.txt")),
            (b"100%.txt", Some("100%.txt")),
            (b"%ff.txt", Some("%ff.txt")),
            (b"%E6%96%87%zz", Some("%E6%96%87%zz")),
            (b"C:\\dir\\a.txt", Some("a.txt")),
            (b"../../etc/passwd", Some("passwd")),
            (b"%2e%2e%2f%E6%96%87", Some("文")),
            (b"%E6%96%87%0a", None),
            (b"dir/", None),
        ] {
            assert_eq!(super::name(sent).as_deref(), name, "{}", String::from_utf8_lossy(sent));
        }
    }

    #[test]
    fn a_media_type_that_is_none_is_octets() {
        for (sent, mime) in
            [("image/png", "image/png"), ("", "application/octet-stream"), ("x", "application/octet-stream")]
        {
            let headers = headers(&[("x-filetype", Some(sent.as_bytes()))]);
            assert_eq!(ChunkHead::read(&headers, 10, 100).unwrap().about.mime, mime, "{sent}");
        }
    }
}
