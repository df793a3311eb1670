//! Kind 2 of the faults, row by row (faults.md B1–B10), in every dialect concerned: the largest legal value, one above
//! it, an empty one, the value a hundred times, and one byte per second ([`row`]).

mod row;

use serde_json::json;

use self::row::Fate::Answered;
use self::row::{Row, Said, TIMES, try_all};
use crate::dialects;
use crate::oss::{Form, policy, signed_head};
use crate::pyblobserver::User;
use crate::secure_file_transfer::{Device, frame};
use crate::stream_upload::Upload as Stream;
use crate::support::idle::Idle;
use crate::support::node::Setup;
use crate::support::tus::{OCTETS, head, patch_head, post};
use crate::support::{Conn, Node, Request, TOKEN, Upload, wait};

/// The largest number of an offset or a length.
const NUMBER: u64 = i64::MAX as u64;
/// Largest field of a head, its name included.
const FIELD: usize = 16 << 10;

/// A node of all dialects, and a user who may upload in each.
pub struct Ground {
    node: Node,
    device: String,
    blob: String,
    upload: Upload,
    part: Upload,
}

/// Senders have three seconds; no sender is stopped by failures of others.
fn setup() -> Setup {
    dialects::setup()
        .env("LIMITS_HEAD_TIMEOUT", 3)
        .env("LIMITS_BODY_IDLE_TIMEOUT", 3)
        .env("AUTH_FAILURES_PER_ADDRESS", 100_000)
        .env("AUTH_FAILURES_PER_PRINCIPAL", 100_000)
}

impl Ground {
    fn start() -> Self {
        let node = setup().start();
        let authorization = |request: Request| {
            let found = request.headers.iter().find(|(name, _)| name == "Authorization").expect("a credential");
            String::from_utf8(found.1.clone()).expect("text")
        };
        let device = authorization(Device::one(&node).request("GET", "/"));
        let blob = authorization(User::first(&node, "tus").authorized(Request::get("/")));
        let upload = node.create(5);
        let partial = post().header("Upload-Concat", "partial").header("Upload-Length", "5");
        let part =
            Upload::at(node.send(&partial.header("Content-Type", OCTETS).body("hello")).is(201).field("Location"));
        Self { node, device, blob, upload, part }
    }

    fn by_device(&self, method: &str, target: &str) -> Request {
        Request::new(method, &format!("/sft{target}")).header("Authorization", &self.device)
    }

    fn by_blob(&self, method: &str, target: &str) -> Request {
        Request::new(method, &format!("/blob{target}")).header("Authorization", &self.blob)
    }
}

/// The request with this field, once or repeated.
fn field(request: Request, name: &'static str, said: &Said) -> Request {
    let mut request = request;
    request.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    match said {
        Said::Value(value) => request.header(name, value),
        Said::Repeated(value) => (0..TIMES).fold(request, |request, _| request.header(name, value)),
    }
}

/// The same in the query.
fn query(mut request: Request, name: &str, said: &Said) -> Request {
    let (value, times) = match said {
        Said::Value(value) => (value, 1),
        Said::Repeated(value) => (value, TIMES),
    };
    for _ in 0..times {
        let separator = if request.target.contains('?') { '&' } else { '?' };
        request.target.push_str(&format!("{separator}{name}={value}"));
    }
    request
}

/// A number of things; empty is none, a hundred times is a hundred.
fn count(said: &Said) -> usize {
    match said {
        Said::Value(value) => value.parse().unwrap_or(0),
        Said::Repeated(_) => TIMES,
    }
}

/// A form with many small fields before a file.
fn form(request: Request, fields: usize, last: &str) -> Request {
    let mut body = String::new();
    for number in 0..fields {
        body.push_str(&format!("--cut\r\nContent-Disposition: form-data; name=\"f{number}\"\r\n\r\nv\r\n"));
    }
    body.push_str(last);
    body.push_str("--cut--\r\n");
    request.header("Content-Type", "multipart/form-data; boundary=cut").body(body)
}

const FILE: &str = "--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhello\r\n";

#[test]
fn b1_fields_of_a_form() {
    let ground = Ground::start();
    let rows = [
        Row::new(
            "POST of an object, unsigned",
            |_, said| form(Request::new("POST", "/cloud"), count(said), FILE),
            64,
            65,
        ),
        Row::new(
            "a login of a device",
            |_, said| form(Request::new("POST", "/sft/auth/token"), count(said), ""),
            64,
            65,
        ),
        Row::new("a blob", |ground, said| form(ground.by_blob("POST", "/upload"), count(said), FILE), 64, 65)
            .empty_is(Answered),
        Row::new(
            "a chunk of a device",
            |ground, said| form(ground.by_device("POST", "/api/files/upload?filename=a"), count(said), ""),
            64,
            65,
        ),
        Row::new(
            "a signed form without end",
            |_, said| {
                let policy = policy(json!([{"bucket": "cloud"}, ["starts-with", "$key", "u/"]]));
                let form = Form::new("u/a", &policy, "hello");
                (0..count(said)).fold(form, |form, number| form.field(&format!("x{number}"), "v")).request()
            },
            // Four fields are its own.
            60,
            61,
        )
        .empty_is(Answered),
    ];
    try_all(&ground, &rows);
}

#[test]
fn b2_declared_numbers() {
    let ground = Ground::start();
    let above = NUMBER + 1;
    let rows = [
        Row::new("Upload-Length", |_, said| field(post(), "Upload-Length", said), NUMBER, above),
        Row::new(
            "Upload-Offset",
            |ground, said| field(patch_head(&ground.upload, 0).body("x"), "Upload-Offset", said),
            NUMBER,
            above,
        ),
        Row::new(
            "Upload-Length of a blob",
            |ground, said| {
                let request = ground.by_blob("POST", "/files/").header("Tus-Resumable", "1.0.0");
                field(request, "Upload-Length", said)
            },
            NUMBER,
            above,
        ),
        Row::new(
            "X-Filesize",
            |ground, said| field(Stream::new(&ground.node, "n", 5, 1).request(0, b"x"), "X-Filesize", said),
            NUMBER,
            above,
        ),
        Row::new(
            "Content-Range of a device",
            |ground, said| {
                let request = Device::one(&ground.node).posting("n.bin", &frame(0, 0, b'x', b"x"));
                let said = match said {
                    Said::Value(value) => Said::Value(format!("bytes 0-0/{value}")),
                    Said::Repeated(value) => Said::Repeated(format!("bytes 0-0/{value}")),
                };
                field(request, "Content-Range", &said)
            },
            NUMBER,
            above,
        ),
    ];
    try_all(&ground, &rows);
}

#[test]
fn b3_credentials() {
    let ground = Ground::start();
    fn carrier(path: &'static str, name: &'static str, said: &Said) -> Request {
        field(Request::get(path), name, said)
    }
    let value = |name: &str, more: usize| "c".repeat(FIELD - name.len() + more);
    let (token, bearer) = ("X-API-Token", "Authorization");
    let rows = [
        Row::new("a token", |_, said| carrier("/api/files", "X-API-Token", said), value(token, 0), value(token, 1)),
        Row::new(
            "a bearer",
            |_, said| carrier("/api/files", "Authorization", said),
            value(bearer, 0),
            value(bearer, 1),
        ),
        Row::new(
            "a session",
            |_, said| carrier("/api/files", "X-Session-Token", said),
            value("X-Session-Token", 0),
            value("X-Session-Token", 1),
        ),
        Row::new(
            "a device",
            |_, said| carrier("/sft/api/files", "Authorization", said),
            value(bearer, 0),
            value(bearer, 1),
        ),
        Row::new("a blob", |_, said| carrier("/blob/list", "Authorization", said), value(bearer, 0), value(bearer, 1)),
        Row::new(
            "a stream",
            |_, said| carrier("/api/scratch/assets", "Authorization", said),
            value(bearer, 0),
            value(bearer, 1),
        ),
        Row::new(
            "an account",
            |_, said| carrier("/user/profile/", "Authorization", said),
            value(bearer, 0),
            value(bearer, 1),
        ),
        Row::new(
            "an object",
            |_, said| carrier("/cloud/u/a", "Authorization", said),
            value(bearer, 0),
            value(bearer, 1),
        ),
        Row::new(
            "a signature",
            |_, said| query(Request::get("/cloud/u/a?OSSAccessKeyId=i&Expires=9999999999"), "Signature", said),
            "s".repeat(7_000),
            "s".repeat(9_000),
        ),
    ];
    try_all(&ground, &rows);
}

#[test]
fn b4_chunks_of_a_body() {
    // The size of the first chunk; what follows is far less, and ends the connection.
    fn chunked(request: Request, said: &Said) -> Request {
        let size = match said {
            Said::Value(value) => value.clone(),
            Said::Repeated(value) => value.repeat(TIMES),
        };
        request.header("Transfer-Encoding", "chunked").body(format!("{size}\r\nhello world\r\n0\r\n\r\n"))
    }
    let ground = Ground::start();
    let (largest, above) = ("b", "8000000000000000");
    let rows = [
        Row::new("an upload", |ground, said| chunked(patch_head(&ground.node.create(11), 0), said), largest, above),
        Row::new("an object", |_, said| chunked(signed_head("PUT", "u/a", "", &[]), said), largest, above),
        Row::new(
            "a request without a body",
            |ground, said| chunked(head(&ground.upload).without("Content-Length"), said),
            largest,
            above,
        ),
        Row::new("JSON", |_, said| chunked(Request::new("POST", "/api/auth/verify"), said), largest, above),
        Row::new(
            "a form",
            |_, said| {
                let request = Request::new("POST", "/cloud");
                chunked(request.header("Content-Type", "multipart/form-data; boundary=cut"), said)
            },
            largest,
            above,
        ),
    ];
    try_all(&ground, &rows);
}

#[test]
fn b5_pages_of_a_list() {
    let ground = Ground::start();
    fn listed(target: &str) -> Request {
        Request::get(target).header("X-API-Token", TOKEN)
    }
    // Of a repeated parameter the last counts (easytransfer/CONTRACT.md §1.4).
    let rows = [
        Row::new("page_size", |_, said| query(listed("/api/files"), "page_size", said), 100, 101).repeated_is(Answered),
        Row::new("per_page", |_, said| query(listed("/api/files"), "per_page", said), 1000, 1001).repeated_is(Answered),
        Row::new("page", |_, said| query(listed("/api/files"), "page", said), u64::MAX, "18446744073709551616")
            .repeated_is(Answered),
        Row::new(
            "ranges",
            |ground, said| query(listed(&format!("{}/ranges", ground.upload.file())), "from", said),
            u64::MAX,
            "18446744073709551616",
        )
        .repeated_is(Answered),
        // Lists of a bucket are not built: 501, whatever is asked.
        Row::new("max-keys", |_, said| query(signed_head("GET", "", "", &[]), "max-keys", said), 1000, 1001)
            .above_is(Answered)
            .empty_is(Answered)
            .repeated_is(Answered),
    ];
    try_all(&ground, &rows);
}

#[test]
fn b6_connections() {
    const MAX: usize = 20;
    let node = setup().env("LIMITS_CONNECTIONS_PER_ADDRESS", MAX).start();
    node.get("/api/health").is(200);
    let idle = Idle::of(&node);
    let ask = |conn: &mut Conn| conn.try_ask(&Request::get("/api/health")).map(|reply| reply.status).unwrap_or(0);
    let held = wait::until("as many as may be", || {
        let mut held: Vec<Conn> = (0..MAX).map(|_| node.connect()).collect();
        held.iter_mut().all(|conn| ask(conn) == 200).then_some(held)
    });
    // One above, and a hundred: told why, and those that are there go on.
    for _ in 0..TIMES {
        let refused = node.connect().try_ask(&Request::get("/api/health")).expect("an answer").is(503);
        assert!(refused.number("Retry-After") > 0 && !refused.body.is_empty(), "{refused:?}");
    }
    let mut held = held;
    assert!(held.iter_mut().all(|conn| ask(conn) == 200));
    drop(held);
    idle.is_back(&node, 24 << 20);
    // Connections that say nothing, and that say one byte per second.
    let (silent, mut slow): (Vec<Conn>, Vec<Conn>) =
        ((0..MAX / 2).map(|_| node.connect()).collect(), (0..MAX / 2).map(|_| node.connect()).collect());
    for byte in b"GET /api/health" {
        if slow.iter_mut().all(Conn::is_answered) {
            break;
        }
        slow.iter_mut().for_each(|conn| conn.send(&[*byte]));
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    for mut conn in slow {
        assert_eq!(conn.reply().is(408).json()["detail"], "the head was not complete in time");
    }
    drop(silent);
    idle.is_back(&node, 24 << 20);
}

#[test]
fn b7_uploads_of_one() {
    const MAX: usize = 5;
    for key in ["OPEN_PER_PRINCIPAL", "RECORDS_PER_PRINCIPAL"] {
        let node = setup().env(&format!("UPLOADS_{key}"), MAX).start();
        node.get("/api/files").is(200);
        let idle = Idle::of(&node);
        let create = post().header("Upload-Length", "5").header("Content-Type", OCTETS);
        // Begun with a body of which one byte a second comes, until it is cut.
        let mut slow: Vec<Conn> = (0..MAX)
            .map(|_| {
                let mut conn = node.connect();
                conn.send_head(&create.clone().header("Content-Length", "5"));
                conn
            })
            .collect();
        for _ in 0..3 {
            slow.iter_mut().for_each(|conn| conn.send(b"x"));
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        drop(slow);
        let made = wait::until("what broke off counts", || {
            let listed = node.listed();
            (listed == MAX as u64).then_some(listed)
        });
        for (times, length) in [(TIMES, "5"), (1, "0")] {
            for _ in 0..times {
                let reply = node.send(&post().header("Upload-Length", length));
                match (key, length) {
                    // Nothing is open of what is empty.
                    ("OPEN_PER_PRINCIPAL", "0") => drop(reply.is(201)),
                    _ => {
                        let refused = reply.is(429);
                        assert!(refused.number("Retry-After") > 0 && !refused.body.is_empty(), "{refused:?}");
                    }
                }
            }
        }
        assert!(node.listed() <= made + 1);
        idle.is_back(&node, 24 << 20);
    }
}

#[test]
fn b8_places_of_chunks() {
    let ground = Ground::start();
    let rows = [
        Row::new(
            "X-Total-Chunks",
            |ground, said| field(Stream::new(&ground.node, "t", 200_000, 1).request(0, b"x"), "X-Total-Chunks", said),
            100_000,
            100_001,
        ),
        Row::new(
            "X-Chunk-Index",
            |ground, said| field(Stream::new(&ground.node, "i", 200_000, 100).request(0, b"x"), "X-Chunk-Index", said),
            99,
            100,
        ),
        Row::new(
            "X-Upload-Id",
            |ground, said| field(Stream::new(&ground.node, "u", 5, 2).request(0, b"x"), "X-Upload-Id", said),
            "u".repeat(128),
            "u".repeat(FIELD),
        ),
        Row::new(
            "the end of a chunk of a device",
            |ground, said| {
                let end = match said {
                    Said::Value(value) => value.parse().unwrap_or(0),
                    Said::Repeated(_) => 0,
                };
                let content = match said {
                    Said::Value(value) if value.is_empty() => Vec::new(),
                    Said::Value(_) => frame(end, end, b'x', b"x"),
                    Said::Repeated(_) => frame(0, 0, b'x', b"x").repeat(TIMES),
                };
                Device::one(&ground.node).posting("e.bin", &content)
            },
            NUMBER - 1,
            u64::MAX,
        ),
    ];
    try_all(&ground, &rows);
}

#[test]
fn b9_parts_of_a_final_upload() {
    fn joined(ground: &Ground, said: &Said) -> Request {
        let parts = match said {
            Said::Value(value) => vec![ground.part.path.as_str(); value.parse().unwrap_or(0)].join(" "),
            Said::Repeated(_) => String::new(),
        };
        let once = Said::Value(format!("final;{parts}"));
        match said {
            Said::Value(_) => field(post(), "Upload-Concat", &once),
            Said::Repeated(_) => field(post(), "Upload-Concat", &Said::Repeated(format!("final;{}", ground.part.path))),
        }
    }
    let ground = Ground::start();
    try_all(&ground, &[Row::new("Upload-Concat", joined, 256, 257)]);
}

#[test]
fn b10_passwords() {
    fn device(_: &Ground, said: &Said) -> Request {
        let (password, times) = match said {
            Said::Value(value) => (value, 1),
            Said::Repeated(value) => (value, TIMES),
        };
        let body = format!("username=device1{}", format!("&password={password}").repeat(times));
        Request::new("POST", "/sft/auth/token").header("Content-Type", "application/x-www-form-urlencoded").body(body)
    }
    fn account(path: &'static str, said: &Said) -> Request {
        let (password, times) = match said {
            Said::Value(value) => (value, 1),
            Said::Repeated(value) => (value, TIMES),
        };
        let body = format!(r#"{{"username": "stranger"{}}}"#, format!(r#", "password": "{password}""#).repeat(times));
        Request::new("POST", path).header("Content-Type", "application/json").body(body)
    }
    let ground = Ground::start();
    let rows = [
        Row::new("a device's", device, "p".repeat(4 << 10), "p".repeat((1 << 20) + 1)),
        Row::new(
            "an account's",
            |_, said| account("/user/login/", said),
            "p".repeat(4 << 10),
            "p".repeat((1 << 20) + 1),
        ),
        Row::new(
            "a new account's",
            |_, said| account("/user/register/", said),
            "p".repeat(4 << 10),
            "p".repeat((1 << 20) + 1),
        ),
    ];
    try_all(&ground, &rows);
    // A hundred at once: each is answered, and the right one gets in.
    std::thread::scope(|scope| {
        for _ in 0..TIMES {
            scope.spawn(|| {
                let reply = ground.node.send(&device(&ground, &Said::Value("wrong".into()))).one_of(&[401, 429, 503]);
                assert!(!reply.body.is_empty(), "{reply:?}");
            });
        }
    });
    wait::until("the right one gets in", || {
        let reply = ground.node.send(&device(&ground, &Said::Value("password1".into())));
        (reply.status == 200).then_some(())
    });
}
