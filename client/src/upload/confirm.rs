//! The end of an upload: success is what the server says it is, not what we sent.

use std::time::Duration;

use super::{Run, id_of};
use crate::{Error, FileStatus, Result};

/// Between the last byte and the file's appearance lies a message between the server's planes.
const POLL: Duration = Duration::from_millis(2);
/// The pause doubles up to this.
const POLL_MAX: Duration = Duration::from_millis(200);

impl Run<'_> {
    /// `HEAD` said all is there: waits until the file is called complete.
    pub(super) fn confirm(&self, remote: &str) -> Result<()> {
        self.source.check_unchanged()?;
        let id = id_of(remote);
        self.patience.progressed();
        let mut pause = POLL;
        loop {
            match self.persist(|client| client.file(&id)) {
                Ok(file) if file.status == FileStatus::Complete => return Ok(()),
                // A plain TUS server has no such route; and a file for one download may be gone already.
                Err(Error::NotFound { .. }) => return Ok(()),
                Err(error) => return Err(error),
                Ok(file) if self.patience.is_over() => {
                    return Err(Error::Incomplete { offset: file.uploaded_size, size: self.source.size() });
                }
                Ok(_) => {
                    self.cancel.sleep(pause)?;
                    pause = (pause * 2).min(POLL_MAX);
                }
            }
        }
    }
}
