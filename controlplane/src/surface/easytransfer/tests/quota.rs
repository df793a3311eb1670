//! CONTRACT.md §4: the node's limit, answered before a byte is read.

use super::*;

async fn limited(max: u64) -> Node {
    let node = Node::new(|config| config.storage.max_storage_size = Some(Size(max)));
    node.tell(vec![Fact::Inventory { objects: vec![], last: true }]).await;
    node
}

#[tokio::test]
async fn section_4_a_full_node_says_507_at_patch_and_recovers() {
    let node = limited(10).await;
    let (id, path) = node.create("20", &[]).await;
    let grant = node.patch(&path, "0", "8").await.grant();
    assert_eq!(grant.cache_ms, 0, "every body is counted");
    let Act::Append(append) = &grant.act else { panic!() };
    assert_eq!(append.budget, Some(8));
    let full = node.patch(&path, "0", "8").await;
    assert_eq!(full.status, 507, "the promise counts although nothing is stored");
    node.tell(vec![Fact::Progress(presence(id, 8, 20)), Fact::Settled { ticket: grant.ticket, stored: 8 }]).await;
    let full = node.patch(&path, "8", "3").await;
    for (name, value) in [
        ("upload-offset", "8"),
        ("retry-after", "10"),
        ("x-storage-used", "8"),
        ("x-storage-max", "10"),
        ("x-storage-available", "2"),
        ("content-type", "application/json"),
        ("location", ""),
    ] {
        assert_eq!(full.field(name), value, "{name}");
    }
    let body: Value = serde_json::from_slice(&full.body).unwrap();
    assert!(full.status == 507 && body["error"].is_string() && body["retry_after"] == 10);
    assert_eq!(node.patch(&path, "8", "2").await.append().budget, Some(2));
    assert!(matches!(node.ask("HEAD", &path, &[], "none").await.grant().act, Act::State(_)), "CONTRACT.md §15.5");
}

#[tokio::test]
async fn section_4_a_chunked_body_is_promised_what_there_is() {
    let node = limited(10).await;
    let (_, path) = node.create("4", &[]).await;
    assert_eq!(node.patch(&path, "0", "chunked").await.append().budget, Some(4));
    let (_, path) = node.create("100", &[]).await;
    assert_eq!(node.patch(&path, "0", "chunked").await.append().budget, Some(6));
    assert_eq!(node.patch(&path, "0", "chunked").await.status, 507);
}

#[tokio::test]
async fn a12_offset_and_length_come_before_507() {
    let node = limited(10).await;
    let (id, path) = node.create("10", &[]).await;
    node.tell(vec![Fact::Progress(presence(id, 9, 10))]).await;
    for (offset, bytes, status) in [("0", "5", 409), ("3", "4096", 409), ("9", "2", 400), ("4096", "2", 409)] {
        assert_eq!(node.patch(&path, offset, bytes).await.status, status, "{offset} {bytes}");
    }
    assert_eq!(node.patch(&path, "9", "1").await.append().budget, Some(1));
}

#[tokio::test]
async fn t_cwu_4_a_creation_with_bytes_obeys_the_limit() {
    let node = limited(10).await;
    let fields = [("upload-length", "20"), ("content-type", TUS)];
    let full = node.ask("POST", "/tus", &fields, "11").await;
    assert_eq!((full.status, full.field("location")), (507, ""));
    assert_eq!(node.ask("POST", "/tus", &fields, "10").await.append().budget, Some(10));
    assert_eq!(node.json("/api/files").await["total"], 1);
}

#[tokio::test]
async fn p9_nothing_is_granted_before_the_data_plane_told_what_it_holds() {
    let node = Node::new(|config| config.storage.max_storage_size = Some(Size(10)));
    let (_, path) = node.create("5", &[]).await;
    let answer = node.patch(&path, "0", "5").await;
    assert_eq!((answer.status, answer.field("retry-after")), (503, "1"));
    assert!(node.orders().await.inventory);
    node.tell(vec![Fact::Inventory { objects: vec![], last: true }]).await;
    node.patch(&path, "0", "5").await.append();
}
