//! Documents of drives, as ever.

use etransfer_tests::examples;

use super::declared::{Declared, UploadId};
use super::item::{Content, Item};
use super::path::FolderPath;
use super::store::{Drive, owner_of};
use crate::catalogue::Docs;
use crate::core::SurfaceId;
use crate::golden::{NAME, TIME, documents, golden, node};
use crate::node::Edit;
use crate::surface::cloudbackend::oss::key::Key;

/// Years after this is read.
const LATER: u64 = 40 * TIME;
const RANDOM: &str = "0123456789abcdef";

fn items() -> Vec<Item> {
    let file = Content::File {
        content_type: "text/plain".into(),
        size: 300,
        key: Key::new("alice//a.txt").unwrap(),
        oss_url: "http://srv/cloud/alice//a.txt".into(),
    };
    let contents = examples!(Content:
        Content::Folder => { "文件夹": Content::Folder },
        Content::File { .. } => { "a.txt": file },
    );
    let path = |id| FolderPath::parse(if id == 1 { "/" } else { "/文件夹/" }).unwrap();
    let item = |(id, (name, content)): (u64, (&str, Content))| {
        let name = if id == 1 { name } else { NAME };
        Item { id, name: name.into(), path: path(id), created_ms: TIME, content }
    };
    (1..).zip(contents).map(item).collect()
}

#[tokio::test]
async fn documents_are_stored_as_ever() {
    let node = node(Docs::new());
    let drive = Drive::of(&node, 7);
    let edit = items().iter().fold(Edit::default(), |edit, item| drive.put(edit, item));
    let declared = Declared { name: NAME.into(), size: 300, content_type: "text/plain".into(), ends_ms: LATER };
    let id = UploadId::draw(&node, 7);
    node.edit(declared.put(&node, id, drive.put_used(edit, 300))).await.unwrap();
    let mut golden =
        golden("surface/cloudbackend", "drive.txt", "Documents of drives; the end of an upload's id is random.");
    let random = id.to_string()[16..].to_owned();
    for (key, text) in node.docs_under(SurfaceId::CloudBackend, "") {
        golden.text(&format!("document {}", key.replace(&random, RANDOM)), str::from_utf8(&text).unwrap());
    }
    let node = crate::golden::node(documents(&golden.check(), SurfaceId::CloudBackend));
    let drive = Drive::of(&node, 7);
    assert_eq!((drive.items(), drive.used()), (items(), 300));
    assert_eq!((owner_of(&node, 1), owner_of(&node, 2)), (Some(7), Some(7)));
    let (_, found) = Declared::find(&node, 7, &format!("{:016x}{RANDOM}", 7)).unwrap();
    assert_eq!(found, declared);
}
