//! Before the first connection: uploads whose last byte was recorded when the process ended are completed (T-PAT-14).
//!
//! The same order as [`finish`](crate::act::finish), blocking, since no core runs yet.

use std::fs::File;
use std::io;

use etransfer_contract::ObjectId;
use rustix::fs::{Mode, OFlags};

use crate::config::Durability;
use crate::store::{ObjectPath, Store};

/// Objects looked at in one go.
const PAGE: usize = 500;

/// Completes what is whole; the control plane hears of it when it asks for the inventory.
pub fn complete_what_is_whole(store: &Store, durability: Durability) -> io::Result<()> {
    let mut after = None;
    loop {
        let page = store.inventory(after, PAGE);
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.object);
        for presence in page.iter().filter(|presence| !presence.complete) {
            if presence.length == Some(presence.contiguous) {
                complete(store, presence.object, durability)?;
            }
        }
    }
}

fn complete(store: &Store, id: ObjectId, durability: Durability) -> io::Result<()> {
    let Some(object) = store.find(id) else { return Ok(()) };
    let Some(completion) = object.try_complete() else { return Ok(()) };
    let journal = store.journal(0);
    let file = open(store, id)?;
    if file.metadata()?.len() > completion.length() {
        file.set_len(completion.length())?;
    }
    let sync = durability != Durability::None;
    if sync {
        let mark = object.mark();
        file.sync_data()?;
        object.synced(mark, journal)?;
    }
    completion.finish(journal, sync)?;
    if sync {
        let target = journal.sync_target();
        target.files.iter().try_for_each(rustix::fs::fdatasync)?;
        journal.mark_synced(target.position);
    }
    tracing::info!(object = %id, "an upload was whole when the last run ended; it is complete now");
    Ok(())
}

fn open(store: &Store, id: ObjectId) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(store.objects_dir(), ObjectPath::of(id).as_c_str(), flags, Mode::empty())?;
    Ok(file.into())
}
