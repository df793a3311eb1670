//! Frames as a client may send them: tables of RFC 6455, any split, any bytes.

use proptest::prelude::*;

use super::frame::MessageKind::{self, Binary, Text};
use super::mask::Mask;
use super::*;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const FIN: u8 = 0x80;

/// What a reader finds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Message(MessageKind, Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
    Broken(Violation),
    /// The bytes end inside a message that has this much of its content.
    Begun(MessageKind, Vec<u8>),
}

/// Reads as if the bytes came in reads that end at `cuts` (ascending), then all the rest.
fn read(bytes: &[u8], cuts: &[usize]) -> Vec<Seen> {
    let ends = cuts.iter().copied().filter(|cut| *cut < bytes.len()).chain([bytes.len()]);
    let (mut reader, mut at, mut seen, mut message) = (Reader::default(), 0, Vec::new(), None);
    for end in ends {
        loop {
            if reader.end_message()
                && let Some((kind, content)) = message.take()
            {
                seen.push(Seen::Message(kind, content));
            }
            match reader.step(&bytes[at..end]) {
                Ok(FrameStep::NeedMore) => break,
                Ok(FrameStep::Begin { consumed, kind }) => {
                    at += consumed;
                    message = Some((kind, Vec::new()));
                }
                Ok(FrameStep::Content(here)) => {
                    let mut piece = bytes[at..at + here].to_vec();
                    reader.take(&mut piece);
                    at += here;
                    message.as_mut().expect("a message is under way").1.extend(piece);
                }
                Ok(FrameStep::Fragment { consumed }) => at += consumed,
                Ok(FrameStep::Ping { consumed, payload }) => {
                    at += consumed;
                    seen.push(Seen::Ping(payload));
                }
                Ok(FrameStep::Pong { consumed }) => {
                    at += consumed;
                    seen.push(Seen::Pong);
                }
                Ok(FrameStep::Close(code)) => {
                    seen.push(Seen::Close(code));
                    return seen;
                }
                Err(violation) => {
                    seen.push(Seen::Broken(violation));
                    return seen;
                }
            }
        }
    }
    seen.extend(message.map(|(kind, content)| Seen::Begun(kind, content)));
    seen
}

/// A client's frame; its length is written as short as it can be.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | short as u8),
        long @ 126..=0xffff => bytes.extend([&[0xfe][..], &(long as u16).to_be_bytes()].concat()),
        huge => bytes.extend([&[0xff][..], &(huge as u64).to_be_bytes()].concat()),
    }
    bytes.extend(KEY);
    let begins = bytes.len();
    bytes.extend(payload);
    Mask::from(KEY).apply(&mut bytes[begins..]);
    bytes
}

#[test]
fn section_5_7_the_samples_of_the_rfc() {
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(read(&hello, &[]), [Seen::Message(Text, b"Hello".to_vec())]);
    assert_eq!(masked(0x81, b"Hello"), hello);
    assert_eq!(text("Hello"), b"\x81\x05Hello");
    assert_eq!(pong(b"Hello"), b"\x8a\x05Hello");
    assert_eq!(text(&"a".repeat(256))[..4], [0x81, 0x7e, 0x01, 0x00]);
    assert_eq!(text(&"a".repeat(65_536))[..10], [0x81, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
}

#[test]
fn section_5_what_frames_become() {
    let whole = |kind, content: &[u8]| Seen::Message(kind, content.to_vec());
    let medium = vec![b'm'; 126];
    let large = vec![b'l'; 65_536];
    for (frames, seen) in [
        (vec![masked(FIN | 2, b"")], vec![whole(Binary, b"")]),
        (vec![masked(FIN | 2, &medium)], vec![whole(Binary, &medium)]),
        (vec![masked(FIN | 1, &large)], vec![whole(Text, &large)]),
        (vec![masked(2, b"ab"), masked(0, b""), masked(0, b"c"), masked(FIN, b"")], vec![whole(Binary, b"abc")]),
        (vec![masked(2, b""), masked(FIN, b"")], vec![whole(Binary, b"")]),
        (vec![masked(FIN | 1, b"a"), masked(FIN | 2, b"b")], vec![whole(Text, b"a"), whole(Binary, b"b")]),
        (
            vec![masked(2, b"a"), masked(FIN | 9, b"p"), masked(FIN | 10, b"q"), masked(FIN, b"b")],
            vec![Seen::Ping(b"p".to_vec()), Seen::Pong, whole(Binary, b"ab")],
        ),
        (vec![masked(FIN | 9, &[7; 125])], vec![Seen::Ping(vec![7; 125])]),
        (vec![masked(FIN | 8, b""), masked(FIN | 1, b"a")], vec![Seen::Close(None)]),
        (vec![masked(FIN | 8, b"\x03\xe8bye"), masked(FIN | 1, b"a")], vec![Seen::Close(Some(1000))]),
        (vec![masked(2, b"a"), masked(FIN | 8, &[0x0f, 0xa0])], vec![Seen::Close(Some(4000))]),
        (vec![masked(2, b"ab"), masked(0, b"c")], vec![Seen::Begun(Binary, b"abc".to_vec())]),
        // A length may be written longer than it has to be.
        (vec![[&[0x82, 0xfe, 0, 1][..], &[0; 4], b"x"].concat()], vec![whole(Binary, b"x")]),
        (vec![[&[0x82, 0xff][..], &[0; 12]].concat()], vec![whole(Binary, b"")]),
        (vec![[&[0x82, 0xff, 0x7f][..], &[0xff; 7], &[0; 4]].concat()], vec![Seen::Begun(Binary, Vec::new())]),
    ] {
        assert_eq!(read(&frames.concat(), &[]), seen, "{frames:?}");
    }
}

#[test]
fn section_5_what_a_client_may_not_send() {
    let close = |payload: &[u8]| vec![masked(FIN | 8, payload)];
    for (frames, violation) in [
        (vec![b"\x81\x05Hello".to_vec()], Violation::Unmasked),
        (vec![vec![0x89, 0x00]], Violation::Unmasked),
        (vec![masked(FIN | 0x40 | 1, b"deflated")], Violation::ReservedBit),
        (vec![masked(FIN | 0x20 | 2, b"")], Violation::ReservedBit),
        (vec![masked(FIN | 0x10 | 9, b"")], Violation::ReservedBit),
        (vec![masked(FIN | 3, b"")], Violation::Opcode),
        (vec![masked(FIN | 11, b"")], Violation::Opcode),
        (vec![masked(FIN | 15, b"")], Violation::Opcode),
        (vec![[&[0x82, 0xff, 0x80][..], &[0; 11]].concat()], Violation::Length),
        (vec![[&[0x82][..], &[0xff; 13]].concat()], Violation::Length),
        (vec![masked(9, b"")], Violation::Control),
        (vec![masked(8, b"")], Violation::Control),
        (vec![masked(FIN | 9, &[0; 126])], Violation::Control),
        (vec![vec![0x89, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]], Violation::Control),
        (vec![masked(FIN, b"a")], Violation::Continuation),
        (vec![masked(0, b"a")], Violation::Continuation),
        (vec![masked(2, b"a"), masked(FIN | 1, b"b")], Violation::Interleaved),
        (vec![masked(1, b""), masked(2, b"b")], Violation::Interleaved),
        (close(b"\x03"), Violation::CloseCode),
        (close(&999_u16.to_be_bytes()), Violation::CloseCode),
        (close(&1004_u16.to_be_bytes()), Violation::CloseCode),
        (close(&1006_u16.to_be_bytes()), Violation::CloseCode),
        (close(&1015_u16.to_be_bytes()), Violation::CloseCode),
        (close(&2999_u16.to_be_bytes()), Violation::CloseCode),
        (close(&5000_u16.to_be_bytes()), Violation::CloseCode),
        (close(b"\x03\xe8\xff"), Violation::NotUtf8),
    ] {
        assert_eq!(read(&frames.concat(), &[]).last(), Some(&Seen::Broken(violation)), "{frames:?}");
        let code = if violation == Violation::NotUtf8 { 1007 } else { 1002 };
        assert_eq!(violation.code() as u16, code);
    }
}

#[test]
fn section_5_5_1_the_last_frame() {
    use etransfer_contract::step::CloseCode;
    assert_eq!(close(CloseCode::Policy, "no"), b"\x88\x04\x03\xf0no");
    assert_eq!(close_back(None), b"\x88\x00");
    assert_eq!(close_back(Some(4000)), b"\x88\x02\x0f\xa0");
    // Never above 125 bytes, and never half a character.
    let long = close(CloseCode::TooLong, &"é".repeat(100));
    assert_eq!((long[1], long.len()), (124, 126));
    assert!(std::str::from_utf8(&long[4..]).is_ok());
}

/// Frames of every sort, most of them in order.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let sorts = [2, 0, 0, 0, FIN, FIN | 1, FIN | 2, FIN | 2, FIN | 8, FIN | 9, FIN | 10, FIN | 3, 9, FIN | 0x41];
    let payload = prop_oneof![prop::collection::vec(any::<u8>(), 0..20), prop::collection::vec(any::<u8>(), 120..130)];
    let frame = (prop::sample::select(sorts.to_vec()), payload).prop_map(|(first, payload)| masked(first, &payload));
    prop::collection::vec(frame, 0..8).prop_map(|frames| frames.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_reads_alike(bytes in frames(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let whole = read(&bytes, &[]);
        let every: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(&read(&bytes, &every), &whole);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(&read(&bytes, &cuts), &whole);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let every: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(read(&bytes, &every), read(&bytes, &[]));
    }

    #[test]
    fn a_message_is_its_fragments(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..6)) {
        let last = pieces.len() - 1;
        let frame = |(number, piece): (usize, &Vec<u8>)| {
            let first = if number == 0 { 2 } else { 0 } | if number == last { FIN } else { 0 };
            [masked(first, piece), masked(FIN | 9, b"still there?")].concat()
        };
        let bytes: Vec<u8> = pieces.iter().enumerate().flat_map(frame).collect();
        let seen = read(&bytes, &[]);
        prop_assert_eq!(seen.iter().filter(|seen| matches!(seen, Seen::Ping(_))).count(), pieces.len());
        prop_assert!(seen.contains(&Seen::Message(Binary, pieces.concat())));
    }

    #[test]
    fn a_mask_takes_itself_off_in_pieces_of_any_size(
        content in prop::collection::vec(any::<u8>(), 0..200),
        key in any::<[u8; 4]>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = content.clone();
        Mask::from(key).apply(&mut bytes);
        for (at, byte) in bytes.iter().enumerate() {
            prop_assert_eq!(*byte, content[at] ^ key[at % 4]);
        }
        let (front, back) = bytes.split_at_mut(cut.index(content.len() + 1));
        let mut mask = Mask::from(key);
        mask.apply(front);
        mask.apply(back);
        prop_assert_eq!(bytes, content);
    }
}
