//! The disk, behind one seam: everything that the node asks of a file system goes through [`Disk`] and [`OpenFile`].
//!
//! ```text
//!   Arc<dyn Disk>  ── open ──►  File (a directory)  ── open_at ──►  File (an object, a journal, …)
//!        │                        │                                   │
//!        └────────────────────────┴──────── os ───────────────────────┘      another disk comes with its own files
//! ```
//!
//! A node is handed its disk once, at its start. What it opens from there on leads to the same disk, for each [`File`]
//! knows what it belongs to: nothing else has to be passed around, and two nodes of one process may have two disks.
//!
//! What must stay true:
//! * one method is one system call, unless it says otherwise: the order that a caller promises is the order on the disk;
//! * nothing here retries, orders or syncs on its own account;
//! * no lock, no runtime, no copy of content.
//!
//! The bytes of transfers are moved by a core's driver, which takes the descriptor of a [`File`] and calls nothing here.
mod file;
mod os;

use std::any::Any;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

pub use rustix::fs::{Mode, OFlags};

pub use self::file::File;
pub use self::os::{Os, OsFile};

/// For this user only.
pub const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// A regular file: no directory, link, pipe, socket or device.
    pub is_file: bool,
    /// Its length in bytes.
    pub size: u64,
    /// Which file of its file system it is.
    pub inode: u64,
}

/// How full a file system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this user may still write.
    pub free: u64,
    /// Bytes in all.
    pub size: u64,
    /// Nothing can be written at all.
    pub is_read_only: bool,
}

/// A machine's file systems, by path. What is opened once is reached through its [`File`] from then on.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Opens what is at `path`; close-on-exec.
    fn open(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<File>;

    /// Makes one directory, for this user only.
    fn make_directory(&self, path: &Path) -> io::Result<()>;

    /// Whether `path` leads to something, links followed.
    fn is_there(&self, path: &Path) -> bool;

    /// Whose it is; of a link, not of what it leads to.
    fn owner_of(&self, path: &Path) -> io::Result<u32>;

    /// Moves what is at `path` to `new`; what was there is replaced.
    fn rename(&self, path: &Path, new: &Path) -> io::Result<()>;

    /// Removes the name of a file.
    fn unlink(&self, path: &Path) -> io::Result<()>;

    /// Gives the file at `path` a second name, `name` in `directory`.
    fn link(&self, path: &Path, directory: &File, name: &str) -> io::Result<()>;

    /// The text by which the kernel names this boot of the machine.
    fn boot_id(&self) -> io::Result<[u8; 36]>;
}

/// An open file or directory. Names are relative to a directory, and never followed through a link where they are looked at.
pub trait OpenFile: Any + fmt::Debug + Send + Sync {
    /// Opens `name`; close-on-exec.
    fn open_at(&self, name: &str, flags: OFlags, mode: Mode) -> io::Result<File>;

    /// Makes one directory, for this user only.
    fn make_directory_at(&self, name: &str) -> io::Result<()>;

    /// Moves `name` to the name `new` in `to`; what had it is replaced.
    fn rename_at(&self, name: &str, to: &File, new: &str) -> io::Result<()>;

    /// As [`rename_at`](Self::rename_at); `AlreadyExists` when the new name is taken. On a file system that cannot refuse by
    /// itself the name is looked at first, so nothing else may make it meanwhile.
    fn rename_to_free_at(&self, name: &str, to: &File, new: &str) -> io::Result<()>;

    /// Removes a name of a file.
    fn unlink_at(&self, name: &str) -> io::Result<()>;

    /// What has this name.
    fn stat_at(&self, name: &str) -> io::Result<Stat>;

    /// Shows every name of the directory but `.` and `..`, in no order, until `visit` breaks. Names that are made or removed
    /// meanwhile may be missed.
    fn each_name(&self, visit: &mut dyn FnMut(&OsStr) -> io::Result<ControlFlow<()>>) -> io::Result<()>;

    /// What it is.
    fn stat(&self) -> io::Result<Stat>;

    /// The file system it is on.
    fn space(&self) -> io::Result<Space>;

    /// The id of its mount, which is never used twice in one boot; `None` where the kernel has none (before Linux 6.8).
    fn mount_id(&self) -> Option<u64>;

    /// Keeps other processes out for as long as it is open; `WouldBlock` when one of them was first.
    fn try_lock(&self) -> io::Result<()>;

    /// Lets others in.
    fn unlock(&self) -> io::Result<()>;

    /// Some of the bytes at `at`; 0 at the end of the file.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize>;

    /// As many of the bytes at `at` as there are, past the page cache; `None` where the file system does not do that. `bytes`
    /// and `at` are aligned as direct reads ask. The flags of the open file description change meanwhile.
    fn read_direct_at(&self, bytes: &mut [u8], at: u64) -> io::Result<Option<usize>>;

    /// Whether the byte at `at` can be read without waiting.
    fn is_cached(&self, at: u64) -> bool;

    /// Drops clean pages from the page cache; advice.
    fn drop_cached(&self) -> io::Result<()>;

    /// Writes some of `bytes`.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;

    /// Copies `length` bytes of another file, fewer if it ends, and shares blocks where the file system can. Moves both
    /// positions, and may need several calls.
    fn copy_from(&self, at: u64, from: &File, from_at: u64, length: u64) -> io::Result<u64>;

    /// Gives `[at, at + length)` blocks; the file grows, new bytes read as zero. `Unsupported` where it cannot.
    fn allocate(&self, at: u64, length: u64) -> io::Result<()>;

    /// Sets the length.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Makes it readable and writable for this user only.
    fn make_private(&self) -> io::Result<()>;

    /// Reads wait for the disk again, after an open that did not.
    fn set_blocking(&self) -> io::Result<()>;

    /// Content and size reach the disk (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;

    /// All of a file, or the names of a directory, reach the disk (`fsync`).
    fn sync(&self) -> io::Result<()>;

    /// Everything of its file system reaches the disk (`syncfs`).
    fn sync_file_system(&self) -> io::Result<()>;

    /// Another handle on the same open file.
    fn try_clone(&self) -> io::Result<File>;
}

/// What every disk can, made of the calls above.
impl dyn Disk + '_ {
    /// All of a small file.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, OFlags::RDONLY, Mode::empty())?;
        let mut bytes = vec![0; usize::try_from(file.stat()?.size).map_err(|_| io::ErrorKind::FileTooLarge)?];
        let filled = file.read_all_at(&mut bytes, 0)?;
        bytes.truncate(filled);
        Ok(bytes)
    }
}

/// What every file can, made of the calls above.
impl dyn OpenFile {
    /// Fills `bytes` with what is there from `at` on; less at the end of the file.
    pub fn read_all_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.read_at(&mut bytes[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Fills `bytes`; a file that ends before them is an error.
    pub fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        let filled = self.read_all_at(bytes, at)?;
        match filled == bytes.len() {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "failed to fill whole buffer")),
        }
    }

    /// Writes all of `bytes`.
    pub fn write_all_at(&self, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    bytes = &bytes[count..];
                    at += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
