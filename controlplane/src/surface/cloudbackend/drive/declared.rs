//! Upload ids (CONTRACT.md §A5): what a client said of a file before it posted it. Document `s/<user>/<random>`; the id
//! is both numbers.
//!
//! Must stay true: an id is good once, for a time, for the user it was made for, and one user has a bounded number of them.
//! Knowing an id is no right: its user is logged in anyway.

use serde::{Deserialize, Serialize};

use crate::bounds::DECLARED_OPEN_MAX;
use crate::core::SurfaceId;
use crate::node::{Edit, Node};
use crate::surface::cloudbackend::api::counter::part;

const SURFACE: SurfaceId = SurfaceId::CloudBackend;
const PREFIX: &str = "s/";

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// `file_name`
    pub name: String,
    /// `file_size`
    pub size: u64,
    /// `content_type`
    pub content_type: String,
    /// Unix milliseconds.
    pub ends_ms: u64,
}

/// The name of one: 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UploadId {
    user: u64,
    random: u64,
}

/// Why an id does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoUploadId {
    /// There is none, any more or ever.
    Unknown,
    /// It is another user's.
    Foreign,
}

impl UploadId {
    /// A new one.
    pub fn draw(node: &Node, user: u64) -> Self {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&node.new_id().as_bytes()[..8]);
        Self { user, random: u64::from_be_bytes(bytes) }
    }

    fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let (user, random) = text.split_at_checked(16).filter(|_| is_hex)?;
        Some(Self { user: u64::from_str_radix(user, 16).ok()?, random: u64::from_str_radix(random, 16).ok()? })
    }

    fn key(self) -> String {
        format!("{PREFIX}{}/{}", part(self.user), part(self.random))
    }

    /// Takes it away: it was good once.
    pub fn erase(self, edit: Edit) -> Edit {
        edit.erase(SURFACE, self.key())
    }
}

impl std::fmt::Display for UploadId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", part(self.user), part(self.random))
    }
}

impl Declared {
    /// Adds it to an edit. The drive of `id`'s user is held.
    pub fn put(&self, node: &Node, id: UploadId, edit: Edit) -> Edit {
        let open = node.docs_under(SURFACE, &format!("{PREFIX}{}/", part(id.user)));
        let ends = |text: &[u8]| read(text).map_or(0, |declared| declared.ends_ms);
        let is_full = open.len() >= DECLARED_OPEN_MAX;
        let first = if is_full { open.iter().min_by_key(|(_, text)| ends(text)) } else { None };
        let edit = first.into_iter().fold(edit, |edit, (key, _)| edit.erase(SURFACE, key.clone()));
        edit.write(SURFACE, id.key(), serde_json::to_vec(self).expect("what was declared has only string keys"))
    }

    /// The one that a text names, for `user`.
    pub fn find(node: &Node, user: u64, text: &str) -> Result<(UploadId, Self), NoUploadId> {
        let id = UploadId::parse(text).ok_or(NoUploadId::Unknown)?;
        let found = node.doc(SURFACE, &id.key()).and_then(|text| read(&text));
        let declared = found.filter(|declared| declared.ends_ms > node.clock.now_ms()).ok_or(NoUploadId::Unknown)?;
        if id.user == user { Ok((id, declared)) } else { Err(NoUploadId::Foreign) }
    }
}

/// Takes away what ended.
pub fn erase_ended(node: &Node, edit: Edit) -> Edit {
    let now_ms = node.clock.now_ms();
    let is_over = |text: &[u8]| read(text).is_none_or(|declared| declared.ends_ms <= now_ms);
    let ended = node.docs_under(SURFACE, PREFIX).into_iter().filter(|(_, text)| is_over(text));
    ended.fold(edit, |edit, (key, _)| edit.erase(SURFACE, key))
}

fn read(text: &[u8]) -> Option<Declared> {
    serde_json::from_slice(text).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalogue::Snapshot;
    use crate::config::Config;

    fn declared(ends_ms: u64) -> Declared {
        Declared { name: "a".into(), size: 5, content_type: "b/c".into(), ends_ms }
    }

    async fn with(node: &Node, user: u64, ends_ms: u64) -> UploadId {
        let id = UploadId::draw(node, user);
        node.edit(declared(ends_ms).put(node, id, Edit::default())).await.unwrap();
        id
    }

    #[tokio::test]
    async fn a5_an_id_is_good_once_for_its_user_until_it_ends() {
        let node = Node::new(Arc::new(Config::defaults()), Snapshot::of_memory());
        let later = node.clock.now_ms() + 60_000;
        let (open, ended) = (with(&node, 7, later).await, with(&node, 7, 5).await);
        assert_eq!(open.to_string().len(), 32);
        assert_eq!(Declared::find(&node, 7, &open.to_string()), Ok((open, declared(later))));
        assert_eq!(Declared::find(&node, 8, &open.to_string()), Err(NoUploadId::Foreign));
        for text in ["", "x", &"0".repeat(32), &ended.to_string(), &format!(" {open}"), "../../etc/passwd"] {
            assert_eq!(Declared::find(&node, 7, text), Err(NoUploadId::Unknown), "{text}");
        }
        node.edit(erase_ended(&node, Edit::default())).await.unwrap();
        assert_eq!(node.docs_under(SURFACE, PREFIX).len(), 1);
        node.edit(open.erase(Edit::default())).await.unwrap();
        assert_eq!(Declared::find(&node, 7, &open.to_string()), Err(NoUploadId::Unknown));
    }

    #[tokio::test]
    async fn p16_one_user_has_so_many_open_ids() {
        let node = Node::new(Arc::new(Config::defaults()), Snapshot::of_memory());
        let later = node.clock.now_ms() + 60_000;
        let other = with(&node, 8, later).await;
        let mut first = None;
        for number in 0..=DECLARED_OPEN_MAX as u64 {
            let id = with(&node, 7, later + number).await;
            first.get_or_insert(id);
        }
        assert_eq!(node.docs_under(SURFACE, "s/0000000000000007/").len(), DECLARED_OPEN_MAX);
        assert_eq!(Declared::find(&node, 7, &first.unwrap().to_string()), Err(NoUploadId::Unknown));
        assert!(Declared::find(&node, 8, &other.to_string()).is_ok());
    }
}
