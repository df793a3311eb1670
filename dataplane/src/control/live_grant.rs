//! The grant of one body under way, and whether it still holds. It is rechecked when the epoch rises, so that a right that
//! ends also ends transfers, and a new speed limit counts for them (PROMISES.md §5); and every [`RECHECK_EVERY`], for rights
//! that end without an epoch: a session that expired, or that another program deleted.
//!
//! Must stay true: no answer means "continue" (PROMISES.md P14: the authority may be away); a body that ends before the first
//! recheck costs one load and one comparison per window.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Instant;

use etransfer_contract::Grant;
use etransfer_contract::grant::Recheck;

use crate::bounds::{RECHECK_ANSWER_WAIT, RECHECK_EVERY, RECHECK_RETRY};
use crate::control::decide::{Client, forwarded};
use crate::core::Core;
use crate::http::{Framing, Head, Reply};
use crate::rates::Meter;

/// Why a body is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantEnd {
    /// The right to the transfer has ended.
    Revoked,
    /// A limit was lowered below what is stored.
    Full,
}

/// 401: the right to a request ended while it was under way, and nothing of its answer has left.
pub fn revoked() -> Reply {
    let body = serde_json::json!({"error": "Unauthorized", "message": "the right to do this has ended"});
    Reply::new(401).field("WWW-Authenticate", "Bearer").json(&body)
}

/// One request at work under a grant.
pub struct LiveGrant<'c> {
    /// The core that serves it.
    pub core: &'c Core,
    pub head: &'c Head,
    pub grant: &'c Grant,
    client: &'c Client,
    epoch: Cell<u64>,
    recheck_not_before: Cell<Instant>,
    recheck_due: Cell<Instant>,
}

impl<'c> LiveGrant<'c> {
    /// A grant that was just given.
    pub fn new(core: &'c Core, head: &'c Head, client: &'c Client, grant: &'c Grant) -> Self {
        let now = core.io.now();
        let recheck_due = Cell::new(now + RECHECK_EVERY);
        Self {
            core,
            head,
            grant,
            client,
            epoch: Cell::new(grant.epoch),
            recheck_not_before: Cell::new(now),
            recheck_due,
        }
    }

    /// Whether bytes may still move; sets `meter` to the current speed limit.
    pub async fn check(&self, meter: &mut Option<Meter>) -> Result<(), GrantEnd> {
        let epoch = self.core.shared.epoch.load(Ordering::Relaxed);
        let now = self.core.io.now();
        let is_due = epoch > self.epoch.get() || now >= self.recheck_due.get();
        if !is_due || now < self.recheck_not_before.get() {
            return Ok(());
        }
        let request = forwarded(self.head, self.client, "recheck", "none", Framing::None);
        let answer =
            self.core.control.call(&request, RECHECK_ANSWER_WAIT).await.ok().filter(|(head, _)| head.status() == 200);
        let Some(Recheck { go, rate, full }) = answer.and_then(|(_, body)| serde_json::from_slice(&body).ok()) else {
            self.recheck_not_before.set(self.core.io.now() + RECHECK_RETRY);
            return Ok(());
        };
        self.epoch.set(epoch);
        self.recheck_due.set(self.core.io.now() + RECHECK_EVERY);
        match &rate {
            None => *meter = None,
            Some(rate) => {
                self.core.shared.rates.learn(rate, self.core.io.now());
                meter.get_or_insert_with(|| self.core.shared.rates.join(rate, &self.core.io));
            }
        }
        match (go, full) {
            (true, _) => Ok(()),
            (false, false) => Err(GrantEnd::Revoked),
            (false, true) => Err(GrantEnd::Full),
        }
    }

    /// As [`check`](Self::check), without the reason.
    pub async fn holds(&self, meter: &mut Option<Meter>) -> bool {
        self.check(meter).await.is_ok()
    }
}
