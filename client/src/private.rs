//! Small JSON files that only the user may read: replaced whole, never half-written.
//!
//! Order of a write: new file 0600 beside the old one → bytes → sync → rename → sync of the directory. A crash between
//! any two leaves the old file, or the new one; a leftover temporary name is never read and harmless.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Makes the directory and what is missing above it, 0700.
pub fn make_private_dir(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| Error::file("make directory", path, source))
}

/// Writes `value` as indented JSON, 0600, all or nothing.
pub fn write_private_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value).expect("our own types serialise");
    text.push(b'\n');
    replace(path, &text, true).map_err(|source| Error::file("write", path, source))
}

/// As [`write_private_json`] without the syncs: for records that are worthless after a power cut anyway.
pub(crate) fn write_passing_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec(value).expect("our own types serialise");
    replace(path, &text, false).map_err(|source| Error::file("write", path, source))
}

/// `None` when the file is absent or holds something else: such a file is treated as empty (easytransfer/CONTRACT.md
/// §11.1).
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::file("read", path, source)),
    }
}

/// Removes a file that may be absent.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", path, error)),
        _ => Ok(()),
    }
}

/// Makes a rename or removal in this directory durable.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(if path.as_os_str().is_empty() { Path::new(".") } else { path })?.sync_all()
}

fn replace(path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let fresh = beside(path);
    let _ = fs::remove_file(&fresh); // of a dead process with our number
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    let written = file.write_all(bytes).and_then(|()| if sync { file.sync_all() } else { Ok(()) });
    if let Err(error) = written.and_then(|()| fs::rename(&fresh, path)) {
        let _ = fs::remove_file(&fresh); // the write failed; so may this
        return Err(error);
    }
    if sync { sync_dir(path.parent().unwrap_or(Path::new("."))) } else { Ok(()) }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_private_file_is_replaced_whole_and_for_the_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state").join("a.json");
        make_private_dir(path.parent().unwrap()).unwrap();
        assert_eq!(read_json::<Vec<u8>>(&path).unwrap(), None);
        write_private_json(&path, &vec![1, 2, 3]).unwrap();
        write_private_json(&path, &vec![4]).unwrap();
        assert_eq!(read_json::<Vec<u8>>(&path).unwrap(), Some(vec![4]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no leftovers");
    }

    #[test]
    fn what_is_not_json_counts_as_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        for text in ["", "{", "[\"x\"]", "\0"] {
            fs::write(&path, text).unwrap();
            assert_eq!(read_json::<Vec<u8>>(&path).unwrap(), None, "{text:?}");
        }
    }
}
