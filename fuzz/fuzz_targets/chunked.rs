//! A chunked body: no panic, one verdict for any split and any limit on data, and what is encoded is decoded.
#![no_main]

use etransfer_dataplane::testing::http::{Decoder, LAST_CHUNK, Reject, ChunkStep, encode_chunk};
use libfuzzer_sys::fuzz_target;

type Decoded = Result<Option<(Vec<u8>, Vec<(String, Vec<u8>)>, usize)>, Reject>;

/// Feeds the bytes in pieces; `data_max` bounds each step. `None`: they end too early.
fn decode(bytes: &[u8], cuts: &[u16], data_max: usize) -> Decoded {
    let mut decoder = Decoder::default();
    let (mut at, mut end, mut body) = (0, 0_usize, Vec::new());
    for step in cuts.iter().map(|cut| usize::from(*cut)).chain([usize::MAX]) {
        end = bytes.len().min(end.saturating_add(step));
        loop {
            let input = &bytes[at..end];
            match decoder.step_within(input, data_max)? {
                ChunkStep::Data { consumed, data } => {
                    assert!(!data.is_empty() && data.len() <= data_max && data.end == consumed);
                    body.extend_from_slice(&input[data]);
                    at += consumed;
                }
                ChunkStep::NeedMore { consumed } => {
                    assert_eq!(consumed, input.len());
                    at += consumed;
                    break;
                }
                ChunkStep::Done { consumed } => return Ok(Some((body, decoder.into_trailers(), at + consumed))),
            }
        }
    }
    Ok(None)
}

fuzz_target!(|input: (&[u8], Vec<u16>, u16)| {
    let (bytes, cuts, data_max) = input;
    let whole = decode(bytes, &[], usize::MAX);
    assert_eq!(decode(bytes, &cuts, usize::from(data_max).max(1)), whole);
    if let Ok(Some((body, ..))) = whole {
        let mut again = Vec::new();
        encode_chunk(&mut again, &body);
        again.extend_from_slice(LAST_CHUNK);
        let end = again.len();
        assert_eq!(decode(&again, &cuts, usize::MAX), Ok(Some((body, Vec::new(), end))));
    }
});
