//! A body in chunks (RFC 9112 §7.1).

use std::ops::Range;
use std::time::Duration;

use super::pull::{BodyError, DIRECT_BYTES_MIN, Fill, Filled, receive};
use crate::driver::Buf;
use crate::http::{ChunkStep, Decoder};
use crate::wire::{Wire, WireError};

/// Fills `at` of `buf` with what the chunks hold.
pub async fn fill(decoder: &mut Decoder, wire: &mut Wire, mut buf: Buf, at: Range<usize>, tick: Duration) -> Filled {
    // One tick for all of it: else a byte within each would keep the buffer.
    let deadline = wire.io.now() + tick;
    let mut bytes = 0;
    loop {
        let room = at.len() - bytes;
        let spot = at.start + bytes;
        if room == 0 {
            return (bytes, Ok(Fill::Full), buf);
        }
        let direct = decoder.remaining_in_chunk().min(room as u64);
        if wire.ahead().is_empty() && direct >= DIRECT_BYTES_MIN {
            let (got, late);
            let left = deadline.saturating_duration_since(wire.io.now());
            (got, late, buf) = receive(wire, buf, spot..spot + direct as usize, left).await;
            match got {
                Ok(0) if late => return (bytes, Ok(Fill::Tick), buf),
                Ok(0) => return (bytes, Err(WireError::Closed.into()), buf),
                Ok(got) => {
                    decoder.advance(got as u64);
                    bytes += got;
                }
                Err(error) => return (bytes, Err(WireError::Io(error).into()), buf),
            }
            continue;
        }
        let ahead = wire.ahead();
        match decoder.step_within(ahead, room) {
            Ok(ChunkStep::Data { consumed, data }) => {
                buf[spot..spot + data.len()].copy_from_slice(&wire.ahead()[data.clone()]);
                bytes += data.len();
                wire.consume(consumed);
            }
            Ok(ChunkStep::Done { consumed }) => {
                wire.consume(consumed);
                return (bytes, Ok(Fill::Done), buf);
            }
            Ok(ChunkStep::NeedMore { consumed }) => {
                wire.consume(consumed);
                let left = deadline.saturating_duration_since(wire.io.now());
                if left.is_zero() {
                    return (bytes, Ok(Fill::Tick), buf);
                }
                match wire.more(left).await {
                    Ok(_) => {}
                    Err(WireError::Late) => return (bytes, Ok(Fill::Tick), buf),
                    Err(error) => return (bytes, Err(error.into()), buf),
                }
            }
            Err(reject) => return (bytes, Err(BodyError::Framing(reject)), buf),
        }
    }
}
