//! Reading, listing and deleting what uploads became (stream_upload/CONTRACT.md §7), and pages of other origins
//! (stream_upload/CONTRACT.md §3).

use super::{ANN, BEN, Upload, ask, counted, setup};
use crate::support::{Request, audit, wait};

#[test]
fn section_7_assets() {
    let node = setup().env("SURFACES__STREAM_UPLOAD__CORS_ORIGINS", "https://page.example").start();
    let ids: Vec<String> = ["one", "two"]
        .map(|id| {
            wait::next_millisecond();
            let asset = counted(Upload::new(&node, id, 26, 1).send(0, b"abcdefghijklmnopqrstuvwxyz"), 0, 1, 1);
            asset["id"].as_str().expect("an id").to_owned()
        })
        .into();
    let list = ask(&node, ANN, "GET", "assets").is(200).json();
    assert_eq!((&list["assets"][0]["id"], &list["assets"][1]["id"]), (&ids[1].clone().into(), &ids[0].clone().into()));
    let get = |range: &str| {
        let path = format!("/api/scratch/assets/{}", ids[0]);
        node.send(&Request::get(&path).header("Authorization", ANN).header("Range", range))
    };
    assert_eq!(get("bytes=1-3").is(206).body, b"bcd");
    // faults.md C7: conditions, as every dialect reads them.
    let with = |fields: &[(&str, &str)]| {
        let request = Request::get(&format!("/api/scratch/assets/{}", ids[0])).header("Authorization", ANN);
        node.send(&fields.iter().fold(request, |request, (name, value)| request.header(name, value)))
    };
    let whole = with(&[]).is(200);
    let (etag, changed) = (whole.field("ETag"), whole.field("Last-Modified"));
    for (name, value, status) in [
        ("If-Match", "\"x\"", 412),
        ("If-Match", etag, 206),
        ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT", 412),
        ("If-Unmodified-Since", changed, 206),
        ("If-Modified-Since", changed, 304),
        ("If-Range", changed, 206),
        ("If-Range", "Thu, 01 Jan 1970 00:00:00 GMT", 200),
    ] {
        with(&[("Range", "bytes=1-3"), (name, value)]).is(status);
    }
    assert_eq!(get("bytes=26-").is(416).field("Content-Range"), "bytes */26");
    for (token, id, status) in
        [(BEN, ids[0].as_str(), 404), (ANN, "../x", 404), (ANN, &"0".repeat(32), 404), ("bad-token", &ids[0], 401)]
    {
        ask(&node, token, "GET", &format!("assets/{id}")).is(status);
    }
    ask(&node, BEN, "DELETE", &format!("assets/{}", ids[0])).is(404);
    let gone = ask(&node, ANN, "DELETE", &format!("assets/{}", ids[0])).is(200).json();
    assert_eq!(gone["message"], "文件已删除");
    ask(&node, ANN, "GET", &format!("assets/{}", ids[0])).is(404);
    wait::until("its bytes are gone", || (audit::objects_below(node.storage()).len() == 1).then_some(()));
    // A page of a listed origin.
    let preflight = Request::new("OPTIONS", "/api/scratch/stream-upload")
        .header("Origin", "https://page.example")
        .header("Access-Control-Request-Method", "POST");
    let reply = node.send(&preflight);
    assert_eq!(reply.field("Access-Control-Allow-Origin"), "https://page.example");
    assert_eq!(reply.field("Access-Control-Allow-Credentials"), "true");
    for name in ["x-upload-id", "x-chunk-index", "authorization"] {
        assert!(reply.field("Access-Control-Allow-Headers").contains(name), "{reply:?}");
    }
    let from_page = Upload::new(&node, "page", 1, 1).request(0, b"x").header("Origin", "https://page.example");
    assert_eq!(node.send(&from_page).is(200).field("Access-Control-Allow-Origin"), "https://page.example");
}
