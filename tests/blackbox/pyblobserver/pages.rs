//! Web pages: other origins (case 21) and the fields of every answer (pyblobserver/CONTRACT.md §2.3).

use super::{USER, User, blob_env, form, open, setup};
use crate::support::raw::Request;

fn preflight(origin: &str) -> Request {
    Request::new("OPTIONS", "/upload_tus")
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "PATCH")
        .header("Access-Control-Request-Headers", "authorization,upload-offset,tus-resumable")
}

#[test]
fn case_21_preflights() {
    let node = blob_env(setup(), &[("CORS_ORIGINS", "https://a.example.org,https://b.example.org")]).start();
    let allowed = open(&node, preflight("https://a.example.org")).is(200);
    assert_eq!(allowed.field("Access-Control-Allow-Origin"), "https://a.example.org");
    assert_eq!(allowed.field("Access-Control-Max-Age"), "3600");
    for (field, words) in [
        ("Access-Control-Allow-Methods", &["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"][..]),
        ("Access-Control-Allow-Headers", &["Authorization", "Content-Type", "Upload-Offset", "Tus-Resumable"]),
    ] {
        assert!(words.iter().all(|word| allowed.field(field).contains(word)), "{field} of {allowed:?}");
    }
    let refused = open(&node, preflight("https://evil.example.org")).is(400);
    assert_eq!(
        (refused.body.as_slice(), refused.header("Access-Control-Allow-Origin")),
        (&b"Disallowed CORS origin"[..], None)
    );
    let request = || Request::get("/health");
    let told = open(&node, request().header("Origin", "https://b.example.org")).is(200);
    assert_eq!(told.field("Access-Control-Allow-Origin"), "https://b.example.org");
    for field in ["Location", "Upload-Offset", "Tus-Resumable"] {
        assert!(told.field("Access-Control-Expose-Headers").contains(field), "{field}");
    }
    assert_eq!(open(&node, request().header("Origin", "null")).is(200).header("Access-Control-Allow-Origin"), None);
}

#[test]
fn section_2_3_any_origin_but_no_credentials_and_fields_of_every_answer() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let id = user.uploaded("t.txt", b"hello");
    let origin = |request: Request| request.header("Origin", "https://any.example.org");
    for request in [
        Request::get("/"),
        Request::get("/health"),
        Request::get("/nope"),
        Request::get("/list"),
        Request::new("PUT", "/list"),
        Request::get(&format!("/s/{id}")),
        Request::get(&format!("/s/{id}")).header("Range", "bytes=9-"),
        Request::get(&format!("/s/{id}?output=html")),
        Request::new("HEAD", &format!("/s/{id}")),
        Request::get("/s/nope"),
        user.authorized(form("/upload", &[])),
        user.authorized(Request::new("POST", "/upload_tus").header("Upload-Length", "5")),
        Request::new("OPTIONS", "/upload_tus"),
        preflight("https://any.example.org"),
    ] {
        let reply = open(&node, origin(request));
        let one = |name: &str| {
            let mut found = reply.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
            let value = found.next().map(|(_, value)| value.as_str());
            assert!(found.next().is_none(), "{name} twice in {reply:?}");
            value
        };
        assert_eq!(one("X-Content-Type-Options"), Some("nosniff"), "{reply:?}");
        assert_eq!(one("X-Frame-Options"), Some("DENY"), "{reply:?}");
        assert_eq!(one("X-XSS-Protection"), Some("1; mode=block"), "{reply:?}");
        assert_eq!(one("Strict-Transport-Security"), None, "not over plain HTTP: {reply:?}");
        assert!(matches!(one("Access-Control-Allow-Origin"), Some("*" | "https://any.example.org")), "{reply:?}");
        assert_eq!(one("Access-Control-Allow-Credentials"), None, "{reply:?}");
    }
}
