//! Documents of shares, as ever.

use std::net::IpAddr;

use super::share::{Share, Subject};
use crate::catalogue::Docs;
use crate::core::SurfaceId;
use crate::golden::{TIME, documents, golden, node, put_documents};
use crate::node::Edit;

/// One that has not ended when this is read.
fn share(id: u64, code: &str, has_password: bool) -> Share {
    Share {
        id,
        user: 7,
        code: code.into(),
        files: vec![1, 300],
        created_ms: TIME,
        expire_days: 7,
        ends_ms: TIME + 7 * 86_400_000,
        require_login: true,
        has_password,
        count: 2,
        count_max: 10,
    }
}

#[tokio::test]
async fn documents_are_stored_as_ever() {
    let subjects = [Subject::Account(7), Subject::Address(IpAddr::from([192, 0, 2, 1]))];
    let (mut one, other) = (share(1, "aB3", false), share(17, "文", true));
    let node = node(Docs::new());
    let mut edit = other.create(Some("phc"), one.create(None, Edit::default()));
    for subject in subjects {
        edit = one.count(Some(subject), edit);
    }
    node.edit(edit).await.unwrap();
    let mut golden = golden("surface/cloudbackend", "drop.txt", "Documents of shares.");
    put_documents(&mut golden, &node, SurfaceId::CloudBackend);
    let node = crate::golden::node(documents(&golden.check(), SurfaceId::CloudBackend));
    for share in [&one, &other] {
        assert_eq!(Share::read(&node, share.id).as_ref(), Some(share));
        assert_eq!(Share::by_code(&node, &share.code).as_ref(), Some(share));
    }
    assert_eq!((one.password(&node), other.password(&node)), (None, Some("phc".into())));
    for subject in subjects {
        assert_eq!((one.is_granted(&node, subject), other.is_granted(&node, subject)), (true, false));
        assert_eq!(subject.shares(&node, TIME), [one.clone()]);
    }
}
