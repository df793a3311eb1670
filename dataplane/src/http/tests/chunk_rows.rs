//! Every row of PROMISES.md §4 about chunked bodies, with its exact status.

use proptest::prelude::*;

use super::*;
use crate::http::{LAST_CHUNK, encode_chunk};

/// Body and trailers.
type Decoded = (String, Vec<(String, Vec<u8>)>);

fn decode(body: &str) -> Result<Decoded, Reject> {
    let mut bytes = post(&["Transfer-Encoding: chunked"]);
    bytes.extend_from_slice(body.as_bytes());
    let message = verdict(&bytes)?;
    assert_eq!(message.consumed, bytes.len(), "{body:?}");
    Ok((String::from_utf8(message.body).unwrap(), message.trailers))
}

#[test]
fn well_formed_bodies_are_decoded() {
    for (body, content) in [
        ("0\r\n\r\n", ""),
        ("0000000000000000\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("0005\r\nhello\r\n0\r\n\r\n", "hello"),
        ("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ("1;a\r\nx\r\n1;a=b;c=\"d e\"\r\ny\r\n0;z\r\n\r\n", "xy"),
    ] {
        assert_eq!(decode(body), Ok((content.to_owned(), Vec::new())), "{body:?}");
    }
}

#[test]
fn sizes_and_ends_of_chunks_are_exact() {
    for body in [
        "\r\n",
        ";a\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\n",
        "x\r\n",
        "g\r\n",
        " 1\r\n",
        "1 \r\n",
        "1\t;a\r\n",
        "1_\r\n",
        "1,\r\n",
        "00000000000000001\r\n",
        "00000000000000000\r\n",
        "8000000000000000\r\n",
        "ffffffffffffffff\r\n",
        "fffffffffffffffff\r\n",
        "1\n",
        "\n",
    ] {
        assert_eq!(decode(body), Err(Reject::ChunkSize), "{body:?}");
    }
    for body in ["1\rx", "1\r\r\n", "1;a\rx", "1\r\nxy", "1\r\nx0\r\n\r\n", "1\r\nx\n", "1\r\nx\rx", "1\r\nx\r\r\n"] {
        assert_eq!(decode(body), Err(Reject::ChunkEnd), "{body:?}");
    }
    for reject in [Reject::ChunkSize, Reject::ChunkEnd, Reject::ChunkExtensions, Reject::TrailerForbidden] {
        assert_eq!((reject.verdict().status, reject.verdict().close), (400, true));
    }
    assert_eq!((Reject::TrailersTooLarge.verdict().status, Reject::TrailersTooLarge.verdict().close), (431, true));
}

#[test]
fn extensions_are_bounded_per_chunk_and_per_message() {
    let chunk = |bytes: usize| format!("1;{}\r\nx\r\n", "e".repeat(bytes - 1));
    assert!(decode(&(chunk(256) + "0\r\n\r\n")).is_ok());
    assert_eq!(decode(&chunk(257)), Err(Reject::ChunkExtensions));
    assert!(decode(&(chunk(256).repeat(64) + "0\r\n\r\n")).is_ok());
    assert_eq!(decode(&(chunk(256).repeat(64) + "0;x\r\n\r\n")), Err(Reject::ChunkExtensions));
    for body in ["1;a\n", "1;\0\r\n", "1;\x7f\r\n"] {
        assert_eq!(decode(body), Err(Reject::ChunkExtensions), "{body:?}");
    }
}

#[test]
fn trailers_are_kept_but_for_those_that_belong_into_a_head() {
    let trailers = decode("0\r\nUpload-Checksum:  sha1 x \r\nOther:\r\n\r\n").unwrap().1;
    let expected = [("Upload-Checksum".to_owned(), b"sha1 x".to_vec()), ("Other".to_owned(), Vec::new())];
    assert_eq!(trailers, expected);
    let forbidden = "Content-Length Transfer-Encoding Host Authorization Upload-Offset upload-LENGTH Cookie X-API-Token \
        X-Session-Token Connection Trailer TE Upgrade Expect Range If-Range Content-Type Content-Encoding Content-Range \
        Tus-Resumable X-HTTP-Method-Override X-Forwarded-For X-Forwarded-Host Forwarded Etransfer-Line Upload-Concat \
        Upload-Metadata Upload-Defer-Length Proxy-Authorization Origin";
    for name in forbidden.split_whitespace() {
        assert_eq!(decode(&format!("0\r\nA: b\r\n{name}: 5\r\n\r\n")), Err(Reject::TrailerForbidden), "{name}");
    }
}

#[test]
fn trailers_are_as_strict_as_heads_and_bounded() {
    for (body, reject) in [
        ("0\r\nA : b\r\n\r\n", Reject::SpaceBeforeColon),
        ("0\r\nA: b\r\n c\r\n\r\n", Reject::Folded),
        ("0\r\nA: b\n\r\n", Reject::LineEnd),
        ("0\r\n\n", Reject::LineEnd),
        ("0\r\nA: b\rc\r\n\r\n", Reject::LineEnd),
        ("0\r\nA: \0\r\n\r\n", Reject::FieldValue),
        ("0\r\n\u{e9}: b\r\n\r\n", Reject::FieldName),
        ("0\r\n: b\r\n\r\n", Reject::FieldName),
        ("0\r\nnocolon\r\n\r\n", Reject::FieldName),
    ] {
        assert_eq!(decode(body), Err(reject), "{body:?}");
    }
    let fields = |count: usize| format!("0\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert!(decode(&fields(32)).is_ok());
    assert_eq!(decode(&fields(33)), Err(Reject::TrailersTooLarge));
    let section = |bytes: usize| format!("0\r\nA: {}\r\n\r\n", "b".repeat(bytes - 7));
    assert!(decode(&section(8 * 1024)).is_ok());
    assert_eq!(decode(&section(8 * 1024 + 1)), Err(Reject::TrailersTooLarge));
    assert_eq!(decode(&format!("0\r\nA: {}", "b".repeat(8 * 1024))), Err(Reject::TrailersTooLarge));
}

#[test]
fn what_follows_the_body_is_left_alone() {
    let mut decoder = Decoder::default();
    assert_eq!(decoder.step(b"1\r\nxrest"), Ok(ChunkStep::Data { consumed: 4, data: 3..4 }));
    let mut decoder = Decoder::default();
    assert_eq!(decoder.step(b"0\r\n\r\nGET / HTTP"), Ok(ChunkStep::Done { consumed: 5 }));
    assert_eq!(decoder.step(b"GET"), Ok(ChunkStep::Done { consumed: 0 }));
    let mut decoder = Decoder::default();
    assert_eq!(decoder.step(b"0\r\nA: b\r\n\r\nGET"), Ok(ChunkStep::Done { consumed: 11 }));
}

#[test]
fn the_data_of_a_chunk_may_be_received_past_the_decoder() {
    let mut decoder = Decoder::default();
    assert_eq!(decoder.step(b"10\r\n"), Ok(ChunkStep::NeedMore { consumed: 4 }));
    assert_eq!(decoder.remaining_in_chunk(), 16);
    decoder.advance(10);
    assert_eq!(decoder.remaining_in_chunk(), 6);
    assert_eq!(decoder.step_within(b"abcdef\r\n", 4), Ok(ChunkStep::Data { consumed: 4, data: 0..4 }));
    decoder.advance(2);
    assert_eq!(decoder.remaining_in_chunk(), 0);
    assert_eq!(decoder.step(b"\r\n0\r\n\r\n"), Ok(ChunkStep::Done { consumed: 7 }));
}

#[test]
fn a_refusal_stays() {
    let mut decoder = Decoder::default();
    assert_eq!(decoder.step(b"x"), Err(Reject::ChunkSize));
    assert_eq!(decoder.step(b"0\r\n\r\n"), Err(Reject::ChunkSize));
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8)) {
        let mut bytes = post(&["Transfer-Encoding: chunked"]);
        for piece in &pieces {
            encode_chunk(&mut bytes, piece);
        }
        bytes.extend_from_slice(LAST_CHUNK);
        let message = verdict(&bytes).unwrap();
        prop_assert_eq!(message.body, pieces.concat());
        prop_assert_eq!(message.consumed, bytes.len());
    }
}
