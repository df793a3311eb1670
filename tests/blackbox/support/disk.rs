//! Small file systems of our own: a tmpfs or an ext4 image on a loop device, mounted for one test and gone after it.
//! Needs root; elsewhere a test says why it skipped, and CI forbids skips.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::wait;

/// A mounted file system.
pub struct Disk {
    dir: tempfile::TempDir,
    mounted: PathBuf,
}

fn allowed() -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "mounting needs root, and CI forbids skips");
    eprintln!("skipped: mounting needs root");
    false
}

fn must(command: &mut Command) {
    let mut owned = Command::new(command.get_program());
    owned.args(command.get_args());
    wait::run(owned).ok();
}

impl Disk {
    /// A tmpfs with these options (`size=…`, `nr_inodes=…`).
    pub fn tmpfs(options: &str) -> Option<Self> {
        let disk = Self::prepare()?;
        must(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&disk.mounted));
        Some(disk)
    }

    /// An ext4 of so many MiB on a loop device.
    pub fn ext4(mib: u64) -> Option<Self> {
        let disk = Self::prepare()?;
        let image = disk.dir.path().join("image");
        std::fs::File::create(&image).and_then(|file| file.set_len(mib << 20)).expect("make the image");
        must(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image));
        must(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&disk.mounted));
        Some(disk)
    }

    fn prepare() -> Option<Self> {
        allowed().then(|| {
            let dir = tempfile::Builder::new().prefix("et-disk-").tempdir().expect("directory for a mount");
            let mounted = dir.path().join("mounted");
            std::fs::create_dir(&mounted).expect("mount point");
            Self { dir, mounted }
        })
    }

    pub fn path(&self) -> &Path {
        &self.mounted
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
        // Lazy: whoever still looks keeps his view, the mount point is free at once.
        let _ = Command::new("umount").arg("-l").arg(&self.mounted).status();
    }
}
