//! What one body under way was permitted, and whether that still holds: asked again when the epoch rises, so that a right
//! that ends, ends transfers too, and a new speed limit counts for them (reliability.md §5).
//!
//! Must stay true: no answer means "go on" (P14: the authority may be away); while nothing is revoked this costs a body
//! one load per window.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use etransfer_contract::Grant;
use etransfer_contract::grant::Recheck;

use crate::core::Core;
use crate::grants::{Asker, forwarded};
use crate::http::{Framing, Head};
use crate::rates::Meter;

/// How long a body stands still for the answer.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Pause after no answer.
const RETRY: Duration = Duration::from_secs(1);

/// One request at work under a grant.
pub struct Permission<'c> {
    /// Where.
    pub core: &'c Core,
    /// What was asked.
    pub head: &'c Head,
    /// What was granted.
    pub grant: &'c Grant,
    asker: &'c Asker,
    epoch: Cell<u64>,
    ask_from: Cell<Instant>,
}

impl<'c> Permission<'c> {
    /// As just granted.
    pub fn new(core: &'c Core, head: &'c Head, asker: &'c Asker, grant: &'c Grant) -> Self {
        Self { core, head, grant, asker, epoch: Cell::new(grant.epoch), ask_from: Cell::new(core.io.now()) }
    }

    /// Whether bytes may still move; then `meter` is the limit of this moment.
    pub async fn holds(&self, meter: &mut Option<Meter>) -> bool {
        let epoch = self.core.shared.epoch.load(Ordering::Relaxed);
        if epoch <= self.epoch.get() || self.core.io.now() < self.ask_from.get() {
            return true;
        }
        let request = forwarded(self.head, self.asker, "recheck", "none", Framing::None);
        let answer = self.core.line.call(&request, ANSWER_WAIT).await.ok().filter(|(head, _)| head.status() == 200);
        let Some(Recheck { go, rate }) = answer.and_then(|(_, body)| serde_json::from_slice(&body).ok()) else {
            self.ask_from.set(self.core.io.now() + RETRY);
            return true;
        };
        self.epoch.set(epoch);
        match &rate {
            None => *meter = None,
            Some(rate) => {
                self.core.shared.rates.learn(rate, self.core.io.now());
                meter.get_or_insert_with(|| self.core.shared.rates.join(rate, &self.core.io));
            }
        }
        go
    }
}
