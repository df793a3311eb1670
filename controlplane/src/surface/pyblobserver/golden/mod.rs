//! What this dialect keeps, as ever: documents and records.

use super::file::{self, Detail};
use super::tokens::{self, issued_key};
use super::tus::finished;
use super::user::User;
use crate::catalogue::{Docs, Record};
use crate::core::SurfaceId;
use crate::golden::{NAME, TIME, check_json, documents, golden, node, object, put_documents};
use crate::node::Edit;

const USER: &str = "ann 文";

#[tokio::test]
async fn documents_are_stored_as_ever() {
    let user = User {
        created_ms: Some(TIME),
        token: Some([7; 32]),
        instead_of: Some([8; 32]),
        uploads: 1,
        upload_bytes: 2,
        last_upload_ms: Some(TIME + 1),
        downloads: 3,
        download_bytes: 4,
        last_download_ms: Some(TIME + 2),
    };
    let node = node(Docs::new());
    let edit = user.write(USER, User::default().write("bob", Edit::default()));
    let edit = edit.write(SurfaceId::PyBlobServer, issued_key(&tokens::digest("a token")), USER);
    node.edit(finished::awaited(USER, object(0x11), edit)).await.unwrap();
    let mut golden = golden("surface/pyblobserver", "documents.txt", "Documents of users, tokens and open uploads.");
    put_documents(&mut golden, &node, SurfaceId::PyBlobServer);
    let node = crate::golden::node(documents(&golden.check(), SurfaceId::PyBlobServer));
    assert_eq!((User::read(&node, USER), User::read(&node, "bob")), (Some(user), Some(User::default())));
    assert_eq!(finished::users(&node), [USER]);
}

#[test]
fn records_are_stored_as_ever() {
    let record = |detail: Detail| Record {
        completed_ms: Some(TIME + 1),
        length: Some(300),
        detail: detail.to_value(),
        ..file::record(object(0x11), "aB3dE5gH".into(), USER, NAME.into(), TIME)
    };
    let counted = Detail { downloads: 3, last_download_ms: Some(TIME), is_tus: false };
    let all = [
        ("made by a form", file::record(object(0x11), "aB3dE5gH".into(), USER, String::new(), TIME)),
        ("made in parts", record(Detail { is_tus: true, ..Detail::default() })),
        ("downloaded", record(counted.clone())),
    ];
    assert_eq!(Detail::of(&all[2].1), counted);
    check_json(golden("surface/pyblobserver", "records.txt", "Records of files."), &all);
}
