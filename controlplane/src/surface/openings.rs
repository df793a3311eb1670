//! The bases of uploads that are about to begin: chunks that come at once before the first of them is accepted go into one
//! object, so that nothing has to be copied when the last is there. A base that is forgotten costs that copy and nothing else.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use etransfer_contract::ObjectId;

use crate::authority::table::Table;
use crate::bounds::OPENINGS_MAX;
use crate::node::Node;

/// How long chunks count as coming at once.
const AGE_MAX: Duration = Duration::from_secs(60);

/// By key.
#[derive(Debug)]
pub struct Openings(Mutex<Table<String, (ObjectId, Instant)>>);

impl Default for Openings {
    fn default() -> Self {
        Self(Mutex::new(Table::new(OPENINGS_MAX)))
    }
}

impl Openings {
    /// Where a chunk goes that may begin an upload.
    pub fn base(&self, key: &str, node: &Node) -> ObjectId {
        let mut openings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = openings.get(&key.to_owned()).filter(|(_, since)| since.elapsed() <= AGE_MAX);
        if let Some((base, _)) = known {
            return *base;
        }
        let base = node.new_id();
        openings.put(key.to_owned(), (base, Instant::now()));
        base
    }

    /// It has begun, or ended: the next one is another one.
    pub fn close(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key.to_owned());
    }
}
