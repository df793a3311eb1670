//! Messages of a WebSocket over real sockets, on either engine: any cutting, and every way to end.

use std::time::{Duration, Instant};

use etransfer_contract::fact::Fact;
use etransfer_contract::step::{Close, CloseCode, Failure, Message, Receive, StepReport, WebSocketStep, What};
use etransfer_dataplane::config::Limits;

use super::bed::{Bed, content, on_both};
use super::client::{Client, PATIENCE};
use super::steps::{cuts, is_gone, received, stored, whole};

const KEY: [u8; 4] = [0x9d, 0x01, 0xff, 0x10];
const FIN: u8 = 0x80;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const PING: u8 = 9;
/// First bytes of what the server says.
const SAID: u8 = FIN | TEXT;
const PONG: u8 = FIN | 10;
const GOODBYE: u8 = FIN | 8;

fn converse(say: Option<&str>) -> What {
    What::WebSocket(WebSocketStep { say: say.map(str::to_owned), text_bytes_max: 100 })
}

fn receive(number: u8, max: u64) -> What {
    What::Receive(whole(number, max))
}

fn text(text: &str) -> StepReport {
    StepReport::Message(Message::Text(text.to_owned()))
}

fn binary(bytes: Option<u64>) -> StepReport {
    StepReport::Message(Message::Binary { bytes })
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = match payload.len() {
        short @ 0..126 => vec![first, FIN | short as u8],
        long => [&[first, FIN | 127][..], &(long as u64).to_be_bytes()].concat(),
    };
    bytes.extend(KEY);
    bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// After the 101.
fn upgraded(bed: &Bed, script: Vec<What>) -> Client {
    bed.control.play(script);
    let mut client = Client::connect(bed.address);
    let fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    client.ask("GET", "/steps", fields);
    assert_eq!(client.head().expect("an answer").status, 101);
    client
}

/// The next short frame of the server.
fn hear(client: &mut Client) -> (u8, Vec<u8>) {
    let head = client.exactly(2);
    (head[0], client.exactly(usize::from(head[1])))
}

/// The code of the last frame; nothing comes after it.
fn goodbye(client: &mut Client) -> u16 {
    let (first, payload) = hear(client);
    assert_eq!((first, client.some(&mut [0; 1])), (GOODBYE, 0));
    u16::from_be_bytes([payload[0], payload[1]])
}

/// Pings and hears a pong each time, until the server has enough.
fn ping_on(client: &mut Client) {
    let since = Instant::now();
    let mut pong = || {
        client.try_send(&frame(FIN | PING, b""))?;
        client.try_exactly(2)
    };
    while pong().is_ok_and(|said| said[0] == PONG) {
        assert!(since.elapsed() < PATIENCE, "pings keep a silent client alive");
    }
}

/// A binary message in these pieces, with pings between them.
fn fragments(content: &[u8], pieces: &[usize]) -> Vec<u8> {
    let (mut bytes, mut rest, mut opcode) = (Vec::new(), content, BINARY);
    for piece in pieces {
        let (now, later) = rest.split_at(*piece);
        bytes.extend(frame(opcode, now));
        bytes.extend(frame(FIN | PING, b"?"));
        (rest, opcode) = (later, 0);
    }
    bytes.extend(frame(FIN | opcode, rest));
    bytes
}

#[test]
fn messages_are_understood_however_they_are_cut() {
    on_both(&Limits::default(), |bed| {
        let mut random = fastrand::Rng::with_seed(8);
        let mut number = 0;
        for bytes in [0, 5, 1_000, 70_000, 3 << 20] {
            let content = content(bytes);
            for turn in 0..4 {
                number += 1;
                let script =
                    vec![converse(None), converse(Some("hello")), receive(number, 8 << 20), converse(Some("stored"))];
                let mut client = upgraded(bed, script);
                let pieces = match turn {
                    0 => Vec::new(),
                    1 if bytes <= 1_000 => vec![1; content.len()],
                    _ => cuts(&mut random, content.len()),
                };
                let message = fragments(&content, &pieces);
                let sent = [frame(FIN | TEXT, "é".as_bytes()), message, frame(FIN | TEXT, b"end")].concat();
                let mut rest = sent.as_slice();
                for piece in if turn == 2 { vec![1; 60] } else { cuts(&mut random, sent.len()) } {
                    let (now, later) = rest.split_at(piece.min(rest.len()));
                    client.send(now);
                    rest = later;
                }
                client.send(rest);
                assert_eq!(hear(&mut client), (SAID, b"hello".to_vec()));
                for _ in &pieces {
                    assert_eq!(hear(&mut client), (PONG, b"?".to_vec()));
                }
                assert_eq!(hear(&mut client), (SAID, b"stored".to_vec()));
                // The script is over, and the control plane says so in HTTP.
                assert_eq!(goodbye(&mut client), 1011);
                let announced = pieces.is_empty().then_some(bytes);
                let told = [text("é"), binary(announced), received(bytes), text("end")];
                assert_eq!(bed.control.reports(), told, "{bytes} bytes, turn {turn}");
                if bytes > 0 {
                    assert!(stored(bed, number, content.len()) == content, "{bytes} bytes, turn {turn}");
                }
            }
        }
    });
}

#[test]
fn what_is_not_wanted_is_read_away_and_the_next_message_comes() {
    on_both(&Limits::default(), |bed| {
        let large = content(2 << 20);
        let script = vec![
            converse(None),
            receive(1, 1 << 20),
            converse(Some("too long")),
            receive(2, 1 << 20),
            converse(Some("too long again")),
            converse(None),
            What::Receive(Receive { budget: 5, ..whole(3, 10) }),
            converse(None),
            What::Close(Close { code: CloseCode::Policy, reason: "enough".into() }),
        ];
        let mut client = upgraded(bed, script);
        // In one frame it is refused before it is read; in two it is stopped.
        client.send(&frame(FIN | BINARY, &large));
        assert_eq!(hear(&mut client), (SAID, b"too long".to_vec()));
        client.send(&frame(BINARY, &large));
        client.send(&frame(FIN, &large));
        assert_eq!(hear(&mut client), (SAID, b"too long again".to_vec()));
        // This one is not wanted at all.
        client.send(&frame(FIN | BINARY, &large));
        client.send(&[frame(FIN | BINARY, b"123456"), frame(FIN | TEXT, &[b'x'; 101])].concat());
        assert_eq!(goodbye(&mut client), 1008);
        let failed = StepReport::Failed;
        let told = [
            binary(Some(2 << 20)),
            failed(Failure::TooLong),
            binary(None),
            failed(Failure::TooLong),
            binary(Some(2 << 20)),
            binary(Some(6)),
            failed(Failure::NoRoom),
            failed(Failure::FieldTooLong),
        ];
        assert_eq!(bed.control.reports(), told);
        assert!((1..4).all(|number| is_gone(bed, number)));
        let settled = |fact: &Fact| matches!(fact, Fact::Settled { stored: 0, .. });
        assert_eq!(bed.control.facts().iter().filter(|fact| settled(fact)).count(), 3);
    });
}

#[test]
fn no_upgrade_is_told_and_answered_in_http() {
    on_both(&Limits::default(), |bed| {
        bed.control.play(vec![converse(None)]);
        let mut client = Client::connect(bed.address);
        client.ask("GET", "/steps", "Upgrade: websocket\r\n");
        assert_eq!(client.whole().0.status, 418);
        assert_eq!(bed.control.reports(), [StepReport::Failed(Failure::NoUpgrade)]);
        // It is still HTTP.
        bed.control.play(Vec::new());
        client.ask("GET", "/steps", "");
        assert_eq!(client.whole().0.status, 418);
    });
}

#[test]
fn whoever_is_silent_or_slow_is_not_waited_for() {
    let short = Duration::from_millis(250);
    let limits = Limits { keep_alive_timeout: short, body_idle_timeout: short, ..Limits::default() };
    on_both(&limits, |bed| {
        // Between two messages, whatever pings say.
        assert_eq!(goodbye(&mut upgraded(bed, vec![converse(None)])), 1001);
        ping_on(&mut upgraded(bed, vec![converse(None)]));
        // In the middle of a text, of its frame's head, of a content.
        let mut client = upgraded(bed, vec![converse(None)]);
        client.send(&frame(TEXT, b"half a"));
        assert_eq!(goodbye(&mut client), 1001);
        let mut client = upgraded(bed, vec![converse(None)]);
        client.send(&frame(FIN | TEXT, b"half a")[..3]);
        assert_eq!(goodbye(&mut client), 1001);
        for number in 1..3 {
            let mut client = upgraded(bed, vec![converse(None), receive(number, 100)]);
            client.send(&frame(BINARY, b"half a"));
            if number == 2 {
                ping_on(&mut client);
            } else {
                assert_eq!(client.some(&mut [0; 1]), 0, "as a body of HTTP: cut");
            }
            assert!(is_gone(bed, number));
        }
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test waits for a condition on a thread of its own")]
fn a_client_that_goes_away_in_a_message_leaves_nothing() {
    on_both(&Limits::default(), |bed| {
        let client = &mut upgraded(bed, vec![converse(None), receive(1, 8 << 20)]);
        client.send(&frame(FIN | BINARY, &content(3 << 20))[..2 << 20]);
        client.finish();
        let settled = |fact: &Fact| matches!(fact, Fact::Settled { stored: 0, .. });
        while !bed.control.facts().iter().any(settled) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(is_gone(bed, 1));
        assert_eq!(bed.control.reports(), [binary(Some(3 << 20))]);
    });
}

#[test]
fn a_stop_is_said_to_whoever_is_connected() {
    on_both(&Limits::default(), |bed| {
        let mut idle = upgraded(bed, vec![converse(Some("ready"))]);
        assert_eq!(hear(&mut idle), (SAID, b"ready".to_vec()));
        let mut busy = upgraded(bed, vec![converse(None), receive(1, 100)]);
        busy.send(&[frame(FIN | PING, b""), frame(BINARY, b"half a")].concat());
        assert_eq!(hear(&mut busy), (PONG, Vec::new()));
        bed.stop();
        assert_eq!((goodbye(&mut idle), goodbye(&mut busy)), (1001, 1001));
    });
}
