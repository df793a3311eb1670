//! The file that goes up: opened once, and watched for changes, since a copy of two states of a file is a copy of none.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::Advice;

use crate::files::Identity;
use crate::{Error, Result};

/// An open local file.
#[derive(Debug)]
pub(super) struct Source {
    pub file: File,
    /// Absolute, without symlinks: names the record.
    pub path: PathBuf,
    /// What the server shall call it.
    pub name: String,
    pub identity: Identity,
}

impl Source {
    pub fn open(path: &Path) -> Result<Self> {
        let canonical = path.canonicalize().map_err(|source| Error::file("find", path, source))?;
        // Looked at before it is opened: opening a pipe would wait for a writer.
        let metadata = canonical.metadata().map_err(|source| Error::file("inspect", path, source))?;
        if !metadata.is_file() {
            return Err(Error::NotAFile { path: path.to_owned() });
        }
        let file = File::open(&canonical).map_err(|source| Error::file("open", path, source))?;
        let metadata = file.metadata().map_err(|source| Error::file("inspect", path, source))?;
        let name = path.file_name().or(canonical.file_name()).unwrap_or_default().to_string_lossy().into_owned();
        let _ = rustix::fs::fadvise(&file, 0, None, Advice::Sequential); // read-ahead only; works without
        Ok(Self { file, path: canonical, name, identity: Identity::of(&metadata) })
    }

    pub fn size(&self) -> u64 {
        self.identity.size
    }

    /// [`Error::SourceChanged`] when it is no longer what it was when opened.
    pub fn check_unchanged(&self) -> Result<()> {
        let metadata = self.file.metadata().map_err(|source| Error::file("inspect", &self.path, source))?;
        match Identity::of(&metadata) == self.identity {
            true => Ok(()),
            false => Err(Error::SourceChanged { path: self.path.clone() }),
        }
    }
}
