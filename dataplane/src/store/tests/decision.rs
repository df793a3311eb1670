//! The decision table against the prose of easytransfer/CONTRACT.md §2.4, for every small situation: bytes are cells of
//! half the alignment, each absent, received or owned by a running writer.
use etransfer_contract::SpanSet;

use etransfer_contract::tus::PARALLEL_ALIGNMENT;

use super::super::decide::{Decision, Seen, decide};
use super::*;
use crate::bounds::SPANS_MAX;

const CELL: u64 = PARALLEL_ALIGNMENT / 2;
const CELLS: usize = 6;
/// Stands for the largest offset.
const UNLIMITED: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Absent,
    Received,
    Owned,
}

/// What the client sees, and which cells are stored.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Stored(Vec<usize>),
    Conflict409,
    Bad400,
    Waits,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    cells: [Cell; CELLS],
    length: Option<usize>,
    complete: bool,
    offset: usize,
    body: Option<usize>,
    parallel: bool,
}

/// easytransfer/CONTRACT.md §2.4 and TUS.md §A4, row by row, one cell at a time.
fn expected(case: Case) -> Answer {
    let Case { cells, length, complete, offset, body, parallel } = case;
    let contiguous = cells.iter().take_while(|cell| **cell == Cell::Received).count();
    let at = |index: usize| cells.get(index).copied().unwrap_or(Cell::Absent);
    let Some(body) = body else { return expected_chunked(case, contiguous) };
    let inside = length.is_none_or(|length| offset + body <= length);
    if body == 0 && offset == contiguous {
        return Answer::Stored(Vec::new());
    }
    if complete {
        return if inside { Answer::Conflict409 } else { Answer::Bad400 };
    }
    let new: Vec<usize> = (offset..offset + body).filter(|index| at(*index) != Cell::Received).collect();
    if offset != contiguous {
        let misaligned = !(offset as u64 * CELL).is_multiple_of(PARALLEL_ALIGNMENT);
        let beyond = length.is_some_and(|length| offset > length);
        if !parallel || new.is_empty() || misaligned || beyond {
            return Answer::Conflict409;
        }
    }
    if !inside {
        return Answer::Bad400;
    }
    if new.iter().any(|index| at(*index) == Cell::Owned) { Answer::Waits } else { Answer::Stored(new) }
}

/// A body of unknown length takes what is free up to the length or the next writer.
fn expected_chunked(case: Case, contiguous: usize) -> Answer {
    let Case { cells, length, complete, offset, parallel, .. } = case;
    let at = |index: usize| cells.get(index).copied().unwrap_or(Cell::Absent);
    let limit = length.unwrap_or(UNLIMITED);
    if complete {
        return if offset < limit { Answer::Conflict409 } else { Answer::Bad400 };
    }
    let rest = || offset..limit.max(offset);
    if offset != contiguous {
        let misaligned = !(offset as u64 * CELL).is_multiple_of(PARALLEL_ALIGNMENT);
        let all_there = offset < limit && rest().all(|index| at(index) == Cell::Received);
        if !parallel || length.is_some_and(|length| offset > length) || all_there || misaligned {
            return Answer::Conflict409;
        }
        if offset == limit {
            return Answer::Bad400;
        }
    }
    match rest().find(|index| at(*index) != Cell::Received) {
        Some(first) if at(first) == Cell::Owned => Answer::Waits,
        Some(first) => {
            let end = (first..limit).find(|index| at(*index) == Cell::Owned).unwrap_or(limit);
            Answer::Stored((offset..end).filter(|index| at(*index) == Cell::Absent).collect())
        }
        None => Answer::Stored(Vec::new()),
    }
}

fn set(cells: [Cell; CELLS], wanted: Cell) -> SpanSet {
    let present = cells.iter().enumerate().filter(|(_, cell)| **cell == wanted);
    present.map(|(index, _)| span(index as u64 * CELL, (index as u64 + 1) * CELL)).collect()
}

fn decided(case: Case) -> Answer {
    let (received, owned) = (set(case.cells, Cell::Received), set(case.cells, Cell::Owned));
    let length = case.length.map(|cells| cells as u64 * CELL);
    let seen = Seen { received: &received, owned: &owned, opening: 0, length, complete: case.complete };
    let body = case.body.map(|cells| cells as u64 * CELL);
    let want = Want { offset: case.offset as u64 * CELL, body, parallel: case.parallel };
    match decide(seen, want) {
        Decision::Take { owned, end } => {
            let cells = owned.iter().flat_map(|span| {
                assert!(span.start() >= want.offset && span.end() <= end, "{span} outside the body of {case:?}");
                (span.start() / CELL..span.end().min(UNLIMITED as u64 * CELL) / CELL).map(|cell| cell as usize)
            });
            Answer::Stored(cells.collect())
        }
        Decision::Busy { wanted } => {
            assert!(!wanted.is_empty());
            Answer::Waits
        }
        Decision::Received | Decision::Mismatch | Decision::OffsetBeyond => Answer::Conflict409,
        Decision::Complete { inside: true, .. } => Answer::Conflict409,
        Decision::Complete { inside: false, .. } | Decision::BeyondLength { .. } => Answer::Bad400,
        Decision::Scattered => panic!("a few cells are no {SPANS_MAX} ranges: {case:?}"),
    }
}

#[test]
fn every_small_situation_is_judged_as_the_contract_says() {
    let mut judged = 0;
    for number in 0..3usize.pow(CELLS as u32) {
        let cells: [Cell; CELLS] = std::array::from_fn(|index| {
            [Cell::Absent, Cell::Received, Cell::Owned][number / 3usize.pow(index as u32) % 3]
        });
        for length in [None, Some(4), Some(5), Some(6)] {
            let beyond = cells.iter().skip(length.unwrap_or(CELLS)).any(|cell| *cell != Cell::Absent);
            let whole = length.is_some_and(|length| cells[..length].iter().all(|cell| *cell == Cell::Received));
            for complete in [false, true].into_iter().take(if whole { 2 } else { 1 }).filter(|_| !beyond) {
                for offset in 0..=7 {
                    for body in [None, Some(0), Some(1), Some(2), Some(3), Some(6)] {
                        for parallel in [false, true] {
                            let case = Case { cells, length, complete, offset, body, parallel };
                            assert_eq!(decided(case), expected(case), "{case:?}");
                            judged += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(judged > 100_000, "{judged}");
}

#[test]
fn the_examples_of_the_contract() {
    let nothing = SpanSet::new();
    let tail: SpanSet = [span(67_108_864, 70_000_000)].into_iter().collect();
    let prefix: SpanSet = [span(0, 10_000)].into_iter().collect();
    let whole: SpanSet = [span(0, 5)].into_iter().collect();
    let none = SpanSet::new();
    let take = |start, end| Decision::Take { owned: vec![span(start, end)], end };
    for (received, length, complete, want, decision) in [
        (&nothing, Some(70_000_000), false, parallel(67_108_864, 2_891_136), take(67_108_864, 70_000_000)),
        (&tail, Some(70_000_000), false, parallel(67_108_864, 2_891_136), Decision::Received),
        (&tail, Some(70_000_000), false, parallel(0, 4_194_304), take(0, 4_194_304)),
        (&nothing, Some(70_000_000), false, sequential(67_108_864, 2_891_136), Decision::Mismatch),
        (&prefix, Some(20_000), false, sequential(10_000, 10_001), Decision::BeyondLength { length: 20_000 }),
        (&prefix, Some(20_000), false, parallel(20_001, 1), Decision::OffsetBeyond),
        (&prefix, Some(20_000), false, parallel(8192, 4096), take(10_000, 12_288).with_end(12_288)),
        (&prefix, Some(20_000), false, parallel(9999, 100), Decision::Mismatch),
        (&prefix, None, false, Want { offset: 10_000, body: None, parallel: false }, take(10_000, i64::MAX as u64)),
        (&whole, Some(5), true, sequential(0, 5), Decision::Complete { inside: true, length: 5 }),
        (&whole, Some(5), true, sequential(5, 1), Decision::Complete { inside: false, length: 5 }),
        (&whole, Some(5), true, sequential(5, 0), Decision::Take { owned: vec![], end: 5 }),
        (&nothing, None, false, sequential(0, u64::MAX), Decision::BeyondLength { length: i64::MAX as u64 }),
    ] {
        assert_eq!(decide(Seen { received, owned: &none, opening: 0, length, complete }, want), decision, "{want:?}");
    }
}

impl Decision {
    fn with_end(self, at: u64) -> Self {
        match self {
            Self::Take { owned, .. } => Self::Take { owned, end: at },
            other => other,
        }
    }
}
