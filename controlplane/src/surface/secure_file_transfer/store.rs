//! Names, as the catalogue keeps them: for each a document of all of it and one document for each [`Step`] since, so that a
//! chunk writes what it changes and not all there is; and a record for each object that is referred to.
//!
//! ```text
//! {device}/{name}                      the name, as it was once
//! /steps/{device}/{name}/{number}      what chunks changed since, in order
//! ```
//!
//! A change that is no chunk's, or one step too many ([`steps_max`]), writes all of it again and erases the steps.
//!
//! Must stay true: what is written, what is erased and the records of what it refers to change in one edit, so that a kill
//! leaves either the steps or the document that has them; a request that changes a name holds its lock, so numbers have
//! no gap. A name without steps is a document of earlier releases.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use etransfer_contract::ObjectId;
use etransfer_contract::grant::Ticket;

use super::device::{account, owner};
use super::name::{Arrived, File, Name, Place, Step};
use super::refusal::Refusal;
use crate::authority::table::Table;
use crate::bounds::{NAMES_REMEMBERED_MAX, STEPS_KEPT_MAX, STEPS_KEPT_MIN};
use crate::catalogue::{Kind, Record};
use crate::core::Policy;
use crate::core::SurfaceId;
use crate::node::edit::Document;
use crate::node::{Edit, Node, Room, Whose};
use crate::retention::once::Once;
use crate::retention::policy::Keep;
use crate::surface::secure_file_transfer::Service;

const SURFACE: SurfaceId = SurfaceId::SecureFileTransfer;
/// Bytes that wait to be compared have places that begin so; no device is called that, for it has a slash.
pub const WAITING: &str = "/waiting/";
/// Steps have keys that begin so.
const STEPS: &str = "/steps/";

/// Where a name's document is.
pub fn key(device: &str, name: &str) -> String {
    format!("{device}/{name}")
}

/// Where its steps are. No name has a slash: nothing else begins so.
fn steps_of(key: &str) -> String {
    format!("{STEPS}{key}/")
}

fn step_key(key: &str, number: u64) -> String {
    format!("{}{number:016x}", steps_of(key))
}

/// A name, and how it is written down.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    name: Arc<Name>,
    /// The document.
    whole: Option<Arc<[u8]>>,
    /// The number of the first step since.
    first: u64,
    /// How many there are.
    steps: u64,
    /// What the last of them says.
    last: Option<Arc<[u8]>>,
}

impl Deref for Kept {
    type Target = Name;

    fn deref(&self) -> &Name {
        &self.name
    }
}

/// Names that chunks came for last: reading one of them again costs the steps since. What is remembered is compared with what
/// the node has, and counts only while that is the same.
#[derive(Debug)]
pub struct Remembered(Mutex<Table<String, Kept>>);

impl Default for Remembered {
    fn default() -> Self {
        Self(Mutex::new(Table::new(NAMES_REMEMBERED_MAX)))
    }
}

impl Remembered {
    fn take(&self, key: &str) -> Option<Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key.to_owned()).cloned()
    }

    /// Worth it where there are steps.
    fn put(&self, key: &str, kept: &Kept) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.steps == 0 {
            table.remove(&key.to_owned());
        } else {
            table.put(key.to_owned(), kept.clone());
        }
    }
}

/// What there is under a name.
pub fn read(app: &Service, key: &str) -> Result<Kept, Refusal> {
    let remembered = app.names.take(key);
    let from = remembered.as_ref().map(|kept| step_key(key, kept.first + kept.steps - 1));
    let (whole, steps) = app.node.doc_and_under(SURFACE, key, &steps_of(key), from.as_deref());
    let is_same = |kept: &Kept| match (&kept.whole, &whole, &kept.last, steps.first()) {
        (Some(old), Some(new), Some(last), Some((_, step))) => Arc::ptr_eq(old, new) && Arc::ptr_eq(last, step),
        _ => false,
    };
    let kept = match remembered.filter(is_same) {
        Some(kept) => kept.and_then_all(key, &steps[1..])?,
        None if from.is_some() => {
            let (whole, steps) = app.node.doc_and_under(SURFACE, key, &steps_of(key), None);
            Kept::of(key, whole)?.and_then_all(key, &steps)?
        }
        None => Kept::of(key, whole)?.and_then_all(key, &steps)?,
    };
    app.names.put(key, &kept);
    Ok(kept)
}

impl Kept {
    fn of(key: &str, whole: Option<Arc<[u8]>>) -> Result<Self, Refusal> {
        let name = whole.as_ref().map_or(Ok(Name::default()), |text| parse(key, text))?;
        Ok(Self { name: Arc::new(name), whole, ..Self::default() })
    }

    /// With what chunks changed since.
    fn and_then_all(mut self, key: &str, steps: &[Document]) -> Result<Self, Refusal> {
        for (at, text) in steps {
            if self.steps == 0 {
                let number = at.rsplit('/').next().and_then(|number| u64::from_str_radix(number, 16).ok());
                self.first = number.ok_or(Refusal::Internal)?;
            }
            let step: Step = parse(at, text)?;
            Arc::make_mut(&mut self.name).take(&step).inspect_err(|_| {
                tracing::error!(key, at, "a step does not fit the file it is about");
            })?;
            self.steps += 1;
            self.last = Some(Arc::clone(text));
        }
        Ok(self)
    }
}

/// All names of a device, in order.
pub fn names_of(app: &Service, device: &str) -> Result<Vec<(String, Kept)>, Refusal> {
    let prefix = key(device, "");
    let documents = app.node.docs_under(SURFACE, &prefix);
    let names = documents.into_iter().map(|(key, _)| Ok((key[prefix.len()..].to_owned(), read(app, &key)?)));
    // One that was deleted meanwhile is not there.
    names.filter(|name| !name.as_ref().is_ok_and(|(_, name)| name.is_empty())).collect()
}

/// The keys of all names.
pub fn keys(node: &Node) -> Vec<String> {
    let documents = node.docs_under(SURFACE, "").into_iter();
    documents.map(|(key, _)| key).filter(|key| !key.starts_with(STEPS)).collect()
}

fn parse<T: serde::de::DeserializeOwned>(key: &str, text: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(text).map_err(|error| {
        tracing::error!(key, %error, "the document of a file cannot be read");
        Refusal::Internal
    })
}

fn written<T: serde::Serialize>(what: &T) -> Vec<u8> {
    serde_json::to_vec(what).expect("a name is JSON: its keys are its fields")
}

/// The edit that makes `after` of `before`: what `after` does not refer to any more goes.
pub fn change(key: &str, before: &Kept, after: &Name) -> Edit {
    change_and_keep(Edit::default(), key, before, after, &BTreeSet::new())
}

/// The same beside other changes; what is in `kept` goes on elsewhere.
pub fn change_and_keep(edit: Edit, key: &str, before: &Kept, after: &Name, kept: &BTreeSet<ObjectId>) -> Edit {
    let edit = leave(edit, before, after, kept);
    let steps = before.first..before.first + before.steps;
    let edit = steps.fold(edit, |edit, number| edit.erase(SURFACE, step_key(key, number)));
    if after.is_empty() {
        return edit.erase(SURFACE, key);
    }
    edit.write(SURFACE, key, written(after))
}

/// The edit that adds a step.
pub fn add(key: &str, before: &Kept, step: &Step) -> Result<Edit, Refusal> {
    let mut after = Name::clone(before);
    after.take(step)?;
    if before.whole.is_none() || before.steps >= steps_max(&after) {
        return Ok(change(key, before, &after));
    }
    let edit = leave(Edit::default(), before, &after, &BTreeSet::new());
    Ok(edit.write(SURFACE, step_key(key, before.first + before.steps), written(step)))
}

/// Steps before all of a name is written again: about as many as it has pieces, so that each chunk pays for a few of
/// them.
fn steps_max(name: &Name) -> u64 {
    name.pieces().clamp(STEPS_KEPT_MIN, STEPS_KEPT_MAX) as u64
}

/// What `after` does not refer to any more goes.
fn leave(edit: Edit, before: &Name, after: &Name, kept: &BTreeSet<ObjectId>) -> Edit {
    let left = after.objects();
    let gone = before.objects().into_iter().filter(|object| !left.contains(object) && !kept.contains(object));
    gone.fold(edit, Edit::delete)
}

/// The record of bytes that arrived: the file itself, an upload's base, or a piece.
pub fn record_of(device: &str, name: &str, step: &Step, arrived: &Arrived) -> Record {
    match arrived.place {
        Place::Separate if step.makes_whole() => Record {
            kind: Kind::File,
            length: Some(arrived.chunk.span.len()),
            completed_ms: step.published_ms(),
            ..open_record(device, name, arrived.object, step.published_ms().unwrap_or(arrived.now_ms))
        },
        Place::InPlace(_) => Record { kind: Kind::File, ..open_record(device, name, arrived.object, arrived.now_ms) },
        Place::Separate => piece_record(device, name, arrived),
    }
}

/// The record of a file that is one object.
pub fn file_record(device: &str, name: &str, file: &File, object: ObjectId) -> Record {
    Record {
        kind: Kind::File,
        length: Some(file.length),
        completed_ms: Some(file.modified_ms),
        ..open_record(device, name, object, file.modified_ms)
    }
}

/// Bytes that are looked at before anything refers to them; the cleanup finds them by their place.
pub fn waiting_record(device: &str, name: &str, arrived: &Arrived) -> Record {
    Record { key: format!("{WAITING}{}", arrived.object), ..piece_record(device, name, arrived) }
}

fn piece_record(device: &str, name: &str, arrived: &Arrived) -> Record {
    let is_whole = arrived.place == Place::Separate;
    Record {
        length: is_whole.then(|| arrived.chunk.span.len()),
        completed_ms: is_whole.then_some(arrived.now_ms),
        ..open_record(device, name, arrived.object, arrived.now_ms)
    }
}

/// A piece is nothing to list ([`Kind::Partial`]).
fn open_record(device: &str, name: &str, object: ObjectId, now_ms: u64) -> Record {
    Record {
        id: object,
        created_ms: now_ms,
        filename: name.to_owned(),
        mime: None,
        checksum: String::new(),
        metadata: None,
        length: None,
        keep: Keep { policy: Policy::Permanent, ttl_s: None },
        kind: Kind::Partial,
        completed_ms: None,
        download_count: 0,
        once: Once::default(),
        idempotency_key: None,
        owner: Some(owner(device)),
        maker: String::new(),
        surface: SURFACE,
        key: String::new(),
        detail: serde_json::Value::Null,
    }
}

/// Promises room for `bytes` that go into `object`, under the device's limit too when they are `new`.
pub fn reserve(app: &Service, device: &str, ticket: Ticket, object: ObjectId, bytes: u64) -> Result<(), Refusal> {
    match app.node.reserve(ticket, Some(bytes), bytes, Some(account(app, device))) {
        Room::Unlimited | Room::Promised(_) => {
            app.node.expect_bytes(ticket, object, Some(owner(device)));
            Ok(())
        }
        Room::Full { whose: Whose::Person, .. } => Err(Refusal::Full),
        Room::Full { whose: Whose::Node, .. } => Err(Refusal::NoSpace),
        Room::Unknown => Err(Refusal::Unavailable),
    }
}
