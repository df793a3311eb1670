//! pyblobserver/CONTRACT.md §4.2: what `/s/{file_id}` answers, and what counts as a download.

use serde_json::{Value, json};

use super::{USER, User, blob_env, open, setup};
use crate::metrics::{metrics, sum};
use crate::support::raw::{Reply, Request};
use crate::support::wait;

#[test]
fn cases_10_and_11_outputs_ranges_and_conditions() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let id = user.uploaded("t.txt", b"hello");
    let get = |query: &str| open(&node, Request::get(&format!("/s/{id}{query}")));
    let record = || get("?output=json").is(200).json();
    let first = get("").is(200);
    let (etag, modified) = (first.field("ETag").to_owned(), first.field("Last-Modified").to_owned());
    assert!(etag.starts_with('"') && first.field("Accept-Ranges") == "bytes" && first.number("Content-Length") == 5);
    assert_eq!((&record()["download_times"], record()["last_download_at"].is_string()), (&json!(1), true));

    let page = get("?output=html").is(200);
    assert_eq!(page.field("Content-Type"), "text/html; charset=utf-8");
    let html = String::from_utf8(page.body).expect("UTF-8");
    for part in ["<title>Image</title>", "<h1>Image t.txt</h1>", &format!("<img src=\"/blob/s/{id}\"")] {
        assert!(html.contains(part), "{part} in {html}");
    }
    // Nothing of this is a download.
    let with = |fields: &[(&str, &str)]| {
        let request = Request::get(&format!("/s/{id}"));
        open(&node, fields.iter().fold(request, |request, (name, value)| request.header(name, value)))
    };
    let part = with(&[("Range", "bytes=1-2")]).is(206);
    assert_eq!((part.body.as_slice(), part.field("Content-Range")), (&b"el"[..], "bytes 1-2/5"));
    for range in ["bytes=99-", "bytes=5-2", "bytes=0-1,3-4", "bytes=-0"] {
        assert_eq!(with(&[("Range", range)]).is(416).field("Content-Range"), "bytes */5", "{range}");
    }
    assert_eq!(with(&[("If-None-Match", &etag)]).is(304).field("ETag"), etag);
    with(&[("If-Modified-Since", &modified)]).is(304);
    with(&[("If-Match", "\"other\"")]).is(412);
    assert_eq!(with(&[("Range", "bytes=1-2"), ("If-Range", &etag)]).is(206).body, b"el");
    let head = open(&node, Request::new("HEAD", &format!("/s/{id}"))).is(200);
    assert_eq!((head.number("Content-Length"), head.field("ETag")), (5, etag.as_str()));
    assert_eq!(record()["download_times"], 1, "no more than the first one");
    // And of this everything.
    with(&[("Range", "bytes=0-")]).is(206);
    with(&[("Range", "bytes=1-2"), ("If-Range", "\"other\"")]).is(200);
    for output in ["file", "download", "inline", "anything"] {
        get(&format!("?output={output}")).is(200);
    }
    assert_eq!(record()["download_times"], 7);
    let told = open(&node, Request::get("/user/user1")).json();
    assert_eq!((&told["total_download_times"], &told["total_download_byte"]), (&json!(7), &json!(35)));
    assert_eq!(user.list()[0]["download_times"], 7);
}

#[test]
fn section_4_2_counts_survive_a_stop_and_nearly_a_kill() {
    let mut node = setup().start();
    let id = User::first(&node, USER).uploaded("t.txt", b"hello");
    let target = format!("/s/{id}");
    (0..3).for_each(|_| drop(open(&node, Request::get(&target)).is(200)));
    assert!(node.stop().success());
    node.start_again();
    let told = |node: &_| -> (Value, Value) {
        let file = open(node, Request::get(&format!("{target}?output=json"))).is(200).json();
        let user = open(node, Request::get("/user/user1")).is(200).json();
        assert_eq!(file["last_download_at"], user["last_download_at"]);
        (file["download_times"].clone(), user["total_download_times"].clone())
    };
    assert_eq!(told(&node), (json!(3), json!(3)));
    let commits = |node: &_| sum(&metrics(node), "et_catalogue_commit_seconds_count", &[]);
    let before = commits(&node);
    open(&node, Request::get(&target)).is(200);
    // The file's count is one write of the catalogue, the user's the next; nothing else is written here.
    wait::until("the download is written down", || (commits(&node) >= before + 2.0).then_some(()));
    node.kill_and_start_again();
    assert_eq!(told(&node), (json!(4), json!(4)), "written down without being asked for");
}

#[test]
fn case_22_of_10000_parallel_downloads_each_one_counts() {
    const EACH: usize = 200;
    const CLIENTS: usize = 50;
    let node = setup().start();
    let user = User::first(&node, USER);
    let id = user.uploaded("t.txt", b"hello");
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut conn = node.connect();
                for _ in 0..EACH {
                    assert_eq!(conn.ask(&Request::get(&format!("/blob/s/{id}"))).is(200).body, b"hello");
                }
            });
        }
    });
    let expected = json!(EACH * CLIENTS);
    assert_eq!(open(&node, Request::get(&format!("/s/{id}?output=json"))).json()["download_times"], expected);
    let told = open(&node, Request::get("/user/user1")).json();
    assert_eq!((&told["total_download_times"], &told["total_download_byte"]), (&expected, &json!(5 * EACH * CLIENTS)));
    // And still when everything was written down.
    wait::until("the counts are the catalogue's", || (user.list()[0]["download_times"] == expected).then_some(()));
}

/// PROMISES.md §5: what users uploaded runs in no browser.
#[test]
fn section_10_content_is_hostile() {
    let node = setup().start();
    let user = User::first(&node, USER);
    for (name, content_type, inline) in [
        ("a.html", "text/html; charset=utf-8", false),
        ("a.svg", "image/svg+xml", false),
        ("a.pdf", "application/pdf", false),
        ("a.xml", "text/xml; charset=utf-8", false),
        ("a.js", "text/javascript; charset=utf-8", false),
        ("a.png", "image/png", true),
        ("a.txt", "text/plain; charset=utf-8", true),
        ("a.unknown", "application/octet-stream", false),
    ] {
        let id = user.uploaded(name, b"<script>alert(1)</script>");
        let get = |query: &str| open(&node, Request::get(&format!("/s/{id}{query}"))).is(200);
        let disposition = |reply: &Reply| reply.field("Content-Disposition").split(';').next().map(str::to_owned);
        for reply in [get(""), get("?output=inline")] {
            assert_eq!(reply.field("Content-Type"), content_type);
            assert_eq!(reply.field("X-Content-Type-Options"), "nosniff");
            assert_eq!(reply.field("Content-Security-Policy"), "sandbox");
        }
        assert_eq!(disposition(&get("")).as_deref(), Some("attachment"), "{name}");
        let expected = if inline { "inline" } else { "attachment" };
        assert_eq!(disposition(&get("?output=inline")).as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn section_1_downloads_can_ask_for_a_token() {
    let node = blob_env(setup(), &[("REQUIRE_AUTH_FOR_DOWNLOAD", "true")]).start();
    let user = User::first(&node, USER);
    let id = user.uploaded("t.txt", b"hello");
    for query in ["", "?output=json", "?output=html"] {
        open(&node, Request::get(&format!("/s/{id}{query}"))).is(401);
        user.send(Request::get(&format!("/s/{id}{query}"))).is(200);
    }
}
