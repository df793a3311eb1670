//! Digests of upload bodies (`Upload-Checksum`, tus.md A9; `etransfer_contract::step::Digest`).

use std::io;

use etransfer_contract::step;
use etransfer_contract::tus::Algorithm;
use etransfer_contract::{ObjectId, Span};
use sha1::Digest;

use crate::core::Core;
use crate::data_file::open_for_reading;

/// Bytes read at a time when a body is digested from its file.
const READ_BYTES: usize = 1 << 20;

/// A digest in the making.
pub enum Hasher {
    /// SHA-1.
    Sha1(Box<sha1::Sha1>),
    /// SHA-256.
    Sha256(Box<sha2::Sha256>),
    /// MD5.
    Md5(Box<md5::Md5>),
    /// CRC-32 (IEEE), four bytes, most significant first.
    Crc32(Box<crc32fast::Hasher>),
    /// CRC-32C (Castagnoli), four bytes, most significant first.
    Crc32c(Box<crc_fast::Digest>),
    /// CRC-64/XZ, eight bytes, most significant first.
    Crc64(Box<crc_fast::Digest>),
    /// The sum of all bytes modulo 256.
    Sum8(u8),
}

impl Hasher {
    /// Starts one.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha1 => Self::Sha1(Box::default()),
            Algorithm::Sha256 => Self::Sha256(Box::default()),
            Algorithm::Md5 => Self::Md5(Box::default()),
            Algorithm::Crc32 => Self::Crc32(Box::default()),
            Algorithm::Crc32c => Self::Crc32c(Box::new(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi))),
        }
    }

    /// Starts the one a step asks for.
    pub fn of(digest: step::Digest) -> Self {
        match digest {
            step::Digest::Md5 => Self::Md5(Box::default()),
            step::Digest::Sha1 => Self::Sha1(Box::default()),
            step::Digest::Sha256 => Self::Sha256(Box::default()),
            step::Digest::Crc64 => Self::Crc64(Box::new(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Xz))),
            step::Digest::Sum8 => Self::Sum8(0),
        }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Crc32c(hasher) | Self::Crc64(hasher) => hasher.update(bytes),
            Self::Sum8(sum) => *sum = bytes.iter().fold(*sum, |sum, byte| sum.wrapping_add(*byte)),
        }
    }

    /// The digest.
    pub fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
            Self::Md5(hasher) => hasher.finalize().to_vec(),
            Self::Crc32(hasher) => hasher.finalize().to_be_bytes().to_vec(),
            Self::Crc32c(hasher) => (hasher.finalize() as u32).to_be_bytes().to_vec(),
            Self::Crc64(hasher) => hasher.finalize().to_be_bytes().to_vec(),
            Self::Sum8(sum) => vec![sum],
        }
    }
}

/// Digests bytes that are in an object's file, read once, off the core: for checksums that come after the body.
pub async fn of_file(core: &Core, object: ObjectId, span: Span, mut hashers: Vec<Hasher>) -> io::Result<Vec<Hasher>> {
    let file = open_for_reading(&core.io, &core.objects, object).await?;
    let file = std::fs::File::from(file.try_clone()?);
    core.io
        .off_core(move || {
            let mut buf = vec![0; READ_BYTES];
            let mut at = span.start();
            while at < span.end() {
                let want = (span.end() - at).min(READ_BYTES as u64) as usize;
                std::os::unix::fs::FileExt::read_exact_at(&file, &mut buf[..want], at)?;
                hashers.iter_mut().for_each(|hasher| hasher.update(&buf[..want]));
                at += want as u64;
            }
            Ok(hashers)
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors() {
        for (digest, content, hex) in [
            (step::Digest::Crc64, "123456789", format!("{:016x}", 11_051_210_869_376_104_954_u64)),
            (step::Digest::Crc64, "hello", format!("{:016x}", 11_177_612_005_948_864_433_u64)),
            (step::Digest::Sum8, "Hello", "f4".into()),
            (step::Digest::Md5, "", "d41d8cd98f00b204e9800998ecf8427e".into()),
        ] {
            let mut hasher = Hasher::of(digest);
            hasher.update(content.as_bytes());
            let found: String = hasher.finish().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(found, hex, "{digest:?} of {content:?}");
        }
    }
}
