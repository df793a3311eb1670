//! Writes down what each person uses (`users.storage_used`, easytransfer/CONTRACT.md §10), for other programs that read
//! the database.
//!
//! The ledger is the catalogue's sums (PROMISES.md P9); the column follows it within a few seconds and decides nothing
//! here. A value that could not be written is written when the database is back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::core::UserId;
use crate::node::Node;
use crate::people::People;

/// How far the column may lag behind.
const PERIOD: Duration = Duration::from_secs(5);

/// Follows the node until the runtime ends.
pub async fn write_down(node: Arc<Node>, people: People) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut written: HashMap<UserId, u64> = HashMap::new();
    loop {
        tick.tick().await;
        for (owner, bytes) in changes(&written, &node.used_by_all()) {
            if let Err(error) = people.set_storage_used(owner, bytes).await {
                tracing::debug!(%error, "write down what a person uses");
                break;
            }
            written.insert(owner, bytes);
        }
    }
}

/// Users whose use differs from what was written down; one that has nothing any more uses 0.
fn changes(written: &HashMap<UserId, u64>, used: &HashMap<UserId, u64>) -> Vec<(UserId, u64)> {
    let gone = written.iter().filter(|(owner, bytes)| **bytes != 0 && !used.contains_key(*owner));
    let changed = used.iter().filter(|(owner, bytes)| written.get(*owner) != Some(*bytes));
    changed.map(|(owner, bytes)| (*owner, *bytes)).chain(gone.map(|(owner, _)| (*owner, 0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_written_and_nothing_else() {
        let written = HashMap::from([(1, 10), (2, 20), (3, 30), (4, 0)]);
        let mut told = changes(&written, &HashMap::from([(1, 10), (2, 25), (5, 7)]));
        told.sort_unstable();
        assert_eq!(told, [(2, 25), (3, 0), (5, 7)]);
    }
}
