//! Downloads: one file from one node into one place, over every address of the node that helps, continued where an
//! earlier run stopped.
//!
//! # The life of a download
//!
//! 1. `GET /api/files/{id}/info/download`: size, and a name that is only ever a suggestion ([`name`]).
//! 2. `part`: `<target>.part` takes the bytes at their offsets, `<target>.part.json` the ranges that are in it. A range
//!    is recorded after it was written, so a kill at any instant costs at most the last moments.
//! 3. `workers`: what is missing is fetched in ranges (`fetch`), over one address of the node or several (`spread`), each
//!    guarded by the `ETag` so that no two versions mix. While the upload itself still runs, its bytes are fetched as
//!    they arrive.
//! 4. All there: sync, a record of what is whole (`past`), rename, sync of the directory. Only then is there a file of
//!    the final name.

mod fetch;
pub mod name;
mod part;
mod past;
mod stream;
mod window;
mod workers;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::endpoints::Nics;
use crate::patience::{Failures, Patience};
use crate::progress::{Meter, Note, Why};
use crate::spread::Share;
use crate::{Cancel, Client, DownloadInfo, Error, Progress, Result, Transfer};
use part::Part;
use past::Past;

/// The object behind an id may change this often in one run.
const RESTARTS_MAX: usize = 2;

/// How to download.
#[derive(Debug, Clone)]
pub struct DownloadOptions {
    /// Parallel connections. Over several addresses: to begin with, at least one each; then the measured speed decides,
    /// up to twice this number each.
    pub connections: u8,
    /// Which addresses of the node to use.
    pub nics: Nics,
    /// Bytes per request; `None`: chosen by size.
    pub slice_bytes: Option<u64>,
    /// Replace what is there.
    pub overwrite: bool,
    /// Give up after this long without any progress.
    pub patience: Duration,
    /// Pause between two looks at an upload that still runs.
    pub follow_poll: Duration,
    /// Stop following an upload that did not grow for this long.
    pub follow_idle_max: Duration,
    /// Where to remember what was downloaded to where; `None`: nowhere.
    pub records: Option<PathBuf>,
}

impl Default for DownloadOptions {
    fn default() -> Self {
        Self {
            connections: 4,
            nics: Nics::All,
            slice_bytes: None,
            overwrite: false,
            patience: Duration::from_secs(60),
            follow_poll: Duration::from_secs(1),
            follow_idle_max: Duration::from_secs(300),
            records: None,
        }
    }
}

/// Where the file shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Exactly here.
    File(PathBuf),
    /// In here (made when absent), under its own name made safe.
    Directory(PathBuf),
}

impl Target {
    /// What `-o` means: a directory when it is one or ends like one.
    pub fn from_path(path: &Path) -> Self {
        let ends_like_one = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if ends_like_one || path.is_dir() { Self::Directory(path.to_owned()) } else { Self::File(path.to_owned()) }
    }

    fn resolve(&self, suggested: &str, id: &str) -> Result<PathBuf> {
        match self {
            Self::File(path) => Ok(path.clone()),
            Self::Directory(directory) => {
                fs::create_dir_all(directory).map_err(|source| Error::file("make directory", directory, source))?;
                Ok(directory.join(name::safe(suggested, id)))
            }
        }
    }
}

/// A finished download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloaded {
    /// The file's id.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// It was there before, from an earlier run, and nothing was fetched.
    pub already: bool,
    /// What came over which address, when there was more than one; empty otherwise.
    pub shares: Vec<Share>,
}

/// A finished download into a writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streamed {
    /// The file's id.
    pub id: String,
    /// Bytes.
    pub size: u64,
}

/// Downloads files.
pub struct Downloader {
    client: Client,
    options: DownloadOptions,
    progress: Arc<dyn Progress>,
}

impl Downloader {
    /// From the client's server, telling `progress`.
    pub fn new(client: Client, options: DownloadOptions, progress: Arc<dyn Progress>) -> Self {
        Self { client, options, progress }
    }

    /// Downloads on threads of its own.
    pub fn start(self, id: String, target: Target) -> Transfer<Downloaded> {
        Transfer::spawn(Cancel::new(), move |cancel| self.download(&id, &target, cancel))
    }

    /// Downloads one file; returns when it stands under its final name.
    pub fn download(&self, id: &str, target: &Target, cancel: &Cancel) -> Result<Downloaded> {
        let client = self.client.under(cancel);
        let mut past = Past::open(self.options.records.as_deref(), client.address(), id)?;
        for _ in 0..RESTARTS_MAX {
            let info = match self.info(&client, id) {
                Err(Error::NotFound { what }) => return self.without_server(id, target, &mut past, what),
                other => other?,
            };
            let size = info.size.ok_or(Error::LengthUnknown { id: id.to_owned() })?;
            let path = target.resolve(&info.filename, id)?;
            if let Some(done) = self.existing(id, &path, &past)? {
                return Ok(done);
            }
            let part = Part::open(&path, client.address(), id, size)?;
            past.began(&path)?;
            match self.fetch_all(&client, &info, &part, cancel) {
                Err(Error::RemoteChanged { .. }) => {
                    part.start_over()?;
                    self.progress.note(Note::StartedAnew(Why::RemoteChanged));
                }
                Err(error) => return Err(error),
                Ok(shares) => {
                    self.finish(part, &path, &mut past)?;
                    return Ok(Downloaded { id: id.to_owned(), path, size, already: false, shares });
                }
            }
        }
        Err(Error::RemoteChanged { id: id.to_owned() })
    }

    fn info(&self, client: &Client, id: &str) -> Result<DownloadInfo> {
        let (patience, mut failures) = (Patience::new(self.options.patience), Failures::default());
        let meter = Meter::silent(&*self.progress);
        loop {
            match client.download_info(id) {
                Ok(info) => return Ok(info),
                Err(error) => failures.pause(error, &patience, client.cancel(), &meter)?,
            }
        }
    }

    /// The target exists: fine when it is this very download, in our way otherwise.
    fn existing(&self, id: &str, path: &Path, past: &Past) -> Result<Option<Downloaded>> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::file("inspect", path, source)),
            Ok(there) if past.is_whole_at(path, &there) && !self.options.overwrite => {
                let (id, path, size) = (id.to_owned(), path.to_owned(), there.len());
                Ok(Some(Downloaded { id, path, size, already: true, shares: Vec::new() }))
            }
            Ok(there) if self.options.overwrite && there.is_file() => Ok(None),
            Ok(_) => Err(Error::Exists { path: path.to_owned() }),
        }
    }

    /// The server does not have it (any more): perhaps we do. A file for one download is gone as soon as its last byte
    /// left the server, also when we were killed right after.
    fn without_server(&self, id: &str, target: &Target, past: &mut Past, what: String) -> Result<Downloaded> {
        let gone = Error::NotFound { what };
        let Some(path) = past.path().map(Path::to_owned) else { return Err(gone) };
        let asked_for = match target {
            Target::File(file) => std::path::absolute(file).is_ok_and(|file| file == path),
            Target::Directory(directory) => {
                let in_it = path.file_name().map(|name| directory.join(name)).unwrap_or_default();
                std::path::absolute(in_it).is_ok_and(|in_it| in_it == path)
            }
        };
        if !asked_for {
            return Err(gone);
        }
        if let Some(done) = self.existing(id, &path, past)? {
            return Ok(done);
        }
        let Some(part) = Part::open_whole(&path, self.client.address(), id)? else { return Err(gone) };
        let size = part.size();
        self.finish(part, &path, past)?;
        Ok(Downloaded { id: id.to_owned(), path, size, already: false, shares: Vec::new() })
    }

    /// The record comes before the name: killed in between, the part is still there to go on with; the other way round the
    /// file would stand in its own way.
    fn finish(&self, part: Part, path: &Path, past: &mut Past) -> Result<()> {
        past.ended(path, part.seal()?)?;
        part.finish(self.options.overwrite)
    }
}
