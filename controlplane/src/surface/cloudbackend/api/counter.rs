//! Numbers that are given out once and never again: of accounts, files and shares. Document `next/<kind>` holds the
//! next one.
//!
//! Must stay true: a number is given out and written down in one edit under the counter's lock, so none comes twice, also
//! when its bearer is gone.

use crate::core::SurfaceId;
use crate::node::key_locks::KeyGuard;
use crate::node::{Edit, Node};

/// A counter that no other request counts with until it is dropped; keep it until the edit is answered.
pub struct Counter<'n> {
    key: String,
    next: u64,
    _alone: KeyGuard<'n>,
}

impl<'n> Counter<'n> {
    /// Waits for the counter of `kind`.
    pub async fn lock(node: &'n Node, kind: &str) -> Self {
        let key = format!("next/{kind}");
        let alone = node.locks.lock(SurfaceId::CloudBackend, &key).await;
        Self { next: number(node, &key).unwrap_or(1), key, _alone: alone }
    }

    /// One number more.
    pub fn take(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Adds to an edit what was taken.
    pub fn write(&self, edit: Edit) -> Edit {
        edit.write(SurfaceId::CloudBackend, self.key.clone(), self.next.to_string())
    }
}

/// A document that is a number in decimal digits.
pub fn number(node: &Node, key: &str) -> Option<u64> {
    std::str::from_utf8(&node.doc(SurfaceId::CloudBackend, key)?).ok()?.parse().ok()
}

/// A number as part of a key: all of one width, so that keys sort as numbers do.
pub fn part(number: u64) -> String {
    format!("{number:016x}")
}

/// A text as part of a key: no text looks like two parts, or like another one.
pub fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalogue::Snapshot;
    use crate::config::Config;

    #[tokio::test]
    async fn no_number_comes_twice() {
        let node = Node::new(Arc::new(Config::defaults()), Snapshot::of_memory());
        let mut given = Vec::new();
        for _ in 0..2 {
            let mut counter = Counter::lock(&node, "a").await;
            given.extend([counter.take(), counter.take()]);
            node.edit(counter.write(Edit::default())).await.unwrap();
        }
        assert_eq!(given, [1, 2, 3, 4]);
        assert_eq!(Counter::lock(&node, "b").await.take(), 1, "each kind has its own");
    }
}
