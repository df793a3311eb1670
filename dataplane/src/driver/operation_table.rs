//! The operations in flight as tasks see them: which task waits for which completion. The driver below owns the operations
//! themselves.

use std::task::{Context, Poll, Waker};

use super::{Completion, Key};

/// Waiting tasks and completions, by key.
#[derive(Default)]
pub(super) struct OperationTable {
    rows: Vec<Row>,
    free: Vec<u32>,
    /// Rows without a completion yet.
    open: usize,
}

struct Row {
    generation: u32,
    state: State,
}

enum State {
    Free,
    /// In flight; the waker of the last poll.
    Waiting(Option<Waker>),
    /// No task waits any more; the completion will be dropped.
    Orphan,
    /// Ended, not yet fetched.
    Ended(Completion),
}

impl OperationTable {
    /// A row for an operation that is about to start.
    pub(super) fn open(&mut self) -> Key {
        self.open += 1;
        self.row(State::Waiting(None))
    }

    /// A row for an operation that ended before it started.
    pub(super) fn ended(&mut self, outcome: Completion) -> Key {
        self.row(State::Ended(outcome))
    }

    fn row(&mut self, state: State) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.rows.push(Row { generation: 0, state: State::Free });
            (self.rows.len() - 1) as u32
        });
        let row = &mut self.rows[index as usize];
        row.state = state;
        Key { index, generation: row.generation }
    }

    fn get_mut(&mut self, key: Key) -> Option<&mut Row> {
        self.rows.get_mut(key.index as usize).filter(|row| row.generation == key.generation)
    }

    fn release(&mut self, key: Key) -> State {
        let row = &mut self.rows[key.index as usize];
        row.generation = row.generation.wrapping_add(1);
        self.free.push(key.index);
        std::mem::replace(&mut row.state, State::Free)
    }

    /// The completion of an operation; keeps the waker when there is none yet.
    pub(super) fn poll(&mut self, key: Key, cx: &mut Context<'_>) -> Poll<Completion> {
        let row = self.get_mut(key).expect("a pending operation keeps its row");
        match &mut row.state {
            State::Waiting(Some(waker)) => {
                waker.clone_from(cx.waker());
                Poll::Pending
            }
            State::Waiting(none) => {
                *none = Some(cx.waker().clone());
                Poll::Pending
            }
            State::Ended(_) => match self.release(key) {
                State::Ended(outcome) => Poll::Ready(outcome),
                _ => unreachable!("matched above"),
            },
            State::Free | State::Orphan => unreachable!("a pending operation is waiting or ended"),
        }
    }

    /// No task waits any more. `Ok`: it is still in flight, cancel it. `Err`: this outcome is to be dropped (if any).
    pub(super) fn orphan(&mut self, key: Key) -> Result<(), Option<Completion>> {
        let Some(row) = self.get_mut(key) else { return Err(None) };
        match &row.state {
            State::Waiting(_) => {
                row.state = State::Orphan;
                Ok(())
            }
            State::Ended(_) => match self.release(key) {
                State::Ended(outcome) => Err(Some(outcome)),
                _ => unreachable!("matched above"),
            },
            State::Free | State::Orphan => Err(None),
        }
    }

    /// An operation ended: the waker of the task that waits, and the completion to drop when none does.
    pub(super) fn end(&mut self, key: Key, outcome: Completion) -> (Option<Waker>, Option<Completion>) {
        let Some(row) = self.get_mut(key) else { return (None, Some(outcome)) };
        match std::mem::replace(&mut row.state, State::Free) {
            State::Waiting(waker) => {
                row.state = State::Ended(outcome);
                self.open -= 1;
                (waker, None)
            }
            State::Orphan => {
                self.open -= 1;
                self.release(key);
                (None, Some(outcome))
            }
            other @ (State::Free | State::Ended(_)) => {
                row.state = other;
                (None, Some(outcome))
            }
        }
    }

    /// How many operations the driver has not reported yet.
    pub(super) fn in_flight(&self) -> usize {
        self.open
    }

    /// Every operation that the driver has not reported yet.
    pub(super) fn keys_in_flight(&self) -> Vec<Key> {
        let open = |(index, row): (usize, &Row)| {
            let key = Key { index: index as u32, generation: row.generation };
            matches!(row.state, State::Waiting(_) | State::Orphan).then_some(key)
        };
        self.rows.iter().enumerate().filter_map(open).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit() -> Completion {
        Completion::Unit(Ok(()))
    }

    #[test]
    fn an_outcome_waits_for_its_poll() {
        let mut operations = OperationTable::default();
        let mut cx = Context::from_waker(Waker::noop());
        let key = operations.open();
        assert!(operations.poll(key, &mut cx).is_pending());
        assert!(matches!(operations.end(key, unit()), (Some(_), None)));
        assert_eq!(operations.in_flight(), 0);
        assert!(operations.poll(key, &mut cx).is_ready());
        // The row has a new tenant; late words about the old one go nowhere.
        let next = operations.open();
        assert_eq!((next.index, next.generation), (key.index, key.generation + 1));
        assert!(matches!(operations.end(key, unit()), (None, Some(_))));
        assert!(operations.poll(next, &mut cx).is_pending());
    }

    #[test]
    fn an_orphan_keeps_its_place_until_its_end() {
        let mut operations = OperationTable::default();
        let key = operations.open();
        assert!(operations.orphan(key).is_ok(), "it is to be cancelled");
        assert_eq!(operations.keys_in_flight(), [key]);
        assert_ne!(operations.open().index, key.index);
        assert!(matches!(operations.end(key, unit()), (None, Some(_))), "its outcome is to be dropped");
        assert!(matches!(operations.end(key, unit()), (None, Some(_))), "twice is a stale word");
        assert_eq!(operations.in_flight(), 1);
        assert_eq!(operations.open().index, key.index);
    }

    #[test]
    fn what_ended_and_is_orphaned_is_dropped_at_once() {
        let mut operations = OperationTable::default();
        let key = operations.ended(unit());
        assert_eq!(operations.in_flight(), 0);
        assert!(matches!(operations.orphan(key), Err(Some(_))));
        assert!(matches!(operations.orphan(key), Err(None)));
    }
}
