//! A5m: the grammar of `Upload-Metadata`, its limits, and hostile names.

use crate::support::tus::{metadata, post};
use crate::support::{Node, audit};

#[track_caller]
fn taken(node: &Node, given: &str) -> crate::support::tus::Upload {
    node.create_with(|request| request.header("Upload-Length", "2").header("Upload-Metadata", given))
}

#[track_caller]
fn refused(node: &Node, given: &str) {
    let before = node.listed();
    let reply = node.send(&post().header("Upload-Length", "2").header("Upload-Metadata", given)).is(400);
    assert_eq!(reply.header("Location"), None, "errors carry no Location");
    assert_eq!(node.listed(), before, "{given:?} created something");
}

#[test]
fn keys_of_later_releases_are_refused_by_name_and_create_nothing() {
    let node = Node::start();
    for key in
        ["folderId", "folder_id", "folderName", "relativePath", "relative_path", "sink", "sink_config", "sink_preset"]
    {
        let given = metadata(&[("filename", "a"), (key, "c2VjcmV0")]);
        let reply = node.send(&post().header("Upload-Length", "2").header("Upload-Metadata", given)).is(501);
        let said = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(said.contains(key) && !said.contains("c2VjcmV0"), "{said}");
        assert_eq!(reply.header("Location"), None);
    }
    assert_eq!(node.listed(), 0);
}

#[test]
fn pairs_are_separated_by_commas_and_one_space() {
    let node = Node::start();
    let name = "filename YQ==";
    for odd in ["a b c", "k  YQ==", "k\tYQ=="] {
        refused(&node, &format!("{name},{odd}"));
    }
    refused(&node, "a b c");
    taken(&node, name);
}

/// faults.md C3: as RFC 9110 §5.6.1 reads lists; what was given comes back byte for byte.
#[test]
fn c3_empty_pairs_and_white_space_around_commas_mean_nothing() {
    let node = Node::start();
    for given in
        ["filename YQ==, k YQ==", "filename YQ==,", ",filename YQ==", "filename YQ==,,j YQ==", "filename YQ== ,\tk"]
    {
        let upload = taken(&node, given);
        assert_eq!(node.head(&upload).field("Upload-Metadata"), given);
        assert_eq!(node.get(&upload.file()).is(200).json()["filename"], "a", "{given:?}");
    }
    for given in ["", " ", ",", " , ,"] {
        let upload = taken(&node, given);
        assert_eq!(node.head(&upload).header("Upload-Metadata"), None, "{given:?} is none");
        let name = node.get(&upload.file()).is(200).json()["filename"].as_str().expect("a name").to_owned();
        assert!(name.starts_with("upload_"), "{name}");
    }
}

/// The same for the other lists a request may have.
#[test]
fn c3_every_list_in_a_head_is_read_alike() {
    let node = Node::start();
    let upload = node.complete(b"hello");
    let get = |name: &str, value: &str| {
        let request = crate::support::Request::get(&upload.download()).header("X-API-Token", crate::support::TOKEN);
        node.send(&request.header(name, value))
    };
    assert_eq!(get("Range", "bytes=1-2, ,").is(206).body, b"el");
    assert_eq!(get("Range", "bytes=,1-2").is(206).body, b"el");
    get("Range", "bytes=0-1,3-4").is(416);
    assert_eq!(get("Range", "").is(200).body, b"hello");
    for (name, value, status) in [
        ("If-Match", "", 200),
        ("If-Match", " , ", 200),
        ("If-Match", ", \"x\",, *", 200),
        ("If-Match", ", \"x\" ,", 412),
        ("If-None-Match", "", 200),
        ("If-None-Match", ",\"x\" , *,", 304),
        ("Tus-Resumable", "", 200),
        ("Connection", ", ,keep-alive , ", 200),
        ("Expect", "", 200),
    ] {
        get(name, value).is(status);
    }
    assert!(get("Connection", ", ,CLOSE,").is(200).closes());
    for version in ["", " , ", "1.0.0,"] {
        node.send(&post().without("Tus-Resumable").header("Tus-Resumable", version).header("Upload-Length", "2"))
            .is(201);
    }
}

#[test]
fn keys_are_unique() {
    let node = Node::start();
    refused(&node, "filename YQ==,k YQ==,k Yg==");
    refused(&node, "filename YQ==,filename YQ==");
    taken(&node, "filename YQ==,k YQ==,K Yg==");
}

#[test]
fn values_are_padded_base64_or_absent() {
    let node = Node::start();
    for odd in ["k !!!!", "k YQ", "k YQ=", "k YQ===", "k Y=Q=", "k YQ==YQ==", "k _-8="] {
        refused(&node, &format!("filename YQ==,{odd}"));
    }
    for fine in ["k", "k ", "k YQ==", "k //79"] {
        taken(&node, &format!("{fine},filename YQ=="));
    }
    // The surface's own keys may hold literal text.
    let upload = taken(&node, "filename not_base64!.txt,retention permanent");
    let info = node.get(&upload.file()).is(200).json();
    assert_eq!(info["filename"], "not_base64!.txt");
    assert_eq!(info["metadata"]["retention"], "permanent");
}

#[test]
fn keys_are_ascii() {
    let node = Node::start();
    refused(&node, "filename YQ==,schl\u{fc}ssel YQ==");
    refused(&node, "filename YQ==,\u{6587} YQ==");
}

#[test]
fn a_file_name_is_wanted_when_the_header_is_there() {
    let node = Node::start();
    refused(&node, "filetype dGV4dC9wbGFpbg==");
    let upload = node.create(2);
    let name = node.get(&upload.file()).is(200).json()["filename"].as_str().expect("a name").to_owned();
    let hex = name.strip_prefix("upload_").unwrap_or_else(|| panic!("{name}"));
    assert!(hex.len() == 8 && hex.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
}

#[test]
fn the_vectors_of_the_contract() {
    let node = Node::start();
    let upload = taken(&node, "filename dGVzdC50eHQ=,filetype dGV4dC9wbGFpbg==,retention dHRs,retention_ttl MzYwMA==");
    let info = node.get(&upload.file()).is(200).json();
    assert_eq!(info["filename"], "test.txt");
    assert_eq!(info["mime_type"], "text/plain");
    assert_eq!(info["metadata"]["retention"], "ttl");
    assert_eq!(info["metadata"]["retention_ttl"], 3600);
    refused(&node, "filename YQ==,retention dHRs,retention_ttl YWJj");
}

#[test]
fn the_limits_are_exact() {
    let node = Node::start();
    let name = metadata(&[("filename", "a")]);
    // The whole header: 8 KiB.
    let fill = |total: usize| {
        let mut all = name.clone();
        while all.len() + 3_000 < total {
            all += &format!(",p{} {}", all.len(), "YWJj".repeat(500));
        }
        let key = format!(",{}", "k".repeat(total - all.len() - 1));
        all + &key
    };
    assert_eq!(fill(8_192).len(), 8_192);
    taken(&node, &fill(8_192));
    refused(&node, &fill(8_193));
    // Pairs: 64.
    let pairs = |count: usize| (1..count).fold(name.clone(), |all, n| format!("{all},k{n} YQ=="));
    taken(&node, &pairs(64));
    refused(&node, &pairs(65));
    // A decoded value: 4 KiB.
    let value = |length: usize| format!("{name},{}", metadata(&[("k", &"v".repeat(length))]));
    taken(&node, &value(4_096));
    refused(&node, &value(4_097));
    // The file name: 1,024 bytes of UTF-8 without NUL.
    taken(&node, &metadata(&[("filename", &"n".repeat(1_024))]));
    refused(&node, &metadata(&[("filename", &"n".repeat(1_025))]));
    taken(&node, &metadata(&[("filename", &"\u{6587}".repeat(341))]));
    refused(&node, &metadata(&[("filename", &"\u{6587}".repeat(342))]));
    refused(&node, &metadata(&[("filename", "a\0b")]));
    // Above the 16 KiB of one field the framing answers.
    node.send(&post().header("Upload-Length", "2").header("Upload-Metadata", fill(20_000))).is(431);
}

#[test]
fn hostile_names_stay_display_text() {
    let node = Node::start();
    let long = "\u{1F4BE}".repeat(100);
    let names = [
        "a\r\nX-Injected: yes\r\n\r\n<script>",
        "quote\"quote\\back;x=y",
        "../../../../etc/passwd",
        "/etc/x",
        "a/b",
        ".",
        "..",
        "",
        "\u{202E}gpj.exe",
        "\u{1F4BE} disk \u{6587}\u{4EF6}.txt",
        "CON",
        "%2e%2e%2f",
        &long,
    ];
    for name in names {
        let upload = node.complete_as(&[("filename", name), ("filetype", "text/html\r\nX-Injected: yes")], b"ab");
        let reply = node.get(&upload.download()).is(200);
        assert_eq!(reply.header("X-Injected"), None, "{reply:?}");
        let disposition = reply.field("Content-Disposition").to_owned();
        assert!(disposition.starts_with("attachment;"), "{disposition}");
        assert!(disposition.is_ascii(), "{disposition}");
        let plain = disposition.split("filename=\"").nth(1).unwrap_or_else(|| panic!("{disposition}"));
        let plain = &plain[..plain.replace("\\\\", "__").replace("\\\"", "__").find('"').expect("a closing quote")];
        assert!(!plain.bytes().any(|b| b < 0x20 || b == 0x7f), "{disposition}");
        assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"), "{reply:?}");
        let shown = node.get(&upload.file()).is(200).json()["filename"].as_str().expect("a name").to_owned();
        assert!(shown.len() <= 255, "{} bytes are shown", shown.len());
        assert!(name.is_empty() || name.starts_with(shown.as_str()) || shown == name, "{shown:?} for {name:?}");
        assert_eq!(reply.body, b"ab");
    }
    // No path derives from a name: all that lies in the store is named by the server.
    for object in audit::objects_below(node.storage()) {
        let file = object.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(file.len() == 32 && file.bytes().all(|b| b.is_ascii_hexdigit()), "{file}");
    }
    assert!(!node.log().lines().any(|line| line.starts_with("X-Injected")), "a name broke a log line");
}

#[test]
fn a_name_outside_latin_1_comes_back_in_the_extended_field() {
    let node = Node::start();
    let upload = node.complete_as(&[("filename", "\u{6587}\u{4EF6} 1.txt")], b"ab");
    let reply = node.get(&upload.download()).is(200);
    let disposition = reply.field("Content-Disposition");
    assert!(disposition.contains("filename*=UTF-8''%E6%96%87%E4%BB%B6%201.txt"), "{disposition}");
    assert_eq!(node.get(&upload.file()).json()["filename"], "\u{6587}\u{4EF6} 1.txt");
}
