//! The state of the disk. One task of one core probes it on a helper thread, so a degraded node recovers by itself when the
//! disk does, and a file system that became read-only is noticed without a request.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use etransfer_disk::{File, OFlags, PRIVATE};
use rustix::io::Errno;

use crate::core::Core;
use crate::scan::Scan;

/// How often the disk is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// A node stays degraded this long after the last error: longer than the control plane waits between two polls, so
/// that none of its readers misses it.
const DEGRADED_LEAST: Duration = Duration::from_secs(5);
const PROBE_BYTES: usize = 4096;
/// Name of the probe where a file system makes no file without one.
const PROBE_NAME: &str = "probe";

/// Watches the disk forever.
pub async fn watch(core: Rc<Core>) {
    loop {
        core.io.sleep(LOOK).await;
        let store = std::sync::Arc::clone(&core.shared.store);
        core.io
            .off_core(move || {
                let objects = store.objects_dir();
                if is_read_only(&objects) {
                    if store.degraded().is_none() {
                        store.degrade("the file system of the objects is read-only");
                    }
                } else if store.may_recover(DEGRADED_LEAST) {
                    match probe(&objects) {
                        Ok(()) if store.recover(DEGRADED_LEAST) => {
                            tracing::warn!("the disk works again: the node is no longer degraded");
                        }
                        Ok(()) => {}
                        Err(error) => tracing::warn!(%error, "the disk of a degraded node does not work yet"),
                    }
                }
            })
            .await;
    }
}

fn is_read_only(objects: &File) -> bool {
    objects.space().is_ok_and(|space| space.is_read_only)
}

/// Writes, syncs and reads back a file without a name, or one that is deleted at once. A full disk counts as working.
fn probe(objects: &File) -> io::Result<()> {
    match try_probe(objects) {
        Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => Ok(()),
        tried => tried,
    }
}

fn try_probe(objects: &File) -> io::Result<()> {
    let file = make(objects)?;
    let content = [0xA5; PROBE_BYTES];
    file.write_all_at(&content, 0)?;
    file.sync_data()?;
    let mut scan = Scan::default();
    if scan.read_disk(&file, 0, PROBE_BYTES)? == content {
        Ok(())
    } else {
        Err(io::Error::other("the disk gives back other bytes than were written"))
    }
}

fn make(objects: &File) -> io::Result<File> {
    let made = objects.open_at(".", OFlags::RDWR | OFlags::TMPFILE, PRIVATE);
    match made.as_ref().map_err(Errno::from_io_error) {
        Err(Some(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT)) => {
            let named = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
            let file = objects.open_at(PROBE_NAME, named, PRIVATE)?;
            objects.unlink_at(PROBE_NAME)?;
            Ok(file)
        }
        Ok(_) | Err(_) => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_of_a_well_disk_leaves_nothing() {
        let root = tempfile::tempdir().expect("a directory");
        let objects = File::from(std::fs::File::open(root.path()).expect("its handle"));
        probe(&objects).expect("a disk that is well");
        assert!(!is_read_only(&objects));
        assert_eq!(std::fs::read_dir(root.path()).expect("its entries").count(), 0);
    }
}
