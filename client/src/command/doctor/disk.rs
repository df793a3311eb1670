//! The file system under the storage directory: its kind, and how much is free.

use std::path::Path;

use super::kernel::Version;
use super::{Files, Finding};
use crate::human;

/// Here ext4 writes whole folios.
const GOOD_FOR_EXT4: Version = Version { major: 6, minor: 16 };
/// Free space below this share is told.
const FREE_PERCENT_MIN: u64 = 5;

pub fn check(files: &Files, storage: &Path, kernel: Version) -> Vec<Finding> {
    let table = files.text("/proc/self/mountinfo").unwrap_or_default();
    let kind = kind(&table, storage).unwrap_or("unknown");
    let name = format!("file system of {}", storage.display());
    let (why, fix) = match kind {
        "xfs" => ("", String::new()),
        "ext4" if kernel >= GOOD_FOR_EXT4 => ("", String::new()),
        "ext4" => ("before Linux 6.16 ext4 costs up to twice as much as XFS", xfs()),
        "tmpfs" | "ramfs" => ("what is stored is gone after a restart of the machine", xfs()),
        "overlay" => ("each write goes through a second file system", "mount a volume of its own there".to_owned()),
        "unknown" => ("its abilities are unknown", "set storage.path to a directory on a local disk".to_owned()),
        _ => ("direct writes were measured on XFS and ext4 only", xfs()),
    };
    vec![Finding::new(name, kind).unless(!why.is_empty(), why, fix), free(storage)]
}

fn xfs() -> String {
    "mkfs.xfs DEVICE, mount it, and set storage.path below it".to_owned()
}

fn free(storage: &Path) -> Finding {
    let (free, size) = rustix::fs::statvfs(storage)
        .map_or((0, 0), |disk| (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize));
    let found = format!("{} of {}", human::size(free), human::size(size));
    Finding::new("free space", found).unless(
        free < size / 100 * FREE_PERCENT_MIN,
        "uploads will soon be answered 507, and a full disk is slow",
        "delete files, or set storage.max_storage_size below what there is",
    )
}

/// The kind of the file system that `path` lies on: the mount with the longest path above it, the last of several.
fn kind<'t>(mountinfo: &'t str, path: &Path) -> Option<&'t str> {
    let mount = |line: &'t str| {
        // `36 35 98:0 /root /mounted options [optional ]- kind source options`
        let (before, after) = line.split_once(" - ")?;
        let mounted = before.split(' ').nth(4)?.replace("\\040", " ");
        path.starts_with(&mounted).then_some((mounted.len(), after.split(' ').next()?))
    };
    mountinfo.lines().filter_map(mount).max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::super::tests::Sample;
    use super::*;

    const MOUNTS: &str = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
                          30 22 0:26 / /srv rw shared:5 master:2 - xfs /dev/sdb rw\n\
                          31 30 0:27 / /srv/with\\040space rw - nfs4 host:/x rw\n\
                          32 22 0:28 / /over rw - xfs /dev/sdc rw\n\
                          33 32 0:29 / /over rw - tmpfs tmpfs rw";

    #[test]
    fn a_path_lies_on_the_nearest_mount_above_it() {
        for (path, expected) in [
            ("/home/x", "ext4"),
            ("/srv", "xfs"),
            ("/srv/a/b", "xfs"),
            ("/srvx", "ext4"),
            ("/srv/with space/c", "nfs4"),
            ("/over/x", "tmpfs"),
        ] {
            assert_eq!(kind(MOUNTS, Path::new(path)), Some(expected), "{path}");
        }
    }

    #[test]
    fn xfs_is_well_and_ext4_when_the_kernel_is_new() {
        let sample = Sample::new(&[("/proc/self/mountinfo", MOUNTS)]);
        let is_well = |path: &str, minor| {
            check(&sample.files(), Path::new(path), Version { major: 6, minor })[0].problem.is_none()
        };
        assert!(is_well("/srv", 12) && is_well("/", 16));
        assert!(!is_well("/", 12) && !is_well("/over", 16) && !is_well("/srv/with space", 16));
    }
}
