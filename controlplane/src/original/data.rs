//! Where the original kept bytes (easytransfer/CONTRACT.md §10): `files/<id>_<name>`, `files/<id>/<relative path>`,
//! `uploads/<id>`, and for files stored in chunks `uploads/<id>/chunk_000000`. Links are never followed; the names are
//! not believed either.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use etransfer_contract::{ObjectId, Span};

use super::record::Original;
use super::state::ReadError;

/// Directories below one of a folder's files.
const DEPTH_MAX: usize = 64;

/// Bytes of an object in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The file.
    pub path: PathBuf,
    /// Where in the file they begin.
    pub from: u64,
    /// Which bytes of the object they are.
    pub span: Span,
}

/// One storage directory of the original.
#[derive(Debug)]
pub struct Layout {
    uploads: PathBuf,
    /// Names in `files/` begin with the id.
    files: HashMap<ObjectId, PathBuf>,
}

impl Layout {
    /// Reads the names in `files/`; a directory that is not there holds nothing.
    pub fn of(storage: &Path) -> Result<Self, ReadError> {
        let directory = storage.join("files");
        let failed = |source| ReadError::Io { path: directory.clone(), source };
        let mut files = HashMap::new();
        match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
            Ok(entries) => {
                for entry in entries {
                    let entry = entry.map_err(failed)?;
                    let id = entry.file_name().to_str().and_then(|name| name.get(..32)?.parse().ok());
                    id.and_then(|id: ObjectId| files.insert(id, entry.path()));
                }
            }
        }
        Ok(Self { uploads: storage.join("uploads"), files })
    }

    /// The bytes of `id` that are there, in order.
    pub fn pieces(&self, id: ObjectId, original: &Original) -> io::Result<Vec<Piece>> {
        let upload = self.uploads.join(id.to_string());
        let finished = self.files.get(&id).map(|path| first_file(path, 0)).transpose()?.flatten();
        match (finished, look(&upload)?) {
            (Some(path), _) => in_one(path, original),
            (None, Some(found)) if found.is_dir() => in_chunks(&upload, original),
            (None, Some(found)) if found.is_file() => in_one(upload, original),
            (None, _) => Ok(Vec::new()),
        }
    }
}

fn look(path: &Path) -> io::Result<Option<Metadata>> {
    match std::fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `path` itself, or the only file below it.
fn first_file(path: &Path, depth: usize) -> io::Result<Option<PathBuf>> {
    match look(path)? {
        Some(found) if found.is_file() => Ok(Some(path.to_owned())),
        Some(found) if found.is_dir() && depth < DEPTH_MAX => {
            let mut entries = std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path()));
            match (entries.next().transpose()?, entries.next()) {
                (Some(only), None) => first_file(&only, depth + 1),
                (None, _) | (Some(_), Some(_)) => Ok(None),
            }
        }
        Some(_) | None => Ok(None),
    }
}

fn in_one(path: PathBuf, original: &Original) -> io::Result<Vec<Piece>> {
    let held = Span::new(0, std::fs::symlink_metadata(&path)?.len());
    let there = original.received().iter().filter_map(|span| span.intersect(held?)).collect::<Vec<_>>();
    Ok(there.into_iter().map(|span| Piece { path: path.clone(), from: span.start(), span }).collect())
}

/// Numbers of the chunks that have a file. The directory is read, however many chunks the record declares.
fn chunks_in(directory: &Path) -> io::Result<Vec<u64>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number: Option<u64> = name.to_str().and_then(|name| name.strip_prefix("chunk_")?.parse().ok());
        numbers.extend(number.filter(|number| name == *format!("chunk_{number:06}")));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A chunk that was downloaded is gone; one that was being written is shorter than its place.
fn in_chunks(directory: &Path, original: &Original) -> io::Result<Vec<Piece>> {
    let received = original.received();
    let mut pieces = Vec::new();
    for index in chunks_in(directory)? {
        let path = directory.join(format!("chunk_{index:06}"));
        let Some(found) = look(&path)?.filter(Metadata::is_file) else { continue };
        let Some(start) = index.checked_mul(original.chunk_size).filter(|start| *start < original.size) else {
            continue;
        };
        let Some(held) = Span::at(start, found.len().min(original.chunk_size)) else { continue };
        let there = received.iter().filter_map(|span| span.intersect(held));
        pieces.extend(there.map(|span| Piece { path: path.clone(), from: span.start() - start, span }));
    }
    Ok(pieces)
}
