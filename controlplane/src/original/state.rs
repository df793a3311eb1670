//! The records of the original: `state/state.json`, or plain strings in Redis; the same keys in both
//! (easytransfer/CONTRACT.md §10).

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etransfer_contract::ObjectId;
use redis::{Client, Commands, Connection};
use serde::Deserialize;

use crate::core::Secret;

/// Connecting to Redis, and each answer.
const WAIT: Duration = Duration::from_secs(5);
/// The seed's keys, and those of 0.1.26.
const PREFIXES: [&str; 2] = ["etransfer:", "et:"];

/// Where the records are.
#[derive(Debug, Clone)]
pub enum State {
    /// `state/state.json` below the storage directory.
    File,
    /// The Redis server at this URL.
    Redis(Secret),
}

/// The JSON texts of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// Of `upload:<id>`
    pub upload: Option<String>,
    /// Of `file:<id>`
    pub file: Option<String>,
}

/// The records cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No such file, or no right to it.
    #[error("read {path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Not what the original writes.
    #[error("{path} is not a state file of the original: {source}")]
    NotState {
        /// Which.
        path: PathBuf,
        /// Where it stops making sense.
        source: serde_json::Error,
    },
    /// Redis does not answer, or refuses. The text holds no part of the URL.
    #[error("read the records from Redis: {0}")]
    Redis(#[from] redis::RedisError),
}

#[derive(Deserialize)]
struct Entry {
    value: String,
}

impl State {
    /// The records of every upload and file, in the order of their ids.
    pub fn read(&self, storage: &Path) -> Result<BTreeMap<ObjectId, Texts>, ReadError> {
        let mut all = BTreeMap::new();
        match self {
            Self::File => {
                let path = storage.join("state/state.json");
                let text = std::fs::read(&path).map_err(|source| ReadError::Io { path: path.clone(), source })?;
                // An entry that expired is still a record: its bytes say whether it is worth something.
                let entries: HashMap<String, Entry> =
                    serde_json::from_slice(&text).map_err(|source| ReadError::NotState { path, source })?;
                entries.into_iter().for_each(|(key, entry)| sort_in(&mut all, &key, entry.value));
            }
            Self::Redis(url) => {
                let client = Client::open(url.expose())?;
                let mut connection = client.get_connection_with_timeout(WAIT)?;
                connection.set_read_timeout(Some(WAIT))?;
                connection.set_write_timeout(Some(WAIT))?;
                for kind in PREFIXES.iter().flat_map(|prefix| ["upload", "file"].map(|kind| format!("{prefix}{kind}:")))
                {
                    for (key, text) in strings(&mut connection, &kind)? {
                        sort_in(&mut all, &key, text);
                    }
                }
            }
        }
        Ok(all)
    }
}

/// Every string whose key begins with `prefix`.
fn strings(connection: &mut Connection, prefix: &str) -> Result<Vec<(String, String)>, redis::RedisError> {
    let keys: Vec<String> = connection.scan_match::<_, String>(format!("{prefix}*"))?.collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for key in keys.into_iter().filter(|key| object_of(key).is_some()) {
        // One that expired since has no text.
        let text: Option<String> = connection.get(&key)?;
        found.extend(text.map(|text| (key, text)));
    }
    Ok(found)
}

fn sort_in(all: &mut BTreeMap<ObjectId, Texts>, key: &str, text: String) {
    if let Some((kind, id)) = object_of(key) {
        let texts = all.entry(id).or_default();
        *(if kind == "upload" { &mut texts.upload } else { &mut texts.file }) = Some(text);
    }
}

/// `upload` or `file`, and the id; locks, sizes, chunks and the rest have none.
fn object_of(key: &str) -> Option<(&str, ObjectId)> {
    let rest = PREFIXES.iter().find_map(|prefix| key.strip_prefix(prefix))?;
    let (kind, id) = rest.split_once(':')?;
    matches!(kind, "upload" | "file").then_some((kind, id.parse().ok()?))
}
