//! Chunks in every order, size and framing: cases 1 to 10, 20, 22, 24 of stream_upload/CONTRACT.md §9.

use serde_json::{Value, json};

use super::{ANN, Upload, ask, check_asset, counted, refused, start};
use crate::support::{Oracle, Request, audit, wait};

const MIB: u64 = 1 << 20;

#[test]
fn section_9_1_to_5_framings() {
    let node = start();
    let (oracle, size) = (Oracle(1), 5 * MIB / 2);
    let content = oracle.bytes(0..size);
    let part = |name: &str, data: &[u8]| {
        let head = format!("--x\r\nContent-Disposition: form-data; {name}\r\n\r\n");
        [head.as_bytes(), data, b"\r\n--x--\r\n"].concat()
    };
    type Wrap<'w> = Box<dyn Fn(&[u8]) -> Vec<u8> + 'w>;
    let plain: fn(&[u8]) -> Vec<u8> = |data| data.to_vec();
    let framings: [(&str, Option<&str>, Wrap<'_>, Option<usize>); 7] = [
        ("raw", None, Box::new(plain), None),
        ("chunked", Some("application/octet-stream"), Box::new(plain), Some(100_000)),
        ("urlencoded", Some("application/x-www-form-urlencoded"), Box::new(plain), None),
        ("no-boundary", Some("multipart/form-data"), Box::new(plain), None),
        ("no-form", Some("multipart/form-data; boundary=x"), Box::new(plain), None),
        ("form", Some("multipart/form-data; boundary=x"), Box::new(|data| part("name=\"file\"", data)), None),
        (
            "named",
            Some("multipart/form-data; boundary=x"),
            Box::new(|data| part("name=\"any\"; filename=\"b\"", data)),
            Some(70_000),
        ),
    ];
    for (name, kind, wrap, chunk) in &framings {
        let upload = Upload::new(&node, name, size, 3);
        for (index, start) in [0, MIB, 2 * MIB].into_iter().enumerate() {
            let data = &content[start as usize..size.min(start + MIB) as usize];
            let mut request = upload.request(index as u64, &wrap(data));
            if let Some(kind) = kind {
                request = request.header("Content-Type", kind);
            }
            if let Some(chunk) = chunk {
                request = request.chunked(*chunk);
            }
            let asset = counted(node.send(&request), index as u64, index as u64 + 1, 3);
            assert_eq!(asset.is_null(), index < 2, "{name}");
            if index == 2 {
                check_asset(&node, &asset, &content);
            }
        }
    }
    for body in [part("name=\"other\"", b"abc"), b"--x--\r\n".to_vec()] {
        let upload = Upload::new(&node, "no-file", 3, 1);
        let request = upload.request(0, &body).header("Content-Type", "multipart/form-data; boundary=x");
        assert_eq!(node.send(&request).is(400).json(), refused("Content-Type必须是multipart/form-data"));
        upload.status().is(404);
    }
}

#[test]
fn section_9_6_to_8_orders_resuming_and_second_versions() {
    let node = start();
    let parts = [&b"aaaa"[..], b"bbbb", b"cc"];
    let upload = Upload::new(&node, "order", 10, 3);
    counted(upload.send(2, parts[2]), 2, 1, 3);
    counted(upload.send(0, parts[0]), 0, 2, 3);
    let status = upload.status().is(200).json();
    for (name, value) in [
        ("status", json!("success")),
        ("uploadedChunks", json!(2)),
        ("chunks", json!([0, 2])),
        ("totalChunks", json!(3)),
        ("filename", json!("a.bin")),
        ("fileSize", json!(10)),
        ("receivedBytes", json!(6)),
        ("completed", json!(false)),
    ] {
        assert_eq!(status[name], value, "{name}");
    }
    counted(upload.send(0, b"AAAA"), 0, 2, 3);
    let asset = counted(upload.send(1, parts[1]), 1, 3, 3);
    check_asset(&node, &asset, b"AAAAbbbbcc");
    // 20: sent again, the answer is the finished one and nothing changes.
    assert_eq!(counted(upload.send(1, parts[1]), 1, 3, 3), asset);
    assert_eq!(counted(upload.send(2, b"other content"), 2, 3, 3), asset);
    let status = upload.status().is(200).json();
    assert_eq!((&status["completed"], &status["chunks"], &status["asset"]), (&json!(true), &json!([0, 1, 2]), &asset));
    assert_eq!(ask(&node, ANN, "GET", "assets").is(200).json()["assets"], json!([asset]));
    wait::until("the first version is gone", || (audit::objects_below(node.storage()).len() == 1).then_some(()));
}

#[test]
fn section_9_9_thirty_two_connections() {
    let node = start();
    let (oracle, step, total) = (Oracle(9), 50_000u64, 32);
    let upload = Upload::new(&node, "parallel", step * total - 7, total);
    let assets: Vec<Value> = std::thread::scope(|scope| {
        let send = |index: u64| {
            let upload = &upload;
            move || {
                let data = oracle.bytes(index * step..upload.size.min((index + 1) * step));
                let body = upload.send(index, &data).is(200).json();
                assert_eq!(body["uploadedChunks"] == body["totalChunks"], body["asset"].is_object(), "{body}");
                body["asset"].clone()
            }
        };
        let threads: Vec<_> = (0..total).map(|index| scope.spawn(send(index))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a sender")).filter(Value::is_object).collect()
    });
    assert!(!assets.is_empty() && assets.iter().all(|asset| asset["id"] == assets[0]["id"]), "{assets:?}");
    check_asset(&node, &assets[0], &oracle.bytes(0..upload.size));
    wait::until("one file is left", || (audit::objects_below(node.storage()).len() == 1).then_some(()));
}

#[test]
fn section_9_10_22_24_sizes_nothing_and_names() {
    let node = start();
    let upload = Upload::new(&node, "sizes", 15, 3);
    counted(upload.send(0, &[1; 5]), 0, 1, 3);
    counted(upload.send(1, &[2]), 1, 2, 3);
    let asset = counted(upload.send(2, &[3; 9]), 2, 3, 3);
    check_asset(&node, &asset, &[&[1u8; 5][..], &[2], &[3; 9]].concat());
    let asset = counted(Upload::new(&node, "empty", 0, 1).send(0, b""), 0, 1, 1);
    assert_eq!(asset["md5"], "d41d8cd98f00b204e9800998ecf8427e");
    check_asset(&node, &asset, b"");
    for (id, sent, name) in [
        ("n1", "%E6%96%87.txt", "文.txt"),
        ("n2", "100%25.txt", "100%25.txt"),
        ("n3", "文.txt", "文.txt"),
        ("n4", "../../etc/passwd", "passwd"),
    ] {
        let upload = Upload { name: sent, ..Upload::new(&node, id, 1, 1) };
        let asset = counted(upload.send(0, b"x"), 0, 1, 1);
        assert_eq!((&asset["filename"], &asset["mimeType"]), (&json!(name), &json!("text/x-test")));
        let reply = ask(&node, ANN, "HEAD", &format!("assets/{}", asset["id"].as_str().expect("an id"))).is(200);
        assert!(reply.field("Content-Disposition").starts_with("attachment; filename="), "{reply:?}");
        assert_eq!(reply.field("X-Content-Type-Options"), "nosniff");
    }
    let untyped = Upload::new(&node, "untyped", 1, 1).request(0, b"x").without("X-Filetype");
    assert_eq!(counted(node.send(&untyped), 0, 1, 1)["mimeType"], "application/octet-stream");
    node.send(&Request::get("/api/scratch/")).is(404);
}
