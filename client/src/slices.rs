//! Which bytes travel in one request. Pure arithmetic.
//!
//! A server that takes slices in any order does so only at multiples of 4096 (easytransfer/CONTRACT.md §2.4), so
//! whatever is left of a slice is widened down to such a multiple; the server drops what it already has.

pub use etransfer_contract::tus::PARALLEL_ALIGNMENT as ALIGNMENT;
use etransfer_contract::{Span, SpanSet};

/// Slices are this large unless told otherwise: long enough that heads and answers cost nothing, short enough that four
/// connections end together and little is sent twice after a failure.
pub const SLICE_BYTES: u64 = 64 * MIB;
/// Over several addresses slices are smaller: the more of them, the closer each address gets to its share.
pub const SLICE_BYTES_SPREAD: u64 = 16 * MIB;
/// Below this a second connection gains nothing.
pub const SLICE_BYTES_MIN: u64 = 4 * MIB;
const MIB: u64 = 1024 * 1024;

const _: () = assert!(MIB.is_multiple_of(ALIGNMENT) && SLICE_BYTES_MIN <= SLICE_BYTES);

/// How large a slice to use for `size` bytes over `connections`: as asked, else such that all connections get equally
/// much.
pub fn slice_bytes(size: u64, connections: u64, asked: Option<u64>) -> u64 {
    if let Some(asked) = asked {
        return asked.max(1).checked_next_multiple_of(ALIGNMENT).unwrap_or(SLICE_BYTES);
    }
    let least = size.div_ceil(SLICE_BYTES).max(1);
    let count = if least >= 4 * connections { least } else { least.next_multiple_of(connections) };
    size.div_ceil(count).next_multiple_of(MIB).clamp(SLICE_BYTES_MIN, SLICE_BYTES)
}

/// The same over several addresses of a node: enough slices that no address decides when all of it is done.
pub fn spread_slice_bytes(size: u64, connections: u64, asked: Option<u64>) -> u64 {
    if asked.is_some() {
        return slice_bytes(size, connections, asked);
    }
    (size / (16 * connections)).next_multiple_of(MIB).clamp(MIB, SLICE_BYTES_SPREAD)
}

/// What of `want` is missing in `have`, cut at multiples of `slice` (a multiple of [`ALIGNMENT`]).
pub fn cut(want: Span, have: &SpanSet, slice: u64) -> Vec<Span> {
    have.missing(want).into_iter().flat_map(|gap| cut_gap(gap, slice)).collect()
}

fn cut_gap(gap: Span, slice: u64) -> impl Iterator<Item = Span> {
    let mut at = gap.start();
    std::iter::from_fn(move || {
        let end = (at / slice).saturating_add(1).saturating_mul(slice).min(gap.end());
        let piece = Span::new(at, end)?;
        at = end;
        Some(piece)
    })
}

/// The same span, started at a multiple of [`ALIGNMENT`].
pub fn widen(span: Span) -> Span {
    let start = span.start() - span.start() % ALIGNMENT;
    Span::new(start, span.end()).expect("the start only moved down")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slices_are_as_large_as_useful() {
        for (size, connections, asked, expected) in [
            (0, 4, None, 4 * MIB),
            (1, 4, None, 4 * MIB),
            (16 * MIB, 4, None, 4 * MIB),
            (300 * MIB, 4, None, 38 * MIB), // 8 slices, two for each connection
            (1024 * MIB, 4, None, 64 * MIB),
            (1 << 62, 4, None, 64 * MIB),
            (300 * MIB, 1, None, 60 * MIB),
            (300 * MIB, 4, Some(0), 4096),
            (300 * MIB, 4, Some(4097), 8192),
            (300 * MIB, 4, Some(MIB), MIB),
            (300 * MIB, 4, Some(u64::MAX), 64 * MIB),
        ] {
            assert_eq!(slice_bytes(size, connections, asked), expected, "{size} {connections} {asked:?}");
        }
    }

    #[test]
    fn slices_over_several_addresses_are_many() {
        for (size, connections, asked, expected) in [
            (10 * MIB, 4, None, MIB),
            (300 * MIB, 6, None, 4 * MIB),
            (1 << 40, 6, None, 16 * MIB),
            (1 << 40, 6, Some(MIB), MIB),
        ] {
            assert_eq!(spread_slice_bytes(size, connections, asked), expected, "{size} {connections} {asked:?}");
        }
    }

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        prop::collection::vec((0..200_000_u64, 1..60_000_u64).prop_map(|(at, len)| Span::at(at, len).unwrap()), 0..8)
    }

    proptest! {
        #[test]
        fn slices_cover_exactly_what_is_missing(have in spans(), size in 1..250_000_u64, units in 1..20_u64) {
            let slice = units * ALIGNMENT;
            let have: SpanSet = have.into_iter().collect();
            let want = Span::new(0, size).unwrap();
            let pieces = cut(want, &have, slice);
            prop_assert!(pieces.iter().all(|piece| piece.len() <= slice));
            prop_assert!(pieces.windows(2).all(|pair| pair[0].end() <= pair[1].start()), "in order, disjoint");
            let covered: SpanSet = pieces.iter().copied().collect();
            let missing: SpanSet = have.missing(want).into_iter().collect();
            prop_assert_eq!(covered, missing);
        }

        #[test]
        fn widening_moves_the_start_by_less_than_the_alignment(start in 0..1_u64 << 40, len in 1..1_u64 << 30) {
            let span = Span::at(start, len).unwrap();
            let wide = widen(span);
            prop_assert!(wide.start().is_multiple_of(ALIGNMENT) && wide.end() == span.end());
            prop_assert!(wide.start() <= span.start() && span.start() - wide.start() < ALIGNMENT);
        }
    }
}
