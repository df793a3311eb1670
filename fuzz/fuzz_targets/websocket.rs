//! Frames of a WebSocket: no panic, and one reading for any split of the input.
#![no_main]

use etransfer_dataplane::testing::websocket::{MessageKind, Reader, FrameStep, Violation};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, PartialEq)]
enum Seen {
    Begin(MessageKind),
    Content(Vec<u8>),
    End,
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
    Broken(Violation),
}

fn read(bytes: &[u8], cuts: &[u16]) -> Vec<Seen> {
    let (mut reader, mut seen, mut at, mut end) = (Reader::default(), Vec::new(), 0, 0_usize);
    for step in cuts.iter().map(|cut| usize::from(*cut)).chain([usize::MAX]) {
        end = bytes.len().min(end.saturating_add(step));
        loop {
            if !reader.is_between() && reader.end_message() {
                seen.push(Seen::End);
            }
            match reader.step(&bytes[at..end]) {
                Ok(FrameStep::NeedMore) => break,
                Ok(FrameStep::Begin { consumed, kind }) => {
                    at += consumed;
                    seen.push(Seen::Begin(kind));
                }
                Ok(FrameStep::Fragment { consumed }) => at += consumed,
                Ok(FrameStep::Content(here)) => {
                    let mut content = bytes[at..at + here].to_vec();
                    reader.take(&mut content);
                    at += here;
                    match seen.last_mut() {
                        Some(Seen::Content(before)) => before.extend(content),
                        _ => seen.push(Seen::Content(content)),
                    }
                }
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
    seen
}

fuzz_target!(|input: (&[u8], Vec<u16>)| {
    let (bytes, cuts) = input;
    assert_eq!(read(bytes, &cuts), read(bytes, &[]));
});
