//! TUS.md §A11.

use super::*;

async fn partial(node: &Node, length: u64, complete: bool) -> (ObjectId, String) {
    let (id, path) = node.create(&length.to_string(), &[("upload-concat", "partial")]).await;
    if complete && length > 0 {
        node.complete(id, length).await;
    }
    (id, path)
}

#[tokio::test]
async fn t_con_a_final_is_built_from_partials_and_visible_only_when_whole() {
    let node = Node::new(|_| {});
    let ((a, a_path), (b, b_path)) = (partial(&node, 3, true).await, partial(&node, 4, true).await);
    assert_eq!(node.json("/api/files").await["total"], 0, "T-CON-11");
    assert_eq!(node.ask("GET", &format!("/api/files/{a}/download"), &[], "none").await.status, 404, "T-CON-11");
    let Act::State(state) = node.ask("HEAD", &a_path, &[], "none").await.grant().act else { panic!() };
    assert!(state.fields.contains(&("Upload-Concat".into(), "partial".into())), "T-CON-6");
    let links = format!("final;{a_path} http://files.test:8765{b_path} HTTPS://Proxy.test/at{a_path}");
    let fields = [("upload-concat", links.as_str()), ("upload-metadata", "filename YQ==")];
    let Act::Concat(concat) = node.ask("POST", "/tus", &fields, "0").await.grant().act else { panic!() };
    assert_eq!((&concat.parts, concat.status), (&vec![(a, 3), (b, 4), (a, 3)], 201), "T-CON-2");
    let path = format!("/tus/{}", concat.object);
    let early = node.ask("HEAD", &path, &[], "none").await;
    assert_eq!((early.field("upload-length"), early.field("upload-offset")), ("10", ""), "T-CON-7");
    assert_eq!(early.field("upload-concat"), links);
    assert_eq!(node.json("/api/files").await["total"], 0);
    node.complete(concat.object, 10).await;
    assert_eq!(node.json("/api/files").await["total"], 1);
    let Act::State(state) = node.ask("HEAD", &path, &[], "none").await.grant().act else { panic!() };
    assert!(state.fields.contains(&("Upload-Concat".into(), links.clone())));
    assert_eq!(node.patch(&path, "10", "0").await.status, 403, "T-CON-5");
}

#[tokio::test]
async fn t_con_refusals_create_nothing() {
    let node = Node::new(|_| {});
    let (_, whole) = partial(&node, 3, true).await;
    let (_, unfinished) = partial(&node, 3, false).await;
    let (_, ordinary) = node.create("0", &[]).await;
    let unknown = format!("/tus/{}", "0".repeat(32));
    for (id, concat) in [
        ("T-CON-1", "Partial".to_owned()),
        ("T-CON-1", "final".to_owned()),
        ("T-CON-1", "final;".to_owned()),
        ("T-CON-1", format!("final;{whole}  {whole}")),
        ("T-CON-8", format!("final;{unfinished}")),
        ("T-CON-9", format!("final;{ordinary}")),
        ("T-CON-9", format!("final;{unknown}")),
        ("T-CON-9", format!("final;http://other.test{unknown}")),
        ("T-CON-9", format!("final;/x/..{whole}")),
        ("T-CON-9", format!("final;{}", vec![whole.clone(); 257].join(" "))),
    ] {
        let answer = node.ask("POST", "/tus", &[("upload-concat", &concat)], "0").await;
        assert_eq!(answer.status, 400, "{id} {concat}");
    }
    let fields = [("upload-concat", &*format!("final;{whole}")), ("upload-length", "3")];
    assert_eq!(node.ask("POST", "/tus", &fields, "0").await.status, 400, "T-CON-3");
    assert_eq!(node.ask("POST", "/tus", &fields[..1], "3").await.status, 400, "T-CON-3 with a body");
    assert_eq!(node.json("/api/files").await["total"], 1);
}

#[tokio::test]
async fn t_con_10_the_same_key_makes_one_final() {
    let node = Node::new(|_| {});
    let (_, part) = partial(&node, 3, true).await;
    let links = format!("final;{part}");
    let fields = [("upload-concat", links.as_str()), ("idempotency-key", "k1")];
    let Act::Concat(concat) = node.ask("POST", "/tus", &fields, "0").await.grant().act else { panic!() };
    assert_eq!(node.ask("POST", "/tus", &fields, "0").await.status, 409, "still at work");
    node.complete(concat.object, 3).await;
    let again = node.ask("POST", "/tus", &fields, "0").await;
    assert_eq!(again.status, 201);
    assert!(again.field("location").ends_with(&concat.object.to_string()));
    let other = [fields[0], ("idempotency-key", "k2")];
    assert!(matches!(node.ask("POST", "/tus", &other, "0").await.grant().act, Act::Concat(_)));
}

#[tokio::test]
async fn t_con_10_a_part_that_went_away_leaves_no_final() {
    let node = Node::new(|_| {});
    let (_, part) = partial(&node, 3, true).await;
    let links = format!("final;{part}");
    let Act::Concat(concat) = node.ask("POST", "/tus", &[("upload-concat", &links)], "0").await.grant().act else {
        panic!()
    };
    node.tell(vec![Fact::Discarded { object: concat.object }]).await;
    assert_eq!(node.ask("HEAD", &format!("/tus/{}", concat.object), &[], "none").await.status, 404);
}
