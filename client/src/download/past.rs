//! What was downloaded to where, so that the same command run twice says so instead of fetching or refusing.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::Identity;
use crate::private::{make_private_dir, read_json, write_private_json};
use crate::{Address, Error, Result, key};

/// Format; another number is treated as no record.
const VERSION: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    version: u32,
    server: String,
    id: String,
    /// Absolute target.
    #[serde(with = "crate::names::path")]
    path: PathBuf,
    /// What stood there when it was finished; `None` while it is not.
    done: Option<Identity>,
}

/// The record of one (server, id).
#[derive(Debug)]
pub(super) struct Past {
    file: Option<PathBuf>,
    record: Option<Record>,
    server: String,
    id: String,
}

impl Past {
    pub fn open(directory: Option<&Path>, server: &Address, id: &str) -> Result<Self> {
        let server = server.to_string();
        let mut past = Self { file: None, record: None, server, id: id.to_owned() };
        if let Some(directory) = directory {
            make_private_dir(directory)?;
            let name = key::name_for(&[past.server.as_bytes(), id.as_bytes()]);
            let file = directory.join(format!("{name}.json"));
            past.record = read_json::<Record>(&file)?
                .filter(|record| record.version == VERSION && record.server == past.server && record.id == id);
            past.file = Some(file);
        }
        Ok(past)
    }

    /// Where it went, or was going.
    pub fn path(&self) -> Option<&Path> {
        self.record.as_ref().map(|record| record.path.as_path())
    }

    /// Whether what stands there is the finished download, untouched.
    pub fn is_whole_at(&self, path: &Path, there: &Metadata) -> bool {
        let Ok(path) = std::path::absolute(path) else { return false };
        self.record.as_ref().is_some_and(|record| record.path == path && record.done == Some(Identity::of(there)))
    }

    pub fn began(&mut self, path: &Path) -> Result<()> {
        self.write(path, None)
    }

    pub fn ended(&mut self, path: &Path, identity: Identity) -> Result<()> {
        self.write(path, Some(identity))
    }

    fn write(&mut self, path: &Path, done: Option<Identity>) -> Result<()> {
        let path = std::path::absolute(path).map_err(|source| Error::file("find", path, source))?;
        let record = Record { version: VERSION, server: self.server.clone(), id: self.id.clone(), path, done };
        if let Some(file) = &self.file {
            write_private_json(file, &record)?;
        }
        self.record = Some(record);
        Ok(())
    }
}
