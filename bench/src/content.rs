//! The bytes that move: seeded, different at every offset that could be mixed up, and free to produce while the clock runs.
//!
//! Must stay true: the period is odd, so no slot, block, part or file boundary lines up with it; a file's content depends
//! on the seed and its number alone, so any worker can check any file.

use crate::units::MIB;

const PERIOD: u64 = 4 * MIB - 3;
/// How far apart two neighbouring files begin in the period.
const STRIDE: u64 = 65_537;
/// Longest piece handed out at once.
pub const WINDOW: usize = MIB as usize;

/// The content of all files of one seed.
pub struct Content {
    bytes: Vec<u8>,
}

impl Content {
    /// About 5 MiB of memory.
    pub fn new(seed: u64) -> Self {
        let mut bytes = vec![0; PERIOD as usize + WINDOW];
        let (head, tail) = bytes.split_at_mut(PERIOD as usize);
        fastrand::Rng::with_seed(seed).fill(head);
        tail.copy_from_slice(&head[..WINDOW]);
        Self { bytes }
    }

    /// What file number `file` holds from `offset` on: `len` bytes of it, at most [`WINDOW`].
    pub fn at(&self, file: u64, offset: u64, len: u64) -> &[u8] {
        let start = ((file % PERIOD * STRIDE + offset) % PERIOD) as usize;
        &self.bytes[start..start + len.min(WINDOW as u64) as usize]
    }

    /// Whether `found` is what file number `file` holds from `offset` on.
    pub fn holds(&self, file: u64, mut offset: u64, mut found: &[u8]) -> bool {
        while !found.is_empty() {
            let expected = self.at(file, offset, found.len() as u64);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(content: &Content, file: u64, offset: u64, len: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < len {
            bytes.extend_from_slice(content.at(file, offset + bytes.len() as u64, len - bytes.len() as u64));
        }
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_flipped_byte_and_another_file_are_caught(
            seed: u64, file in 0_u64..1 << 40, offset in 0_u64..1 << 40, len in 64_u64..3 * MIB, flip: u64, bit in 0_u8..8,
        ) {
            let content = Content::new(seed);
            let mut bytes = read(&content, file, offset, len);
            prop_assert!(content.holds(file, offset, &bytes));
            prop_assert!(!content.holds(file + 1, offset, &bytes));
            prop_assert!(!content.holds(file, offset + 1, &bytes));
            bytes[(flip % len) as usize] ^= 1 << bit;
            prop_assert!(!content.holds(file, offset, &bytes));
        }
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(Content::new(1).at(0, 0, 64), Content::new(2).at(0, 0, 64));
        assert_eq!(Content::new(1).at(0, 0, 64), Content::new(1).at(0, 0, 64));
    }
}
