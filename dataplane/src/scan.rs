//! Stored bytes read in order, on a helper thread: past the page cache unless they are in it, so that reading a large
//! file costs no memory and evicts nothing that is being read.
//!
//! Must stay true: the file given has an open file description of its own, for its flags are changed here.

use std::io;

use etransfer_disk::File;
use rustix::io::Errno;

use crate::bounds::BLOCK_BYTES;

/// Bytes read at a time, at most.
pub const SCAN_BYTES: usize = 1 << 20;
const BLOCK: usize = BLOCK_BYTES as usize;

/// Memory to read into, for one file after the other.
pub struct Scan {
    buf: Vec<u8>,
    /// The first byte of `buf` that is aligned as direct reads ask.
    first: usize,
}

impl Default for Scan {
    fn default() -> Self {
        // Room to begin aligned, and for the rest of a block at either end.
        let buf = vec![0; SCAN_BYTES + 3 * BLOCK];
        let first = buf.as_ptr().align_offset(BLOCK);
        Self { buf, first }
    }
}

impl Scan {
    /// The `len` bytes at `at`, [`SCAN_BYTES`] at most. A file that ends before them is an error.
    pub fn read(&mut self, file: &File, at: u64, len: usize) -> io::Result<&[u8]> {
        let skip = (at % BLOCK_BYTES) as usize;
        let window = &mut self.buf[self.first..][..(skip + len).next_multiple_of(BLOCK)];
        if len > 0
            && !file.is_cached(at + len as u64 - 1)
            && file.read_direct_at(window, at - skip as u64)?.unwrap_or(0) >= skip + len
        {
            return Ok(&window[skip..skip + len]);
        }
        file.read_exact_at(&mut window[..len], at)?;
        Ok(&window[..len])
    }

    /// As [`read`](Self::read), but past the page cache, which may hold what a failed write left there. Only a file system
    /// that cannot read directly is read through it.
    pub fn read_disk(&mut self, file: &File, at: u64, len: usize) -> io::Result<&[u8]> {
        let skip = (at % BLOCK_BYTES) as usize;
        let window = &mut self.buf[self.first..][..(skip + len).next_multiple_of(BLOCK)];
        match file.read_direct_at(window, at - skip as u64) {
            Ok(Some(read)) if read >= skip + len => return Ok(&window[skip..skip + len]),
            Ok(Some(_)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            // Its end may lie in the middle of a block.
            Ok(None) => {}
            Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
        file.read_exact_at(&mut window[..len], at)?;
        Ok(&window[..len])
    }

    /// `len` zero bytes.
    pub fn zeros(&mut self, len: usize) -> &[u8] {
        let window = &mut self.buf[..len];
        window.fill(0);
        window
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rustix::fs::{OFlags, fcntl_getfl};

    use super::*;

    #[test]
    fn any_span_warm_and_cold() {
        let content: Vec<u8> = (0..3 * SCAN_BYTES + 777).map(|at| (at / 7 % 251) as u8).collect();
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(&content).expect("its content");
        file.as_file().sync_all().expect("a disk");
        let file = File::from(file.reopen().expect("the file again"));
        let mut scan = Scan::default();
        for is_cold in [false, true] {
            for (at, len) in [
                (0, SCAN_BYTES),
                (0, 0),
                (1, SCAN_BYTES),
                (4095, SCAN_BYTES),
                (4096, 4096),
                (content.len() - 1, 1),
                (content.len() - 5000, 5000),
                (SCAN_BYTES - 3, 6),
            ] {
                if is_cold {
                    file.drop_cached().expect("advice");
                }
                assert_eq!(scan.read(&file, at as u64, len).expect("bytes"), &content[at..at + len], "{at}+{len}");
            }
            let past = scan.read(&file, content.len() as u64 - 1, 2).expect_err("one byte too many");
            assert_eq!(past.kind(), io::ErrorKind::UnexpectedEof);
        }
        assert_eq!(fcntl_getfl(&file).expect("flags") & OFlags::DIRECT, OFlags::empty());
    }
}
