//! Digests of upload bodies (`Upload-Checksum`, tus.md A9).

use std::io;

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

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Crc32c(hasher) => hasher.update(bytes),
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
        }
    }
}

/// The digest of bytes that are in an object's file, read off the core: for checksums that come after the body.
pub async fn of_file(core: &Core, object: ObjectId, span: Span, algorithm: Algorithm) -> io::Result<Vec<u8>> {
    let file = open_for_reading(&core.io, &core.objects, object).await?;
    let file = std::fs::File::from(file.try_clone()?);
    core.io
        .off_core(move || {
            let mut hasher = Hasher::new(algorithm);
            let mut buf = vec![0; READ_BYTES];
            let mut at = span.start();
            while at < span.end() {
                let want = (span.end() - at).min(READ_BYTES as u64) as usize;
                std::os::unix::fs::FileExt::read_exact_at(&file, &mut buf[..want], at)?;
                hasher.update(&buf[..want]);
                at += want as u64;
            }
            Ok(hasher.finish())
        })
        .await
}
