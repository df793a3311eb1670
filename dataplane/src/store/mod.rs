//! Bytes at rest: what is known about every object, which writer owns which byte, and the journals that record it.
//!
//! *Absent on purpose:* no socket, no async runtime, no HTTP, no policy. Plain synchronous code that the byte path calls
//! once per request or committed window, never once per buffer. File content is written by the byte path itself; this
//! module only learns, through [`Claim::commit`], which bytes are now in the file.
//!
//! # What must stay true
//!
//! * **Never ahead** (PROMISES.md P3). A record claims only bytes that are already in the file: data first, then
//!   [`Claim::commit`]. The size of a file proves nothing; the records do.
//! * **One owner per byte** (PROMISES.md P4). [`Object::claim`] is the only way to own bytes, [`Claim`] gives them back
//!   when it is dropped, and until then no other claim gets them, also when this one was asked to end: a write that is
//!   still in the kernel's hands lands before the bytes change owner (T-LOCK-3).
//! * **Record, then publish.** A change is appended to a journal while the object's lock is held and becomes visible under
//!   the same lock, so the sequence numbers of one object's records are in the order of its changes.
//! * **Written, then acknowledged** (PROMISES.md P1). An appended record is in memory. Before a change is reported outside
//!   the store, in any way, [`Object::positions`] must be written ([`Journal::is_written`]).
//!   Nothing a core calls touches a disk: what is appended is written by the core's own driver ([`Journal::begin_flush`]),
//!   and segments are made by helper threads.
//! * **Lock order**: a shard of the index, then an object, then a journal or the list of unconfirmed facts. Nothing is locked
//!   while a file of an object is touched.
//! * **CompletionRight happens once** (PROMISES.md P5): one [`CompletionRight`] at a time, and none after one was finished.
//! * **Removed stays removed** (PROMISES.md P8): the tombstone is recorded before anything is unlinked and outlives
//!   compaction. The right to unlink a file is a [`Condemned`], which only a recorded removal gives. A removal is
//!   reported when the file is gone.
//! * **One bad object is one bad object**: what its file does not hold makes it *damaged*: known, counted, removable, and
//!   neither read nor written ([`Object::report_damage`]). The rest is served.
//!
//! # Reading order
//!
//! `record`, `segment` and `manifest` are the format; `disk`, `room`, `tail`, `chain`, `journal` and `flushing` append and write; `known` and `extent` are what records add up to;
//! `decide` is the table of easytransfer/CONTRACT.md §2.4; `object`, `claim`, `completion`, `reader` are what the byte
//! path holds; `index` finds objects, `rest` is one that is not in use; `open`, `replay`, `verify`, `walk`, `checkpoint`
//! are start and compaction; `whole` is the rest; `quarantine` is where a start moves files that no record names;
//! `adopt` takes over what another program wrote.
mod adopt;
mod chain;
mod checkpoint;
mod claim;
mod clock;
mod completion;
mod decide;
mod disk;
mod extent;
mod flushing;
mod index;
mod journal;
mod known;
mod lock;
mod manifest;
mod object;
mod open;
mod path;
mod plant;
mod quarantine;
mod reader;
mod record;
mod replay;
mod rest;
mod room;
mod segment;
mod tail;
mod verify;
mod walk;
mod whole;

pub use adopt::{AdoptError, Adopted, Foreign, Placing};
pub use claim::{Claim, CommitError};
pub use completion::CompletionRight;
pub use decide::{Refused, Want};
pub use flushing::{Flush, Flushing};
pub use index::Gone;
pub use journal::{Journal, Position, Room, Syncing};
pub use object::{Fallen, Found, LengthRefused, Look, NotFree, Object, Strange, SyncMark};
pub use open::{OpenError, Replayed, StoreOptions};
pub use path::ObjectPath;
pub use quarantine::Quarantined;
pub use reader::{ReadGuard, SoleDelivery};
pub use segment::{Damage, DamageKind};
pub use verify::Verified;
pub use whole::{Audit, Condemned, JournalError, Store};

#[cfg(test)]
mod tests;
