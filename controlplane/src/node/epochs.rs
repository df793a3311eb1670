//! Epochs only rise: a grant with a smaller one is void, so one that came back would let in who was put out.
//!
//! Each start takes a stretch of [`EPOCHS_PER_START`] numbers and writes its end down before the first is used, so no
//! revocation waits for a disk and the clock decides nothing. Where the file cannot be read or written, and where `state/`
//! is an older one, the data plane's word counts: each poll tells the highest epoch it heard, and the control plane
//! continues above it.
//!
//! Format of `state/epoch`: one decimal number and a line end, the first epoch of the next start. Without it (an older
//! version's directory) the count begins at the clock, as it did then.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use etransfer_disk::Disk;

use crate::bounds::EPOCHS_PER_START;
use crate::private_file::write_private;

/// The epoch of this moment.
#[derive(Debug)]
pub struct Epochs(AtomicU64);

impl Epochs {
    /// Begins with `first`.
    pub fn new(first: u64) -> Self {
        Self(AtomicU64::new(first))
    }

    /// The epoch of grants made now.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Every grant made so far ends.
    pub fn rise(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Continues above what the data plane heard of.
    pub fn continue_above(&self, heard: u64) {
        self.0.fetch_max(heard.saturating_add(1), Ordering::Relaxed);
    }
}

/// The first epoch of this start, above all of the starts before; `now_ms` where none is written down.
pub fn reserve(disk: &dyn Disk, state: &Path, now_ms: u64) -> io::Result<u64> {
    let path = state.join("epoch");
    let garbled = |error: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let kept = match disk.read(&path) {
        Ok(text) => {
            let text = str::from_utf8(&text).map_err(|_| garbled(&"stream did not contain valid UTF-8"))?;
            text.trim().parse::<u64>().map_err(|error| garbled(&error))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => now_ms,
        Err(error) => return Err(error),
    };
    write_private(disk, &path, format!("{}\n", kept.saturating_add(EPOCHS_PER_START)).as_bytes())?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use etransfer_disk::Os;

    use super::*;

    #[test]
    fn o3_epochs_rise_across_starts_whatever_the_clock_says() {
        let state = tempfile::tempdir().unwrap();
        let day = 86_400_000;
        let first = reserve(&Os, state.path(), 20_000 * day).unwrap();
        let epochs = Epochs::new(first);
        (0..1000).for_each(|_| epochs.rise());
        let second = reserve(&Os, state.path(), 19_999 * day).unwrap();
        assert!(second > epochs.now(), "{second} after {}", epochs.now());
        assert!(reserve(&Os, state.path(), 0).unwrap() > second);
        std::fs::write(state.path().join("epoch"), "no number").unwrap();
        assert!(reserve(&Os, state.path(), 0).is_err(), "who cannot read it says so");
        let epochs = Epochs::new(5);
        epochs.continue_above(9);
        epochs.continue_above(3);
        assert_eq!(epochs.now(), 10);
    }
}
