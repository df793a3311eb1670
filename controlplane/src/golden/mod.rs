//! What golden tests of this crate share: where their files are, fixed values, and nodes made of golden documents.

mod link;
mod state;

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use etransfer_contract::ObjectId;
use etransfer_tests::golden::{Entry, Golden};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::catalogue::{Docs, Snapshot};
use crate::config::Config;
use crate::core::SurfaceId;
use crate::node::Node;

/// A time; Unix milliseconds.
pub(crate) const TIME: u64 = 1_700_000_000_123;
/// A name that JSON has to escape, with letters outside ASCII.
pub(crate) const NAME: &str = "naïve \"name\"\\文.txt";
/// What the names of entries that are documents begin with.
const DOCUMENT: &str = "document ";

/// The golden file `name` in the folder `golden` below `directory` of this crate's sources.
pub(crate) fn golden(directory: &str, name: &str, about: &str) -> Golden {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(directory).join("golden");
    Golden::new(folder.join(name), about)
}

/// An object's id.
pub(crate) fn object(byte: u8) -> ObjectId {
    ObjectId::from_bytes([byte; 16])
}

/// Compares values as JSON with a golden file, and reads them back from it.
#[track_caller]
pub(crate) fn check_json<T>(mut golden: Golden, all: &[(&str, T)])
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    all.iter().for_each(|(name, value)| golden.text(name, &json(value)));
    for (entry, (name, value)) in golden.check().iter().zip(all) {
        assert_eq!(serde_json::from_str::<T>(entry.line()).unwrap(), *value, "{name}");
    }
}

/// The same for values that cannot be compared: what is read back is written as it was.
#[track_caller]
pub(crate) fn check_json_text<T: Serialize + DeserializeOwned>(mut golden: Golden, all: &[(&str, T)]) {
    all.iter().for_each(|(name, value)| golden.text(name, &json(value)));
    for entry in golden.check() {
        let again: T = serde_json::from_str(entry.line()).unwrap();
        assert_eq!(json(&again), entry.line(), "{}", entry.name);
    }
}

/// As it is stored.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

/// A node without records whose catalogue holds these documents.
pub(crate) fn node(docs: Docs) -> Node {
    Node::new(Arc::new(Config::defaults()), Snapshot { docs, ..Snapshot::of_memory() })
}

/// Adds every document of a surface to a golden file.
pub(crate) fn put_documents(golden: &mut Golden, node: &Node, surface: SurfaceId) {
    for (key, text) in node.docs_under(surface, "") {
        golden.text(&format!("{DOCUMENT}{key}"), std::str::from_utf8(&text).unwrap());
    }
}

/// The documents of a golden file.
pub(crate) fn documents(entries: &[Entry], surface: SurfaceId) -> Docs {
    let document = |entry: &Entry| {
        let key = entry.name.strip_prefix(DOCUMENT)?;
        Some(((surface, key.to_owned()), Arc::from(entry.line().as_bytes())))
    };
    entries.iter().filter_map(document).collect()
}
