//! What a drive holds: files and folders, as they are kept and told (CONTRACT.md §A4).
//!
//! Must stay true: a file is always some object of the bucket, whose size is its own; a folder is none. A name is text that
//! people read: nothing on a disk is ever called so.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::path::FolderPath;
use crate::clock;
use crate::surface::cloudbackend::oss::key::Key;

/// The type that makes a record a folder.
pub const FOLDER: &str = "folder";

/// A file or a folder of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Unique over all users; stands in the key of its document.
    #[serde(skip)]
    pub id: u64,
    /// What people call it; in a folder's there is no slash.
    pub name: String,
    /// The folder it is in.
    pub path: FolderPath,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// What it is.
    pub content: Content,
}

/// What an item is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Holds what has its path.
    Folder,
    /// Bytes.
    File {
        /// As the client says; any text.
        content_type: String,
        /// Bytes of the object.
        size: u64,
        /// The object.
        key: Key,
        /// The object, as the client called it; clients send it back.
        oss_url: String,
    },
}

impl Item {
    /// Bytes it takes of its owner's quota.
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Folder => 0,
            Content::File { size, .. } => *size,
        }
    }

    /// It holds others, and is no object.
    pub fn is_folder(&self) -> bool {
        matches!(self.content, Content::Folder)
    }

    /// The object it is.
    pub fn key(&self) -> Option<&Key> {
        match &self.content {
            Content::Folder => None,
            Content::File { key, .. } => Some(key),
        }
    }

    /// Where things in it stand; `None`: nothing can be in a file.
    pub fn inside(&self) -> Option<FolderPath> {
        match &self.content {
            Content::Folder => Some(self.path.child(&self.name)),
            Content::File { .. } => None,
        }
    }

    /// The record clients see.
    pub fn told(&self, user: u64) -> Value {
        let (content_type, oss_url) = match &self.content {
            Content::Folder => (FOLDER, ""),
            Content::File { content_type, oss_url, .. } => (content_type.as_str(), oss_url.as_str()),
        };
        json!({
            "id": self.id,
            "name": self.name,
            "content_type": content_type,
            "size": self.size(),
            "oss_url": oss_url,
            "created_at": clock::iso(self.created_ms) + "Z",
            "path": self.path.as_str(),
            "user_id": user,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a4_the_record_of_a_file_and_of_a_folder() {
        let folder = Item {
            id: 7,
            name: "新文件夹".into(),
            path: FolderPath::default(),
            created_ms: 1_704_110_400_123,
            content: Content::Folder,
        };
        let told = json!({
            "id": 7, "name": "新文件夹", "content_type": "folder", "size": 0, "oss_url": "",
            "created_at": "2024-01-01T12:00:00.123000Z", "path": "/", "user_id": 3,
        });
        assert_eq!((folder.told(3), folder.inside().unwrap().as_str()), (told, "/新文件夹/"));

        let content = Content::File {
            content_type: "application/pdf".into(),
            size: 5_000_000_000,
            key: Key::new("alice//0f3a.pdf").unwrap(),
            oss_url: "http://srv/cloud/alice//0f3a.pdf".into(),
        };
        let file = Item { id: 8, name: "../x".into(), path: folder.inside().unwrap(), content, ..folder };
        let told = file.told(3);
        assert_eq!((&told["size"], &told["path"]), (&json!(5_000_000_000_u64), &json!("/新文件夹/")));
        assert_eq!(told["oss_url"], "http://srv/cloud/alice//0f3a.pdf");
        assert_eq!((file.inside(), file.key().unwrap().as_str()), (None, "alice//0f3a.pdf"));
        let kept = serde_json::to_string(&file).unwrap();
        let read: Item = serde_json::from_str(&kept).unwrap();
        assert_eq!(Item { id: 8, ..read }, file);
    }
}
