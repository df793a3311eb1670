//! What a client's bytes are hidden behind (RFC 6455 §5.3): four bytes, over and over.

/// The mask of a frame, turned to its next byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mask([u8; 4]);

impl From<[u8; 4]> for Mask {
    fn from(key: [u8; 4]) -> Self {
        Self(key)
    }
}

impl Mask {
    /// Masks or unmasks the next bytes of the frame, in place.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        let Self(key) = *self;
        let word = u64::from(u32::from_ne_bytes(key)) * 0x1_0000_0001;
        // Whole words, so that the compiler takes several of them at a time.
        let (words, rest) = bytes.as_chunks_mut();
        for bytes in words {
            *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
        }
        rest.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        self.0.rotate_left(rest.len() % key.len());
    }
}
