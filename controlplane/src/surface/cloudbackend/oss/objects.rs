//! The objects of the bucket in the catalogue: records of this surface whose key is `o/` and the object's.
//!
//! Must stay true: an object that is a file of a drive is neither replaced nor removed; of two requests to one
//! key, one is decided after the other.

use crate::catalogue::Entry;
use crate::core::SurfaceId;
use crate::node::{Edit, Node};
use crate::surface::cloudbackend::settings::CloudBackend;

use super::key::Key;
use super::refusal::Refusal;
use super::stored::Stored;

/// Where objects stand among the records of this surface.
const PREFIX: &str = "o/";

/// An object that is there, whole.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its record.
    pub entry: Entry,
    /// What is kept about it.
    pub stored: Stored,
}

/// Its place among the records of this surface.
pub fn place(key: &Key) -> String {
    format!("{PREFIX}{key}")
}

/// Looks an object up.
pub fn find(node: &Node, key: &Key) -> Option<Object> {
    read(node.by_place(SurfaceId::CloudBackend, &place(key))?)
}

/// CONTRACT.md §B4 check 15: whether a key may be written to.
pub fn check_replaceable(node: &Node, key: &Key, forbid_overwrite: bool) -> Result<(), Refusal> {
    match find(node, key) {
        Some(object) if forbid_overwrite || object.stored.is_referenced() => Err(Refusal::AlreadyExists),
        Some(_) | None => Ok(()),
    }
}

/// Removes an object. That it is not there is fine.
pub async fn remove(node: &Node, key: &Key) -> Result<Option<Object>, Refusal> {
    let _alone = node.locks.lock(SurfaceId::CloudBackend, &place(key)).await;
    let Some(object) = find(node, key) else { return Ok(None) };
    if object.stored.is_referenced() {
        return Err(Refusal::Immutable);
    }
    node.edit(Edit::default().delete(object.entry.record.id)).await?;
    Ok(Some(object))
}

/// Removes what no file of a drive is, when its time is over (CONTRACT.md §B8); how many went.
pub async fn remove_orphans(node: &Node, settings: &CloudBackend) -> usize {
    let now_ms = node.clock.now_ms();
    let is_over = |object: &Object| {
        let record = &object.entry.record;
        let ends = object.stored.ends_ms(record.created_ms, settings.orphan_seconds, settings.deleted_grace_seconds);
        ends.is_some_and(|ends| ends <= now_ms)
    };
    let mut removed = 0;
    for entry in node.records_under(SurfaceId::CloudBackend, PREFIX) {
        let place = entry.record.key.clone();
        let _alone = node.locks.lock(SurfaceId::CloudBackend, &place).await;
        // It may have been registered or replaced meanwhile.
        let Some(object) = node.by_place(SurfaceId::CloudBackend, &place).and_then(read).filter(is_over) else {
            continue;
        };
        match node.edit(Edit::default().delete(object.entry.record.id)).await {
            Ok(()) => removed += 1,
            Err(error) => {
                tracing::error!(%error, "remove an object that is no longer needed");
                break;
            }
        }
    }
    removed
}

fn read(entry: Entry) -> Option<Object> {
    match serde_json::from_value(entry.record.detail.clone()) {
        Ok(stored) => Some(Object { entry, stored }),
        Err(error) => {
            tracing::error!(object = %entry.record.id, %error, "what is kept about an object cannot be read");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::catalogue::Snapshot;
    use crate::catalogue::tests::record;
    use crate::config::Config;

    /// A node with one object: made long ago, in use by these files, released at that time.
    async fn node(files: &[u64], released_ms: Option<u64>) -> (Node, Key) {
        let node = Node::new(Arc::new(Config::defaults()), Snapshot::of_memory());
        let key = Key::new("alice//a.txt").unwrap();
        let mut record = record(node.new_id(), 5);
        record.surface = SurfaceId::CloudBackend;
        record.key = place(&key);
        record.completed_ms = Some(5);
        record.detail = json!({"headers": [], "md5": "AB", "crc64": 7, "files": files, "released_ms": released_ms});
        node.edit(Edit::default().put(record)).await.unwrap();
        (node, key)
    }

    #[tokio::test]
    async fn what_a_file_of_a_drive_is_stays_as_it_is() {
        let (node, key) = node(&[7], None).await;
        assert_eq!(check_replaceable(&node, &key, false), Err(Refusal::AlreadyExists));
        assert_eq!(remove(&node, &key).await.err(), Some(Refusal::Immutable));
        assert_eq!(remove_orphans(&node, node.config().surfaces.of::<CloudBackend>()).await, 0);
        assert!(find(&node, &key).is_some_and(|object| object.stored.is_referenced()));
    }

    #[tokio::test]
    async fn what_nobody_uses_may_be_replaced_and_removed() {
        let (node, key) = node(&[], None).await;
        assert_eq!(check_replaceable(&node, &key, false), Ok(()));
        assert_eq!(check_replaceable(&node, &key, true), Err(Refusal::AlreadyExists));
        assert!(remove(&node, &key).await.unwrap().is_some());
        assert!(remove(&node, &key).await.unwrap().is_none());
        assert!(find(&node, &key).is_none());
        assert_eq!(check_replaceable(&node, &key, true), Ok(()));
    }

    #[tokio::test]
    async fn b8_objects_go_when_their_time_is_over() {
        let now = crate::clock::wall_ms();
        for (released_ms, removed) in [(None, 1), (Some(now), 0), (Some(5), 1)] {
            let (node, key) = node(&[], released_ms).await;
            assert_eq!(
                remove_orphans(&node, node.config().surfaces.of::<CloudBackend>()).await,
                removed,
                "{released_ms:?}"
            );
            assert_eq!(find(&node, &key).is_none(), removed == 1);
        }
    }
}
