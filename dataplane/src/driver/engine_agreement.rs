//! One driver for all cores of a node: each core tries the ring, and the node runs on it only when every core has it. Else
//! whatever the node reports about its engine would be wrong for some of its connections.
#![expect(clippy::disallowed_types, reason = "cores wait for each other once, before any of them is a core")]

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The agreement of the cores of a node while they start.
#[derive(Debug)]
pub struct EngineAgreement {
    state: Mutex<State>,
    decided: Condvar,
}

#[derive(Debug)]
struct State {
    /// Cores that have not voted.
    missing: usize,
    refused: bool,
}

/// The vote of one core. Dropped without being cast, it counts as "no ring": the others do not wait for a core that failed to start.
pub(super) struct EngineVote(Option<Arc<EngineAgreement>>);

/// The result, for one core.
pub(super) struct Agreed {
    /// All have the ring.
    pub(super) on_ring: bool,
    /// This core was the first without a ring, and writes that to the log.
    pub(super) is_first_without: bool,
}

impl EngineAgreement {
    /// An agreement among `cores` cores.
    pub fn new(cores: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { missing: cores, refused: false }), decided: Condvar::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `cores` cores were never started: the others do not wait for them.
    pub fn go_without(&self, cores: usize) {
        let mut state = self.state();
        state.missing = state.missing.saturating_sub(cores);
        state.refused = true;
        drop(state);
        self.decided.notify_all();
    }

    /// `true`: this core was the first that has no ring.
    fn cast(&self, has_ring: bool) -> bool {
        let mut state = self.state();
        state.missing = state.missing.saturating_sub(1);
        let is_first_without = !has_ring && !state.refused;
        state.refused |= !has_ring;
        drop(state);
        self.decided.notify_all();
        is_first_without
    }
}

impl EngineVote {
    /// The vote of a core that starts with others, or alone.
    pub(super) fn of(agreement: Option<&Arc<EngineAgreement>>) -> Self {
        Self(Some(agreement.cloned().unwrap_or_else(|| EngineAgreement::new(1))))
    }

    /// Casts it, and waits for the others.
    pub(super) fn cast(mut self, has_ring: bool) -> Agreed {
        let agreement = self.0.take().expect("a vote is cast once");
        let is_first_without = agreement.cast(has_ring);
        let state = agreement.state();
        let state =
            agreement.decided.wait_while(state, |state| state.missing > 0).unwrap_or_else(PoisonError::into_inner);
        Agreed { on_ring: !state.refused, is_first_without }
    }
}

impl Drop for EngineVote {
    fn drop(&mut self) {
        if let Some(agreement) = self.0.take() {
            agreement.cast(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::config::EngineChoice;
    use crate::driver::{CoreOptions, Engine, run_core};

    fn core(agreement: &Arc<EngineAgreement>, number: usize, engine: EngineChoice) -> mpsc::Receiver<Engine> {
        let (told, hears) = mpsc::channel();
        let agreement = Some(Arc::clone(agreement));
        let options = CoreOptions { core: number, engine, slots: 1, agreement, ..CoreOptions::default() };
        thread::spawn(move || {
            run_core(options, move |io| {
                told.send(io.engine()).expect("the test listens");
                async {}
            })
        });
        hears
    }

    #[test]
    fn one_core_without_the_ring_takes_all_to_readiness() {
        let agreement = EngineAgreement::new(3);
        let with = [core(&agreement, 0, EngineChoice::Auto), core(&agreement, 1, EngineChoice::Auto)];
        assert!(agreement.cast(false), "the third core is refused");
        for hears in with {
            assert_eq!(hears.recv().expect("a core"), Engine::Readiness);
        }
    }

    #[test]
    fn all_cores_with_the_ring_run_on_it() {
        let agreement = EngineAgreement::new(2);
        let both = [core(&agreement, 0, EngineChoice::Auto), core(&agreement, 1, EngineChoice::Auto)];
        for hears in both {
            assert_eq!(hears.recv().expect("a core"), Engine::Ring);
        }
    }

    #[test]
    fn nobody_waits_for_a_core_that_was_never_started() {
        let agreement = EngineAgreement::new(2);
        let hears = core(&agreement, 0, EngineChoice::Auto);
        agreement.go_without(1);
        assert_eq!(hears.recv().expect("a core"), Engine::Readiness);
    }
}
