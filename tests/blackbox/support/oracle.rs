//! The byte oracle: content is a seeded function of the offset, so any byte can be judged alone, by anyone who knows the
//! seed, without keeping what was sent. Every upload of a test gets its own seed: a neighbour's byte is a wrong byte.

use std::ops::Range;

/// Content of one upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oracle(pub u64);

impl Oracle {
    /// Eight bytes at a time; splitmix64 of (seed, word index).
    fn word(self, index: u64) -> [u8; 8] {
        let mut z = self.0.wrapping_mul(0xD1B5_4A32_D192_ED03).wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)).to_le_bytes()
    }

    /// The one byte at `offset`.
    pub fn byte(self, offset: u64) -> u8 {
        self.word(offset / 8)[(offset % 8) as usize]
    }

    /// The bytes of a range.
    pub fn bytes(self, range: Range<u64>) -> Vec<u8> {
        let mut out = Vec::with_capacity((range.end - range.start) as usize + 16);
        for index in range.start / 8..range.end.div_ceil(8) {
            out.extend_from_slice(&self.word(index));
        }
        let skip = (range.start % 8) as usize;
        out.drain(..skip.min(out.len()));
        out.truncate((range.end - range.start) as usize);
        out
    }

    /// Are these the bytes from `offset` on? Says where the first wrong one is.
    pub fn check(self, offset: u64, bytes: &[u8]) -> Result<(), Mismatch> {
        let want = self.bytes(offset..offset + bytes.len() as u64);
        match want.iter().zip(bytes).position(|(a, b)| a != b) {
            None => Ok(()),
            Some(at) => {
                let wrong = want.iter().zip(bytes).filter(|(a, b)| a != b).count();
                Err(Mismatch { at: offset + at as u64, want: want[at], got: bytes[at], wrong })
            }
        }
    }
}

/// The first wrong byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Its offset in the upload.
    pub at: u64,
    /// What was sent.
    pub want: u8,
    /// What came back.
    pub got: u8,
    /// How many are wrong in what was looked at.
    pub wrong: usize,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "byte {} is {:#04x}, sent was {:#04x}; {} wrong bytes", self.at, self.got, self.want, self.wrong)
    }
}

/// Writes the content of `0..length` to a file.
pub fn write_file(path: &std::path::Path, oracle: Oracle, length: u64) {
    use std::io::Write as _;
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("create the file to send"));
    let mut at = 0;
    while at < length {
        let end = length.min(at + (1 << 20));
        file.write_all(&oracle.bytes(at..end)).expect("write the file to send");
        at = end;
    }
    file.flush().expect("write the file to send");
}

/// Checks a whole file against the content of `0..length`.
pub fn check_file(path: &std::path::Path, oracle: Oracle, length: u64) {
    use std::io::Read as _;
    let mut file = std::fs::File::open(path).unwrap_or_else(|error| panic!("open {}: {error}", path.display()));
    let size = file.metadata().expect("size of the received file").len();
    assert_eq!(size, length, "size of {}", path.display());
    let (mut at, mut buffer) = (0u64, vec![0u8; 1 << 20]);
    loop {
        let n = file.read(&mut buffer).expect("read the received file");
        if n == 0 {
            return;
        }
        if let Err(wrong) = oracle.check(at, &buffer[..n]) {
            panic!("{}: {wrong}", path.display());
        }
        at += n as u64;
    }
}

/// The kit's control: an oracle that accepts wrong content proves nothing.
#[test]
fn a_swapped_byte_a_zero_tail_and_a_neighbours_byte_are_caught() {
    let (mine, other) = (Oracle(1), Oracle(2));
    let good = mine.bytes(13..4113);
    assert_eq!(mine.check(13, &good), Ok(()));
    assert_eq!(good[5], mine.byte(18));
    let mut swapped = good.clone();
    swapped[700] ^= 1;
    assert_eq!(mine.check(13, &swapped).unwrap_err().at, 713);
    let mut zeroed = good.clone();
    zeroed[4000..].fill(0);
    assert!(mine.check(13, &zeroed).unwrap_err().at >= 4013);
    assert!(mine.check(13, &other.bytes(13..4113)).is_err());
    assert!(mine.check(14, &good).is_err(), "content moved by one byte");
}
