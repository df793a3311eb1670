//! TUS.md §A3, §A4, §A8, §A10.

use super::*;

#[tokio::test]
async fn t_pat_a_grant_for_bytes_is_reused_and_judged_by_the_data_plane() {
    let node = Node::new(|_| {});
    let (id, path) = node.create("5", &[]).await;
    let grant = node.patch(&path, "0", "5").await.grant();
    assert_eq!(grant.cache_ms, 60_000);
    let Act::Append(append) = grant.act else { panic!() };
    let facts = (append.object, append.length, append.parallel, append.budget, append.expires_after_s);
    assert_eq!(facts, (id, Some(5), true, None, Some(86400)));
    let short = Node::new(|config| config.uploads.expiration = std::time::Duration::from_secs(5));
    let (_, path) = short.create("5", &[]).await;
    assert!(short.patch(&path, "0", "5").await.grant().cache_ms <= 5000, "not beyond its expiry");
}

#[tokio::test]
async fn a12_the_order_of_checks() {
    let node = Node::new(|_| {});
    let (_, path) = node.create("5", &[]).await;
    let unknown = format!("/tus/{}", "0".repeat(32));
    let old = ("tus-resumable", "0.2.2");
    for (case, path, fields, status) in [
        ("version before syntax", &path, &[old, ("content-type", "x"), ("upload-offset", "x")][..], 412),
        ("syntax before type", &path, &[("content-type", "x"), ("upload-offset", "x")], 400),
        ("type before existence", &unknown, &[("content-type", "x"), ("upload-offset", "0")], 415),
        ("existence", &unknown, &[("content-type", TUS), ("upload-offset", "0")], 404),
        ("no offset", &path, &[("content-type", TUS)], 400),
        ("not hex", &"/tus/../etc".to_owned(), &[("content-type", TUS), ("upload-offset", "0")], 404),
    ] {
        assert_eq!(node.ask("PATCH", path, fields, "1").await.status, status, "{case}");
    }
    let anonymous = node.ask_as("PATCH", &path, &[old], "1").await;
    assert_eq!((anonymous.status, anonymous.field("tus-resumable")), (401, "1.0.0"), "authentication before version");
    let other = node.ask("GET", &path, &[], "none").await;
    assert_eq!((other.status, other.field("allow").contains("PATCH")), (405, true));
}

#[tokio::test]
async fn t_pat_12_a_complete_upload_takes_nothing() {
    let node = Node::new(|_| {});
    let (id, path) = node.create("5", &[]).await;
    node.complete(id, 5).await;
    for (offset, bytes, status) in [("0", "5", 409), ("1", "0", 409), ("5", "1", 400), ("9", "0", 400), ("0", "6", 400)]
    {
        let answer = node.patch(&path, offset, bytes).await;
        assert_eq!(answer.status, status, "{offset} {bytes}");
        assert_eq!(answer.field("upload-offset"), if status == 409 { "5" } else { "" });
    }
    // T-PAT-6: nothing at the right offset is what a client sends that does not know that it is done.
    let done = node.patch(&path, "5", "0").await;
    assert_eq!((done.status, done.field("upload-offset"), done.field("x-received-bytes")), (204, "5", "5"));
}

#[tokio::test]
async fn t_head_errors_have_no_body_and_are_not_stored() {
    let node = Node::new(|_| {});
    let answer = node.ask("HEAD", &format!("/tus/{}", "0".repeat(32)), &[], "none").await;
    assert_eq!((answer.status, answer.body.len(), answer.field("cache-control")), (404, 0, "no-store"));
    assert_eq!(answer.field("tus-resumable"), "1.0.0");
}

#[tokio::test]
async fn t_def_a_deferred_length_is_learned_from_the_data_plane() {
    let node = Node::new(|config| config.server.max_upload_size = Some(Size(100)));
    let answer = node.ask("POST", "/tus", &[("upload-defer-length", "1")], "0").await;
    let path = answer.field("location").strip_prefix("http://files.test:8765").unwrap().to_owned();
    let append = node.patch(&path, "0", "5").await.append();
    assert_eq!((append.length, append.length_max), (None, Some(100)));
    let unknown = Presence { length: None, complete: false, ..presence(append.object, 5, 9) };
    node.tell(vec![Fact::Progress(unknown)]).await;
    assert_eq!(node.json(&format!("/api/files/{}", append.object)).await["size"], 5);
    node.tell(vec![Fact::Progress(presence(append.object, 5, 9))]).await;
    assert_eq!(node.patch(&path, "5", "4").await.append().length, Some(9));
}

#[tokio::test]
async fn t_exp_3_expired_is_410_while_the_tombstone_lasts_and_404_for_the_file_api() {
    let node = Node::new(|config| config.uploads.expiration = std::time::Duration::ZERO);
    node.tell(vec![Fact::Inventory { objects: vec![], last: true }]).await;
    let (id, path) = node.create("5", &[]).await;
    assert_eq!(node.ask("HEAD", &path, &[], "none").await.status, 410);
    assert_eq!(node.patch(&path, "0", "5").await.status, 410);
    assert_eq!(node.ask("GET", &format!("/api/files/{id}"), &[], "none").await.status, 404);
    assert_eq!(node.json("/api/files").await["total"], 0);
    assert_eq!(node.removals().await, [id]);
    node.tell(vec![Fact::Removed { object: id }]).await;
    assert_eq!(node.ask("HEAD", &path, &[], "none").await.status, 410);
    let brief = Node::new(|config| {
        config.uploads.expiration = std::time::Duration::ZERO;
        config.uploads.tombstone = std::time::Duration::ZERO;
    });
    brief.tell(vec![Fact::Inventory { objects: vec![], last: true }]).await;
    let (id, path) = brief.create("5", &[]).await;
    brief.tell(vec![Fact::Removed { object: id }]).await;
    assert_eq!(brief.ask("HEAD", &path, &[], "none").await.status, 404);
}

#[tokio::test]
async fn t_ter_deleted_once_and_for_ever() {
    let node = Node::new(|_| {});
    for complete in [false, true] {
        let (id, path) = node.create("5", &[]).await;
        if complete {
            node.complete(id, 5).await;
        }
        let Act::Remove(remove) = node.ask("DELETE", &path, &[], "none").await.grant().act else { panic!() };
        assert_eq!((remove.object, remove.status, remove.body.as_str()), (id, 204, ""));
        assert_eq!(node.ask("DELETE", &path, &[], "none").await.status, 404);
        // T-TER-5: a fact that was on its way brings nothing back.
        node.tell(vec![Fact::Progress(presence(id, 3, 5)), Fact::Completed(presence(id, 5, 5))]).await;
        assert_eq!(node.ask("HEAD", &path, &[], "none").await.status, 404);
        node.tell(vec![Fact::Removed { object: id }]).await;
        assert_eq!((node.app.node.used(), node.removals().await), (0, vec![]));
    }
}
