//! The documents of a drive.
//!
//! ```text
//! f/<user>/<file>   an item                  i/<file>   whose it is
//! u/<user>          bytes of all its files   s/…        what is about to be uploaded (declared)
//! ```
//!
//! Must stay true: a request that changes one of them holds the drive over the edit, and changes the bytes in the same
//! edit as the items (CONTRACT.md §A8).

use super::item::Item;
use crate::core::SurfaceId;
use crate::node::key_locks::KeyGuard;
use crate::node::{Edit, Node};
use crate::surface::cloudbackend::api::counter::{number, part};

const SURFACE: SurfaceId = SurfaceId::CloudBackend;

/// The drive of one account.
#[derive(Clone, Copy)]
pub struct Drive<'n> {
    node: &'n Node,
    /// The account.
    pub user: u64,
}

impl<'n> Drive<'n> {
    /// Of an account, whether it has anything or not.
    pub fn of(node: &'n Node, user: u64) -> Self {
        Self { node, user }
    }

    /// No other request changes it until the guard is dropped.
    pub async fn lock(&self) -> KeyGuard<'n> {
        self.node.locks.lock(SURFACE, &self.used_key()).await
    }

    /// One item.
    pub fn item(&self, id: u64) -> Option<Item> {
        read(id, &self.node.doc(SURFACE, &self.item_key(id))?)
    }

    /// All of them, by id.
    pub fn items(&self) -> Vec<Item> {
        let prefix = self.prefix();
        let docs = self.node.docs_under(SURFACE, &prefix);
        let id = |key: &str| u64::from_str_radix(&key[prefix.len()..], 16).ok();
        docs.iter().filter_map(|(key, text)| read(id(key)?, text)).collect()
    }

    /// Bytes of all files.
    pub fn used(&self) -> u64 {
        if self.node.doc(SURFACE, &self.used_key()).is_none() {
            return 0;
        }
        number(self.node, &self.used_key()).unwrap_or_else(|| {
            tracing::error!(user = self.user, "the bytes of a drive cannot be read; it counts as full");
            u64::MAX
        })
    }

    /// Adds an item to an edit, or replaces it.
    pub fn put(&self, edit: Edit, item: &Item) -> Edit {
        let text = serde_json::to_vec(item).expect("an item has only string keys");
        let owner = self.user.to_string();
        edit.write(SURFACE, self.item_key(item.id), text).write(SURFACE, owner_key(item.id), owner)
    }

    /// Takes an item away.
    pub fn erase(&self, edit: Edit, id: u64) -> Edit {
        edit.erase(SURFACE, self.item_key(id)).erase(SURFACE, owner_key(id))
    }

    /// Writes what all files are together.
    pub fn put_used(&self, edit: Edit, bytes: u64) -> Edit {
        edit.write(SURFACE, self.used_key(), bytes.to_string())
    }

    fn prefix(&self) -> String {
        format!("f/{}/", part(self.user))
    }

    fn item_key(&self, id: u64) -> String {
        self.prefix() + &part(id)
    }

    fn used_key(&self) -> String {
        format!("u/{}", part(self.user))
    }
}

/// Whose an item is; `None`: there is none.
pub fn owner_of(node: &Node, id: u64) -> Option<u64> {
    number(node, &owner_key(id))
}

fn owner_key(id: u64) -> String {
    format!("i/{}", part(id))
}

fn read(id: u64, text: &[u8]) -> Option<Item> {
    match serde_json::from_slice::<Item>(text) {
        Ok(item) => Some(Item { id, ..item }),
        Err(error) => {
            tracing::error!(file = id, %error, "the record of a file cannot be read");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::item::Content;
    use super::super::path::FolderPath;
    use super::*;
    use crate::catalogue::Snapshot;
    use crate::config::Config;

    #[tokio::test]
    async fn a_drive_lists_its_own_items_by_id() {
        let node = Node::new(Arc::new(Config::defaults()), Snapshot::of_memory());
        let folder = |id, name: &str| Item {
            id,
            name: name.into(),
            path: FolderPath::default(),
            created_ms: 5,
            content: Content::Folder,
        };
        let (alice, bob) = (Drive::of(&node, 1), Drive::of(&node, 16));
        let edit = [folder(300, "c"), folder(2, "a"), folder(17, "b")]
            .iter()
            .fold(Edit::default(), |edit, item| alice.put(edit, item));
        node.edit(alice.put_used(bob.put(edit, &folder(4, "x")), 77)).await.unwrap();
        let names = |drive: Drive<'_>| drive.items().into_iter().map(|item| item.name).collect::<Vec<_>>();
        assert_eq!((names(alice), names(bob)), (vec!["a".into(), "b".into(), "c".into()], vec!["x".into()]));
        assert_eq!((alice.used(), bob.used()), (77, 0));
        assert_eq!((owner_of(&node, 4), owner_of(&node, 5)), (Some(16), None));
        assert_eq!((alice.item(2), alice.item(4)), (Some(folder(2, "a")), None));
        node.edit(alice.erase(Edit::default(), 2)).await.unwrap();
        assert_eq!((alice.item(2), owner_of(&node, 2)), (None, None));
    }

    #[tokio::test]
    async fn p9_bytes_that_cannot_be_read_count_as_full() {
        let node = Node::new(Arc::new(Config::defaults()), Snapshot::of_memory());
        node.edit(Edit::default().write(SURFACE, "u/0000000000000001", "much")).await.unwrap();
        assert_eq!(Drive::of(&node, 1).used(), u64::MAX);
    }
}
