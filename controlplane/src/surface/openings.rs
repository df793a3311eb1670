//! The bases of uploads that are about to begin: chunks that come at once before the first of them is accepted go into one
//! object, so that nothing has to be copied when the last is there. A base that is forgotten costs that copy and nothing else.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use etransfer_contract::ObjectId;

use crate::node::Node;

/// How long chunks count as coming at once.
const AGE_MAX: Duration = Duration::from_secs(60);
/// Names remembered; beyond it the table starts afresh.
const NAMES_MAX: usize = 10_000;

/// By key.
#[derive(Debug, Default)]
pub struct Openings(Mutex<HashMap<String, (ObjectId, Instant)>>);

impl Openings {
    /// Where a chunk goes that may begin an upload.
    pub fn base(&self, key: &str, node: &Node) -> ObjectId {
        let mut openings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if openings.len() >= NAMES_MAX {
            openings.clear();
        }
        let (base, since) = openings.entry(key.to_owned()).or_insert_with(|| (node.new_id(), Instant::now()));
        if since.elapsed() > AGE_MAX {
            (*base, *since) = (node.new_id(), Instant::now());
        }
        *base
    }

    /// It has begun, or ended: the next one is another one.
    pub fn close(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
