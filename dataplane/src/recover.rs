//! Before the first connection: uploads whose last byte was recorded when the last process ended are completed (T-PAT-14).
//!
//! The same order as [`finish`](crate::transfer::finish), blocking, since no core runs yet. An error concerns one upload: it is
//! reported, and the node starts.

use std::io;
use std::sync::Arc;

use etransfer_contract::ObjectId;
use etransfer_disk::{File, Mode, OFlags};

use crate::config::Durability;
use crate::store::{Object, ObjectPath, Store};

/// Completes uploads of which no byte is missing; the inventory reports them to the control plane. A read-only store completes
/// nothing: its uploads are read as they are.
pub fn complete_what_is_whole(store: &Store, durability: Durability) {
    if store.is_read_only() {
        return;
    }
    let mut completed = false;
    for presence in store.incomplete() {
        if presence.length == Some(presence.contiguous)
            && let Some(object) = store.find(presence.object)
        {
            match complete(store, &object, durability) {
                Ok(done) => completed |= done,
                Err(error) => {
                    tracing::error!(object = %object.id(), %error, "complete an upload of the last run; it stays incomplete");
                }
            }
        }
    }
    if completed {
        keep(store, durability);
    }
}

fn complete(store: &Store, object: &Arc<Object>, durability: Durability) -> io::Result<bool> {
    let Some(completion) = object.try_complete() else { return Ok(false) };
    let journal = store.journal(0);
    let sync = durability != Durability::None;
    journal.make_room_blocking(2, true)?;
    match open(store, object.id()) {
        Ok(file) => {
            if file.stat()?.size > completion.length() {
                file.truncate(completion.length())?;
            }
            if sync {
                let mark = object.mark();
                if let Err(error) = store.sync_file(&file) {
                    // PROMISES.md P6: believed. The upload falls back to what an earlier sync covered.
                    store.degrade(format!("sync of object {} failed: {error}", object.id()));
                    object.fall_back(&store.objects_dir(), journal)?;
                    return Err(error);
                }
                object.synced(mark, journal)?;
            }
        }
        // All of its bytes are there: there are none.
        Err(error) if error.kind() == io::ErrorKind::NotFound && completion.length() == 0 => {}
        Err(error) => {
            object.report_damage(&format!("its file cannot be opened: {error}"));
            return Err(error);
        }
    }
    completion.finish(journal, sync)?;
    tracing::info!(object = %object.id(), "an upload was whole when the last run ended; it is complete now");
    Ok(true)
}

/// Writes the completions, and syncs them as the level demands, before any client can see one.
fn keep(store: &Store, durability: Durability) {
    let journal = store.journal(0);
    let kept = match durability {
        Durability::None => journal.flush_blocking(),
        Durability::Complete | Durability::Every => journal.sync_blocking(),
    };
    if let Err(error) = kept {
        store.degrade(format!("write or sync of a journal failed: {error}"));
    }
}

fn open(store: &Store, id: ObjectId) -> io::Result<File> {
    store.objects_dir().open_at(ObjectPath::of(id).as_str(), OFlags::RDWR | OFlags::NOFOLLOW, Mode::empty())
}
