//! TUS.md §A12: which check answers when several fail, and that none of them touches anything.

use crate::support::tus::{OCTETS, Upload, patch, patch_head, post, tus};
use crate::support::{Node, Request, TOKEN};

/// The faults of one PATCH, in the order in which they are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Framing,
    Method,
    Authentication,
    Version,
    Syntax,
    Type,
    Unknown,
    Offset,
    Length,
    Checksum,
    Quota,
}
use Fault::*;

impl Fault {
    const ALL: [Fault; 11] =
        [Framing, Method, Authentication, Version, Syntax, Type, Unknown, Offset, Length, Checksum, Quota];
    fn status(self) -> u16 {
        match self {
            Framing | Syntax | Length | Checksum => 400,
            Method => 405,
            Authentication => 401,
            Version => 412,
            Type => 415,
            Unknown => 404,
            Offset => 409,
            Quota => 507,
        }
    }
    /// Faults that cannot stand in one request.
    fn excludes(self, other: Fault) -> bool {
        // A malformed offset is not a wrong one; an unknown upload has neither length nor offset, but the request may
        // still look as if. A body longer than the rest is refused whatever the quota.
        matches!((self, other), (Offset, Syntax) | (Syntax, Offset))
    }
}

/// A PATCH for `upload` (1,000,000 long, 4,096 received; 500,000 bytes of room) with these faults.
fn request(upload: &Upload, faults: &[Fault]) -> Request {
    let has = |fault| faults.contains(&fault);
    let path = if has(Unknown) { "/tus/00000000000000000000000000000000" } else { &upload.path };
    let mut request = Request::new(if has(Method) { "PUT" } else { "PATCH" }, path);
    if !has(Authentication) {
        request = request.header("X-API-Token", TOKEN);
    }
    request = request.header("Tus-Resumable", if has(Version) { "0.2.2" } else { "1.0.0" });
    request = request.header("Content-Type", if has(Type) { "text/plain" } else { OCTETS });
    request = request.header(
        "Upload-Offset",
        match () {
            () if has(Syntax) => "4096x",
            () if has(Offset) => "5",
            () => "4096",
        },
    );
    let length = if has(Length) {
        999_999
    } else if has(Quota) {
        900_000
    } else {
        100
    };
    if has(Checksum) {
        request = request.header("Upload-Checksum", "sha99 AAAA");
    }
    request = request.header("Content-Length", length.to_string()).header("Expect", "100-continue");
    if has(Framing) {
        request = request.header("Content-Length", (length + 1).to_string());
    }
    request
}

#[test]
fn the_first_failure_answers_and_nothing_is_touched() {
    let node = Node::setup().env("MAX_STORAGE_SIZE", 500_000).start();
    let upload = node.create(1_000_000);
    node.patch(&upload, 0, &[1; 4_096]).is(204);
    let before = node.state(&upload);
    let mut wrong = Vec::new();
    for (at, first) in Fault::ALL.iter().enumerate() {
        // Alone; with each later one; with all later ones.
        let later: Vec<Fault> = Fault::ALL[at + 1..].iter().copied().filter(|fault| !first.excludes(*fault)).collect();
        let mut sets = vec![vec![*first], [&[*first][..], &later].concat()];
        sets.extend(later.iter().map(|other| vec![*first, *other]));
        for faults in sets {
            // Without Syntax in front, Offset would be dropped by it.
            let faults: Vec<Fault> =
                if *first != Syntax && faults.contains(&Offset) && *first != Offset && faults.len() > 2 {
                    faults.into_iter().filter(|fault| *fault != Offset).collect()
                } else {
                    faults
                };
            let mut conn = node.connect();
            conn.send_head(&request(&upload, &faults));
            let reply = conn.reply();
            if reply.status != first.status() {
                wrong.push(format!("{faults:?}: {} instead of {}", reply.status, first.status()));
            }
            assert!(reply.interim.is_empty(), "100 for {faults:?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(node.state(&upload), before, "a refusal changed the upload");
}

#[test]
fn not_final_stands_between_existence_and_offset() {
    let node = Node::start();
    let part = node.create_with(|request| request.header("Upload-Length", "5").header("Upload-Concat", "partial"));
    node.patch(&part, 0, b"hello").is(204);
    let of_it = post().header("Upload-Concat", format!("final;{}", part.path));
    let whole = Upload::at(node.send(&of_it).is(201).field("Location"));
    node.refused(&whole, &patch(&whole, 3, b"far too long for it").header("Upload-Checksum", "sha99 x"), 403);
    node.refused(&whole, &patch(&whole, 3, b"x").without("Content-Type"), 415);
    node.refused(&whole, &tus("PATCH", &whole.path).header("Content-Type", OCTETS).body("x"), 400);
}

#[test]
fn an_unknown_path_is_404_before_authentication_and_a_known_one_401() {
    let node = Node::start();
    node.send(&Request::get("/no/such/path")).is(404);
    node.send(&Request::new("PUT", "/tus").body("x")).is(405);
    let reply = node.send(&Request::new("PUT", "/tus").header("X-API-Token", TOKEN).body("x")).is(405);
    let allow = reply.field("Allow").to_owned();
    assert!(allow.contains("POST") && allow.contains("OPTIONS"), "{allow}");
    node.send(&Request::new("POST", "/tus")).is(401);
}

#[test]
fn no_byte_reaches_the_disk_before_the_checks_passed() {
    let node = Node::setup().env("MAX_STORAGE_SIZE", 500_000).env("MAX_UPLOAD_SIZE", 10_000_000).start();
    let upload = node.create(1_000_000);
    let before = crate::support::audit::blocks_below(&node.storage().join("objects"));
    let body = vec![9; 600_000];
    for (request, status) in [
        (patch(&upload, 0, &body).without("X-API-Token"), 401),
        (patch(&upload, 0, &body).without("Content-Type"), 415),
        (patch(&upload, 5, &body), 409),
        (patch(&upload, 0, &body), 507),
        (patch(&upload, 0, &body).header("Upload-Checksum", "sha99 AAAA"), 400),
        (patch_head(&upload, 0).body(vec![9; 1_000_001]), 400),
        (post().header("Upload-Length", "20000000").header("Content-Type", OCTETS).body(body.clone()), 413),
    ] {
        node.send(&request).is(status);
        let now = crate::support::audit::blocks_below(&node.storage().join("objects"));
        assert!(now <= before, "{status}: {now} bytes of objects, {before} before");
    }
    assert_eq!(node.offset(&upload), 0);
}
