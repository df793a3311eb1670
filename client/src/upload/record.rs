//! Which upload on which server belongs to a local file, kept across runs.
//!
//! One JSON file per (server, path, retention), beside it a lock file held for the whole run: two `et upload` of the
//! same file at once would send every byte twice into one upload.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::UploadOptions;
use super::source::{Source, SourceState};
use crate::files::open_locked;
use crate::private::{make_private_dir, read_json, remove, write_passing_json, write_private_json};
use crate::slices::SLICE_BYTES_MIN;
use crate::{Address, Result, key};

/// Format of the record; another number is treated as no record. 2: the source's time of change and its edges.
const VERSION: u32 = 2;

/// Files up to this size travel in one request.
const SMALL_BYTES: u64 = SLICE_BYTES_MIN;

/// On disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    version: u32,
    server: String,
    #[serde(with = "crate::names::path")]
    path: PathBuf,
    retention: String,
    /// Path of the upload on the server.
    upload: String,
    source: SourceState,
}

/// The record of one file, locked; `None` inside when nothing is to be remembered.
#[derive(Debug)]
pub(super) struct RecordFile {
    place: Option<Place>,
    record: Option<Record>,
    about: Record,
}

#[derive(Debug)]
struct Place {
    json: PathBuf,
    lock: PathBuf,
    _held: File,
}

impl RecordFile {
    pub fn open(options: &UploadOptions, server: &Address, source: &Source) -> Result<Self> {
        let about = Record {
            version: VERSION,
            server: server.to_string(),
            path: source.path.clone(),
            retention: options.retention.map(|choice| format!("{choice:?}")).unwrap_or_default(),
            upload: String::new(),
            source: source.state,
        };
        let Some(directory) = &options.records else {
            return Ok(Self { place: None, record: None, about });
        };
        make_private_dir(directory)?;
        let parts = [about.server.as_bytes(), about.path.as_os_str().as_bytes(), about.retention.as_bytes()];
        let name = key::name_for(&parts);
        let lock = directory.join(format!("{name}.lock"));
        let held = open_locked(&lock)?;
        let json = directory.join(format!("{name}.json"));
        let record = read_json::<Record>(&json)?.filter(|record| record.is_about(&about));
        Ok(Self { place: Some(Place { json, lock, _held: held }), record, about })
    }

    /// The upload to continue, when the file is still the same.
    pub fn remembered(&self, source: SourceState) -> Option<String> {
        self.record.as_ref().filter(|record| record.source == source).map(|record| record.upload.clone())
    }

    /// Remembers before the first byte travels.
    pub fn remember(&mut self, upload: &str, source: SourceState) -> Result<()> {
        let record = Record { upload: upload.to_owned(), source, ..self.about.clone() };
        if let Some(place) = &self.place {
            match source.identity.size {
                // A power cut may forget it: then less is sent again than a sync would have cost.
                ..=SMALL_BYTES => write_passing_json(&place.json, &record)?,
                _ => write_private_json(&place.json, &record)?,
            }
        }
        self.record = Some(record);
        Ok(())
    }

    /// Nothing to continue any more. Tells whether there was something.
    pub fn forget(&mut self) -> Result<bool> {
        if let Some(place) = &self.place {
            remove(&place.json)?;
        }
        Ok(self.record.take().is_some())
    }
}

impl Drop for RecordFile {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            let _ = remove(&place.lock); // still held, so no other process can have taken this file for theirs
        }
    }
}

impl Record {
    fn is_about(&self, other: &Self) -> bool {
        self.version == other.version
            && self.server == other.server
            && self.path == other.path
            && self.retention == other.retention
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Error;

    fn options(directory: &std::path::Path) -> UploadOptions {
        UploadOptions { records: Some(directory.join("uploads")), ..UploadOptions::default() }
    }

    #[test]
    fn a_record_is_stored_as_ever() {
        use etransfer_tests::golden::Golden;

        let json = r#"{"version":2,"server":"http://127.0.0.1:8765","path":"/a \"b\".bin","retention":"DownloadOnce",
            "upload":"/tus/files/1","source":{"identity":{"device":1,"inode":2,"size":3,"modified_s":4,"modified_ns":5},
            "changed_s":6,"changed_ns":7,"edges":8}}"#;
        let record: Record = serde_json::from_str(json).unwrap();
        let mut golden = Golden::new(
            concat!(env!("CARGO_MANIFEST_DIR"), "/src/golden/upload.txt"),
            "~/.etransfer/uploads/HASH.json: which upload belongs to a local file.",
        );
        golden.text("record", &serde_json::to_string(&record).unwrap());
        assert_eq!(serde_json::from_str::<Record>(golden.check()[0].line()).unwrap(), record);
        assert_eq!(record.version, VERSION);
    }

    #[test]
    fn an_upload_is_remembered_for_the_same_file_only() {
        let dir = tempfile::tempdir().unwrap();
        let (options, server) = (options(dir.path()), "node:1".parse().unwrap());
        let path = dir.path().join("file");
        fs::write(&path, "one").unwrap();
        let source = Source::open(&path).unwrap();
        let mut record = RecordFile::open(&options, &server, &source).unwrap();
        assert_eq!(record.remembered(source.state), None);
        record.remember("/tus/ab", source.state).unwrap();
        assert!(matches!(RecordFile::open(&options, &server, &source), Err(Error::Busy { .. })), "one run at a time");
        drop(record);

        let mut record = RecordFile::open(&options, &server, &source).unwrap();
        assert_eq!(record.remembered(source.state).as_deref(), Some("/tus/ab"));
        fs::write(&path, "another").unwrap();
        let changed = Source::open(&path).unwrap();
        assert_eq!(record.remembered(changed.state), None);
        let elsewhere = RecordFile::open(&options, &"node:2".parse().unwrap(), &source).unwrap();
        assert_eq!(elsewhere.remembered(source.state), None);
        drop(elsewhere);
        assert!(record.forget().unwrap() && !record.forget().unwrap());
        drop(record);
        assert_eq!(fs::read_dir(dir.path().join("uploads")).unwrap().count(), 0, "nothing stays behind");
    }
}
