//! The file of the audit log, which may be renamed while it is written (logrotate): SIGHUP opens it again by its name.
//!
//! Must stay true: a line is written whole into one file; when the name cannot be opened, the file at hand goes on.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use tracing_subscriber::fmt::MakeWriter;

/// Open for appending; clones share it.
#[derive(Clone)]
pub struct AuditFile {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

impl AuditFile {
    /// Opens it, or makes it for this user alone.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = open(path).with_context(|| format!("open logging.audit {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file: Arc::new(Mutex::new(file)) })
    }

    /// From now on lines go to what the name means now.
    pub fn reopen(&self) {
        match open(&self.path) {
            Ok(file) => *self.lock() = file,
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "open the audit log again; the old file goes on")
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).mode(0o600).open(path)
}

/// The file while one line is written.
pub struct Line<'a>(MutexGuard<'a, File>);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<'a> MakeWriter<'a> for AuditFile {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self.lock())
    }
}
