//! The Unix socket of the control link and the directories around it: private, and one owner at a time.
//!
//! A stale socket (its control plane was killed) is replaced; a live one is not: the process that holds the kernel lock
//! beside it is the owner. The lock ends with the process, whatever way that goes.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// The socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Directory, lock or socket.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another control plane answers there.
    #[error("another control plane listens on {0}")]
    Taken(PathBuf),
    /// The directory belongs to another user, who could replace the socket.
    #[error("{0} belongs to another user")]
    Foreign(PathBuf),
    /// Others can write to the directory, and could replace the socket.
    #[error("others can write to {0}; make it private (chmod go-w) or set server.line_socket")]
    Shared(PathBuf),
}

/// Owner of a bound socket: its file goes when this drops.
pub struct Guard {
    path: PathBuf,
    _lock: File,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A file that stays is stale and replaced at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Listens on `path`: directory 0700, socket 0600.
pub fn bind(path: &Path) -> Result<(UnixListener, Guard), SocketError> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| SocketError::Io { action, path, source }
    };
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    make_private_dir(directory).map_err(failed("make", directory))?;
    // Not through a link: in a directory that everybody can write to it would be another user's.
    let found = std::fs::symlink_metadata(directory).map_err(failed("look at", directory))?;
    if found.is_symlink() && is_shared(directory)
        || owner_of(directory).map_err(failed("look at", directory))? != own_id()
    {
        return Err(SocketError::Foreign(directory.to_owned()));
    }
    if std::fs::metadata(directory).map_err(failed("look at", directory))?.mode() & 0o022 != 0 {
        return Err(SocketError::Shared(directory.to_owned()));
    }
    let beside = path.with_extension("lock");
    let lock = lock(&beside).map_err(failed("lock", &beside))?.ok_or_else(|| SocketError::Taken(path.to_owned()))?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("replace", path)(error)),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(failed("listen on", path))?;
    let guard = Guard { path: path.to_owned(), _lock: lock };
    // The directory keeps every other user out already; the mode says so again.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed("restrict", path))?;
    listener.set_nonblocking(true).map_err(failed("listen on", path))?;
    Ok((listener, guard))
}

fn own_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn owner_of(path: &Path) -> io::Result<u32> {
    Ok(std::fs::metadata(path)?.uid())
}

/// Whether everybody can put things beside `path`.
fn is_shared(path: &Path) -> bool {
    let above = path.parent().and_then(|above| std::fs::metadata(above).ok());
    above.is_none_or(|above| above.mode() & 0o002 != 0)
}

/// Whether the program at the other end runs as this user, or as root: the path alone says nothing about who is there.
pub fn is_own_peer(stream: &tokio::net::UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own_id() || peer.uid() == 0)
}

/// Whether a command of this user may trust what listens on `path`: root's commands serve nodes of other users, whose
/// sockets stand in directories of their own.
pub fn is_node_of(stream: &tokio::net::UnixStream, path: &Path) -> bool {
    let owner = path.parent().and_then(|directory| owner_of(directory).ok());
    stream.peer_cred().is_ok_and(|peer| {
        let is_ours = peer.uid() == own_id() || peer.uid() == 0;
        is_ours || (own_id() == 0 && owner == Some(peer.uid()) && path.parent().is_some_and(|line| !is_shared(line)))
    })
}

/// Makes a directory only its owner can enter; one that exists is left as it is.
pub fn make_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Takes the kernel lock of a file; `None`: another process has it.
pub fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_others_can_write_to_is_no_place_for_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let shared = dir.path().join("shared");
        std::fs::create_dir(&shared).unwrap();
        std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(bind(&shared.join("control.sock")), Err(SocketError::Shared(_))));
        std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o755)).unwrap();
        bind(&shared.join("control.sock")).unwrap();
    }

    #[tokio::test]
    async fn a_peer_is_known_by_its_user() {
        let (one, other) = tokio::net::UnixStream::pair().unwrap();
        assert!(is_own_peer(&one) && is_own_peer(&other));
        let path = tempfile::tempdir().unwrap().path().join("line/control.sock");
        assert!(is_node_of(&one, &path));
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("line/control.sock");
        let (listener, guard) = bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert!(matches!(bind(&path), Err(SocketError::Taken(_))));
        drop((listener, guard));
        // What a killed process leaves behind: the file, without its lock.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        bind(&path).unwrap();
    }
}
