//! [`File`]: a file of the operating system, without indirection, or one of another disk.
use std::any::Any;
use std::fs;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use crate::{OpenFile, OsFile};

/// An open file or directory; closed on drop.
#[derive(Debug)]
pub struct File(Kind);

#[derive(Debug)]
enum Kind {
    Os(OsFile),
    Other(Box<dyn OpenFile>),
}

impl File {
    /// A file of another disk than the operating system's.
    pub fn other(file: impl OpenFile + 'static) -> Self {
        Self(Kind::Other(Box::new(file)))
    }

    /// The file as its disk knows it; `None`: it is another disk's.
    pub fn downcast<T: OpenFile>(&self) -> Option<&T> {
        let file: &dyn Any = &**self;
        file.downcast_ref()
    }
}

impl Deref for File {
    type Target = dyn OpenFile;

    fn deref(&self) -> &Self::Target {
        match &self.0 {
            Kind::Os(file) => file,
            Kind::Other(file) => &**file,
        }
    }
}

impl From<OsFile> for File {
    fn from(file: OsFile) -> Self {
        Self(Kind::Os(file))
    }
}

impl From<OwnedFd> for File {
    fn from(descriptor: OwnedFd) -> Self {
        OsFile::from(fs::File::from(descriptor)).into()
    }
}

impl From<fs::File> for File {
    fn from(file: fs::File) -> Self {
        OsFile::from(file).into()
    }
}

/// For the drivers that hand descriptors to the kernel. Panics for a file of another disk: such a node has a driver of its
/// own, which never asks.
impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Kind::Os(file) => file.as_fd(),
            Kind::Other(file) => panic!("{file:?} is no file of the operating system"),
        }
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
