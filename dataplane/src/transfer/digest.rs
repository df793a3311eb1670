//! Digests of upload bodies (`Upload-Checksum`, TUS.md §A9; `etransfer_contract::step::Digest`).
//!
//! Must stay true: no core computes a cryptographic digest of more than [`ON_CORE_BYTES_MAX`] at once: MD5 of a slot would take
//! 1.5 ms.

use std::sync::Arc;

use etransfer_contract::Span;
use etransfer_contract::step;
use etransfer_contract::tus::Algorithm;
use futures_util::future::LocalBoxFuture;
use sha1::Digest;

use super::fault::{Broken, Doing, Fault};
use crate::core::Core;
use crate::driver::Io;
use crate::scan::{SCAN_BYTES, Scan};
use crate::store::Object;
use crate::transfer::data_file::open_for_reading;

/// Less than this is digested faster than it is handed to another thread.
const ON_CORE_BYTES_MAX: usize = 32 * 1024;

/// A digest in the making.
pub enum Hasher {
    Sha1(Box<sha1::Sha1>),
    Sha256(Box<sha2::Sha256>),
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

    /// Starts the digest that a step wants.
    pub fn of(digest: step::Digest) -> Self {
        match digest {
            step::Digest::Md5 => Self::Md5(Box::default()),
            step::Digest::Sha1 => Self::Sha1(Box::default()),
            step::Digest::Sha256 => Self::Sha256(Box::default()),
            step::Digest::Crc64 => Self::Crc64(Box::new(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Xz))),
            step::Digest::Sum8 => Self::Sum8(0),
        }
    }

    /// More than a pass over memory.
    fn is_costly(&self) -> bool {
        matches!(self, Self::Sha1(_) | Self::Sha256(_) | Self::Md5(_))
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

/// The digests so far, and the copy that is in them.
type Digested = (Vec<Hasher>, Vec<u8>);

/// The digests of content that comes window by window.
#[derive(Default)]
pub struct Digests {
    /// On a helper thread while a window is digested.
    hashers: Vec<Hasher>,
    /// Costly digests work on a copy, for the disk gets the window at the same time.
    copy: Vec<u8>,
    running: Option<LocalBoxFuture<'static, Digested>>,
}

impl Digests {
    /// Of content that is to come.
    pub fn new(hashers: Vec<Hasher>) -> Self {
        Self { hashers, ..Self::default() }
    }

    /// Adds a window; with costly digests it waits for the window before, not for this one.
    pub async fn add(&mut self, io: &Io, content: &[u8]) {
        self.settle().await;
        if content.len() <= ON_CORE_BYTES_MAX || !self.hashers.iter().any(Hasher::is_costly) {
            return self.hashers.iter_mut().for_each(|hasher| hasher.update(content));
        }
        let (mut hashers, mut copy) = (std::mem::take(&mut self.hashers), std::mem::take(&mut self.copy));
        copy.clear();
        copy.extend_from_slice(content);
        self.running = Some(Box::pin(io.off_core(move || {
            hashers.iter_mut().for_each(|hasher| hasher.update(&copy));
            (hashers, copy)
        })));
    }

    /// All windows are in them.
    pub async fn finish(mut self) -> Vec<Hasher> {
        self.settle().await;
        self.hashers
    }

    async fn settle(&mut self) {
        if let Some(running) = self.running.take() {
            (self.hashers, self.copy) = running.await;
        }
    }
}

/// Digests bytes that are in an object's file, read once, off the core: for checksums that come after the body.
pub async fn of_file(
    core: &Core,
    object: &Arc<Object>,
    span: Span,
    hashers: Vec<Hasher>,
) -> Result<Vec<Hasher>, Fault> {
    match read(core, object, span, hashers).await {
        Ok(hashers) => Ok(hashers),
        Err(broken) => Err(broken.believe(core, object).await),
    }
}

async fn read(core: &Core, object: &Object, span: Span, mut hashers: Vec<Hasher>) -> Result<Vec<Hasher>, Broken> {
    let file = open_for_reading(&core.io, &core.objects, object).await.map_err(Doing::Open.broken())?;
    let file = file.try_clone().map_err(Doing::Open.broken())?;
    core.io
        .off_core(move || {
            let mut scan = Scan::default();
            let mut at = span.start();
            while at < span.end() {
                let want = (span.end() - at).min(SCAN_BYTES as u64) as usize;
                let content = scan.read(&file, at, want)?;
                hashers.iter_mut().for_each(|hasher| hasher.update(content));
                at += want as u64;
            }
            Ok(hashers)
        })
        .await
        .map_err(Doing::Read.broken())
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
