//! Names, as the catalogue keeps them: one document for each, a record for each object it refers to.
//!
//! Must stay true: a document and the records of what it refers to change in one edit; whoever changes a name holds its lock.

use std::collections::BTreeSet;

use etransfer_contract::ObjectId;
use etransfer_contract::grant::Ticket;

use super::device::{account, owner};
use super::name::{Arrived, File, Name, Place};
use super::refusal::Refusal;
use crate::catalogue::{Keep, Kind, Record, Surface};
use crate::config::Policy;
use crate::node::{Edit, Node, Room, Whose};
use crate::retention::once::Once;
use crate::server::App;

const SURFACE: Surface = Surface::SecureFileTransfer;
/// Bytes that wait to be compared have places that begin so; no device is called that, for it has a slash.
pub const WAITING: &str = "/waiting/";

/// Where a name's document is.
pub fn key(device: &str, name: &str) -> String {
    format!("{device}/{name}")
}

/// What there is under a name.
pub fn read(node: &Node, key: &str) -> Result<Name, Refusal> {
    node.doc(SURFACE, key).map_or(Ok(Name::default()), |text| parse(key, &text))
}

/// All names of a device, in order.
pub fn names_of(node: &Node, device: &str) -> Result<Vec<(String, Name)>, Refusal> {
    let prefix = key(device, "");
    let documents = node.docs_under(SURFACE, &prefix);
    documents.into_iter().map(|(key, text)| Ok((key[prefix.len()..].to_owned(), parse(&key, &text)?))).collect()
}

/// The keys of all names.
pub fn keys(node: &Node) -> Vec<String> {
    node.docs_under(SURFACE, "").into_iter().map(|(key, _)| key).collect()
}

fn parse(key: &str, text: &[u8]) -> Result<Name, Refusal> {
    serde_json::from_slice(text).map_err(|error| {
        tracing::error!(key, %error, "the document of a file cannot be read");
        Refusal::Internal
    })
}

/// The edit that makes `after` of `before`: what `after` does not refer to any more goes.
pub fn change(key: &str, before: &Name, after: &Name) -> Edit {
    change_and_keep(Edit::default(), key, before, after, &BTreeSet::new())
}

/// The same beside other changes; what is in `kept` goes on elsewhere.
pub fn change_and_keep(edit: Edit, key: &str, before: &Name, after: &Name, kept: &BTreeSet<ObjectId>) -> Edit {
    let left = after.objects();
    let gone = before.objects().into_iter().filter(|object| !left.contains(object) && !kept.contains(object));
    let edit = gone.fold(edit, Edit::delete);
    if after.is_empty() {
        return edit.erase(SURFACE, key);
    }
    edit.write(SURFACE, key, serde_json::to_vec(after).expect("a name is JSON: its keys are its fields"))
}

/// The record of bytes that arrived: the file itself, an upload's base, or a piece.
pub fn record_of(device: &str, name: &str, after: &Name, arrived: &Arrived) -> Record {
    match (&after.file, arrived.place) {
        (Some(file), _) if file.whole == Some(arrived.object) => file_record(device, name, file, arrived.object),
        (_, Place::InPlace(_)) => {
            Record { kind: Kind::File, ..open_record(device, name, arrived.object, arrived.now_ms) }
        }
        (_, Place::Aside) => piece_record(device, name, arrived),
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
    let is_whole = arrived.place == Place::Aside;
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
pub fn reserve(app: &App, device: &str, ticket: Ticket, object: ObjectId, bytes: u64) -> Result<(), Refusal> {
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
