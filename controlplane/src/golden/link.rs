//! The control plane's side of the control link: how it reads a request of the data plane, and what its answers carry.

use axum::response::IntoResponse;
use etransfer_contract::Grant;
use etransfer_contract::grant::{Act, Holder, PrefetchedGrant};
use etransfer_contract::link::{GRANT_MEDIA_TYPE, NEXT, VERSION};
use etransfer_tests::examples;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;

use super::golden;
use crate::link::decision::Decision;
use crate::link::meta::{BodyKind, Call, Meta};

#[test]
fn the_fields_of_each_call_are_read_as_ever() {
    let calls = examples!(Call:
        Call::Decide => { "decide": Call::Decide },
        Call::Attached => { "attached": Call::Attached },
        Call::Outcome => { "outcome": Call::Outcome },
        Call::Recheck => { "recheck": Call::Recheck },
        Call::Line => { "call": Call::Line },
        Call::Bare => { "": Call::Bare },
    );
    let bodies = examples!(BodyKind:
        BodyKind::None => { "none": BodyKind::None },
        BodyKind::Chunked => { "chunked": BodyKind::Chunked },
        BodyKind::Length(_) => { "300": BodyKind::Length(300) },
    );
    for (call, expected) in &calls {
        for (body, kind) in &bodies {
            let fields = [
                ("etransfer-line", *call),
                ("etransfer-peer", "192.0.2.1:5"),
                ("etransfer-listener", "[::1]:8765"),
                ("etransfer-body", *body),
                ("etransfer-method", "HEAD"),
            ];
            let field = |(name, value): (&'static str, &str)| {
                (HeaderName::from_static(name), HeaderValue::try_from(value).unwrap())
            };
            let read = Meta::of(&HeaderMap::from_iter(fields.map(field)));
            let expected = Meta {
                call: *expected,
                peer: "192.0.2.1:5".parse().ok(),
                listener: "[::1]:8765".parse().ok(),
                body: *kind,
                is_head: true,
            };
            assert_eq!(read, expected, "{call} {body}");
        }
    }
}

async fn told(decision: Decision) -> String {
    let (head, body) = decision.into_wire().into_parts();
    let mut text = format!("{}\n", head.status.as_u16());
    for (name, value) in &head.headers {
        text += &format!("{name}: {}\n", value.to_str().unwrap());
    }
    let body = body.collect().await.unwrap().to_bytes();
    text + "\n" + str::from_utf8(&body).unwrap()
}

#[tokio::test]
async fn answers_carry_grants_as_ever() {
    let grant = |ticket| Grant {
        version: VERSION,
        ticket,
        epoch: 2,
        cache_ms: 5000,
        headers: Vec::new(),
        holder: None,
        act: Act::Forward { bytes_max: 9 },
    };
    let holder = || Some(Holder { key: "u7".into(), at_once: 4 });
    let fields = HeaderMap::from_iter([(HeaderName::from_static("tus-resumable"), HeaderValue::from_static("1.0.0"))]);
    let mut granted = Decision::from(grant(1));
    granted.add_fields(&fields);
    granted.count_among(holder);
    let next = PrefetchedGrant { method: "PATCH".into(), target: "/tus/files/1".into(), grant: grant(2) };
    let mut answered = Decision::from((StatusCode::CREATED, "{}").into_response()).with_next(next);
    answered.add_fields(&fields);
    answered.count_among(holder);

    let mut golden = golden("", "answers.txt", "Answers of the control plane to a decide: status, fields, body.");
    golden.text("a grant", &told(granted).await);
    golden.text("an answer, with the grant for the next request", &told(answered).await);
    let entries = golden.check();
    assert!(entries[0].text.contains(GRANT_MEDIA_TYPE));
    let (_, json) = entries[0].line().split_once("\n\n").unwrap();
    let again: Grant = serde_json::from_str(json).unwrap();
    assert_eq!((again.ticket, again.holder, again.headers.len()), (1, holder(), 1));
    let next = entries[1].text.lines().find_map(|line| line.strip_prefix(&format!("{NEXT}: "))).unwrap();
    let again: PrefetchedGrant = serde_json::from_str(next).unwrap();
    assert_eq!((again.grant.ticket, again.grant.holder), (2, holder()));
}
