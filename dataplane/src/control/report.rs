//! What a core reports: facts, in order and at least once; counters, each second.
//!
//! Must stay true: a fact leaves the queue only after the control plane answered 204.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use etransfer_contract::counters::CountersReport;
use etransfer_contract::fact::{Fact, FactBatch};
use etransfer_contract::link::{self, COUNTERS_PATH, FACTS_PATH};

use crate::bounds::{CONTROL_ANSWER_WAIT, REPORT_WAIT};
use crate::core::Core;
use crate::link::Urgency;

/// How long deliveries that only count may wait to be reported.
const COUNT_WAIT: Duration = Duration::from_millis(10);
/// Pause after a failed delivery.
const RETRY: Duration = Duration::from_millis(200);
/// How often counters are reported.
const COUNTERS_EVERY: Duration = Duration::from_secs(1);

/// Delivers facts forever; one task of one core runs this.
pub async fn facts(core: Rc<Core>) {
    let facts = &core.shared.facts;
    loop {
        let listener = facts.pushed();
        match facts.urgency() {
            Urgency::Empty => {
                listener.await;
                continue;
            }
            Urgency::Relaxed => {
                futures_util::future::select(pin!(listener), pin!(core.io.sleep(COUNT_WAIT))).await;
            }
            Urgency::Urgent => {}
        }
        let mut batch = facts.take_batch();
        let delivered = batch.len();
        let (page, asked_by) = facts.add_page(&core.shared.store, &mut batch);
        let batch = FactBatch { version: link::VERSION, run: core.shared.run, asked_by, facts: batch };
        let answer = core.control.post(FACTS_PATH, &batch, CONTROL_ANSWER_WAIT).await;
        match answer {
            Ok((200..=299, _)) => {
                confirm(&core, &batch.facts[..delivered]);
                facts.page_delivered(page);
            }
            Ok((status @ 400..=499, body)) => {
                let body = String::from_utf8_lossy(&body);
                tracing::error!(status, %body, facts = batch.facts.len(), "a batch of facts was refused; half of it is sent");
                facts.halve();
                core.io.sleep(RETRY).await;
            }
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

fn confirm(core: &Core, batch: &[Fact]) {
    core.shared.facts.remove_delivered(batch.len());
    for fact in batch {
        core.shared.store.confirm(core.io.core(), fact);
    }
    core.writer.soon();
    core.shared.facts.wake_flushed();
}

/// Reports to the control plane each second, forever; one task of every core runs this. A report that is lost while the
/// control plane is away costs nothing: the next one has the sums.
pub async fn counters(core: Rc<Core>) {
    loop {
        let mut counters = core.counters.copy();
        counters.journal_bytes = core.journal().position().bytes();
        let report = CountersReport { version: link::VERSION, run: core.shared.run, core: core.io.core(), counters };
        match core.control.post(COUNTERS_PATH, &report, REPORT_WAIT).await {
            Ok((200..=299, _)) => {}
            Ok((status, _)) => tracing::debug!(status, "counters were refused"),
            Err(error) => tracing::debug!(%error, "counters were not delivered"),
        }
        core.io.sleep(COUNTERS_EVERY).await;
    }
}
