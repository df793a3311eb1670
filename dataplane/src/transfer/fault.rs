//! An error of the disk, and its consequences. **The one place** that decides them: for the object, for the client, for the
//! node. Every access to the file of an object brings its errors here ([`believe`]).
//!
//! | what was done | the error | the object | the client | the node |
//! |---|---|---|---|---|
//! | any | it was removed meanwhile | | 404 | |
//! | any | the core is ending (`ECANCELED`) | as it is | 500 | |
//! | open | no descriptor, no memory left | as it is | 503, `Retry-After` | |
//! | open | gone, no regular file, another file, too short | reported as damaged | 500 with the reason | |
//! | open, allocate, write, journal | no room (`ENOSPC`, `EDQUOT`, `EFBIG`) | keeps its prefix | 507 | |
//! | sync | no room: the kernel dropped what it had taken | falls back | 507 | |
//! | allocate, write, sync, trim, read back | anything else | falls back | 500 | degraded |
//! | read of a complete object | anything else | as it is: it can be read when the disk is well | 500, or the answer is cut | degraded |
//! | read of a complete object | its file ends too early | reported as damaged | the answer is cut | |
//! | open | anything else | as it is; nothing of the request counts | 500 | degraded |
//! | journal | anything else | as it is; records that are not written wait in memory, and count when they are written | 500 | degraded |
//!
//! *Falls back* (PROMISES.md P6): nothing cached is trusted. Its writers are fenced, no claim is granted and nothing
//! completes, until a helper thread has read every byte that an earlier sync covered from the disk itself and compared
//! it with the CRC of its record; those bytes count, all others were never received. When the disk cannot be read
//! either, the object stays in doubt, and each request for it reads the disk again ([`prove`]) until that works.
//!
//! *Degraded* ends by itself: `health.rs` writes, syncs and reads back a file of its own until that works.

use std::io;
use std::sync::Arc;

use etransfer_contract::step::Failure;

use crate::core::Core;
use crate::http::Reply;
use crate::journal_writer::is_no_space;
use crate::store::{Fallen, Object};
use crate::transfer::data_file::NotItsFile;

/// An access to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Finding and opening the file.
    Open,
    /// Making room for bytes to come.
    Allocate,
    /// Writing bytes.
    Write,
    /// Making what was written durable.
    Sync,
    /// Giving back room after the last byte.
    Trim,
    /// Reading bytes back.
    Read,
    /// Appending records to a journal, or making them durable.
    Journal,
}

impl Doing {
    fn text(self) -> &'static str {
        match self {
            Self::Open => "open the file of",
            Self::Allocate => "make room in the file of",
            Self::Write => "write to the file of",
            Self::Sync => "sync the file of",
            Self::Trim => "trim the file of",
            Self::Read => "read the file of",
            Self::Journal => "write to the journal for",
        }
    }
}

/// How a request that met an error of the disk ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// 404: the object was removed meanwhile.
    Removed,
    /// 507: no room.
    Full,
    /// 503: no descriptor or no memory is left; the same request may work in a moment.
    Crowded,
    /// 500: the object's file is not what was written.
    Damaged(String),
    /// 500: the disk failed.
    Disk,
}

/// An error whose consequences were not drawn yet.
#[derive(Debug)]
pub struct Broken {
    /// What was done.
    pub doing: Doing,
    /// The error of the kernel.
    pub error: io::Error,
}

impl Doing {
    /// For `map_err`.
    pub fn broken(self) -> impl Fn(io::Error) -> Broken {
        move |error| Broken { doing: self, error }
    }
}

impl Broken {
    /// See the table at the head of this file. The caller still holds what excludes others from the object: its claim, or
    /// its completion.
    pub async fn believe(self, core: &Core, object: &Arc<Object>) -> Fault {
        believe(core, object, self.doing, self.error).await
    }
}

/// See the table at the head of this file.
pub async fn believe(core: &Core, object: &Arc<Object>, doing: Doing, error: io::Error) -> Fault {
    if object.is_removed() {
        return Fault::Removed;
    }
    let errno = error.raw_os_error();
    if errno == Some(libc::ECANCELED) {
        return Fault::Disk;
    }
    let is_full = is_no_space(&error);
    // For any access: this process lacks a descriptor, and the disk was not reached.
    let is_crowded = matches!(errno, Some(libc::EMFILE | libc::ENFILE));
    if is_crowded || (doing == Doing::Open && errno == Some(libc::ENOMEM)) {
        tracing::warn!(object = %object.id(), %error, "{} an object", doing.text());
        return Fault::Crowded;
    }
    match doing {
        Doing::Open if NotItsFile::is_in(&error) => return damaged(object, error.to_string()),
        Doing::Open if error.kind() == io::ErrorKind::NotFound => {
            return damaged(object, "its file is gone".to_owned());
        }
        Doing::Open | Doing::Allocate | Doing::Write | Doing::Journal if is_full => return Fault::Full,
        Doing::Open | Doing::Journal => return failed(core, object, doing, &error),
        Doing::Allocate | Doing::Write | Doing::Sync | Doing::Trim | Doing::Read => {}
    }
    if doing == Doing::Read && object.look().complete {
        return failed(core, object, doing, &error);
    }
    object.doubt();
    let fault = if is_full { Fault::Full } else { failed(core, object, doing, &error) };
    if let Err(unproven) = prove(core, object).await {
        return if is_full { fault } else { unproven };
    }
    fault
}

/// An object in doubt falls back to what is proven on the disk; every other one is as it was. `Err`: the disk cannot be
/// read.
pub async fn prove(core: &Core, object: &Arc<Object>) -> Result<(), Fault> {
    if !object.is_in_doubt() {
        return Ok(());
    }
    match find_out(core, object).await {
        Ok(Fallen::Kept(bytes)) => {
            tracing::warn!(object = %object.id(), bytes, "after an error of the disk an object has what is proven on it");
            Ok(())
        }
        Ok(Fallen::Damaged { lost }) => Err(damaged(object, format!("{lost} of its bytes are not on the disk"))),
        Err(error) => Err(failed(core, object, Doing::Read, &error)),
    }
}

/// What is found is written before the object can be used again.
async fn find_out(core: &Core, object: &Arc<Object>) -> io::Result<Fallen> {
    loop {
        core.writer.ready(object.spans().count(), true).await?;
        let (store, number) = (Arc::clone(&core.shared.store), core.io.core());
        let doubtful = Arc::clone(object);
        let work = move || doubtful.find_out(&store.objects_dir(), store.journal(number));
        let found = core.io.off_core(work).await?;
        core.writer.written_all(object).await?;
        object.settle_doubt(found);
        if !object.is_in_doubt() {
            return Ok(found.fallen);
        }
    }
}

/// A complete object is being sent, and its file ends too early (`None`) or cannot be read.
pub fn cut_short(core: &Core, object: &Object, error: Option<&io::Error>) {
    match error {
        // The client went away with its socket, or the core ends: nothing the disk did.
        Some(error) if error.raw_os_error() == Some(libc::ECANCELED) => {}
        Some(error) => {
            failed(core, object, Doing::Read, error);
        }
        None if object.is_removed() => {}
        None => {
            damaged(object, "its file is shorter than its records".to_owned());
        }
    }
}

fn damaged(object: &Object, why: String) -> Fault {
    object.report_damage(&why);
    Fault::Damaged(why)
}

fn failed(core: &Core, object: &Object, doing: Doing, error: &io::Error) -> Fault {
    tracing::error!(object = %object.id(), %error, "{} an object", doing.text());
    // Public in /readyz: it names no object.
    core.shared.store.degrade(format!("{} an object: {error}", doing.text()));
    Fault::Disk
}

impl Fault {
    /// The answer of the dialects that have no answer of their own; the caller adds `Upload-Offset` when it knows it.
    pub fn reply(&self) -> Reply {
        match self {
            Self::Removed => Reply::detail(404, "no such upload"),
            Self::Full => {
                let body = serde_json::json!({
                    "error": "Insufficient Storage",
                    "message": "no space left for these bytes; free some or wait, then resume at Upload-Offset",
                    "retry_after": 10,
                });
                Reply::new(507).field("Retry-After", "10").json(&body)
            }
            Self::Crowded => {
                Reply::detail(503, "no descriptor or memory is left for this; try again").field("Retry-After", "1")
            }
            Self::Damaged(why) => Reply::damaged(why),
            Self::Disk => Reply::detail(500, "the disk failed; ask HEAD for the offset that is safe"),
        }
    }

    /// For the control plane, which words the answer.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Removed => Failure::Gone,
            Self::Full => Failure::DiskFull,
            Self::Crowded | Self::Damaged(_) | Self::Disk => Failure::Disk,
        }
    }
}
