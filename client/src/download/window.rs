//! Memory between socket and file, laid so that whole blocks of the file can be written from where they were received,
//! past the page cache.

/// Blocks of a file, and addresses they are written from, are multiples of this: no disk in the field asks for more.
pub const BLOCK_BYTES: u64 = 4096;
/// Bytes moved from socket to file at a time; also how often progress is told and recorded.
const WINDOW_BYTES: usize = 1024 * 1024;

/// Room in `memory` for what comes next in the file from `at` on, not beyond `end`: it begins as far behind a multiple of
/// [`BLOCK_BYTES`] in memory as in the file, and ends with a block.
pub fn at(memory: &mut Vec<u8>, at: u64, end: u64) -> &mut [u8] {
    memory.resize(WINDOW_BYTES + BLOCK_BYTES as usize, 0);
    let skip = (at % BLOCK_BYTES) as usize;
    let start = memory.as_ptr().align_offset(BLOCK_BYTES as usize) + skip;
    let bytes = usize::try_from(end - at).unwrap_or(usize::MAX).min(WINDOW_BYTES - skip);
    &mut memory[start..start + bytes]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_file_agree() {
        let mut memory = Vec::new();
        for (from, end, bytes) in [
            (0, 1 << 30, 1 << 20),
            (1 << 20, (1 << 20) + 5, 5),
            (100, 1 << 30, (1 << 20) - 100),
            (4095, 1 << 30, (1 << 20) - 4095),
            (8192 + 7, 8192 + 9, 2),
            (u64::MAX - 1, u64::MAX, 1),
        ] {
            let window = at(&mut memory, from, end);
            let behind = window.as_ptr().addr() as u64 % BLOCK_BYTES;
            assert_eq!((window.len(), behind), (bytes, from % BLOCK_BYTES), "{from}..{end}");
        }
    }
}
