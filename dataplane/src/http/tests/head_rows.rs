//! Every row of PROMISES.md §4 about heads and framing, with its exact status.

use super::*;
use crate::http::Method;

/// Status and close of a refusal; `None` for a message.
fn answer(bytes: &[u8]) -> Option<(u16, bool)> {
    let reject = match read(bytes, &[]) {
        Outcome::Rejected(reject) => reject,
        Outcome::Message(_) | Outcome::Incomplete => return None,
    };
    let verdict = reject.verdict();
    Some((verdict.status, verdict.close))
}

fn head(text: &str) -> Head {
    Head::parse(text.as_bytes(), &HeadLimits::default()).unwrap().unwrap().0
}

#[test]
fn length_and_coding_decide_the_framing_or_are_refused() {
    use Reject::*;
    let table: [(&[&str], Result<Framing, Reject>); 52] = [
        (&[], Ok(Framing::None)),
        (&["Content-Length: 0"], Ok(Framing::Length(0))),
        (&["content-LENGTH:\t 0005 \t"], Ok(Framing::Length(5))),
        (&["Content-Length: 9223372036854775807"], Ok(Framing::Length(i64::MAX as u64))),
        (&["Transfer-Encoding: chunked"], Ok(Framing::Chunked)),
        (&["transfer-encoding:  CHUNKed "], Ok(Framing::Chunked)),
        // Content-Length and Transfer-Encoding together.
        (&["Content-Length: 5", "Transfer-Encoding: chunked"], Err(LengthAndCoding)),
        (&["Transfer-Encoding: chunked", "Content-Length: 5"], Err(LengthAndCoding)),
        (&["Transfer-Encoding: gzip", "Content-Length: 5"], Err(LengthAndCoding)),
        (&["Transfer-Encoding:", "Content-Length:"], Err(LengthAndCoding)),
        (&["Transfer-Encoding: chunked", "Content-Length: 0", "Content-Length: 0"], Err(LengthAndCoding)),
        // Content-Length twice (equal or not), list, sign, space, hex, empty, > 2^63-1.
        (&["Content-Length: 5", "Content-Length: 5"], Err(LengthRepeated)),
        (&["Content-Length: 5", "content-length: 6"], Err(LengthRepeated)),
        (&["Content-Length: 5", "Content-Length:"], Err(LengthRepeated)),
        (&["Content-Length: 5,5"], Err(LengthMalformed)),
        (&["Content-Length: 5, 5"], Err(LengthMalformed)),
        (&["Content-Length: +5"], Err(LengthMalformed)),
        (&["Content-Length: -5"], Err(LengthMalformed)),
        (&["Content-Length: -0"], Err(LengthMalformed)),
        (&["Content-Length: 5 5"], Err(LengthMalformed)),
        (&["Content-Length: 0x5"], Err(LengthMalformed)),
        (&["Content-Length: 5a"], Err(LengthMalformed)),
        (&["Content-Length: a"], Err(LengthMalformed)),
        (&["Content-Length: 5.0"], Err(LengthMalformed)),
        (&["Content-Length: 1e3"], Err(LengthMalformed)),
        (&["Content-Length: 5_0"], Err(LengthMalformed)),
        (&["Content-Length: \"5\""], Err(LengthMalformed)),
        (&["Content-Length: \u{661}"], Err(LengthMalformed)),
        (&["Content-Length:"], Err(LengthMalformed)),
        (&["Content-Length:   "], Err(LengthMalformed)),
        (&["Content-Length: 9223372036854775808"], Err(LengthMalformed)),
        (&["Content-Length: 18446744073709551615"], Err(LengthMalformed)),
        (&["Content-Length: 18446744073709551616"], Err(LengthMalformed)),
        (&["Content-Length: 18446744073709551621"], Err(LengthMalformed)),
        (&["Content-Length: 00000000000000000005"], Err(LengthMalformed)),
        // Transfer-Encoding twice, `chunked, chunked`, empty.
        (&["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], Err(CodingRepeated)),
        (&["Transfer-Encoding: gzip", "Transfer-Encoding: chunked"], Err(CodingRepeated)),
        (&["Transfer-Encoding: chunked", "Transfer-Encoding:"], Err(CodingRepeated)),
        (&["Transfer-Encoding: chunked, chunked"], Err(CodingRepeated)),
        (&["Transfer-Encoding: chunked,gzip, Chunked"], Err(CodingRepeated)),
        (&["Transfer-Encoding:"], Err(CodingEmpty)),
        (&["Transfer-Encoding: \t"], Err(CodingEmpty)),
        // Anything but `chunked`.
        (&["Transfer-Encoding: gzip"], Err(CodingUnknown)),
        (&["Transfer-Encoding: identity"], Err(CodingUnknown)),
        (&["Transfer-Encoding: gzip, chunked"], Err(CodingUnknown)),
        (&["Transfer-Encoding: chunked, gzip"], Err(CodingUnknown)),
        (&["Transfer-Encoding: chunked,"], Err(CodingUnknown)),
        (&["Transfer-Encoding: ,chunked"], Err(CodingUnknown)),
        (&["Transfer-Encoding: chunked;q=1"], Err(CodingUnknown)),
        (&["Transfer-Encoding: xchunked"], Err(CodingUnknown)),
        (&["Transfer-Encoding: \"chunked\""], Err(CodingUnknown)),
        (&["Transfer-Encoding: chunked\u{a0}"], Err(CodingUnknown)),
    ];
    for (lines, expected) in table {
        let parsed = Head::parse(&post(lines), &HeadLimits::default());
        assert_eq!(parsed.map(|head| head.unwrap().0.framing()), expected, "{lines:?}");
    }
    let old = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(verdict(old), Err(CodingInOldVersion));
    for reject in [LengthAndCoding, LengthRepeated, LengthMalformed, CodingRepeated, CodingEmpty, CodingInOldVersion] {
        assert_eq!((reject.verdict().status, reject.verdict().close), (400, true));
    }
    assert_eq!((CodingUnknown.verdict().status, CodingUnknown.verdict().close), (501, true));
}

#[test]
fn malformed_lines_are_400_and_close() {
    let table: [&[u8]; 31] = [
        b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\t: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\tc\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: h\r\n\r\n",
        b"GET / HTTP/1.1\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n\n",
        b"GET / HTTP/1.1\rHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\rA: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nA\0: b\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nA\x80: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n\xc3\xa9: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nA\x01: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nA\x7f: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nA: b\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nA: b\x7f\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nnocolon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nA(b): c\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /  HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
        b" GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    ];
    for bytes in table {
        assert_eq!(answer(bytes), Some((400, true)), "{:?}", String::from_utf8_lossy(bytes));
    }
    // One empty line before a request is let pass (RFC 9112 §2.2).
    assert!(verdict(b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").is_ok());
    // Bytes of 0x80 and above are allowed in values only.
    assert!(verdict(b"GET / HTTP/1.1\r\nHost: h\r\nA: \xc3\xa9\xff\r\n\r\n").is_ok());
}

#[test]
fn tls_and_other_noise_is_refused_at_its_first_byte() {
    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"\x00", b"\xff", b"\t"] {
        assert_eq!(answer(bytes), Some((400, true)), "{bytes:?}");
    }
}

#[test]
fn host_is_one_valid_authority() {
    use Reject::*;
    let table: [(&str, Result<Option<&str>, Reject>); 24] = [
        ("GET / HTTP/1.1\r\nHost: h.example:80\r\n\r\n", Ok(Some("h.example:80"))),
        ("GET / HTTP/1.1\r\nhost: [::1]:8765\r\n\r\n", Ok(Some("[::1]:8765"))),
        ("GET / HTTP/1.0\r\n\r\n", Ok(None)),
        ("GET / HTTP/1.1\r\n\r\n", Err(HostMissing)),
        ("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", Err(HostRepeated)),
        ("GET / HTTP/1.0\r\nHost: h\r\nhost: i\r\n\r\n", Err(HostRepeated)),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Err(HostMalformed)),
        ("GET / HTTP/1.1\r\nHost: user@h\r\n\r\n", Err(HostMalformed)),
        ("GET / HTTP/1.1\r\nHost: h/path\r\n\r\n", Err(HostMalformed)),
        ("GET / HTTP/1.1\r\nHost: h?a\r\n\r\n", Err(HostMalformed)),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Err(HostMalformed)),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Err(HostMalformed)),
        ("GET / HTTP/1.1\r\nHost: http://h\r\n\r\n", Err(HostMalformed)),
        ("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", Err(HostMalformed)),
        ("GET http://h/x HTTP/1.1\r\nHost: H\r\n\r\n", Ok(Some("H"))),
        ("GET HTTP://h:80/x HTTP/1.1\r\nHost: h\r\n\r\n", Ok(Some("h"))),
        ("GET https://h/x HTTP/1.1\r\nHost: h:443\r\n\r\n", Ok(Some("h:443"))),
        ("GET http://h:81/x HTTP/1.1\r\nHost: h\r\n\r\n", Err(HostDisagrees)),
        ("GET http://i/x HTTP/1.1\r\nHost: h\r\n\r\n", Err(HostDisagrees)),
        ("GET http://h@i/x HTTP/1.1\r\nHost: h\r\n\r\n", Err(HostMalformed)),
        ("GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n", Err(HostMalformed)),
        ("GET http://h/x HTTP/1.1\r\n\r\n", Err(HostMissing)),
        ("GET http://h:1/x HTTP/1.0\r\n\r\n", Ok(Some("h:1"))),
        ("GET http://u@h/x HTTP/1.0\r\n\r\n", Err(HostMalformed)),
    ];
    for (text, expected) in table {
        let host = verdict(text.as_bytes()).map(|message| message.host);
        assert_eq!(host.as_ref().map(Option::as_deref).map_err(|reject| *reject), expected, "{text:?}");
        if let Err(reject) = host {
            assert_eq!((reject.verdict().status, reject.verdict().close), (400, true));
        }
    }
}

#[test]
fn targets_come_out_in_origin_form() {
    let long = format!("/{}", "a".repeat(8 * 1024 - "GET / HTTP/1.1".len()));
    for (method, target, expected) in [
        ("GET", "/", Ok("/")),
        ("GET", "/a%2Fb/../c?d=e?f", Ok("/a%2Fb/../c?d=e?f")),
        ("GET", "//x", Ok("//x")),
        ("GET", "/%00/%2e%2e/\\;a", Ok("/%00/%2e%2e/\\;a")),
        ("GET", "/%zz", Ok("/%zz")),
        ("GET", long.as_str(), Ok(long.as_str())),
        ("GET", "http://h", Ok("/")),
        ("GET", "http://h?x", Ok("/?x")),
        ("GET", "http://h/a?x", Ok("/a?x")),
        ("OPTIONS", "*", Ok("*")),
        ("GET", "*", Err(Reject::Target)),
        ("OPTIONS", "*a", Err(Reject::Target)),
        ("GET", "a", Err(Reject::Target)),
        ("GET", "h:80", Err(Reject::Target)),
        ("GET", "ftp://h/", Err(Reject::Target)),
        ("GET", "?x", Err(Reject::Target)),
        ("GET", "/#a", Err(Reject::Target)),
        ("GET", "/<a>", Err(Reject::Target)),
        ("GET", "/?\"", Err(Reject::Target)),
        ("GET", "/\u{e9}", Err(Reject::RequestLine)),
    ] {
        let text = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let parsed = verdict(text.as_bytes()).map(|message| message.target);
        assert_eq!(parsed.as_deref().map_err(|reject| *reject), expected, "{target}");
    }
    let head = head("GET /a/b?c=d?e HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((head.path(), head.query()), ("/a/b", Some("c=d?e")));
}

#[test]
fn sizes_are_bounded_to_the_byte() {
    let line = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(bytes - 14));
    assert_eq!(answer(line(8 * 1024).as_bytes()), None);
    assert_eq!(answer(line(8 * 1024 + 1).as_bytes()), Some((414, true)));
    // Already before its end.
    assert_eq!(answer(format!("GET /{}", "a".repeat(8 * 1024)).as_bytes()), Some((414, true)));

    let field = |bytes: usize| format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n", "b".repeat(bytes - 3));
    assert_eq!(answer(field(16 * 1024).as_bytes()), None);
    assert_eq!(answer(field(16 * 1024 + 1).as_bytes()), Some((431, true)));
    let name = |bytes: usize| format!("GET / HTTP/1.1\r\nHost: h\r\n{}:\r\n\r\n", "b".repeat(bytes - 1));
    assert_eq!(answer(name(16 * 1024).as_bytes()), None);
    assert_eq!(answer(name(16 * 1024 + 1).as_bytes()), Some((431, true)));
    assert_eq!(answer(&name(16 * 1024 + 9).as_bytes()[..26 + 16 * 1024]), Some((431, true)));

    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(count - 1));
    assert_eq!(answer(fields(100).as_bytes()), None);
    assert_eq!(answer(fields(101).as_bytes()), Some((431, true)));

    let head = |bytes: usize| {
        let lines = format!("A: {}\r\n", "b".repeat(16_000)).repeat(4);
        let start = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}");
        let rest = bytes - start.len() - 7;
        format!("{start}B: {}\r\n\r\n", "c".repeat(rest))
    };
    assert_eq!(head(64 * 1024).len(), 64 * 1024);
    assert_eq!(answer(head(64 * 1024).as_bytes()), None);
    assert_eq!(answer(head(64 * 1024 + 1).as_bytes()), Some((431, true)));
    assert_eq!(answer(&head(64 * 1024 + 9).as_bytes()[..64 * 1024 + 1]), Some((431, true)));
}

#[test]
fn versions_other_than_1_0_and_1_1_are_505_or_400() {
    for (line, status) in [
        ("PRI * HTTP/2.0", 505),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/3.0", 505),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/1.9", 505),
        ("GET / HTTP/0.9", 400),
        ("GET /", 400),
        ("GET", 400),
        ("GET / HTTP/1", 400),
        ("GET / HTTP/2", 400),
        ("GET / HTTP/1.10", 400),
        ("GET / HTTP/11.1", 400),
        ("GET / http/1.1", 400),
        ("GET / HTTP/1,1", 400),
        ("GET / HTTP/+1.1", 400),
        ("GET / HTTPS/1.1", 400),
        ("GET / ", 400),
        ("GET / HTTP/1.1 x", 400),
    ] {
        // The line alone is enough: a client of another protocol may never send an empty line.
        assert_eq!(answer(format!("{line}\r\n").as_bytes()), Some((status, true)), "{line}");
    }
    assert_eq!(answer(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Some((505, true)));
}

#[test]
fn methods_and_expectations_are_refused_without_closing() {
    for (text, expected, status) in [
        ("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", Some(Reject::MethodUnknown), 501),
        ("get / HTTP/1.1\r\nHost: h\r\n\r\n", Some(Reject::MethodUnknown), 501),
        ("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", Some(Reject::MethodRefused), 405),
        ("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", Some(Reject::MethodRefused), 405),
        ("GET / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\n\r\n", Some(Reject::Expectation), 417),
        ("GET / HTTP/1.1\r\nHost: h\r\nExpect:\r\n\r\n", None, 0),
        ("GET / HTTP/1.1\r\nHost: h\r\nExpect: , 100-continue,\r\n\r\n", None, 0),
        ("GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nExpect: x\r\n\r\n", Some(Reject::Expectation), 417),
        ("GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\n\r\n", None, 0),
        ("PUT / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", None, 0),
    ] {
        let head = head(text);
        assert_eq!(head.objection(), expected, "{text:?}");
        if let Some(reject) = head.objection() {
            assert_eq!((reject.verdict().status, reject.verdict().close), (status, false));
        }
    }
    // Not a request line at all.
    assert_eq!(answer(b"G{T / HTTP/1.1\r\nHost: h\r\n\r\n"), Some((400, true)));
    assert_eq!(head("DELETE / HTTP/1.1\r\nHost: h\r\n\r\n").method(), Method::Delete);
}

#[test]
fn a_connection_lives_on_as_both_sides_say() {
    for (text, keep_alive) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: a\r\nconnection: x, CLOSE\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n", true),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
    ] {
        assert_eq!(head(text).keep_alive(), keep_alive, "{text:?}");
    }
}

#[test]
fn continue_is_for_bodies_of_1_1() {
    let expect = "Expect: 100-continue\r\n";
    for (text, expects) in [
        (format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n{expect}\r\n"), true),
        (format!("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{expect}\r\n"), true),
        (format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n{expect}\r\n"), false),
        (format!("PUT / HTTP/1.1\r\nHost: h\r\n{expect}\r\n"), false),
        (format!("PUT / HTTP/1.0\r\nContent-Length: 5\r\n{expect}\r\n"), false),
        ("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n".to_owned(), false),
    ] {
        assert_eq!(head(&text).expects_continue(), expects, "{text:?}");
    }
}

#[test]
fn a_head_does_not_show_secrets_in_debug() {
    let text = "GET /a?token=canary HTTP/1.1\r\nHost: h\r\nX-API-Token: canary\r\n\r\n";
    assert_eq!(format!("{:?}", head(text)), "GET /a (None)");
}
