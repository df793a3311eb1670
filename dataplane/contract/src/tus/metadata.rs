//! `Upload-Metadata` (T-META-1 to T-META-6): pairs of a key and base64, kept byte for byte as the client wrote them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Refusal;
use crate::list::members_of;

/// Limits of T-META-5.
const HEADER_BYTES_MAX: usize = 8 * 1024;
const PAIRS_MAX: usize = 64;
const VALUE_BYTES_MAX: usize = 4 * 1024;
const FILENAME_BYTES_MAX: usize = 1024;

/// The keys of easytransfer/CONTRACT.md §2.2: text, and old clients sent it without base64, so what is not base64 of
/// UTF-8 is taken literally. All other keys need base64 (T-META-3).
const TEXT_KEYS: [&str; 14] = [
    "filename",
    "filetype",
    "checksum",
    "retention",
    "retention_ttl",
    "relativePath",
    "relative_path",
    "folderId",
    "folder_id",
    "folderName",
    "folder_name",
    "sink",
    "sink_config",
    "sink_preset",
];

/// Parsed metadata. The default is that of a request without the header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    raw: Option<String>,
    pairs: Vec<(String, Option<Vec<u8>>)>,
}

impl Metadata {
    /// Every violation of the grammar or a limit is 400 (T-META-1 to T-META-5). The pairs are a list like any other:
    /// empty ones and white space around commas mean nothing, and without any pair it is as if the header were absent.
    pub fn parse(value: &[u8]) -> Result<Self, Refusal> {
        if value.len() > HEADER_BYTES_MAX {
            return Err(Refusal::bad("Upload-Metadata is longer than 8 KiB"));
        }
        let raw = std::str::from_utf8(value).map_err(|_| Refusal::bad("Upload-Metadata is not text"))?;
        let mut pairs: Vec<(String, Option<Vec<u8>>)> = Vec::new();
        for pair in members_of(raw) {
            let (key, value) = parse_pair(pair)?;
            if pairs.iter().any(|(other, _)| other == key) {
                return Err(Refusal::bad("Upload-Metadata has a key twice"));
            }
            if pairs.len() == PAIRS_MAX {
                return Err(Refusal::bad("Upload-Metadata has more than 64 keys"));
            }
            pairs.push((key.to_owned(), value));
        }
        Ok(Self { raw: (!pairs.is_empty()).then(|| raw.to_owned()), pairs })
    }

    /// Whether the header was there, with something in it.
    pub fn is_present(&self) -> bool {
        self.raw.is_some()
    }

    /// The header as the client gave it, byte for byte (T-HEAD-6); `None` when there was none.
    pub fn raw(&self) -> Option<&str> {
        self.raw.as_deref()
    }

    /// Key and decoded value, in order; `None` for a key without value.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.pairs.iter().map(|(key, value)| (key.as_str(), value.as_deref()))
    }

    /// The value of a key as text, empty for a key without value; `None` when the key is absent or its value is no
    /// UTF-8 (which the keys of easytransfer/CONTRACT.md §2.2 never are).
    pub fn get(&self, key: &str) -> Option<&str> {
        let (_, value) = self.pairs.iter().find(|(other, _)| other == key)?;
        std::str::from_utf8(value.as_deref().unwrap_or_default()).ok()
    }
}

fn parse_pair(pair: &str) -> Result<(&str, Option<Vec<u8>>), Refusal> {
    let (key, value) = match pair.split_once(' ') {
        Some((key, value)) => (key, value),
        None => (pair, ""),
    };
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refusal::bad("Upload-Metadata has an empty key or one that is not plain ASCII"));
    }
    if value.is_empty() {
        return Ok((key, None));
    }
    if value.contains(' ') {
        return Err(Refusal::bad("Upload-Metadata has more than one space between a key and its value"));
    }
    let is_text = TEXT_KEYS.contains(&key);
    let decoded = match STANDARD.decode(value) {
        Ok(bytes) if !is_text || std::str::from_utf8(&bytes).is_ok() => bytes,
        Ok(_) | Err(_) if is_text => value.as_bytes().to_vec(),
        Ok(_) | Err(_) => return Err(Refusal::bad("Upload-Metadata has a value that is not base64")),
    };
    let bytes_max = if key == "filename" { FILENAME_BYTES_MAX } else { VALUE_BYTES_MAX };
    if decoded.len() > bytes_max {
        return Err(Refusal::bad("Upload-Metadata has a value that is too long"));
    }
    if is_text && decoded.contains(&0) {
        return Err(Refusal::bad("Upload-Metadata has a NUL in a text value"));
    }
    Ok((key, Some(decoded)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> bool {
        match Metadata::parse(text.as_bytes()) {
            Ok(_) => false,
            Err(refusal) => {
                assert_eq!(refusal.status, 400, "{text:?}");
                true
            }
        }
    }

    #[test]
    fn the_vector_of_the_contract_reads_as_it_says() {
        let text = "filename dGVzdC50eHQ=,filetype dGV4dC9wbGFpbg==,retention dHRs,retention_ttl MzYwMA==";
        let metadata = Metadata::parse(text.as_bytes()).unwrap();
        let keys = ["filename", "filetype", "retention", "retention_ttl"];
        let values = keys.map(|key| metadata.get(key).unwrap());
        assert_eq!(values, ["test.txt", "text/plain", "ttl", "3600"]);
        assert_eq!(metadata.raw(), Some(text));
        assert_eq!(metadata.get("checksum"), None);
    }

    #[test]
    fn the_grammar_is_kept_strictly() {
        for text in [
            "a b c",
            "k  YQ==",
            "k YQ==,k Yg==",
            "k,k",
            "k !!!!",
            "k YQ",
            "k YQ=",
            "k YQ===",
            "k -_-_",
            "k\u{e9} YQ==",
            "k\tYQ==",
            "k\x7f YQ==",
            "filename AA==",
        ] {
            assert!(refused(text), "{text:?}");
        }
        for text in ["k", "k ", "k,l", "k ,l YQ==", "k YQ==,K Yg==", "k /+8=", "k AA=="] {
            assert!(!refused(text), "{text:?}");
            assert_eq!(Metadata::parse(text.as_bytes()).unwrap().raw(), Some(text));
        }
    }

    #[test]
    fn c3_empty_pairs_and_white_space_around_commas_mean_nothing() {
        for text in ["k YQ==,l Yg==", "k YQ==, l Yg==", ",k YQ==\t,\t,l Yg==,", " k YQ== ,l Yg=="] {
            let metadata = Metadata::parse(text.as_bytes()).unwrap();
            let pairs: Vec<_> = metadata.pairs().collect();
            assert_eq!(pairs, [("k", Some(&b"a"[..])), ("l", Some(&b"b"[..]))], "{text:?}");
            assert_eq!(metadata.raw(), Some(text), "kept byte for byte");
        }
        for text in ["", " ", ",", " ,\t,"] {
            assert_eq!(Metadata::parse(text.as_bytes()), Ok(Metadata::default()), "{text:?}");
        }
    }

    #[test]
    fn only_the_keys_of_easytransfer_may_be_literal() {
        let text = "filename ubuntu.iso,retention permanent,folderName 数据";
        let metadata = Metadata::parse(text.as_bytes()).unwrap();
        assert_eq!(metadata.get("filename"), Some("ubuntu.iso"));
        assert_eq!(metadata.get("retention"), Some("permanent"));
        assert_eq!(metadata.get("folderName"), Some("数据"));
        // Base64 of bytes that are no UTF-8 is literal text too.
        assert_eq!(Metadata::parse(b"filename ////").unwrap().get("filename"), Some("////"));
        assert!(refused("name ubuntu.iso"));
        assert!(Metadata::parse(b"filename \xff").is_err());
    }

    #[test]
    fn binary_values_and_valueless_keys_are_kept() {
        let metadata = Metadata::parse(b"bin /wAB,empty,also ").unwrap();
        let pairs: Vec<_> = metadata.pairs().collect();
        assert_eq!(pairs, [("bin", Some(&[0xff, 0, 1][..])), ("empty", None), ("also", None)]);
        assert_eq!(metadata.get("bin"), None);
        assert_eq!(metadata.get("empty"), Some(""));
    }

    #[test]
    fn each_limit_holds_to_the_unit() {
        let value = |key: &str, bytes: usize| format!("{key} {}", STANDARD.encode("x".repeat(bytes)));
        assert!(!refused(&value("k", VALUE_BYTES_MAX)));
        assert!(refused(&value("k", VALUE_BYTES_MAX + 1)));
        assert!(!refused(&value("filename", FILENAME_BYTES_MAX)));
        assert!(refused(&value("filename", FILENAME_BYTES_MAX + 1)));
        let keys = |count: usize| (0..count).map(|key| format!("k{key}")).collect::<Vec<_>>().join(",");
        assert!(!refused(&keys(PAIRS_MAX)));
        assert!(refused(&keys(PAIRS_MAX + 1)));
        let header = |bytes: usize| format!("{},{}", value("a", 3000), "c".repeat(bytes - 4003));
        assert_eq!(header(HEADER_BYTES_MAX).len(), HEADER_BYTES_MAX);
        assert!(!refused(&header(HEADER_BYTES_MAX)));
        assert!(refused(&header(HEADER_BYTES_MAX + 1)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..20)) {
            let pairs: Vec<String> =
                values.iter().enumerate().map(|(index, value)| format!("k{index} {}", STANDARD.encode(value))).collect();
            let text = pairs.join(",");
            let metadata = Metadata::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(metadata.raw(), Some(text.as_str()));
            let read: Vec<Vec<u8>> = metadata.pairs().filter_map(|(_, value)| value.map(<[u8]>::to_vec)).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn any_input_is_kept_exactly_or_refused(bytes in prop::collection::vec(prop::sample::select(b"a =,Y\0\xff/".to_vec()), 0..24)) {
            if let Ok(metadata) = Metadata::parse(&bytes) {
                prop_assert_eq!(metadata.raw().map(str::as_bytes), metadata.is_present().then_some(&bytes[..]));
            }
        }
    }
}
