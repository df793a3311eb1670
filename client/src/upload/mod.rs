//! Uploads: one file to one node, over every address of it that helps, continued where an earlier run stopped.
//!
//! # The life of an upload
//!
//! 1. `source`: the local file, opened once; what it is (device, inode, size, time) is its identity.
//! 2. `record`: `<records>/<hash>.json` remembers which upload on the server belongs to it. It is written *after* the
//!    server created the upload and *before* the first byte travels, so a kill at any instant leaves either nothing to
//!    continue or everything needed to.
//! 3. `pool`: `HEAD` tells what the server has; what is missing is cut into slices, sent by threads with a
//!    keep-alive connection each, over one address of the node or several (`spread`). After any failure the truth is
//!    asked for again, never assumed.
//! 4. `HEAD` once more and `GET /api/files/{id}`: only the server's word "complete" makes an upload a success.

mod confirm;
mod record;
mod room;
mod source;
mod stream;
mod workers;

use std::fs::File;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::endpoints::{Direction, Nics};
use crate::patience::{Failures, Patience};
use crate::progress::{Meter, Note, Why};
use crate::spread::{NicPaths, Share};
use crate::{Cancel, Client, Error, NewUpload, Progress, Result, Retention, Transfer};
use record::RecordFile;
use room::Room;
use source::Source;

/// A new upload is begun this often in one run when the server lost the old one.
const RESTARTS_MAX: usize = 3;

/// How to upload.
#[derive(Debug, Clone)]
pub struct UploadOptions {
    /// Parallel connections, when the server writes in any order. Over several addresses: to begin with, at least one
    /// each; then the measured speed decides, up to twice this number each.
    pub connections: u8,
    /// Which addresses of the node to use.
    pub nics: Nics,
    /// Bytes per request; `None`: chosen by size.
    pub slice_bytes: Option<u64>,
    /// What the server shall call it; `None`: the file's own name.
    pub name: Option<String>,
    /// `None`: the server's default.
    pub retention: Option<Retention>,
    /// Wait when the server has no room, instead of giving up.
    pub wait_for_space: bool,
    /// Pause between two looks at the room.
    pub space_poll: Duration,
    /// Give up after this long without room.
    pub space_wait_max: Duration,
    /// Give up after this long without any progress.
    pub patience: Duration,
    /// Where to remember unfinished uploads; `None`: nowhere, and nothing is resumed.
    pub records: Option<PathBuf>,
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self {
            connections: 4,
            nics: Nics::All,
            slice_bytes: None,
            name: None,
            retention: None,
            wait_for_space: true,
            space_poll: Duration::from_secs(5),
            space_wait_max: Duration::from_secs(3600),
            patience: Duration::from_secs(60),
            records: None,
        }
    }
}

/// A finished upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// The file's id.
    pub id: String,
    /// The display name it was given.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// What went where, when there was more than one address; empty otherwise.
    pub shares: Vec<Share>,
}

/// Uploads files.
pub struct Uploader {
    client: Client,
    options: UploadOptions,
    progress: Arc<dyn Progress>,
}

impl Uploader {
    /// To the client's server, telling `progress`.
    pub fn new(client: Client, options: UploadOptions, progress: Arc<dyn Progress>) -> Self {
        Self { client, options, progress }
    }

    /// Uploads on threads of its own.
    pub fn start(self, path: PathBuf) -> Transfer<Uploaded> {
        Transfer::spawn(Cancel::new(), move |cancel| self.upload(&path, cancel))
    }

    /// Uploads one file; returns when the server calls it complete.
    pub fn upload(&self, path: &Path, cancel: &Cancel) -> Result<Uploaded> {
        if is_pipe(path) {
            let pipe = File::open(path).map_err(|source| Error::file("open", path, source))?;
            return self.upload_stream(pipe, &crate::text_of(path.file_name().unwrap_or_default()), cancel);
        }
        let source = Source::open(path)?;
        if source.is_longer_than_it_says()? {
            // As the files of /proc are: what they hold is known by reading alone.
            return self.upload_stream(&source.file, &source.name, cancel);
        }
        let mut record = RecordFile::open(&self.options, self.client.address(), &source)?;
        let run = Run::new(self, &source, cancel);
        let mut lost = None;
        for _ in 0..RESTARTS_MAX {
            let remote = run.find_or_create(&mut record)?;
            match run.fill(&remote) {
                Ok(()) => {
                    record.forget()?;
                    let (id, name) = (id_of(&remote), run.name().to_owned());
                    return Ok(Uploaded { id, name, size: source.size(), shares: run.paths.shares() });
                }
                Err(error @ Error::NotFound { .. }) => {
                    record.forget()?;
                    run.meter.note(Note::StartedAnew(Why::Gone));
                    lost = Some(error);
                }
                Err(error @ Error::SourceChanged { .. }) => {
                    let _ = run.paths.call(|client| client.terminate_upload(&remote)); // a mixture of two files is useless
                    record.forget()?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(lost.expect("the loop ran and ended without success"))
    }
}

/// What the steps of one upload share.
struct Run<'a> {
    paths: NicPaths,
    options: &'a UploadOptions,
    source: &'a Source,
    cancel: &'a Cancel,
    meter: Meter<'a>,
    patience: Patience,
    room: Room,
}

impl<'a> Run<'a> {
    fn new(uploader: &'a Uploader, source: &'a Source, cancel: &'a Cancel) -> Self {
        let options = &uploader.options;
        let (client, size) = (uploader.client.under(cancel), source.size());
        Self {
            paths: NicPaths::find(&client, options.nics, Direction::Upload, size, options.connections),
            options,
            source,
            cancel,
            meter: Meter::new(0, source.size(), &*uploader.progress),
            patience: Patience::new(options.patience),
            room: Room::new(options),
        }
    }

    fn name(&self) -> &str {
        self.options.name.as_deref().unwrap_or(&self.source.name)
    }

    /// The upload remembered for this very file, or a new one, remembered before it is used.
    fn find_or_create(&self, record: &mut RecordFile) -> Result<String> {
        if let Some(remembered) = record.remembered(self.source.state) {
            return Ok(remembered);
        }
        if record.forget()? {
            self.meter.note(Note::StartedAnew(Why::SourceChanged));
        }
        let new = NewUpload { length: self.source.size(), filename: self.name(), retention: self.options.retention };
        let remote = self.persist(|client| client.create_upload(&new))?;
        record.remember(&remote, self.source.state)?;
        Ok(remote)
    }

    /// A call, repeated while that may help.
    fn persist<T>(&self, call: impl Fn(&Client) -> Result<T>) -> Result<T> {
        let mut failures = Failures::default();
        loop {
            match self.paths.call(&call) {
                Ok(answer) => return Ok(answer),
                Err(error) => self.pause(error, &mut failures, self.paths.client())?,
            }
        }
    }

    /// Waits out a failure, for room or for better times; gives it back when that is hopeless.
    fn pause(&self, error: Error, failures: &mut Failures, client: &Client) -> Result<()> {
        match error {
            Error::NoSpace { .. } => {
                self.room.wait(error, self.options, client, &self.meter)?;
                self.patience.progressed(); // waiting for room is no sign of a lost server
                Ok(())
            }
            other => failures.pause(other, &self.patience, client.cancel(), &self.meter),
        }
    }
}

/// Opening it waits for a writer, as the reader of a pipe wants.
fn is_pipe(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// The last segment of the path, without a query.
fn id_of(remote: &str) -> String {
    let path = remote.split('?').next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}
