//! What `recv_some` brings: a few received bytes, lent from the core's provided buffers or owned where there are none.

use std::fmt;
use std::ops::Deref;

use super::provided::LentBuf;

/// Received bytes, at most [`CHUNK_BYTES_MAX`]. Empty means the peer has ended its side. Given back on drop: copy what
/// must stay and let go, for idle connections share these buffers.
pub struct Chunk(Kind);

/// The largest chunk.
pub const CHUNK_BYTES_MAX: usize = 8 * 1024;

enum Kind {
    Lent(LentBuf),
    Owned(Box<[u8]>),
}

impl Chunk {
    pub(crate) fn lent(lent: LentBuf) -> Self {
        Self(Kind::Lent(lent))
    }

    pub(crate) fn owned(bytes: &[u8]) -> Self {
        Self(Kind::Owned(bytes.into()))
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kind::Lent(lent) => lent,
            Kind::Owned(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} bytes)", self.len())
    }
}
