//! Objects of the bucket while files become them, or cease to be: an object knows the files that are it (CONTRACT.md
//! §B8).
//!
//! Must stay true: an object and the files that are it change in one edit, under the object's lock. A request that also
//! holds a drive took that first; several objects are taken in the order of their keys.

use std::collections::{BTreeMap, BTreeSet};

use etransfer_contract::ObjectId;

use crate::core::SurfaceId;
use crate::node::key_locks::KeyGuard;
use crate::node::{Edit, Node};
use crate::surface::cloudbackend::oss::key::Key;
use crate::surface::cloudbackend::oss::objects::{self, Object};

/// Objects that no other request changes until this is dropped. Those that are not there are held too.
pub struct Held<'n> {
    _alone: Vec<KeyGuard<'n>>,
    objects: BTreeMap<Key, Object>,
}

impl<'n> Held<'n> {
    /// Waits for all of them.
    pub async fn hold(node: &'n Node, keys: BTreeSet<Key>) -> Self {
        let mut alone = Vec::with_capacity(keys.len());
        for key in &keys {
            alone.push(node.locks.lock(SurfaceId::CloudBackend, &objects::place(key)).await);
        }
        let object = |key: Key| objects::find(node, &key).map(|object| (key, object));
        Self { _alone: alone, objects: keys.into_iter().filter_map(object).collect() }
    }

    /// Bytes of an object; `None`: it is not there.
    pub fn size(&self, key: &Key) -> Option<u64> {
        self.objects.get(key).map(|object| object.entry.record.length.unwrap_or(0))
    }

    /// The files an object is.
    pub fn files(&self, key: &Key) -> Option<&BTreeSet<u64>> {
        self.objects.get(key).map(|object| &object.stored.files)
    }

    /// An object becomes a file.
    pub fn refer(&mut self, key: &Key, file: u64) {
        if let Some(object) = self.objects.get_mut(key) {
            object.stored.files.insert(file);
            object.stored.released_ms = None;
            // From now on the drive counts it, and no longer the prefix it was posted to.
            object.entry.record.owner = None;
        }
    }

    /// A file is no longer an object.
    pub fn release(&mut self, key: &Key, file: u64, now_ms: u64) {
        if let Some(object) = self.objects.get_mut(key)
            && object.stored.files.remove(&file)
            && object.stored.files.is_empty()
        {
            object.stored.released_ms = Some(now_ms);
        }
    }

    /// Objects whose keys begin with `prefix` and that never were a file.
    pub fn unused(&self, prefix: &str) -> Vec<ObjectId> {
        let is_unused = |(key, object): &(&Key, &Object)| {
            key.as_str().starts_with(prefix) && !object.stored.is_referenced() && object.stored.released_ms.is_none()
        };
        self.objects.iter().filter(is_unused).map(|(_, object)| object.entry.record.id).collect()
    }

    /// The object behind a key, for the audit.
    pub fn id(&self, key: &Key) -> Option<ObjectId> {
        self.objects.get(key).map(|object| object.entry.record.id)
    }

    /// Adds all of them to an edit, as they are now.
    pub fn put(&self, edit: Edit) -> Edit {
        self.objects.values().fold(edit, |edit, object| {
            let mut record = object.entry.record.clone();
            record.detail = serde_json::to_value(&object.stored).expect("what is stored has only string keys");
            edit.put(record)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::catalogue::tests::record;
    use crate::catalogue::{Owner, Snapshot};
    use crate::config::Config;

    async fn node(keys: &[&Key]) -> Node {
        let node = Node::new(Arc::new(Config::defaults()), Snapshot::of_memory());
        for key in keys {
            let mut record = record(node.new_id(), 5);
            record.surface = SurfaceId::CloudBackend;
            record.key = objects::place(key);
            (record.completed_ms, record.length) = (Some(5), Some(10));
            record.owner = Some(Owner::Member(SurfaceId::CloudBackend, "alice".into()));
            record.detail = json!({"headers": [], "md5": "AB", "crc64": 7});
            node.edit(Edit::default().put(record)).await.unwrap();
        }
        node
    }

    #[tokio::test]
    async fn an_object_is_kept_while_some_file_is_it() {
        let key = Key::new("alice//a").unwrap();
        let node = node(&[&key]).await;
        let stored = || objects::find(&node, &key).unwrap().stored;
        for (file, refers, files, released_ms) in
            [(7, true, 1, None), (8, true, 2, None), (7, false, 1, None), (9, false, 1, None), (8, false, 0, Some(99))]
        {
            let mut held = Held::hold(&node, [key.clone()].into()).await;
            if refers {
                held.refer(&key, file);
            } else {
                held.release(&key, file, 99);
            }
            node.edit(held.put(Edit::default())).await.unwrap();
            assert_eq!((stored().files.len(), stored().released_ms), (files, released_ms), "{file} {refers}");
        }
        let mut held = Held::hold(&node, [key.clone()].into()).await;
        assert!(held.unused("alice/").is_empty(), "it was a file once");
        held.refer(&key, 10);
        node.edit(held.put(Edit::default())).await.unwrap();
        assert_eq!((stored().files.len(), stored().released_ms), (1, None));
    }

    #[tokio::test]
    async fn a_posted_object_counts_to_its_prefix_until_it_is_a_file() {
        let (file, posted) = (Key::new("alice/a").unwrap(), Key::new("alice/b").unwrap());
        let node = node(&[&file, &posted]).await;
        let alice = Owner::Member(SurfaceId::CloudBackend, "alice".into());
        assert_eq!(node.used_by(&alice), 20);
        let missing = Key::new("alice/c").unwrap();
        let mut held = Held::hold(&node, [file.clone(), missing.clone()].into()).await;
        assert_eq!((held.size(&file), held.size(&missing), held.size(&posted)), (Some(10), None, None));
        assert_eq!((held.unused("alice/").len(), held.unused("bob/").len()), (1, 0));
        held.refer(&file, 1);
        held.refer(&missing, 2);
        assert!(held.unused("alice/").is_empty());
        node.edit(held.put(Edit::default())).await.unwrap();
        assert_eq!(node.used_by(&alice), 10);
    }
}
