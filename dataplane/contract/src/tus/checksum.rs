//! `Upload-Checksum` (TUS.md §A9): an algorithm by name and the digest a body must have.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Refusal;

/// The text of `Tus-Checksum-Algorithm` (T-OPT-5).
pub const ALGORITHMS: &str = "sha1,sha256,md5,crc32,crc32c";

/// A digest this server can compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// MD5.
    Md5,
    /// CRC-32 (IEEE), four bytes, most significant first.
    Crc32,
    /// CRC-32C (Castagnoli), four bytes, most significant first.
    Crc32c,
}

impl Algorithm {
    /// All of them, in the order of [`ALGORITHMS`].
    pub const ALL: [Self; 5] = [Self::Sha1, Self::Sha256, Self::Md5, Self::Crc32, Self::Crc32c];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Md5 => "md5",
            Self::Crc32 => "crc32",
            Self::Crc32c => "crc32c",
        }
    }

    /// Length of the digest.
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Md5 => 16,
            Self::Crc32 | Self::Crc32c => 4,
        }
    }

    /// Names compare exactly (T-HDR-4).
    fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// A parsed `Upload-Checksum`, from a header or a trailer. Equal when algorithm and digest are, however written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum(Named);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    Known(Algorithm, Vec<u8>),
    /// Well-formed, but the algorithm is none of ours: refused later than the syntax (A12).
    Unknown(String),
}

impl Checksum {
    /// `<name> <digest>`, the digest in padded base64 or (easytransfer/CONTRACT.md §2.4) lower-case hex; else 400
    /// (T-SUM-5).
    pub fn parse(value: &[u8]) -> Result<Self, Refusal> {
        let malformed = || Refusal::bad("Upload-Checksum is not an algorithm, one space and a digest in base64 or hex");
        let text = std::str::from_utf8(value).map_err(|_| malformed())?;
        let (name, digest) = text.split_once(' ').ok_or_else(malformed)?;
        if name.is_empty() || digest.is_empty() || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(malformed());
        }
        let named = match Algorithm::by_name(name) {
            Some(algorithm) => Named::Known(algorithm, decode(digest, algorithm.digest_bytes()).ok_or_else(malformed)?),
            None => Named::Unknown(text.to_owned()),
        };
        Ok(Self(named))
    }

    /// The algorithm; 400 when it is not supported (T-SUM-2). Judged after offset and length (A12).
    pub fn algorithm(&self) -> Result<Algorithm, Refusal> {
        match &self.0 {
            Named::Known(algorithm, _) => Ok(*algorithm),
            Named::Unknown(_) => {
                Err(Refusal::bad("the checksum algorithm is not known here").with("Tus-Checksum-Algorithm", ALGORITHMS))
            }
        }
    }

    /// What the body's digest must be; empty, and so never equal to one, when the algorithm is not known.
    pub fn digest(&self) -> &[u8] {
        match &self.0 {
            Named::Known(_, digest) => digest,
            Named::Unknown(_) => &[],
        }
    }
}

/// The lengths tell hex from base64: a digest of n bytes is 2n hex digits or 4⌈n/3⌉ base64 characters. Both are 8 for a
/// CRC, but then base64 ends in `==`.
fn decode(text: &str, bytes: usize) -> Option<Vec<u8>> {
    if text.len() == 2 * bytes && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        let pairs = text.as_bytes().chunks_exact(2);
        return pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    }
    STANDARD.decode(text).ok().filter(|digest| digest.len() == bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_announced_names_are_the_known_ones() {
        let names = Algorithm::ALL.map(Algorithm::name).join(",");
        assert_eq!(names, ALGORITHMS);
    }

    #[test]
    fn base64_and_lower_case_hex_are_the_same_digest() {
        let base64 = Checksum::parse(b"sha1 2iNhTgJGmg18e9G9q1ycR0sZBNw=").unwrap();
        let hex = Checksum::parse(b"sha1 da23614e02469a0d7c7bd1bdab5c9c474b1904dc").unwrap();
        assert_eq!(base64, hex);
        assert_eq!(base64.algorithm(), Ok(Algorithm::Sha1));
        assert_eq!(base64.digest().len(), 20);
        assert_ne!(Checksum::parse(b"crc32 AAAAAA=="), Checksum::parse(b"crc32c AAAAAA=="));
        assert_eq!(Checksum::parse(b"crc32 AAAAAA=="), Checksum::parse(b"crc32 00000000"));
    }

    #[test]
    fn malformed_values_are_refused_at_once_and_unknown_algorithms_when_asked() {
        for text in [
            "",
            "sha1",
            "sha1 ",
            " 2iNhTgJGmg18e9G9q1ycR0sZBNw=",
            "sha1  2iNhTgJGmg18e9G9q1ycR0sZBNw=",
            "sha1 2iNhTgJGmg18e9G9q1ycR0sZBNw",
            "sha1 2iNhTgJGmg18e9G9q1ycR0sZBNw= ",
            "sha1 DA23614E02469A0D7C7BD1BDAB5C9C474B1904DC",
            "sha1 da23614e02469a0d7c7bd1bdab5c9c474b1904d",
            "sha1 !!!!",
            "sha1 AAAA",
            "md5 2iNhTgJGmg18e9G9q1ycR0sZBNw=",
            "crc32 0000000",
            "sha1 \u{e9}\u{e9}",
        ] {
            assert_eq!(Checksum::parse(text.as_bytes()).unwrap_err().status, 400, "{text:?}");
        }
        assert_eq!(Checksum::parse(b"sha1 \xff").unwrap_err().status, 400);
        for text in ["sha512 AAAA", "SHA1 2iNhTgJGmg18e9G9q1ycR0sZBNw=", "sha-1 x"] {
            let checksum = Checksum::parse(text.as_bytes()).unwrap();
            assert_eq!(checksum.algorithm().unwrap_err().status, 400, "{text:?}");
            assert!(checksum.digest().is_empty());
        }
    }

    proptest! {
        #[test]
        fn every_digest_reads_back_from_both_spellings(which in 0..5_usize, bytes in prop::collection::vec(any::<u8>(), 32)) {
            let algorithm = Algorithm::ALL[which];
            let digest = &bytes[..algorithm.digest_bytes()];
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            for text in [format!("{} {}", algorithm.name(), STANDARD.encode(digest)), format!("{} {hex}", algorithm.name())] {
                let checksum = Checksum::parse(text.as_bytes()).unwrap();
                prop_assert_eq!(checksum.digest(), digest);
            }
        }

        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Checksum::parse(&bytes);
        }
    }
}
