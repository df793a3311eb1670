//! Facts on their way to the control plane: one queue for all cores, delivered in order and in batches by one task.
//!
//! Must stay true: a fact leaves the queue only after the control plane said 204; the newest progress of an object
//! replaces a waiting older one, so a long outage costs one entry per object.
#![expect(clippy::disallowed_types, reason = "one queue for all cores, held for a push or a pop")]

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etransfer_contract::ObjectId;
use etransfer_contract::fact::{Fact, FactBatch};
use etransfer_contract::line::{self, FACTS_PATH};
use event_listener::Event;

use super::client::ANSWER_WAIT;
use crate::core::Core;
use crate::world::Io;

/// Facts per delivery.
const BATCH_MAX: usize = 1000;
/// Deliveries told while the control plane is away are forgotten beyond this; bytes and removals never are.
const SERVED_MAX: usize = 100_000;
/// Pause after a failed delivery.
const RETRY: Duration = Duration::from_millis(200);

/// The queue.
#[derive(Default)]
pub struct Facts {
    queue: Mutex<Queue>,
    pushed: Event,
    delivered: Event,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Fact>,
    /// Position of an object's waiting progress, counted from the first fact ever.
    progress: HashMap<ObjectId, u64>,
    /// Facts that left the queue.
    gone: u64,
    /// The delivery under way took these many from the front: they must not be replaced any more.
    taken: usize,
    served: usize,
}

impl Facts {
    /// Queues a fact.
    pub fn push(&self, fact: Fact) {
        {
            let mut queue = self.lock();
            queue.push(fact);
        }
        self.pushed.notify(1);
    }

    /// Waits until everything queued so far was delivered; `false` when that takes longer than `limit`.
    pub async fn flush(&self, io: &Io, limit: Duration) -> bool {
        let target = {
            let queue = self.lock();
            queue.gone + queue.waiting.len() as u64
        };
        let deadline = io.now() + limit;
        loop {
            let listener = self.delivered.listen();
            if self.lock().gone >= target {
                return true;
            }
            if io.now() >= deadline {
                return false;
            }
            futures_util::future::select(pin!(listener), pin!(io.sleep_until(deadline))).await;
        }
    }

    /// Facts waiting.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Delivers for ever; one task of one core runs this.
    pub async fn deliver(core: Rc<Core>) {
        let facts = &core.shared.facts;
        loop {
            let listener = facts.pushed.listen();
            let batch = facts.take_batch();
            if batch.is_empty() {
                listener.await;
                continue;
            }
            let batch = FactBatch { version: line::VERSION, run: core.shared.run, facts: batch };
            let answer = core.line.post(FACTS_PATH, &batch, ANSWER_WAIT).await;
            match answer {
                Ok((200..=299, _)) => facts.confirm(&core, &batch.facts),
                Ok((status, body)) => {
                    tracing::error!(status, body = %String::from_utf8_lossy(&body), "facts were refused");
                    facts.put_back();
                    core.io.sleep(RETRY).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "facts wait");
                    facts.put_back();
                    core.io.sleep(RETRY).await;
                }
            }
        }
    }

    fn take_batch(&self) -> Vec<Fact> {
        let mut queue = self.lock();
        queue.taken = queue.waiting.len().min(BATCH_MAX);
        let taken = queue.taken;
        queue.waiting.iter().take(taken).cloned().collect()
    }

    fn put_back(&self) {
        self.lock().taken = 0;
    }

    fn confirm(&self, core: &Core, batch: &[Fact]) {
        {
            let mut queue = self.lock();
            queue.drop_front(batch.len());
        }
        for fact in batch {
            core.shared.store.confirm(core.io.core(), fact);
        }
        self.delivered.notify(usize::MAX);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, fact: Fact) {
        match &fact {
            Fact::Progress(presence) => {
                let first_free = self.gone + self.taken as u64;
                match self.progress.get(&presence.object) {
                    Some(&place) if place >= first_free => {
                        let index = (place - self.gone) as usize;
                        self.waiting[index] = fact;
                        return;
                    }
                    _ => {
                        self.progress.insert(presence.object, self.gone + self.waiting.len() as u64);
                    }
                }
            }
            Fact::Served { .. } if self.served >= SERVED_MAX => {
                tracing::warn!("the control plane is away for long: a delivery goes uncounted");
                return;
            }
            Fact::Served { .. } => self.served += 1,
            Fact::Completed(_)
            | Fact::Discarded { .. }
            | Fact::Removed { .. }
            | Fact::Open { .. }
            | Fact::Settled { .. }
            | Fact::Inventory { .. } => {}
        }
        self.waiting.push_back(fact);
    }

    fn drop_front(&mut self, count: usize) {
        for _ in 0..count {
            match self.waiting.pop_front() {
                Some(Fact::Progress(presence)) if self.progress.get(&presence.object) == Some(&self.gone) => {
                    self.progress.remove(&presence.object);
                }
                Some(Fact::Served { .. }) => self.served -= 1,
                _ => {}
            }
            self.gone += 1;
        }
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use etransfer_contract::SpanSet;
    use etransfer_contract::fact::Presence;

    use super::*;

    fn progress(object: u8, received: u64) -> Fact {
        Fact::Progress(Presence {
            object: ObjectId::from_bytes([object; 16]),
            received,
            contiguous: received,
            spans: SpanSet::new(),
            length: None,
            complete: false,
            at_unix_ms: 0,
        })
    }

    fn received(facts: &[Fact]) -> Vec<u64> {
        facts.iter().map(|fact| if let Fact::Progress(presence) = fact { presence.received } else { 0 }).collect()
    }

    #[test]
    fn newer_progress_replaces_what_waits_but_never_what_is_under_way() {
        let facts = Facts::default();
        facts.push(progress(1, 10));
        facts.push(progress(2, 20));
        facts.push(progress(1, 11));
        let batch = facts.take_batch();
        assert_eq!(received(&batch), [11, 20]);
        facts.push(progress(1, 12));
        facts.push(progress(1, 13));
        facts.lock().drop_front(2);
        assert_eq!(received(&facts.take_batch()), [13], "told while the first batch was under way");
        facts.lock().drop_front(1);
        facts.push(progress(1, 14));
        assert_eq!(received(&facts.take_batch()), [14]);
        assert_eq!(facts.lock().gone, 3);
    }

    #[test]
    fn a_batch_that_was_not_delivered_is_taken_again_with_newer_progress() {
        let facts = Facts::default();
        facts.push(progress(1, 10));
        assert_eq!(received(&facts.take_batch()), [10]);
        facts.put_back();
        facts.push(progress(1, 11));
        assert_eq!(received(&facts.take_batch()), [11]);
    }
}
