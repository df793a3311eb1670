//! The thread that writes: one step for everything that waits (group commit), then its askers are told.
//!
//! What can go wrong, and what then happens:
//! * Redis is away, slow, full, or refuses: callers are refused, and once a second it is tried again;
//! * Redis lost what it had acknowledged: everything is written again before anybody is told anything good;
//! * another control plane took over: nothing is written any more, until a restart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::WriteError;
use super::super::health::HealthCell;
use super::commit_queue::CommitQueue;
use super::dirty_set::Batch;
use super::lease::{Found, LeaseStatus, WriterLease};
use super::link::{Fault, Link};
use super::marks::{HighWaterMark, HighWaterMarkFile};

/// How often an idle catalogue is looked at, and one that is away is tried.
const PAUSE: Duration = Duration::from_secs(1);

/// The thread's state.
pub struct Writer {
    /// Where changes are found.
    pub commit_queue: Arc<CommitQueue>,
    /// The way to Redis.
    pub link: Link,
    /// The right to write.
    pub lease: WriterLease,
    /// What is remembered here.
    pub marks: HighWaterMarkFile,
    /// How it fares, for others to read.
    pub health: Arc<HealthCell>,
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
            let turn = self.commit_queue.next(pause);
            if turn.is_last && turn.batch.is_none() {
                return self.commit_queue.settle(turn, Ok(()));
            }
            let since = Instant::now();
            let outcome = self.take(turn.batch.as_ref());
            match (&outcome, &turn.batch) {
                (Ok(()), Some(_)) => self.health.committed(since.elapsed()),
                (Ok(()), None) => self.health.answered(),
                (Err(_), _) => self.health.failed(),
            }
            self.tell_change(&outcome, &mut was_well);
            let (is_wiped, is_lost) = (outcome == Err(Setback::Wiped), outcome == Err(Setback::Lost));
            // What was wiped is written again without a pause, also when the desk is closing.
            let is_over = is_lost || (turn.is_last && !is_wiped);
            self.commit_queue.settle(turn, outcome.map_err(WriteError::from));
            if is_wiped {
                self.commit_queue.lose();
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
                if self.status(&found)? == LeaseStatus::Lost {
                    return Err(Setback::Lost);
                }
                self.link.replace(batch, &mut self.lease, &found)?
            }
            Some(batch) => self.link.write(batch, &mut self.lease)?,
            None => false,
        };
        if is_done {
            let mark = HighWaterMark { term: self.lease.term(), generation: self.lease.written() };
            if let Err(error) = self.marks.note(mark) {
                tracing::warn!(path = %self.marks.path().display(), %error, "note how far the catalogue is");
            }
            return Ok(());
        }
        let found = self.link.look()?;
        match (self.status(&found)?, batch) {
            (LeaseStatus::Ours, None) => Ok(()),
            // It changed between two questions; the next turn sees it as it then is.
            (LeaseStatus::Ours, Some(_)) => {
                Err(Fault { reason: "Redis is recovering".into(), is_full: false, is_dropped: false }.into())
            }
            (LeaseStatus::Wiped, _) => Err(Setback::Wiped),
            (LeaseStatus::Lost, _) => Err(Setback::Lost),
        }
    }

    /// What `found` means. A Redis that has forgotten who owns the catalogue is not asked alone: the state directory
    /// remembers whether another start happened.
    fn status(&self, found: &Found) -> Result<LeaseStatus, Setback> {
        let status = self.lease.status(found);
        if status != LeaseStatus::Wiped {
            return Ok(status);
        }
        let term = self.marks.term().map_err(|error| Fault {
            reason: format!("read {}: {error}", self.marks.path().display()),
            is_full: false,
            is_dropped: false,
        })?;
        Ok(if term > self.lease.term() { LeaseStatus::Lost } else { LeaseStatus::Wiped })
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

impl From<Setback> for WriteError {
    fn from(setback: Setback) -> Self {
        match setback {
            Setback::Fault(fault) => fault.into(),
            Setback::Wiped | Setback::Lost => Self { reason: setback.to_string(), is_full: false },
        }
    }
}
