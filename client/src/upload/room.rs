//! Waiting for room on the server (507, easytransfer/CONTRACT.md §4 and §12.1). One connection looks, the others wait
//! behind it.

use std::sync::{Mutex, PoisonError};

use super::UploadOptions;
use crate::patience::Patience;
use crate::progress::{Meter, Note};
use crate::{Client, Error, Result};

/// Shared by the connections of one upload.
#[derive(Debug)]
pub(super) struct Room {
    turn: Mutex<()>,
    patience: Patience,
}

impl Room {
    pub fn new(options: &UploadOptions) -> Self {
        Self { turn: Mutex::new(()), patience: Patience::new(options.space_wait_max) }
    }

    /// Bytes were stored: the clock starts again.
    pub fn found(&self) {
        self.patience.progressed();
    }

    /// Returns when another try is worth it; gives `error` back when told not to wait, or after waiting too long.
    pub fn wait(&self, error: Error, options: &UploadOptions, client: &Client, meter: &Meter<'_>) -> Result<()> {
        if !options.wait_for_space {
            return Err(error);
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.patience.is_over() {
                return Err(error);
            }
            // A limit of the user alone does not show here; then trying again is the only way to know.
            let storage = client.storage().ok();
            let (used, max) = (storage.as_ref().map(|s| s.used), storage.as_ref().and_then(|s| s.max));
            meter.note(Note::WaitingForSpace { used, max });
            client.cancel().sleep(options.space_poll)?;
            if client.storage().map_or(true, |storage| storage.can_accept_uploads) {
                return Ok(());
            }
        }
    }
}
