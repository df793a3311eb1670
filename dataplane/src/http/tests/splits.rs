//! The verdict on a message does not depend on how its bytes are split into reads.

use proptest::prelude::*;

use super::*;

/// Pieces that meet each other in every order: most of them wrong somewhere.
pub fn lines() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "Content-Length: 5\r\n",
        "Content-Length: 05\r\n",
        "content-length: 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "transfer-encoding: CHUNKED\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Host: h\r\n",
        "Host: i\r\n",
        "Connection: close\r\n",
        "A: b\r\n",
        "A: \u{e9}\r\n",
        "A:\r\n",
        "A: b\n",
        "A: b\rc\r\n",
        " folded\r\n",
        ": x\r\n",
        "A\u{0}: b\r\n",
        "A: \u{0}\r\n",
        "nocolon\r\n",
        "\r\n",
        "\n",
    ])
}

pub fn request_line() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "POST /a?b HTTP/1.1\r\n",
        "POST http://h/a HTTP/1.1\r\n",
        "POST http://h HTTP/1.1\r\n",
        "POST / HTTP/1.0\r\n",
        "POST  / HTTP/1.1\r\n",
        "PUT /\\^|{}\" HTTP/1.1\r\n",
        "PUT /<> HTTP/1.1\r\n",
        "POST / HTTP/1.2\r\n",
        "POST /\r\n",
        "\r\nPOST / HTTP/1.1\r\n",
        "\nPOST / HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.1\r\n",
    ])
}

pub fn body() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "hello",
        "5\r\nhello\r\n0\r\n\r\n",
        "5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n",
        "5\r\nhello\r\n0\r\nHost: b\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "0\r\n\n",
    ])
}

/// A request out of such pieces, `Host` mostly right.
pub fn request() -> impl Strategy<Value = Vec<u8>> {
    let host = prop::sample::select(vec!["Host: h\r\n", "Host: h\r\n", "Host: h\r\n", ""]);
    (request_line(), host, prop::collection::vec(lines(), 0..3), body())
        .prop_map(|(line, host, lines, body)| [line, host, &lines.concat(), "\r\n", body].concat().into_bytes())
}

/// A request with a few bytes changed.
pub fn mangled() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(b"\r\n\t :;,\0\x7f\x80aZ09-/?#%HTP.\"".to_vec());
    (request(), prop::collection::vec((any::<prop::sample::Index>(), byte, 0..3_u8), 0..3)).prop_map(
        |(mut bytes, changes)| {
            for (index, byte, change) in changes {
                let at = index.index(bytes.len());
                match change {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => drop(bytes.remove(at)),
                }
            }
            bytes
        },
    )
}

#[test]
fn long_heads_are_refused_alike_however_they_drip() {
    let texts = [
        format!("GET /{} HTTP/1.1\r\n", "a".repeat(9000)),
        format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n", "b".repeat(17_000)),
        format!("GET / HTTP/1.1\r\nHost: h\r\n{}: b\r\n\r\n", "b".repeat(17_000)),
        format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(101)),
        format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", format!("A: {}\r\n", "b".repeat(900)).repeat(80)),
        format!(
            "{}0\r\nA: {}\r\n\r\n",
            String::from_utf8(post(&["Transfer-Encoding: chunked"])).unwrap(),
            "b".repeat(9000)
        ),
    ];
    for text in texts {
        let whole = read(text.as_bytes(), &[]);
        assert!(matches!(whole, Outcome::Rejected(_)), "{whole:?}");
        let every: Vec<usize> = (1..text.len()).collect();
        assert_eq!(read(text.as_bytes(), &every), whole);
        for step in [7, 1000, 8191, 8192, 8193, 16_384] {
            let cuts: Vec<usize> = (0..text.len()).step_by(step).collect();
            assert_eq!(read(text.as_bytes(), &cuts), whole, "{step}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_verdict_is_the_same_for_any_split(bytes in mangled(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let whole = read(&bytes, &[]);
        let every: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(&read(&bytes, &every), &whole);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(&read(&bytes, &cuts), &whole);
        // A fresh parse of every prefix agrees as well: what was refused or found stays so when more bytes come.
        for end in 0..bytes.len() {
            let prefix = read(&bytes[..end], &[]);
            prop_assert!(prefix == Outcome::Incomplete || prefix == whole, "{:?} then {:?}", prefix, whole);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes, &[]);
        let mut chunked = post(&["Transfer-Encoding: chunked"]);
        chunked.extend_from_slice(&bytes);
        read(&chunked, &[]);
    }
}
