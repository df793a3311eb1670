//! The thread that writes: one step for everything that waits (group commit), then its askers are told.
//!
//! What can go wrong, and what then happens:
//! * Redis is away, slow, full, or refuses: whoever asks is refused, and once a second it is tried again;
//! * Redis lost what it had acknowledged: everything is written again before anybody is told anything good;
//! * another control plane took over: nothing is written any more, until a restart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::NotKept;
use super::super::pulse::Pulse;
use super::anchor::{Anchor, Mark};
use super::desk::Desk;
use super::link::{Fault, Link};
use super::mirror::Batch;
use super::tenure::{Found, Standing, Tenure};

/// How often an idle catalogue is looked at, and one that is away is tried.
const PAUSE: Duration = Duration::from_secs(1);

/// The thread's state.
pub struct Writer {
    /// Where changes are found.
    pub desk: Arc<Desk>,
    /// The way to Redis.
    pub link: Link,
    /// The right to write.
    pub tenure: Tenure,
    /// What is remembered here.
    pub anchor: Anchor,
    /// How it fares, for others to read.
    pub pulse: Arc<Pulse>,
}

/// A turn came to nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Setback {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("Redis has lost this node's catalogue; it is being written again")]
    Wiped,
    #[error(
        "another control plane has taken this node's catalogue over; stop one of the two, and start this one again"
    )]
    Lost,
}

impl Writer {
    /// Writes until the desk closes or the catalogue is lost to another.
    pub fn run(mut self) {
        let (mut pause, mut was_well) = (PAUSE, true);
        loop {
            let turn = self.desk.next(pause);
            if turn.is_last && turn.batch.is_none() {
                return self.desk.settle(turn, Ok(()));
            }
            let since = Instant::now();
            let outcome = self.take(turn.batch.as_ref());
            match (&outcome, &turn.batch) {
                (Ok(()), Some(_)) => self.pulse.committed(since.elapsed()),
                (Ok(()), None) => self.pulse.answered(),
                (Err(_), _) => self.pulse.failed(),
            }
            self.tell_change(&outcome, &mut was_well);
            let (is_wiped, is_lost) = (outcome == Err(Setback::Wiped), outcome == Err(Setback::Lost));
            // What was wiped is written again without a pause, also when the desk is closing.
            let is_over = is_lost || (turn.is_last && !is_wiped);
            self.desk.settle(turn, outcome.map_err(NotKept::from));
            if is_wiped {
                self.desk.lose();
            }
            if is_over {
                if !was_well {
                    tracing::error!("the last changes of the catalogue are not in Redis");
                }
                return;
            }
            pause = if is_wiped { Duration::ZERO } else { PAUSE };
        }
    }

    /// One turn: a batch, everything, or a look at whether Redis still has it all.
    fn take(&mut self, batch: Option<&Batch>) -> Result<(), Setback> {
        let is_done = match batch {
            Some(batch) if batch.is_everything => {
                let found = self.link.look()?;
                if self.standing(&found)? == Standing::Lost {
                    return Err(Setback::Lost);
                }
                self.link.replace(batch, &mut self.tenure, &found)?
            }
            Some(batch) => self.link.write(batch, &mut self.tenure)?,
            None => false,
        };
        if is_done {
            let mark = Mark { term: self.tenure.term(), generation: self.tenure.written() };
            if let Err(error) = self.anchor.note(mark) {
                tracing::warn!(path = %self.anchor.path().display(), %error, "note how far the catalogue is");
            }
            return Ok(());
        }
        let found = self.link.look()?;
        match (self.standing(&found)?, batch) {
            (Standing::Ours, None) => Ok(()),
            // It changed between two questions; the next turn sees it as it then is.
            (Standing::Ours, Some(_)) => {
                Err(Fault { reason: "Redis is recovering".into(), is_full: false, is_dropped: false }.into())
            }
            (Standing::Wiped, _) => Err(Setback::Wiped),
            (Standing::Lost, _) => Err(Setback::Lost),
        }
    }

    /// What `found` means. A Redis that has forgotten who owns the catalogue is not asked alone: the state directory
    /// remembers whether another start happened.
    fn standing(&self, found: &Found) -> Result<Standing, Setback> {
        let standing = self.tenure.standing(found);
        if standing != Standing::Wiped {
            return Ok(standing);
        }
        let term = self.anchor.term().map_err(|error| Fault {
            reason: format!("read {}: {error}", self.anchor.path().display()),
            is_full: false,
            is_dropped: false,
        })?;
        Ok(if term > self.tenure.term() { Standing::Lost } else { Standing::Wiped })
    }

    fn tell_change(&self, outcome: &Result<(), Setback>, was_well: &mut bool) {
        match outcome {
            Ok(()) if !*was_well => tracing::info!("the catalogue is written again"),
            Err(setback) if *was_well => {
                tracing::error!(redis = %self.link.address(), error = %setback, "write the catalogue");
            }
            Err(setback @ (Setback::Wiped | Setback::Lost)) => tracing::error!("{setback}"),
            Ok(()) | Err(Setback::Fault(_)) => {}
        }
        *was_well = outcome.is_ok();
    }
}

impl From<Setback> for NotKept {
    fn from(setback: Setback) -> Self {
        match setback {
            Setback::Fault(fault) => fault.into(),
            Setback::Wiped | Setback::Lost => Self { reason: setback.to_string(), is_full: false },
        }
    }
}
