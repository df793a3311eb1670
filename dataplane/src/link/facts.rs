//! Facts on their way to the control plane: one queue for all cores, delivered in order and in batches by one task
//! (`control::report`).
//!
//! Must stay true: a fact leaves the queue only after the control plane answered 204; the newest progress of an object
//! replaces a waiting older one, so a long outage costs one entry per object; before a decision is requested, everything
//! queued is delivered ([`Facts::flush`]). The inventory is not in the queue: its pages are read from the store when they are
//! sent. Deliveries that only count wait a moment for others: equal ones become one fact, and a kill in that moment costs
//! their count.
#![expect(clippy::disallowed_types, reason = "one queue for all cores, held for a push or a pop")]

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etransfer_contract::fact::{Fact, Presence, Reach};
use etransfer_contract::grant::Ticket;
use etransfer_contract::{ObjectId, Span};
use event_listener::{Event, EventListener};

use crate::bounds::{FACT_COUNTS_MAX, FACTS_BATCH_BYTES, FACTS_PER_BATCH_MAX, INVENTORY_PAGE_BYTES, SERVED_FACTS_MAX};
use crate::driver::Io;
use crate::store::{Object, Store};

/// A batch that was refused is halved down to this: one fact, or one object of a page.
const BATCH_BYTES_MIN: usize = 1;
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
    /// Where a delivery waits that equal ones are added to.
    counting: HashMap<(Ticket, Option<Span>), u64>,
    /// Facts before this position were sent once, and perhaps arrived: nothing is added to them.
    sent: u64,
    /// A waiting fact must be sent now.
    is_urgent: bool,
    /// Progress of the inventory; `None`: all of it was delivered.
    inventory: Option<InventoryProgress>,
    /// How often the inventory was requested.
    inventories_requested: u64,
    /// Bytes of the next batch and page are divided by two this many times: larger ones were refused.
    halved: u32,
}

/// How much of the inventory was delivered.
#[derive(Clone, Copy)]
struct InventoryProgress {
    /// Which request this answers.
    request: u64,
    control_run: u64,
    after: Option<ObjectId>,
}

/// A page of the inventory that goes along with a batch.
pub struct NextPage {
    /// The progress once the page is delivered.
    then: Option<InventoryProgress>,
    request: u64,
}

pub struct EndedDelivery<'a> {
    pub object: ObjectId,
    /// Its grant.
    pub ticket: Ticket,
    /// From the grant.
    pub receiver: &'a str,
    /// What was promised.
    pub span: Option<Span>,
    /// All of it was handed to the transport, and acknowledged when it is held back.
    pub whole: bool,
    /// How far it got, when it is held back.
    pub reach: Option<Reach>,
}

/// What waits.
pub enum Urgency {
    Empty,
    /// Nothing but counts.
    Relaxed,
    Urgent,
}

impl Facts {
    /// Queues a fact.
    pub fn push(&self, fact: Fact) {
        self.lock().push(fact);
        self.pushed.notify(1);
    }

    /// Queues a fact about an object, unless it is removed: its removal must be the last fact about it, or the control plane
    /// would count its bytes for as long as this process runs. A removal marks the object before it is queued, so the
    /// look at the mark and the queueing are one step.
    pub fn push_of(&self, object: &Object, fact: Fact) {
        let mut queue = self.lock();
        if object.is_removed() {
            return;
        }
        queue.push(fact);
        drop(queue);
        self.pushed.notify(1);
    }

    /// Queues the end of a delivery; `binds`: a decision depends on it, so it is sent at once.
    pub fn push_delivery(&self, delivery: &EndedDelivery<'_>, binds: bool) {
        let wake = {
            let mut queue = self.lock();
            let was_empty = queue.waiting.is_empty();
            queue.push_delivery(delivery, binds);
            was_empty || queue.is_urgent
        };
        // A count wakes the sender only when the queue was empty.
        if wake {
            self.pushed.notify(1);
        }
    }

    /// Waits until everything queued so far was delivered; `false` when that takes longer than `limit`.
    pub async fn flush(&self, io: &Io, limit: Duration) -> bool {
        let target = {
            let mut queue = self.lock();
            if queue.waiting.len() > queue.taken {
                queue.is_urgent = true;
                self.pushed.notify(1);
            }
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

    pub fn urgency(&self) -> Urgency {
        let queue = self.lock();
        match (queue.waiting.is_empty(), queue.is_urgent || queue.inventory.is_some()) {
            (true, _) if queue.inventory.is_some() => Urgency::Urgent,
            (true, _) => Urgency::Empty,
            (false, false) => Urgency::Relaxed,
            (false, true) => Urgency::Urgent,
        }
    }

    pub fn take_batch(&self) -> Vec<Fact> {
        let mut queue = self.lock();
        let (mut bytes, limit) = (0, queue.limit(FACTS_BATCH_BYTES));
        let fits = |fact: &&Fact| {
            let is_first = bytes == 0;
            bytes += weight(fact);
            is_first || bytes <= limit
        };
        let taken = queue.waiting.iter().take(FACTS_PER_BATCH_MAX).take_while(fits).count();
        queue.taken = taken;
        queue.sent = queue.sent.max(queue.gone + taken as u64);
        queue.is_urgent = queue.waiting.len() > taken;
        queue.waiting.iter().take(taken).cloned().collect()
    }

    pub fn put_back(&self) {
        let mut queue = self.lock();
        queue.taken = 0;
        queue.is_urgent = true;
    }

    /// As [`put_back`](Self::put_back), and the next batch is half as large.
    pub fn halve(&self) {
        self.put_back();
        let mut queue = self.lock();
        if queue.limit(FACTS_BATCH_BYTES) > BATCH_BYTES_MIN {
            queue.halved += 1;
        }
    }

    /// Starts the inventory, in pages, for this run of the control plane.
    pub fn begin_inventory(&self, control_run: u64) {
        let mut queue = self.lock();
        queue.inventories_requested += 1;
        queue.inventory = Some(InventoryProgress { request: queue.inventories_requested, control_run, after: None });
        drop(queue);
        self.pushed.notify(1);
    }

    /// Adds the next page to a batch, and returns the run it is for. Called right after the batch was taken: a page is then not
    /// older than the facts before it, and later facts are sent later.
    pub fn add_page(&self, store: &Store, batch: &mut Vec<Fact>) -> (Option<NextPage>, u64) {
        let (progress_now, limit) = {
            let queue = self.lock();
            let Some(progress_now) = queue.inventory else { return (None, 0) };
            (progress_now, queue.limit(INVENTORY_PAGE_BYTES))
        };
        if limit < INVENTORY_PAGE_BYTES && !batch.is_empty() {
            // A batch was refused: the page goes alone.
            return (None, 0);
        }
        let (objects, last) = store.inventory_page(progress_now.after, limit, weight_of);
        let after = objects.last().map(|presence| presence.object).or(progress_now.after);
        let then = (!last).then_some(InventoryProgress { after, ..progress_now });
        batch.push(Fact::Inventory { objects, last });
        (Some(NextPage { then, request: progress_now.request }), progress_now.control_run)
    }

    /// The page was delivered. When the inventory was requested again meanwhile, the page does not count.
    pub fn page_delivered(&self, page: Option<NextPage>) {
        let mut queue = self.lock();
        queue.halved = 0;
        if let Some(NextPage { then, request }) = page
            && queue.inventory.is_some_and(|progress_now| progress_now.request == request)
        {
            queue.inventory = then;
        }
    }

    /// The first `facts` of the queue were delivered.
    pub fn remove_delivered(&self, facts: usize) {
        self.lock().drop_front(facts);
    }

    /// Wakes what waits in [`flush`](Self::flush).
    pub fn wake_flushed(&self) {
        self.delivered.notify(usize::MAX);
    }

    /// Fires when something is queued.
    pub fn pushed(&self) -> EventListener {
        self.pushed.listen()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About how many bytes a fact is as JSON.
fn weight(fact: &Fact) -> usize {
    const FACT_BYTES: usize = 256;
    match fact {
        Fact::Progress(presence) | Fact::Completed(presence) => weight_of(presence),
        Fact::Inventory { objects, .. } => objects.iter().map(weight_of).sum(),
        Fact::Discarded { .. } | Fact::Removed { .. } | Fact::Open { .. } | Fact::Settled { .. } => FACT_BYTES,
        Fact::Served { .. } | Fact::Stored { .. } => FACT_BYTES,
    }
}

/// The same for one object.
fn weight_of(presence: &Presence) -> usize {
    const PRESENCE_BYTES: usize = 200;
    const SPAN_BYTES: usize = 32;
    PRESENCE_BYTES + SPAN_BYTES * presence.spans.count()
}

impl Queue {
    /// How much of `bytes` may be sent at once.
    fn limit(&self, bytes: usize) -> usize {
        bytes.checked_shr(self.halved).unwrap_or(0).max(BATCH_BYTES_MIN)
    }

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
            Fact::Served { .. } => self.served += 1,
            Fact::Completed(_)
            | Fact::Discarded { .. }
            | Fact::Removed { .. }
            | Fact::Open { .. }
            | Fact::Settled { .. }
            | Fact::Stored { .. }
            | Fact::Inventory { .. } => {}
        }
        self.waiting.push_back(fact);
        self.is_urgent = true;
    }

    fn push_delivery(&mut self, delivery: &EndedDelivery<'_>, binds: bool) {
        let EndedDelivery { object, ticket, receiver, span, whole, reach } = *delivery;
        let key = (ticket, span);
        if let Some(&place) = self.counting.get(&key).filter(|place| whole && !binds && **place >= self.sent) {
            let told = &mut self.waiting[(place - self.gone) as usize];
            if let Fact::Served { object: other, receiver: same, times, .. } = told
                && (*other, same.as_str()) == (object, receiver)
            {
                *times += 1;
                return;
            }
        }
        // A delivery that binds is never forgotten: it decides which receiver may have a file.
        if self.served >= SERVED_FACTS_MAX && !binds {
            tracing::warn!("the control plane is away for long: a delivery goes uncounted");
            return;
        }
        let place = self.gone + self.waiting.len() as u64;
        let is_urgent = self.is_urgent;
        let receiver = receiver.to_owned();
        self.push(Fact::Served { number: place + 1, object, ticket, receiver, span, whole, reach, times: 1 });
        self.is_urgent = is_urgent || binds || self.waiting.len() >= FACT_COUNTS_MAX;
        if whole && !binds {
            self.counting.insert(key, place);
        }
    }

    fn drop_front(&mut self, count: usize) {
        for _ in 0..count {
            match self.waiting.pop_front() {
                Some(Fact::Progress(presence)) if self.progress.get(&presence.object) == Some(&self.gone) => {
                    self.progress.remove(&presence.object);
                }
                Some(Fact::Served { ticket, span, .. }) => {
                    self.served -= 1;
                    if self.counting.get(&(ticket, span)) == Some(&self.gone) {
                        self.counting.remove(&(ticket, span));
                    }
                }
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
    fn after_its_removal_nothing_is_told_of_an_object() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(crate::store::StoreOptions::new(dir.path(), 1)).unwrap();
        let object = store.find_or_create(ObjectId::from_bytes([1; 16]), None).unwrap();
        let facts = Facts::default();
        facts.push_of(&object, progress(1, 10));
        assert_eq!(received(&facts.take_batch()), [10]);
        store.condemn(object.id(), store.journal(0)).unwrap();
        facts.push_of(&object, progress(1, 20));
        let queue = facts.lock();
        assert_eq!(queue.waiting.len(), queue.taken, "a writer that ended late says nothing");
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

    fn served(facts: &Facts, ticket: Ticket, end: u64, binds: bool) {
        let object = ObjectId::from_bytes([1; 16]);
        facts.push_delivery(
            &EndedDelivery { object, ticket, receiver: "r", span: Span::new(0, end), whole: true, reach: None },
            binds,
        );
    }

    fn counted(facts: &[Fact]) -> Vec<(u64, u64, u64)> {
        let count = |fact: &Fact| match fact {
            Fact::Served { number, ticket, times, .. } => (*number, *ticket, *times),
            _ => (0, 0, 0),
        };
        facts.iter().map(count).collect()
    }

    #[test]
    fn equal_deliveries_are_one_fact_until_it_was_sent() {
        let facts = Facts::default();
        for (ticket, end) in [(1, 10), (1, 10), (2, 10), (1, 5), (1, 10)] {
            served(&facts, ticket, end, false);
        }
        assert!(matches!(facts.urgency(), Urgency::Relaxed));
        assert_eq!(counted(&facts.take_batch()), [(1, 1, 3), (2, 2, 1), (3, 1, 1)]);
        served(&facts, 1, 10, false);
        facts.put_back();
        served(&facts, 1, 10, false);
        assert!(matches!(facts.urgency(), Urgency::Urgent));
        assert_eq!(counted(&facts.take_batch()), [(1, 1, 3), (2, 2, 1), (3, 1, 1), (4, 1, 2)], "told again as it was");
        facts.lock().drop_front(4);
        let queue = facts.lock();
        assert!(queue.counting.is_empty() && queue.served == 0);
    }

    #[test]
    fn counts_wait_and_what_binds_does_not() {
        let facts = Facts::default();
        assert!(matches!(facts.urgency(), Urgency::Empty));
        served(&facts, 1, 10, false);
        assert!(matches!(facts.urgency(), Urgency::Relaxed));
        served(&facts, 1, 10, true);
        assert!(matches!(facts.urgency(), Urgency::Urgent));
        assert_eq!(counted(&facts.take_batch()), [(1, 1, 1), (2, 1, 1)]);
    }

    #[test]
    fn a_batch_has_all_that_a_crowd_leaves_and_some_of_what_may_be_large() {
        let facts = Facts::default();
        (1..=5000).for_each(|end| served(&facts, 1, end, false));
        let Fact::Progress(many) = progress(1, 5) else { return };
        let spans: SpanSet = (0..1000).filter_map(|number| Span::at(number * 2, 1)).collect();
        (0..20_000).for_each(|_again| facts.push(Fact::Completed(Presence { spans: spans.clone(), ..many.clone() })));
        let taken = facts.take_batch().len();
        assert!((5001..6000).contains(&taken), "{taken}");
    }

    #[test]
    fn b5_a_batch_that_was_refused_is_halved_down_to_one_fact() {
        let facts = Facts::default();
        let scattered: SpanSet = (0..1000).filter_map(|number| Span::at(number * 2, 1)).collect();
        for number in 0..=u8::MAX {
            let Fact::Progress(presence) = progress(number, 5) else { continue };
            facts.push(Fact::Progress(Presence { spans: scattered.clone(), ..presence }));
        }
        let mut sizes = vec![facts.take_batch().len()];
        assert!(sizes[0] < 256, "bounded by bytes: {sizes:?}");
        while sizes.last() != Some(&1) {
            facts.halve();
            sizes.push(facts.take_batch().len());
        }
        assert!(sizes.is_sorted_by(|a, b| a > b), "{sizes:?}");
        (0..100).for_each(|_again| facts.halve());
        assert_eq!(facts.take_batch().len(), 1, "never nothing");
        facts.page_delivered(None);
        assert_eq!(facts.take_batch().len(), sizes[0], "a batch that was taken makes the next one whole");
    }

    #[test]
    fn b5_a_page_of_an_inventory_that_was_asked_for_again_does_not_count() {
        let facts = Facts::default();
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(crate::store::StoreOptions::new(dir.path(), 1)).unwrap();
        facts.begin_inventory(7);
        assert!(matches!(facts.urgency(), Urgency::Urgent));
        let mut batch = facts.take_batch();
        let (old, of) = facts.add_page(&store, &mut batch);
        assert_eq!((batch.len(), of), (1, 7));
        facts.begin_inventory(8);
        facts.page_delivered(old);
        let (new, of) = facts.add_page(&store, &mut Vec::new());
        assert_eq!(of, 8);
        facts.page_delivered(new);
        assert!(matches!(facts.urgency(), Urgency::Empty));
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
