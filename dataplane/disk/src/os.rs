//! The disk of the operating system: each method is the call that its name says. This file alone makes them.
#![expect(clippy::disallowed_methods, reason = "this is the operating system's disk")]

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{
    Advice, AtFlags, CWD, Dir, FallocateFlags, FileType, FlockOperation, RenameFlags, StatVfsMountFlags, StatxFlags,
};
use rustix::io::{Errno, IoSliceMut, ReadWriteFlags};

use crate::{Disk, File, Mode, OFlags, OpenFile, PRIVATE, Space, Stat};

/// What the operating system has mounted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Os;

/// A file that the operating system opened.
#[derive(Debug)]
pub struct OsFile(fs::File);

impl From<fs::File> for OsFile {
    fn from(file: fs::File) -> Self {
        Self(file)
    }
}

impl AsFd for OsFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// `STATX_MNT_ID_UNIQUE`, which rustix does not name.
const MOUNT_ID_UNIQUE: u32 = 0x4000;

impl Disk for Os {
    fn open(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<File> {
        Ok(rustix::fs::open(path, flags | OFlags::CLOEXEC, mode)?.into())
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::mkdir(path, Mode::RWXU)?)
    }

    fn is_there(&self, path: &Path) -> bool {
        rustix::fs::stat(path).is_ok()
    }

    fn owner_of(&self, path: &Path) -> io::Result<u32> {
        Ok(fs::symlink_metadata(path)?.uid())
    }

    fn rename(&self, path: &Path, new: &Path) -> io::Result<()> {
        fs::rename(path, new)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn link(&self, path: &Path, directory: &File, name: &str) -> io::Result<()> {
        Ok(rustix::fs::linkat(CWD, path, directory, name, AtFlags::empty())?)
    }

    fn boot_id(&self) -> io::Result<[u8; 36]> {
        let file = self.open(Path::new("/proc/sys/kernel/random/boot_id"), OFlags::RDONLY, Mode::empty())?;
        let mut text = [0; 36];
        rustix::io::read(file, &mut text)?;
        Ok(text)
    }
}

impl OpenFile for OsFile {
    fn open_at(&self, name: &str, flags: OFlags, mode: Mode) -> io::Result<File> {
        Ok(rustix::fs::openat(self, name, flags | OFlags::CLOEXEC, mode)?.into())
    }

    fn make_directory_at(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(self, name, Mode::RWXU)?)
    }

    fn rename_at(&self, name: &str, to: &File, new: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(self, name, to, new)?)
    }

    fn rename_to_free_at(&self, name: &str, to: &File, new: &str) -> io::Result<()> {
        match rustix::fs::renameat_with(self, name, to, new, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS) => match rustix::fs::statat(to, new, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(Errno::EXIST.into()),
                Err(Errno::NOENT) => Ok(rustix::fs::renameat(self, name, to, new)?),
                Err(error) => Err(error.into()),
            },
            renamed => Ok(renamed?),
        }
    }

    fn unlink_at(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self, name, AtFlags::empty())?)
    }

    fn stat_at(&self, name: &str) -> io::Result<Stat> {
        Ok(Stat::of(&rustix::fs::statat(self, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    fn each_name(&self, visit: &mut dyn FnMut(&OsStr) -> io::Result<ControlFlow<()>>) -> io::Result<()> {
        for entry in Dir::read_from(self)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") && visit(OsStr::from_bytes(name))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn stat(&self) -> io::Result<Stat> {
        Ok(Stat::of(&rustix::fs::fstat(self)?))
    }

    fn space(&self) -> io::Result<Space> {
        let found = rustix::fs::fstatvfs(self)?;
        Ok(Space {
            free: found.f_bavail * found.f_frsize,
            size: found.f_blocks * found.f_frsize,
            is_read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
        })
    }

    fn mount_id(&self) -> Option<u64> {
        let wanted = StatxFlags::from_bits_retain(MOUNT_ID_UNIQUE);
        let found = rustix::fs::statx(self, c"", AtFlags::EMPTY_PATH, wanted).ok()?;
        (found.stx_mask & MOUNT_ID_UNIQUE != 0).then_some(found.stx_mnt_id)
    }

    fn try_lock(&self) -> io::Result<()> {
        Ok(rustix::fs::flock(self, FlockOperation::NonBlockingLockExclusive)?)
    }

    fn unlock(&self) -> io::Result<()> {
        Ok(rustix::fs::flock(self, FlockOperation::Unlock)?)
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        Ok(rustix::io::pread(self, bytes, at)?)
    }

    fn read_direct_at(&self, bytes: &mut [u8], at: u64) -> io::Result<Option<usize>> {
        let flags = rustix::fs::fcntl_getfl(self)?;
        if rustix::fs::fcntl_setfl(self, flags | OFlags::DIRECT).is_err() {
            return Ok(None);
        }
        let read = self.read_blocks_at(bytes, at);
        rustix::fs::fcntl_setfl(self, flags)?;
        read.map(Some)
    }

    fn is_cached(&self, at: u64) -> bool {
        let mut byte = [0];
        let probe = &mut [IoSliceMut::new(&mut byte)];
        matches!(rustix::io::preadv2(self, probe, at, ReadWriteFlags::NOWAIT), Ok(1))
    }

    fn drop_cached(&self) -> io::Result<()> {
        Ok(rustix::fs::fadvise(self, 0, None, Advice::DontNeed)?)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        Ok(rustix::io::pwrite(self, bytes, at)?)
    }

    fn copy_from(&self, at: u64, from: &File, from_at: u64, length: u64) -> io::Result<u64> {
        let Some(Self(from)) = from.downcast() else { return Err(io::ErrorKind::Unsupported.into()) };
        let (mut from, mut into) = (from, &self.0);
        from.seek(SeekFrom::Start(from_at))?;
        into.seek(SeekFrom::Start(at))?;
        // The standard library asks the kernel to copy.
        io::copy(&mut from.take(length), &mut into)
    }

    fn allocate(&self, at: u64, length: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(self, FallocateFlags::empty(), at, length)?)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        Ok(rustix::fs::ftruncate(self, length)?)
    }

    fn make_private(&self) -> io::Result<()> {
        Ok(rustix::fs::fchmod(self, PRIVATE)?)
    }

    fn set_blocking(&self) -> io::Result<()> {
        Ok(rustix::fs::fcntl_setfl(self, rustix::fs::fcntl_getfl(self)? - OFlags::NONBLOCK)?)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(self)?)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(self)?)
    }

    fn sync_file_system(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(self)?)
    }

    fn try_clone(&self) -> io::Result<File> {
        Ok(self.0.try_clone()?.into())
    }
}

impl OsFile {
    /// Until `bytes` is full or the file ends.
    fn read_blocks_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < bytes.len() {
            match rustix::io::pread(self, &mut bytes[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                // The unaligned end of the file.
                Err(Errno::INVAL) if filled > 0 => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(filled)
    }
}

impl Stat {
    fn of(found: &rustix::fs::Stat) -> Self {
        Self {
            is_file: FileType::from_raw_mode(found.st_mode).is_file(),
            size: found.st_size.unsigned_abs(),
            inode: found.st_ino,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, File) {
        let root = tempfile::tempdir().expect("a directory");
        let handle = Os.open(root.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("its handle");
        (root, handle)
    }

    fn make(directory: &File, name: &str, content: &[u8]) -> File {
        let file = directory.open_at(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, PRIVATE).expect("a new file");
        file.write_all_at(content, 0).expect("room");
        file
    }

    fn names(directory: &File) -> Vec<String> {
        let mut names = Vec::new();
        let list = directory.each_name(&mut |name| {
            names.push(name.to_str().expect("text").to_owned());
            Ok(ControlFlow::Continue(()))
        });
        list.expect("a directory");
        names.sort_unstable();
        names
    }

    #[test]
    fn a_name_that_is_taken_is_kept() {
        let (_root, directory) = directory();
        make(&directory, "old", b"old");
        make(&directory, "new", b"another");
        let refused = directory.rename_to_free_at("old", &directory, "new").expect_err("it is taken");
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((names(&directory), directory.stat_at("new").unwrap().size), (vec!["new".into(), "old".into()], 7));
        directory.unlink_at("new").unwrap();
        directory.rename_to_free_at("old", &directory, "new").unwrap();
        assert_eq!((names(&directory), directory.stat_at("new").unwrap().size), (vec!["new".into()], 3));
    }

    #[test]
    fn a_look_at_names_ends_when_it_is_told_to() {
        let (_root, directory) = directory();
        ["a", "b", "c"].iter().for_each(|name| drop(make(&directory, name, b"")));
        let mut seen = 0;
        let look = &mut |_: &OsStr| {
            seen += 1;
            Ok(ControlFlow::Break(()))
        };
        directory.each_name(look).unwrap();
        assert_eq!((seen, names(&directory).len()), (1, 3));
    }

    #[test]
    fn a_lock_keeps_other_handles_out_until_it_goes() {
        let (root, directory) = directory();
        let first = make(&directory, "lock", b"");
        let second = Os.open(&root.path().join("lock"), OFlags::RDWR, Mode::empty()).unwrap();
        first.try_lock().unwrap();
        assert_eq!(second.try_lock().expect_err("it is held").kind(), io::ErrorKind::WouldBlock);
        first.unlock().unwrap();
        second.try_lock().unwrap();
    }

    #[test]
    fn a_copy_takes_what_there_is() {
        let (_root, directory) = directory();
        let (from, into) = (make(&directory, "from", b"0123456789"), make(&directory, "into", b"----"));
        assert_eq!((into.copy_from(2, &from, 4, 3).unwrap(), into.copy_from(6, &from, 8, 9).unwrap()), (3, 2));
        let mut content = [0; 8];
        into.read_exact_at(&mut content, 0).unwrap();
        assert_eq!(&content, b"--456\089");
        assert_eq!(into.read_exact_at(&mut content, 1).expect_err("it ends").kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_file_that_was_opened_without_waiting_waits_again() {
        let (root, directory) = directory();
        make(&directory, "file", b"");
        let file = Os.open(&root.path().join("file"), OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap();
        assert!(rustix::fs::fcntl_getfl(&file).unwrap().contains(OFlags::NONBLOCK));
        file.set_blocking().unwrap();
        assert!(!rustix::fs::fcntl_getfl(&file).unwrap().contains(OFlags::NONBLOCK));
    }
}
