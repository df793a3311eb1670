//! The bytes that are uploaded: seeded, different at every offset that could be mixed up, and free to produce while the
//! clock runs. The period is odd, so no slot, block, PATCH or file boundary lines up with it.

use super::settings::MIB;

const PERIOD: u64 = 4 * MIB - 3;
/// Longest piece handed out at once.
pub const WINDOW: usize = MIB as usize;

pub struct Pattern {
    bytes: Vec<u8>,
}

impl Pattern {
    pub fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = vec![0; PERIOD as usize + WINDOW];
        random.fill(&mut bytes[..PERIOD as usize]);
        let (head, tail) = bytes.split_at_mut(PERIOD as usize);
        tail.copy_from_slice(&head[..WINDOW]);
        Self { bytes }
    }

    /// What file number `file` holds from `offset` on, `len` bytes of it, at most [`WINDOW`].
    pub fn at(&self, file: usize, offset: u64, len: usize) -> &[u8] {
        let start = ((file as u64 * 65_537 + offset) % PERIOD) as usize;
        &self.bytes[start..start + len.min(WINDOW)]
    }

    /// Whether `found` is what belongs there.
    pub fn holds(&self, file: usize, mut offset: u64, mut found: &[u8]) -> bool {
        while !found.is_empty() {
            let expected = self.at(file, offset, found.len());
            let (part, rest) = found.split_at(expected.len());
            if part != expected {
                return false;
            }
            offset += part.len() as u64;
            found = rest;
        }
        true
    }
}
