//! The slab of operations in flight, as the tasks see them: who waits for which outcome. The engine below owns the
//! operations themselves.

use std::task::{Context, Poll, Waker};

use super::seam::{Key, Outcome};

/// Waiters and outcomes by key.
#[derive(Default)]
pub(super) struct Flights {
    places: Vec<Place>,
    free: Vec<u32>,
    /// Places whose outcome has not come yet.
    open: usize,
}

struct Place {
    generation: u32,
    state: State,
}

enum State {
    Free,
    /// In flight; the waker of whoever polled last.
    Waiting(Option<Waker>),
    /// Nobody waits any more; the outcome will be dropped.
    Orphan,
    /// Ended, not yet fetched.
    Ended(Outcome),
}

impl Flights {
    /// A place for an operation about to start.
    pub(super) fn open(&mut self) -> Key {
        self.open += 1;
        self.place(State::Waiting(None))
    }

    /// A place for something that ended before it started.
    pub(super) fn ended(&mut self, outcome: Outcome) -> Key {
        self.place(State::Ended(outcome))
    }

    fn place(&mut self, state: State) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, state: State::Free });
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[index as usize];
        place.state = state;
        Key { index, generation: place.generation }
    }

    fn get_mut(&mut self, key: Key) -> Option<&mut Place> {
        self.places.get_mut(key.index as usize).filter(|place| place.generation == key.generation)
    }

    fn release(&mut self, key: Key) -> State {
        let place = &mut self.places[key.index as usize];
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.index);
        std::mem::replace(&mut place.state, State::Free)
    }

    /// The outcome of a waiting operation, or its waker is noted.
    pub(super) fn poll(&mut self, key: Key, cx: &mut Context<'_>) -> Poll<Outcome> {
        let place = self.get_mut(key).expect("a pending operation keeps its place");
        match &mut place.state {
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

    /// Nobody waits any more. `Ok`: it is still in flight, cancel it. `Err`: this outcome is to be dropped (if any).
    pub(super) fn orphan(&mut self, key: Key) -> Result<(), Option<Outcome>> {
        let Some(place) = self.get_mut(key) else { return Err(None) };
        match &place.state {
            State::Waiting(_) => {
                place.state = State::Orphan;
                Ok(())
            }
            State::Ended(_) => match self.release(key) {
                State::Ended(outcome) => Err(Some(outcome)),
                _ => unreachable!("matched above"),
            },
            State::Free | State::Orphan => Err(None),
        }
    }

    /// An operation ended: whom to wake, and what to drop because nobody waits.
    pub(super) fn end(&mut self, key: Key, outcome: Outcome) -> (Option<Waker>, Option<Outcome>) {
        let Some(place) = self.get_mut(key) else { return (None, Some(outcome)) };
        match std::mem::replace(&mut place.state, State::Free) {
            State::Waiting(waker) => {
                place.state = State::Ended(outcome);
                self.open -= 1;
                (waker, None)
            }
            State::Orphan => {
                self.open -= 1;
                self.release(key);
                (None, Some(outcome))
            }
            other @ (State::Free | State::Ended(_)) => {
                place.state = other;
                (None, Some(outcome))
            }
        }
    }

    /// How many operations the engine has not reported yet.
    pub(super) fn in_flight(&self) -> usize {
        self.open
    }

    /// Every operation the engine has not reported yet.
    pub(super) fn keys_in_flight(&self) -> Vec<Key> {
        let open = |(index, place): (usize, &Place)| {
            let key = Key { index: index as u32, generation: place.generation };
            matches!(place.state, State::Waiting(_) | State::Orphan).then_some(key)
        };
        self.places.iter().enumerate().filter_map(open).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit() -> Outcome {
        Outcome::Unit(Ok(()))
    }

    #[test]
    fn an_outcome_waits_for_its_poll() {
        let mut flights = Flights::default();
        let mut cx = Context::from_waker(Waker::noop());
        let key = flights.open();
        assert!(flights.poll(key, &mut cx).is_pending());
        assert!(matches!(flights.end(key, unit()), (Some(_), None)));
        assert_eq!(flights.in_flight(), 0);
        assert!(flights.poll(key, &mut cx).is_ready());
        // The place has a new tenant; late words about the old one go nowhere.
        let next = flights.open();
        assert_eq!((next.index, next.generation), (key.index, key.generation + 1));
        assert!(matches!(flights.end(key, unit()), (None, Some(_))));
        assert!(flights.poll(next, &mut cx).is_pending());
    }

    #[test]
    fn an_orphan_keeps_its_place_until_its_end() {
        let mut flights = Flights::default();
        let key = flights.open();
        assert!(flights.orphan(key).is_ok(), "it is to be cancelled");
        assert_eq!(flights.keys_in_flight(), [key]);
        assert_ne!(flights.open().index, key.index);
        assert!(matches!(flights.end(key, unit()), (None, Some(_))), "its outcome is to be dropped");
        assert!(matches!(flights.end(key, unit()), (None, Some(_))), "twice is a stale word");
        assert_eq!(flights.in_flight(), 1);
        assert_eq!(flights.open().index, key.index);
    }

    #[test]
    fn what_ended_and_is_orphaned_is_dropped_at_once() {
        let mut flights = Flights::default();
        let key = flights.ended(unit());
        assert_eq!(flights.in_flight(), 0);
        assert!(matches!(flights.orphan(key), Err(Some(_))));
        assert!(matches!(flights.orphan(key), Err(None)));
    }
}
