//! A body of known length.

use std::ops::Range;
use std::time::Duration;

use super::pull::{Fill, Filled, receive};
use crate::driver::Buf;
use crate::wire::{Wire, WireError};

/// Fills `at` of `buf` from a body of which `left` bytes are still to come.
pub async fn fill(left: &mut u64, wire: &mut Wire, mut buf: Buf, at: Range<usize>, tick: Duration) -> Filled {
    let room = at.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
    let ahead = wire.drain_into(&mut buf[at.start..at.start + room]);
    let mut bytes = ahead;
    let mut end = Ok(());
    if ahead < room {
        let (got, late);
        (got, late, buf) = receive(wire, buf, at.start + ahead..at.start + room, tick).await;
        match got {
            Ok(0) if late => end = Err(Fill::Tick),
            Ok(0) => return (bytes, Err(WireError::Closed.into()), buf),
            Ok(got) => {
                bytes += got;
                if bytes < room {
                    end = Err(Fill::Tick);
                }
            }
            Err(error) => return (bytes, Err(WireError::Io(error).into()), buf),
        }
    }
    *left -= bytes as u64;
    let fill = match end {
        Err(tick) => tick,
        Ok(()) if *left == 0 => Fill::Done,
        Ok(()) => Fill::Full,
    };
    (bytes, Ok(fill), buf)
}
