//! The node's own small files: tokens, keys, names, epochs. Each is 0600 from its first moment, whole or absent, and still
//! there after a power cut once [`write_private`] returned.

use std::io;
use std::path::Path;

use etransfer_disk::{Disk, Mode, OFlags, PRIVATE};

/// Writes a file in place of the one of that name.
pub fn write_private(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    // Left by an earlier process of this number; it may have another mode.
    match disk.unlink(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = disk
        .open(&temporary, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, PRIVATE)
        .and_then(|file| file.write_all_at(content, 0).and_then(|()| file.sync()))
        .and_then(|()| disk.rename(&temporary, path));
    if written.is_err() {
        // Nothing to save: the temporary file is ours alone.
        let _ = disk.unlink(&temporary);
    }
    written?;
    disk.open(directory, OFlags::RDONLY, Mode::empty())?.sync()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use etransfer_disk::Os;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_is_nobody_elses_to_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let left = path.with_extension(format!("tmp{}", std::process::id()));
        std::fs::write(&left, "half").unwrap();
        std::fs::set_permissions(&left, std::fs::Permissions::from_mode(0o644)).unwrap();
        for content in ["first, and longer", "second"] {
            write_private(&Os, &path, content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(!left.exists());
        }
        assert!(write_private(&Os, &dir.path().join("none/token"), b"x").is_err());
    }
}
