//! What is refused, and that it leaves nothing: cases 11 to 19, 21 of stream_upload/CONTRACT.md §9.

use serde_json::json;

use super::{ANN, BEN, Upload, ask, check_asset, counted, refused, setup, start};
use crate::support::raw::Conn;
use crate::support::{OTHER_TOKEN, TOKEN, audit, wait};

#[test]
fn section_9_11_to_13_sizes() {
    let node = start();
    let upload = Upload::new(&node, "sum", 16, 3);
    counted(upload.send(0, &[1; 5]), 0, 1, 3);
    counted(upload.send(1, &[2]), 1, 2, 3);
    assert_eq!(upload.send(2, &[3; 9]).is(400).json(), refused("文件大小不匹配"));
    assert_eq!(upload.status().is(200).json()["chunks"], json!([0, 1]));
    upload.cancel().is(200);
    let large = Upload::new(&node, "large", 104_857_601, 100);
    let mut conn = Conn::open(node.addr());
    conn.send_head(&large.request(0, b"").header("Content-Length", "1048576").header("Expect", "100-continue"));
    let reply = conn.reply().is(413);
    assert_eq!((reply.json(), reply.interim.len()), (refused("文件大小超过限制(100MB)"), 0));
    counted(Upload { size: 104_857_600, ..large }.send(0, b"x"), 0, 1, 100);
    for chunked in [false, true] {
        let upload = Upload::new(&node, "long", 3, 2);
        let request = upload.request(0, b"four");
        assert_eq!(node.send(&if chunked { request.chunked(2) } else { request }).is(413).json()["status"], "error");
        upload.status().is(404);
    }
    let empty = Upload::new(&node, "none", 3, 2);
    for request in [empty.request(0, b""), empty.request(0, b"").chunked(1)] {
        assert_eq!(node.send(&request).is(400).json(), refused("缺少必要的文件信息"));
    }
}

#[test]
fn section_9_14_15_21_fields() {
    let node = start();
    let upload = Upload::new(&node, "fields", 3, 2);
    let incomplete = refused("缺少必要的文件信息");
    for name in ["X-Filename", "X-Filesize", "X-Chunk-Index", "X-Total-Chunks", "X-Upload-Id"] {
        let request = upload.request(0, b"x");
        assert_eq!(node.send(&request.without(name)).is(400).json(), incomplete, "{name}");
    }
    let long = "i".repeat(200);
    for (name, value) in [
        ("X-Chunk-Index", "2"),
        ("X-Total-Chunks", "0"),
        ("X-Total-Chunks", "100001"),
        ("X-Filesize", "abc"),
        ("X-Filesize", "-1"),
        ("X-Filesize", "1e3"),
        ("X-Upload-Id", "../../etc/passwd"),
        ("X-Upload-Id", "a/b"),
        ("X-Upload-Id", ""),
        ("X-Upload-Id", ".."),
        ("X-Upload-Id", &long),
        ("X-Filename", "dir/"),
    ] {
        let request = upload.request(0, b"x").without(name).header(name, value);
        assert_eq!(node.send(&request).is(400).json(), incomplete, "{name}: {value}");
    }
    for path in [
        "upload-status/a%2Fb",
        "upload-status/..%2f..%2fx",
        "upload-status/a/b",
        "upload-status/%2e%2e",
        "upload-status",
    ] {
        assert_eq!(ask(&node, ANN, "GET", path).is(400).json(), incomplete, "{path}");
    }
    assert!(audit::objects_below(node.storage()).is_empty());
    counted(upload.send(0, b"x"), 0, 1, 2);
    for other in [
        Upload { total: 3, ..Upload::new(&node, "fields", 3, 2) },
        Upload { name: "b", ..Upload::new(&node, "fields", 3, 2) },
    ] {
        assert_eq!(other.send(1, b"yz").is(409).json(), refused("上传信息与已有任务不一致"));
    }
    let reply = ask(&node, ANN, "PUT", "stream-upload").is(405);
    assert_eq!((reply.json(), reply.field("Allow")), (refused("不支持的请求方法"), "POST"));
    let unknown = json!({"status": "error", "code": "404", "message": "找不到页面"});
    assert_eq!(ask(&node, ANN, "GET", "nothing").is(404).json(), unknown);
}

#[test]
fn section_9_16_17_tokens_and_users() {
    let node = start();
    let need = json!({"status": "error", "message": "需要登录", "code": "ZC_ERROR_NEED_LOGIN"});
    let invalid = json!({"status": "error", "message": "无效的认证令牌", "code": "ZC_ERROR_INVALID_TOKEN"});
    let upload = Upload::new(&node, "u", 2, 2);
    assert_eq!(node.send(&upload.request(0, b"x").without("Authorization")).is(401).json(), need);
    assert_eq!(ask(&node, "wrong", "GET", "upload-status/u").is(401).json(), invalid);
    let bare = |token: &str| upload.request(0, b"x").without("Authorization").header("Authorization", token);
    node.send(&bare(ANN)).is(200);
    node.send(&bare(TOKEN)).is(200);
    let mut by_query = upload.request(0, b"x").without("Authorization");
    by_query.target = format!("{}?token={OTHER_TOKEN}", by_query.target);
    node.send(&by_query).is(200);
    let by_cookie = |origin: Option<&str>| {
        let request = upload.request(0, b"x").without("Authorization").header("Cookie", format!("a=b; token={ANN}"));
        node.send(&match origin {
            Some(origin) => request.header("Origin", origin),
            None => request,
        })
    };
    by_cookie(None).is(200);
    by_cookie(Some(&node.url())).is(200);
    assert_eq!(by_cookie(Some("https://evil.example")).is(403).json(), refused("来源不被允许"));
    // 17: the same id of another user is another upload.
    let theirs = Upload { token: BEN, ..Upload::new(&node, "u", 1, 1) };
    let missing = json!({"status": "error", "message": "上传任务不存在", "uploadedChunks": 0, "chunks": []});
    assert_eq!(theirs.status().is(404).json(), missing);
    theirs.cancel().is(404);
    let asset = counted(theirs.send(0, b"b"), 0, 1, 1);
    assert_eq!(upload.status().is(200).json()["uploadedChunks"], 1);
    ask(&node, ANN, "GET", &format!("assets/{}", asset["id"].as_str().expect("an id"))).is(404);
    // Their limit.
    let full = Upload { token: BEN, ..Upload::new(&node, "full", 1000, 1) };
    assert_eq!(full.send(0, &[0; 1000]).is(507).json(), refused("存储空间不足"));
    assert!(!node.log().contains(ANN) && !node.log().contains(BEN), "PROMISES.md P22");
}

#[test]
fn section_9_18_19_cancelling() {
    let node = start();
    let upload = Upload::new(&node, "c", 300_000, 3);
    counted(upload.send(0, &[1; 100_000]), 0, 1, 3);
    // A chunk in flight while it is cancelled.
    let request = upload.request(1, &[2; 100_000]);
    let mut conn = Conn::open(node.addr());
    let bytes = request.bytes(conn.host());
    conn.send(&bytes[..bytes.len() - 10]);
    let cancelled = json!({"status": "success", "message": "上传已取消"});
    wait::until("the chunk is on its way", || {
        (audit::blocks_below(&node.storage().join("objects")) > 150_000).then_some(())
    });
    assert_eq!(upload.cancel().is(200).json(), cancelled);
    conn.send(&bytes[bytes.len() - 10..]);
    assert_eq!(conn.reply().is(409).json(), refused("上传已取消"));
    upload.status().is(404);
    assert_eq!(upload.cancel().is(200).json(), cancelled);
    wait::until("its bytes are gone", || audit::objects_below(node.storage()).is_empty().then_some(()));
    // A later chunk begins again, and what is complete cannot be cancelled.
    let again = Upload::new(&node, "c", 1, 1);
    let asset = counted(again.send(0, b"n"), 0, 1, 1);
    assert_eq!(again.cancel().is(409).json(), refused("上传已完成，无法取消"));
    check_asset(&node, &asset, b"n");
    assert_eq!(Upload::new(&node, "never", 1, 1).cancel().is(404).json()["message"], "上传任务不存在");
}

#[test]
fn section_4_3_strict_content_types_and_a_limit_of_its_own() {
    let node = setup()
        .env("SURFACES__STREAM_UPLOAD__STRICT_CONTENT_TYPE", true)
        .env("SURFACES__STREAM_UPLOAD__MAX_FILE_BYTES", "2MiB")
        .start();
    let upload = Upload::new(&node, "s", 1, 1);
    assert_eq!(upload.send(0, b"x").is(415).json(), refused("Content-Type必须是multipart/form-data"));
    counted(node.send(&upload.request(0, b"x").header("Content-Type", "multipart/form-data")), 0, 1, 1);
    let large = Upload::new(&node, "l", (2 << 20) + 1, 1);
    assert_eq!(large.send(0, b"x").is(413).json(), refused("文件大小超过限制(2MB)"));
}
