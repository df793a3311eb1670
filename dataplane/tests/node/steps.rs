//! Steps over real sockets: forms in any cutting, prefixes, chunks in any order, and every way to fail.

use etransfer_contract::fact::Fact;
use etransfer_contract::step::{
    Compose, Digest, DigestStored, Failure, Form, FormFields, FormFieldsReport, Part, Piece, Receive, Seal, StepReport,
    What,
};
use etransfer_contract::{ObjectId, Span};
use etransfer_dataplane::config::Limits;
use sha1::Digest as _;

use super::bed::{Bed, content, on_both, path};
use super::client::Client;

const BOUNDARY: &str = "----cut";

fn id(number: u8) -> ObjectId {
    ObjectId::from_bytes([number; 16])
}

pub fn form(names: &[&str], or_plain: bool, prefix_bytes: u16) -> What {
    What::FormFields(FormFields {
        form: Some(Form {
            boundary: BOUNDARY.into(),
            content_names: names.iter().map(|name| (*name).to_owned()).collect(),
            or_plain,
            field_bytes_max: 20,
            fields_bytes_max: 60,
        }),
        prefix_bytes,
    })
}

pub fn whole(number: u8, max: u64) -> Receive {
    Receive {
        object: id(number),
        at: 0,
        is_whole: true,
        sync: false,
        exact: None,
        min: 0,
        max,
        digests: Vec::new(),
        expect: Vec::new(),
        budget: max,
        rate: None,
    }
}

fn chunk(number: u8, at: u64, exact: u64) -> Receive {
    Receive { at, is_whole: false, sync: true, exact: Some(exact), ..whole(number, exact) }
}

pub fn received(bytes: u64) -> StepReport {
    StepReport::Received { bytes, digests: Vec::new() }
}

/// One form: fields have no file name.
pub fn written(parts: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, filename, content) in parts {
        let file = filename.map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// Posts `body` in `pieces` and reads the answer.
fn post(bed: &Bed, body: &[u8], pieces: &[usize]) -> u16 {
    let mut client = Client::connect(bed.address);
    client.ask("POST", "/steps", &format!("Content-Length: {}\r\n", body.len()));
    let mut rest = body;
    for piece in pieces {
        let (now, later) = rest.split_at(*piece);
        client.send(now);
        rest = later;
    }
    client.send(rest);
    let (answer, text) = client.whole();
    assert_eq!(text, b"the end");
    answer.status
}

/// As chunks of the transfer encoding, cut the same way.
fn post_chunked(bed: &Bed, body: &[u8], pieces: &[usize]) -> u16 {
    let mut client = Client::connect(bed.address);
    client.ask("POST", "/steps", "Transfer-Encoding: chunked\r\n");
    let mut rest = body;
    for piece in pieces.iter().copied().chain([usize::MAX]) {
        let (now, later) = rest.split_at(piece.min(rest.len()));
        if !now.is_empty() {
            client.send(format!("{:x}\r\n", now.len()).as_bytes());
            client.send(now);
            client.send(b"\r\n");
        }
        rest = later;
    }
    client.send(b"0\r\n\r\n");
    client.whole().0.status
}

/// What is stored under `number`.
pub fn stored(bed: &Bed, number: u8, length: usize) -> Vec<u8> {
    let mut client = Client::connect(bed.address);
    client.ask("GET", &path("serve", number, length), "");
    let (answer, body) = client.whole();
    assert_eq!(answer.status, 200);
    body
}

pub fn is_gone(bed: &Bed, number: u8) -> bool {
    let mut client = Client::connect(bed.address);
    client.ask("GET", &path("serve", number, 1), "");
    // 416: there is not one byte of it.
    matches!(client.whole().0.status, 404 | 416)
}

/// A few lengths that sum to less than `bytes`.
pub fn cuts(random: &mut fastrand::Rng, bytes: usize) -> Vec<usize> {
    (0..random.usize(0..4)).map(|_| random.usize(0..=bytes / 4)).collect()
}

#[test]
fn a_form_is_understood_however_it_is_cut() {
    // Content that looks like delimiters, and that ends like one begins.
    let begun = &BOUNDARY[..6];
    let lookalikes = format!("\r\n--{begun}\r\n\r\n--\r\r\n--{begun}x--{BOUNDARY}\r\n--").into_bytes();
    let contents = [Vec::new(), b"hello".to_vec(), lookalikes, content(70_000), content(3 << 20)];
    on_both(&Limits::default(), |bed| {
        let mut random = fastrand::Rng::with_seed(7);
        let mut number = 0;
        for bytes in &contents {
            for send in [post, post_chunked] {
                for turn in 0..4 {
                    number += 1;
                    let body = written(&[
                        ("a", None, b"1"),
                        ("b", None, b""),
                        ("file", Some("n.txt"), bytes),
                        ("c", None, b"2"),
                    ]);
                    let pieces = match turn {
                        0 if body.len() < 1000 => vec![1; body.len()],
                        _ => cuts(&mut random, body.len()),
                    };
                    bed.control.play(vec![
                        form(&[], false, 0),
                        What::Receive(whole(number, 8 << 20)),
                        form(&[], false, 0),
                    ]);
                    assert_eq!(send(bed, &body, &pieces), 418);
                    let part = Part { name: "file".into(), filename: Some("n.txt".into()), content_type: None };
                    let fields = vec![("a".to_owned(), "1".to_owned()), ("b".into(), String::new())];
                    let before =
                        FormFieldsReport { is_form: true, fields, part: Some(part), ..FormFieldsReport::default() };
                    let after = FormFieldsReport {
                        is_form: true,
                        fields: vec![("c".into(), "2".into())],
                        is_end: true,
                        ..FormFieldsReport::default()
                    };
                    let told = bed.control.reports();
                    assert_eq!(
                        told,
                        [StepReport::FormFields(before), received(bytes.len() as u64), StepReport::FormFields(after)]
                    );
                    if bytes.is_empty() {
                        continue;
                    }
                    assert!(stored(bed, number, bytes.len()) == *bytes, "{} bytes, turn {turn}", bytes.len());
                }
            }
        }
    });
}

#[test]
fn a_batch_is_one_part_after_the_other() {
    on_both(&Limits::default(), |bed| {
        let (one, two, three) = (content(5), content(2 << 20), content(100_000));
        let body = written(&[
            ("files", Some("1"), &one),
            ("token", None, b"x"),
            ("files", Some("2"), &two),
            ("files", Some("3"), &three),
        ]);
        let next = || form(&[], false, 0);
        bed.control.play(vec![
            next(),
            What::Receive(whole(1, 10)),
            next(),
            // The second one is read away.
            next(),
            What::Receive(whole(3, 1 << 20)),
            next(),
        ]);
        assert_eq!(post(bed, &body, &[]), 418);
        assert_eq!(stored(bed, 1, one.len()), one);
        assert!(stored(bed, 3, three.len()) == three);
        let names = |told: &StepReport| match told {
            StepReport::FormFields(preface) => preface.part.as_ref().and_then(|part| part.filename.clone()),
            _ => None,
        };
        let told = bed.control.reports();
        assert_eq!(told.iter().filter_map(names).collect::<Vec<_>>(), ["1", "2", "3"]);
        assert!(matches!(&told[5], StepReport::FormFields(FormFieldsReport { is_end: true, .. })));
    });
}

#[test]
fn a_prefix_is_told_and_is_no_content() {
    on_both(&Limits::default(), |bed| {
        let body = content(200_017);
        let hex: String = body[..17].iter().map(|byte| format!("{byte:02x}")).collect();
        let sum = body[17..].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        let receive = Receive { digests: vec![Digest::Sum8], ..whole(1, 1 << 20) };
        bed.control.play(vec![What::FormFields(FormFields { form: None, prefix_bytes: 17 }), What::Receive(receive)]);
        assert_eq!(post(bed, &body, &[3, 20, 100]), 418);
        let StepReport::FormFields(told) = &bed.control.reports()[0] else { panic!("a preface") };
        assert_eq!((&told.prefix, told.remaining, told.is_form), (&hex, Some(200_000), false));
        let digests = vec![(Digest::Sum8, format!("{sum:02x}"))];
        assert_eq!(bed.control.reports()[1], StepReport::Received { bytes: 200_000, digests });
        assert!(stored(bed, 1, 200_000) == body[17..]);

        let form_body = written(&[("file", None, &body)]);
        bed.control.play(vec![form(&["file"], false, 17), What::Receive(whole(2, 1 << 20))]);
        assert_eq!(post(bed, &form_body, &[]), 418);
        let StepReport::FormFields(told) = &bed.control.reports()[0] else { panic!("a preface") };
        assert_eq!((&told.prefix, told.is_form), (&hex, true));
        assert!(stored(bed, 2, 200_000) == body[17..]);

        // Shorter than its prefix.
        bed.control.play(vec![What::FormFields(FormFields { form: None, prefix_bytes: 17 })]);
        assert_eq!(post(bed, b"\x01\x02", &[]), 418);
        let StepReport::FormFields(told) = &bed.control.reports()[0] else { panic!("a preface") };
        assert_eq!((told.prefix.as_str(), told.remaining), ("0102", Some(0)));
    });
}

#[test]
fn a_body_that_is_no_form_may_be_plain() {
    on_both(&Limits::default(), |bed| {
        let line_first = [b"\r\n".as_slice(), &written(&[("file", Some("f"), b"x")])].concat();
        for (number, body, is_form, content) in [
            (1, b"--no boundary at all".to_vec(), false, b"--no boundary at all".to_vec()),
            (2, b"x".to_vec(), false, b"x".to_vec()),
            (3, b"\r\n--".to_vec(), false, b"\r\n--".to_vec()),
            (4, written(&[("file", Some("f"), b"x")]), true, b"x".to_vec()),
            (5, line_first, true, b"x".to_vec()),
        ] {
            bed.control.play(vec![form(&[], true, 0), What::Receive(whole(number, 100))]);
            assert_eq!(post(bed, &body, &[]), 418);
            let StepReport::FormFields(told) = &bed.control.reports()[0] else { panic!("a preface") };
            assert_eq!(told.is_form, is_form, "{number}");
            assert_eq!(stored(bed, number, content.len()), content, "{number}");
        }
    });
}

#[test]
fn whatever_fails_stores_nothing() {
    on_both(&Limits::default(), |bed| {
        let file = |bytes: &[u8]| written(&[("file", Some("f"), bytes)]);
        let cut = |body: Vec<u8>, by: usize| body[..body.len() - by].to_vec();
        let next = || form(&[], false, 0);
        let mismatch = Receive { expect: vec![(Digest::Md5, "0".repeat(32))], ..whole(1, 1 << 20) };
        let short = Receive { min: 11, ..whole(1, 100) };
        let exact = Receive { exact: Some(9), ..whole(1, 100) };
        let poor = Receive { budget: 9, ..whole(1, 100) };
        let ten = content(10);
        let mut number = 0;
        let failed = |bed: &Bed| match bed.control.reports().last() {
            Some(StepReport::Failed(failure)) => *failure,
            other => panic!("{other:?}"),
        };
        for (what, body, script, failure) in [
            ("no form", b"hello".to_vec(), vec![next()], Failure::Malformed),
            ("nothing", Vec::new(), vec![next()], Failure::Malformed),
            ("cut in its head", cut(file(b""), 30), vec![next()], Failure::Malformed),
            ("cut in its content", cut(file(&ten), 25), vec![next(), What::Receive(whole(1, 100))], Failure::Malformed),
            ("a long field", written(&[("a", None, &[b'x'; 21])]), vec![next()], Failure::FieldTooLong),
            (
                "many fields",
                written(&[("a", None, &[b'x'; 20]), ("b", None, &[b'x'; 20]), ("c", None, &[b'x'; 20])]),
                vec![next()],
                Failure::FieldTooLong,
            ),
            ("one byte too many", file(&ten), vec![next(), What::Receive(whole(1, 9))], Failure::TooLong),
            ("far too many", file(&content(4 << 20)), vec![next(), What::Receive(whole(1, 1 << 20))], Failure::TooLong),
            ("too few", file(&ten), vec![next(), What::Receive(short.clone())], Failure::Short),
            ("not exactly", file(&ten), vec![next(), What::Receive(exact.clone())], Failure::TooLong),
            ("no room", file(&ten), vec![next(), What::Receive(poor.clone())], Failure::NoRoom),
            ("another digest", file(&ten), vec![next(), What::Receive(mismatch.clone())], Failure::Mismatch),
            ("plain, too many", ten.clone(), vec![What::Receive(whole(1, 9))], Failure::TooLong),
            ("plain, too few", ten.clone(), vec![What::Receive(short)], Failure::Short),
            ("plain, not exactly", ten.clone(), vec![What::Receive(exact)], Failure::TooLong),
            ("plain, no room", ten.clone(), vec![What::Receive(poor)], Failure::NoRoom),
            ("plain, another digest", ten.clone(), vec![What::Receive(mismatch)], Failure::Mismatch),
        ] {
            // A name that was used is never used again.
            number += 1;
            let renamed = |step| match step {
                What::Receive(receive) => What::Receive(Receive { object: id(number), ..receive }),
                other => other,
            };
            bed.control.play(script.into_iter().map(renamed).collect());
            assert_eq!(post(bed, &body, &[]), 418, "{what}");
            assert_eq!(failed(bed), failure, "{what}");
            assert!(is_gone(bed, number), "{what}");
        }
        // Everything that was promised is free again.
        let settled = |fact: &Fact| matches!(fact, Fact::Settled { stored: 0, .. });
        assert_eq!(bed.control.facts().iter().filter(|fact| settled(fact)).count(), 12);
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test waits for a condition on a thread of its own")]
fn a_client_that_goes_away_leaves_nothing() {
    on_both(&Limits::default(), |bed| {
        bed.control.play(vec![form(&[], false, 0), What::Receive(whole(1, 8 << 20))]);
        let body = written(&[("file", Some("f"), &content(3 << 20))]);
        let mut client = Client::connect(bed.address);
        client.ask("POST", "/steps", &format!("Content-Length: {}\r\n", body.len()));
        client.send(&body[..2 << 20]);
        drop(client);
        let settled = |fact: &Fact| matches!(fact, Fact::Settled { stored: 0, .. });
        while !bed.control.facts().iter().any(settled) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(is_gone(bed, 1));
        assert_eq!(bed.control.reports().len(), 1);
    });
}

#[test]
fn chunks_come_in_any_order_and_make_a_file() {
    on_both(&Limits::default(), |bed| {
        let file = content(700_003);
        let at = |start: usize, end: usize| &file[start..end];
        let play = |bed: &Bed, script: Vec<What>, body: &[u8]| {
            bed.control.play(script);
            assert_eq!(post(bed, body, &[]), 418);
            bed.control.reports().pop().unwrap()
        };
        for (start, end) in [(400_001, 700_003), (0, 7), (7, 400_001)] {
            let told = play(bed, vec![What::Receive(chunk(1, start as u64, (end - start) as u64))], at(start, end));
            assert_eq!(told, received((end - start) as u64));
        }
        // Stored bytes cannot be written again.
        let again = What::Receive(chunk(1, 3, 2));
        assert_eq!(play(bed, vec![again], b"xx"), StepReport::Failed(Failure::Taken));
        let short = Seal { object: id(1), length: 700_004, digests: Vec::new() };
        assert_eq!(play(bed, vec![What::Seal(short)], b""), StepReport::Failed(Failure::Short));

        let span = |start, end| Span::new(start, end).unwrap();
        let md5 = |bytes: &[u8]| vec![(Digest::Md5, hex(&md5::Md5::digest(bytes)))];
        let examine = DigestStored { object: id(1), span: Some(span(5, 500)), digests: vec![Digest::Md5] };
        assert_eq!(
            play(bed, vec![What::DigestStored(examine)], b""),
            StepReport::Digested { digests: md5(at(5, 500)) }
        );
        let seal = || What::Seal(Seal { object: id(1), length: 700_003, digests: vec![Digest::Md5] });
        let sealed = StepReport::Sealed { digests: md5(&file) };
        assert_eq!(play(bed, vec![seal()], b""), sealed);
        assert_eq!(play(bed, vec![seal()], b""), sealed, "again is no error");
        assert!(stored(bed, 1, file.len()) == file);

        let pieces = vec![Piece::Of(id(1), span(600_000, 700_003)), Piece::Zeros(5), Piece::Of(id(1), span(1, 3))];
        let expected = [at(600_000, 700_003), &[0; 5], at(1, 3)].concat();
        let compose = |object| Compose { object, pieces: pieces.clone(), digests: vec![Digest::Md5], budget: 1 << 20 };
        let composed = StepReport::Composed { bytes: expected.len() as u64, digests: md5(&expected) };
        assert_eq!(play(bed, vec![What::Compose(compose(id(2)))], b""), composed);
        assert!(stored(bed, 2, expected.len()) == expected);
        assert_eq!(play(bed, vec![What::Receive(whole(2, 9))], b"x"), StepReport::Failed(Failure::Taken));
        assert!(stored(bed, 2, expected.len()) == expected, "what was there stays");
        for taken in [id(1), id(2)] {
            assert_eq!(play(bed, vec![What::Compose(compose(taken))], b""), StepReport::Failed(Failure::Taken));
        }
        assert!(
            stored(bed, 1, file.len()) == file && stored(bed, 2, expected.len()) == expected,
            "what was there stays"
        );
        let gone = Compose { pieces: vec![Piece::Of(id(9), span(0, 1))], ..compose(id(3)) };
        assert_eq!(play(bed, vec![What::Compose(gone)], b""), StepReport::Failed(Failure::Gone));
        assert!(is_gone(bed, 3));

        let empty = Seal { object: id(4), length: 0, digests: vec![Digest::Md5] };
        assert_eq!(play(bed, vec![What::Seal(empty)], b""), StepReport::Sealed { digests: md5(b"") });
    });
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_client_that_waits_is_told_to_continue_once() {
    on_both(&Limits::default(), |bed| {
        let body = written(&[("file", Some("f"), b"hello")]);
        let fields = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", body.len());
        bed.control.play(vec![form(&[], false, 0), What::Receive(whole(1, 10))]);
        let mut client = Client::connect(bed.address);
        client.ask("POST", "/steps", &fields);
        assert_eq!(client.head().unwrap().status, 100);
        client.send(&body);
        assert_eq!(client.whole().0.status, 418);

        // Too much is refused before it is sent.
        bed.control.play(vec![What::Receive(whole(2, 10))]);
        let mut client = Client::connect(bed.address);
        client.ask("POST", "/steps", &fields);
        assert_eq!(client.whole().0.status, 418);
        assert_eq!(bed.control.reports(), [StepReport::Failed(Failure::TooLong)]);
    });
}
