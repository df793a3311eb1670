//! Small file systems of our own: a tmpfs, or an image of ext4 or XFS on a loop device, mounted for one test and gone after it.
//! Needs root; without it a test is skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::wait;

/// A mounted file system.
pub struct Disk {
    dir: tempfile::TempDir,
    mounted: PathBuf,
}

fn must(command: &mut Command) {
    let mut owned = Command::new(command.get_program());
    owned.args(command.get_args());
    wait::run(owned).ok();
}

impl Disk {
    /// A tmpfs with these options (`size=…`, `nr_inodes=…`).
    pub fn tmpfs(options: &str) -> Option<Self> {
        let disk = Self::prepare("mounted")?;
        must(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&disk.mounted));
        Some(disk)
    }

    /// An ext4 of `mib` MiB on a loop device.
    pub fn ext4(mib: u64) -> Option<Self> {
        Self::ext4_at(mib, "mounted")
    }

    /// The same, mounted at this path below a directory of its own.
    pub fn ext4_at(mib: u64, below: &str) -> Option<Self> {
        Self::image(mib, Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]), below)
    }

    /// An XFS of `mib` MiB on a loop device; it has at least 300.
    pub fn xfs(mib: u64) -> Option<Self> {
        Self::image(mib, Command::new("mkfs.xfs").args(["-q", "-f"]), "mounted")
    }

    fn image(mib: u64, make: &mut Command, below: &str) -> Option<Self> {
        let disk = Self::prepare(below)?;
        let image = disk.dir.path().join("image");
        std::fs::File::create(&image).and_then(|file| file.set_len(mib << 20)).expect("make the image");
        must(make.arg(&image));
        must(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&disk.mounted));
        Some(disk)
    }

    fn prepare(below: &str) -> Option<Self> {
        etransfer_tests::has_root().then(|| {
            let dir = tempfile::Builder::new().prefix("et-disk-").tempdir().expect("directory for a mount");
            let mounted = dir.path().join(below);
            std::fs::create_dir_all(&mounted).expect("mount point");
            Self { dir, mounted }
        })
    }

    pub fn path(&self) -> &Path {
        &self.mounted
    }

    /// What was not synced is lost: the file system is shut down without flushing its log. End its users, then
    /// [`Disk::mount_again`].
    pub fn cut_power(&self) {
        // The ioctl of XFS, which ext4 has as well (`xfs_io -x -c shutdown` makes the same call).
        const SHUTDOWN: &str = "import fcntl, os, struct, sys\n\
             fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";
        must(Command::new("python3").args(["-c", SHUTDOWN]).arg(&self.mounted));
    }

    /// The first page of a file reaches the disk, and no other: what the kernel may do at any time.
    pub fn write_back_first_page(file: &Path) {
        const WRITE: &str = "import ctypes, os, sys\n\
             libc = ctypes.CDLL(None, use_errno=True)\n\
             range = [ctypes.c_int(os.open(sys.argv[1], os.O_RDWR)), ctypes.c_int64(0), ctypes.c_int64(4096)]\n\
             sys.exit(libc.sync_file_range(*range, ctypes.c_uint(7)))";
        must(Command::new("python3").args(["-c", WRITE]).arg(file));
    }

    /// An image, after [`Disk::cut_power`]: without a reboot, so the boot id is what it was.
    pub fn mount_again(&self) {
        must(Command::new("umount").arg(&self.mounted));
        must(Command::new("mount").args(["-o", "loop"]).arg(self.dir.path().join("image")).arg(&self.mounted));
    }

    /// Every write hangs until the guard is dropped.
    pub fn freeze(&self) -> Frozen<'_> {
        must(Command::new("fsfreeze").arg("-f").arg(&self.mounted));
        Frozen(self)
    }
}

/// Thaws when dropped; from this process, which never writes there, so it cannot hang itself.
pub struct Frozen<'a>(&'a Disk);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let _ = wait::run({
            let mut command = Command::new("fsfreeze");
            command.arg("-u").arg(&self.0.mounted);
            command
        });
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazy: a process that still looks keeps its view, the mount point is free at once.
        let _ = Command::new("umount").arg("-l").arg(&self.mounted).status();
    }
}
