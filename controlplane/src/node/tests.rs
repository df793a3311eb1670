//! The state behind the routes, driven by facts as a data plane would.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use etransfer_contract::Span;
use etransfer_contract::fact::{Claim, Fact, FactBatch, Presence};
use etransfer_contract::order::What;

use super::*;
use crate::catalogue::tests::record;
use crate::catalogue::{Record, Scope, WriteError};
use crate::core::SurfaceId;
use crate::core::{Policy, Size};
use crate::retention::policy::Keep;
use crate::retention::receiver::{Receiver, Who};

fn node(change: impl FnOnce(&mut Config)) -> Node {
    let mut config = Config::defaults();
    change(&mut config);
    Node::new(Arc::new(config), Snapshot::of_memory())
}

fn id(byte: u8) -> ObjectId {
    ObjectId::from_bytes([byte; 16])
}

fn presence(object: ObjectId, received: u64, at_unix_ms: u64) -> Presence {
    let spans = Span::new(0, received).into_iter().collect();
    let complete = received == 100;
    Presence { object, received, contiguous: received, spans, length: Some(100), complete, at_unix_ms }
}

async fn tell(node: &Node, facts: Vec<Fact>) {
    node.apply(FactBatch { version: VERSION, run: 1, asked_by: 0, facts }).await.unwrap();
}

fn inventory(objects: Vec<Presence>) -> Fact {
    Fact::Inventory { objects, last: true }
}

fn query(node: &Node) -> OrdersQuery {
    let known = node.no_orders();
    OrdersQuery {
        version: VERSION,
        run: 1,
        control_run: known.control_run,
        epoch: known.epoch,
        after: 0,
        busy: false,
        node: NodeFacts::default(),
    }
}

fn ordered(node: &Node) -> Vec<(ObjectId, Option<u64>)> {
    let orders = node.orders(&query(node)).map_or(Vec::new(), |answer| answer.orders);
    let removal = |What::Remove { object, unless_written_since_unix_ms }| (object, unless_written_since_unix_ms);
    orders.into_iter().map(|order| removal(order.what)).collect()
}

async fn once_file(node: &Node) {
    let keep = Keep { policy: Policy::DownloadOnce, ttl_s: None };
    node.create(Record { keep, ..record(id(1), node.clock.now_ms()) }).await.unwrap();
    tell(node, vec![Fact::Completed(presence(id(1), 100, node.clock.now_ms()))]).await;
}

fn served(ticket: Ticket, receiver: &Receiver, whole: bool) -> Fact {
    let receiver = receiver.to_string();
    Fact::Served {
        number: ticket,
        object: id(1),
        ticket,
        receiver,
        span: Span::new(0, 100),
        whole,
        reach: None,
        times: 1,
    }
}

#[tokio::test]
async fn facts_are_idempotent_and_create_nothing() {
    let node = node(|_| {});
    node.create(record(id(1), 1)).await.unwrap();
    let now = node.clock.now_ms();
    let facts = [Fact::Progress(presence(id(1), 40, now)), Fact::Completed(presence(id(1), 100, now))];
    tell(&node, facts.to_vec()).await;
    tell(&node, facts.to_vec()).await;
    let Look::There(entry) = node.look(SurfaceId::EasyTransfer, id(1)) else { panic!() };
    assert_eq!((entry.record.completed_ms, entry.received()), (Some(now), 100));
    assert_eq!(node.totals(&Scope::EVERYTHING).file_bytes, 100);
    tell(&node, vec![Fact::Progress(presence(id(9), 40, now))]).await;
    assert!(
        matches!(node.look(SurfaceId::EasyTransfer, id(9)), Look::Unknown),
        "T-TER-5: a late fact resurrects nothing"
    );
    tell(&node, vec![inventory(vec![presence(id(1), 100, now), presence(id(9), 40, now)])]).await;
    node.sweep();
    assert_eq!(ordered(&node), [], "no decision says that they go");
    assert_eq!((node.used(), node.unclaimed()), (140, (1, 40)), "they count, and are told");
    tell(&node, vec![Fact::Removed { object: id(9) }]).await;
    assert_eq!((node.used(), node.unclaimed(), ordered(&node)), (100, (0, 0), vec![]));
}

#[tokio::test]
async fn section_3_rule_4_a_full_download_consumes_and_an_aborted_one_does_not() {
    let node = node(|_| {});
    once_file(&node).await;
    let receiver = Receiver { who: Who::credential("a"), by_chunk: false };
    let claim = |ticket| Claim {
        ticket,
        object: id(1),
        receiver: receiver.to_string(),
        span: Span::new(0, 100),
        held_from: None,
    };
    assert!(node.claim(&claim(1)).await.unwrap().go);
    assert!(!node.claim(&claim(2)).await.unwrap().go, "one at a time");
    tell(&node, vec![served(1, &receiver, false)]).await;
    assert!(matches!(node.look(SurfaceId::EasyTransfer, id(1)), Look::There(_)));
    assert!(node.claim(&claim(3)).await.unwrap().go);
    tell(&node, vec![served(3, &receiver, true)]).await;
    assert!(matches!(node.look(SurfaceId::EasyTransfer, id(1)), Look::Unknown));
    assert_eq!(ordered(&node), [(id(1), None)]);
    assert!(!node.claim(&claim(4)).await.unwrap().go);
}

/// A catalogue that can be away; it counts what it was asked to write.
#[derive(Default)]
struct Away {
    is_away: AtomicBool,
    writes: AtomicUsize,
}

impl Backend for Arc<Away> {
    fn write(&self, _: Vec<Change>) -> Commit {
        self.writes.fetch_add(1, Ordering::SeqCst);
        let (tell, told) = tokio::sync::oneshot::channel();
        let reason = WriteError { reason: "away".into(), is_full: false };
        let _ = tell.send(if self.is_away.load(Ordering::SeqCst) { Err(reason) } else { Ok(()) });
        Commit::Waiting(told)
    }
}

#[tokio::test]
async fn p15_a_consumption_is_not_forgotten_before_it_is_written_however_often_it_is_told() {
    let away = Arc::new(Away::default());
    let backend = Box::new(Arc::clone(&away));
    let snapshot = Snapshot { backend, ..Snapshot::of_memory() };
    let node = Node::new(Arc::new(Config::defaults()), snapshot);
    once_file(&node).await;
    away.is_away.store(true, Ordering::SeqCst);
    let receiver = Receiver { who: Who::credential("a"), by_chunk: false };
    let told =
        || node.apply(FactBatch { version: VERSION, run: 1, asked_by: 0, facts: vec![served(1, &receiver, true)] });
    for _ in 0..2 {
        assert!(told().await.is_err(), "the data plane keeps the fact");
    }
    assert!(matches!(node.look(SurfaceId::EasyTransfer, id(1)), Look::Unknown), "and no other client gets the file");
    away.is_away.store(false, Ordering::SeqCst);
    told().await.unwrap();
    let writes = away.writes.load(Ordering::SeqCst);
    told().await.unwrap();
    assert_eq!(away.writes.load(Ordering::SeqCst), writes, "what is written is not written again");
}

#[tokio::test]
async fn section_3_rule_6_ttl_is_enforced_at_the_access() {
    let node = node(|_| {});
    let now = node.clock.now_ms();
    for (byte, completed) in [(1, now - 9_000), (2, now - 11_000)] {
        let keep = Keep { policy: Policy::Ttl, ttl_s: Some(10) };
        node.create(Record { keep, ..record(id(byte), 1) }).await.unwrap();
        tell(&node, vec![Fact::Completed(presence(id(byte), 100, completed))]).await;
    }
    assert_eq!(
        (
            node.totals(&Scope::EVERYTHING).files,
            node.list(&Want { scope: Scope::EVERYTHING, complete: true, incomplete: true, skip: 0, take: 9 })
                .entries
                .len()
        ),
        (1, 1)
    );
    assert!(matches!(node.look(SurfaceId::EasyTransfer, id(1)), Look::There(_)));
    assert!(matches!(node.look(SurfaceId::EasyTransfer, id(2)), Look::Unknown));
    assert_eq!(ordered(&node), [(id(2), None)]);
    assert_eq!(node.sweep().0, 0, "the access sent it away already");
}

#[tokio::test]
async fn section_3_rule_7_an_upload_expires_after_its_last_byte_and_only_when_the_data_plane_agrees() {
    let node = node(|config| config.uploads.expiration = Duration::from_secs(10));
    let now = node.clock.now_ms();
    node.create(record(id(1), now - 60_000)).await.unwrap();
    assert!(
        matches!(node.look(SurfaceId::EasyTransfer, id(1)), Look::There(_)),
        "no inventory yet: its last byte is not known"
    );
    tell(&node, vec![inventory(vec![presence(id(1), 5, now - 5_000)])]).await;
    assert!(matches!(node.look(SurfaceId::EasyTransfer, id(1)), Look::There(_)));
    tell(&node, vec![Fact::Progress(presence(id(1), 6, now - 11_000))]).await;
    assert!(matches!(node.look(SurfaceId::EasyTransfer, id(1)), Look::Expired));
    assert_eq!(node.totals(&Scope::EVERYTHING).uploads, 0);
    assert_eq!(ordered(&node), [(id(1), Some(now - 11_000))]);
    // T-EXP-4: a writer was active; its next byte brings the upload back.
    tell(&node, vec![Fact::Progress(presence(id(1), 7, now))]).await;
    assert!(matches!(node.look(SurfaceId::EasyTransfer, id(1)), Look::There(_)));
    tell(&node, vec![Fact::Removed { object: id(1) }]).await;
    assert!(
        matches!(node.look(SurfaceId::EasyTransfer, id(1)), Look::Expired),
        "T-EXP-3: 410 while the tombstone lasts"
    );
    assert_eq!(node.used(), 0);
}

#[tokio::test]
async fn p9_promises_count_and_are_released() {
    let node = node(|config| config.storage.max_storage_size = Some(Size(150)));
    assert_eq!(node.reserve(1, Some(10), 100, None), Room::Unknown, "usage that cannot be read counts as full");
    tell(&node, vec![inventory(vec![])]).await;
    node.create(record(id(1), node.clock.now_ms())).await.unwrap();
    assert_eq!(node.reserve(1, Some(100), 100, None), Room::Promised(100));
    assert_eq!(node.reserve(2, Some(51), 100, None), Room::Full { whose: Whose::Node, used: 100, max: 150 });
    assert_eq!(node.reserve(2, None, 100, None), Room::Promised(50));
    assert_eq!(node.reserve(3, None, 100, None), Room::Full { whose: Whose::Node, used: 150, max: 150 });
    assert_eq!(node.reserve(3, Some(0), 100, None), Room::Promised(0));
    let settled = |ticket, stored| Fact::Settled { ticket, stored };
    tell(&node, vec![Fact::Progress(presence(id(1), 60, 1)), settled(1, 60), settled(2, 0)]).await;
    assert_eq!(node.reserve(4, Some(90), 100, None), Room::Promised(90));
    tell(&node, vec![settled(4, 0), settled(4, 0)]).await;
    assert_eq!(node.reserve(5, Some(91), 100, None), Room::Full { whose: Whose::Node, used: 60, max: 150 });
    node.reserve(6, Some(90), 100, None);
    node.apply(FactBatch { version: VERSION, run: 2, asked_by: 0, facts: vec![] }).await.unwrap();
    assert_eq!(node.reserve(7, Some(90), 100, None), Room::Promised(90), "a new data plane holds no old promise");
}

#[tokio::test]
async fn a_new_catalogue_never_removes_what_it_does_not_know() {
    let snapshot = Snapshot { is_new_file: true, ..Snapshot::of_memory() };
    let node = Node::new(Arc::new(Config::defaults()), snapshot);
    tell(&node, vec![inventory(vec![presence(id(1), 100, 1)])]).await;
    assert_eq!(ordered(&node), []);
    node.sweep();
    assert_eq!((ordered(&node), node.used()), (vec![], 100));
    let forgetful = super::tests::node(|config| config.storage.quarantine = Duration::from_secs(60));
    tell(&forgetful, vec![inventory(vec![presence(id(1), 100, 1)])]).await;
    forgetful.sweep();
    assert_eq!(ordered(&forgetful), [], "not at once");
    let later = forgetful.clock.now_ms() + 60_000;
    let decided = forgetful.lock().give_up_forgotten(later, Duration::from_secs(60));
    assert_eq!(decided.len(), 1);
    forgetful.sweep();
    assert_eq!(ordered(&forgetful), [(id(1), None)], "a catalogue that keeps nothing gives up what it forgot");
}

/// Yesterday's catalogue beside today's journal: whatever it says, an object goes by a decision alone (faults.md S1c).
#[tokio::test]
async fn an_older_catalogue_never_removes_what_it_does_not_know() {
    let backend = || Box::new(Arc::<Away>::default());
    let yesterday = Snapshot {
        backend: backend(),
        is_forgetful: false,
        records: [record(id(1), 1)].into_iter().collect(),
        ..Snapshot::of_memory()
    };
    let node = Node::new(Arc::new(Config::defaults()), yesterday);
    for _ in 0..3 {
        tell(&node, vec![inventory(vec![presence(id(1), 100, 1), presence(id(2), 100, 1)])]).await;
        node.sweep();
        node.lock().give_up_forgotten(u64::MAX, Duration::from_secs(1));
        tell(&node, vec![Fact::Completed(presence(id(3), 100, 1)), Fact::Progress(presence(id(4), 50, 1))]).await;
    }
    assert_eq!((ordered(&node), node.unclaimed()), (vec![], (3, 250)));
    assert!(matches!(node.look(SurfaceId::EasyTransfer, id(1)), Look::There(_)));
}

#[tokio::test]
async fn a_removal_is_a_decision_that_survives_the_control_plane_until_the_bytes_are_gone() {
    let written = Arc::<Noted>::default();
    let node = Node::new(Arc::new(Config::defaults()), written.snapshot());
    for byte in 1..5 {
        node.create(record(id(byte), node.clock.now_ms())).await.unwrap();
        tell(&node, vec![Fact::Completed(presence(id(byte), 100, 1))]).await;
    }
    node.delete(id(1)).await.unwrap();
    node.edit(Edit::default().delete(id(2))).await.unwrap();
    node.delete(id(3)).await.unwrap();
    tell(&node, vec![Fact::Removed { object: id(3) }]).await;
    assert!(matches!(node.delete(id(3)).await, Ok(None)));
    // The control plane is killed before the data plane heard of anything.
    let node = Node::new(Arc::new(Config::defaults()), written.snapshot());
    let there = [1, 2, 4, 9].map(|byte| presence(id(byte), 100, 1));
    tell(&node, vec![inventory(there.to_vec())]).await;
    assert_eq!(ordered(&node).iter().map(|(id, _)| *id).collect::<HashSet<_>>(), HashSet::from([id(1), id(2)]));
    assert_eq!(node.unclaimed(), (1, 100), "what no decision names stays");
    tell(&node, vec![Fact::Removed { object: id(1) }, Fact::Removed { object: id(2) }]).await;
    assert_eq!(ordered(&node), []);
    let node = Node::new(Arc::new(Config::defaults()), written.snapshot());
    assert!(node.lock().removals.is_empty(), "what is done is forgotten");
    // A report of what is not there any more ends a decision too.
    node.delete(id(4)).await.unwrap();
    assert_eq!(node.lock().removals.len(), 1);
    tell(&node, vec![inventory(vec![])]).await;
    assert!(node.lock().removals.is_empty());
}

/// A catalogue in memory that outlives its control plane.
#[derive(Default)]
struct Noted(std::sync::Mutex<(HashMap<ObjectId, Record>, Docs)>);

impl Noted {
    fn snapshot(self: &Arc<Self>) -> Snapshot {
        let held = self.0.lock().unwrap();
        let (records, docs) = (held.0.values().cloned().collect(), held.1.clone());
        Snapshot { backend: Box::new(Arc::clone(self)), records, docs, is_forgetful: false, ..Snapshot::of_memory() }
    }
}

impl Backend for Arc<Noted> {
    fn write(&self, changes: Vec<Change>) -> Commit {
        let mut held = self.0.lock().unwrap();
        for change in changes {
            match change {
                Change::Put(record) => drop(held.0.insert(record.id, *record)),
                Change::Delete(id) => drop(held.0.remove(&id)),
                Change::Doc { surface, key, value: Some(value) } => drop(held.1.insert((surface, key), value)),
                Change::Doc { surface, key, value: None } => drop(held.1.remove(&(surface, key))),
                Change::Keep(_) | Change::Trust => {}
            }
        }
        Commit::Done
    }
}

#[tokio::test]
async fn a_complete_file_without_bytes_keeps_its_record() {
    let node = node(|_| {});
    node.create(Record { completed_ms: Some(5), ..record(id(1), 1) }).await.unwrap();
    tell(&node, vec![inventory(vec![])]).await;
    assert!(matches!(node.look(SurfaceId::EasyTransfer, id(1)), Look::There(_)));
}

#[tokio::test]
async fn a_stranger_hears_everything_and_an_acquaintance_only_news() {
    let node = node(|_| {});
    let first = node.orders(&OrdersQuery { control_run: 0, epoch: 0, ..query(&node) }).unwrap();
    assert!(first.inventory && first.control_run != 0);
    assert!(node.orders(&query(&node)).is_none());
    node.order_removal(id(1));
    assert_eq!(node.orders(&query(&node)).unwrap().orders.len(), 1);
    let done = OrdersQuery { after: 1, ..query(&node) };
    assert!(node.orders(&done).is_none(), "told once per run of the data plane");
}

#[tokio::test]
async fn section_3_full_downloads_are_counted_for_files_that_stay() {
    let node = node(|_| {});
    node.create(record(id(1), 1)).await.unwrap();
    tell(&node, vec![Fact::Completed(presence(id(1), 100, 1))]).await;
    let receiver = Receiver { who: Who::credential("a"), by_chunk: false };
    tell(&node, vec![served(1, &receiver, true), served(1, &receiver, true), served(2, &receiver, false)]).await;
    let Look::There(entry) = node.look(SurfaceId::EasyTransfer, id(1)) else { panic!() };
    assert_eq!(entry.record.download_count, 1);
}

#[test]
fn o3_epochs_continue_above_what_the_data_plane_heard() {
    let node = node(|_| {});
    let before = node.epoch();
    let heard = before + 86_400_000;
    let first = node.orders(&OrdersQuery { control_run: 0, epoch: heard, ..query(&node) }).unwrap();
    assert!(first.epoch > heard, "{} after {heard}", first.epoch);
    node.revoke();
    let next = node.orders(&OrdersQuery { epoch: first.epoch, ..query(&node) }).unwrap();
    assert!(next.epoch > first.epoch);
    let same = node.orders(&OrdersQuery { control_run: 0, epoch: next.epoch, ..query(&node) }).unwrap();
    assert!(same.epoch > next.epoch, "another run's grants of the same number are void too");
}

#[test]
fn o3_an_epoch_is_told_while_orders_are_carried_out() {
    let node = node(|_| {});
    node.order_removal(id(1));
    let busy = OrdersQuery { busy: true, ..query(&node) };
    assert!(node.orders(&busy).is_none(), "no order, no news");
    node.revoke();
    let told = node.orders(&busy).unwrap();
    assert!(told.epoch > busy.epoch && told.orders.is_empty());
    assert_eq!(ordered(&node), [(id(1), None)]);
}

#[tokio::test]
async fn o5b_expiry_that_was_reached_is_written_down_before_the_sweep() {
    let node = node(|_| {});
    tell(&node, vec![inventory(vec![])]).await;
    let keep = Keep { policy: Policy::Ttl, ttl_s: Some(1) };
    let long_ago = node.clock.now_ms() - 5_000;
    let expired = Record { keep, completed_ms: Some(long_ago), ..record(id(1), long_ago) };
    node.create(expired).await.unwrap();
    node.record_expiry().wait().await.unwrap();
    assert_eq!(node.totals(&Scope::EVERYTHING).files, 0);
    assert_eq!(ordered(&node), [(id(1), None)], "its record is gone, whatever the clock says next");
    node.record_expiry().wait().await.unwrap();
    assert_eq!(node.sweep().0, 1, "a sweep tells what went since the last one");
    assert_eq!(node.sweep().0, 0);
}

#[tokio::test]
async fn o6_a_limit_lowered_below_what_is_stored_is_over() {
    let node = node(|config| config.storage.max_storage_size = Some(Size(100)));
    tell(&node, vec![inventory(vec![presence(id(1), 90, 1)])]).await;
    node.reserve(5, Some(10), 10, None);
    assert!(!node.is_over_limit(None), "promises are no bytes");
    let mut config = Config::clone(&node.config());
    config.storage.max_storage_size = Some(Size(80));
    node.reconfigure(config);
    assert!(node.is_over_limit(None));
}

#[tokio::test]
async fn b5_a_limit_counts_all_bytes_before_the_pages_came() {
    let node = node(|config| config.storage.max_storage_size = Some(Size(150)));
    let first = node.orders(&OrdersQuery { control_run: 0, epoch: 0, ..query(&node) });
    assert!(first.is_some_and(|orders| orders.inventory && orders.first.is_empty()));
    assert_eq!(node.reserve(1, Some(10), 10, None), Room::Unknown);
    tell(&node, vec![Fact::Stored { bytes: 100 }]).await;
    assert!(node.knows_inventory(), "enough for decisions");
    assert_eq!(node.reserve(1, Some(50), 50, None), Room::Promised(50));
    assert!(matches!(node.reserve(2, Some(1), 1, None), Room::Full { used: 150, .. }));
    let page = |byte, last| Fact::Inventory { objects: vec![presence(id(byte), 50, 1)], last };
    tell(&node, vec![page(1, false), page(1, false)]).await;
    assert!(matches!(node.reserve(2, Some(1), 1, None), Room::Full { used: 150, .. }), "counted once");
    tell(&node, vec![page(2, true)]).await;
    assert!(matches!(node.reserve(2, Some(1), 1, None), Room::Full { used: 150, .. }));
}

#[tokio::test]
async fn b5_pages_that_another_run_asked_for_are_dropped() {
    let node = node(|_| {});
    node.create(record(id(1), 1)).await.unwrap();
    let last = || vec![Fact::Inventory { objects: Vec::new(), last: true }];
    let told = |asked_by| FactBatch { version: VERSION, run: 1, asked_by, facts: last() };
    node.apply(told(node.run.wrapping_add(1))).await.unwrap();
    assert!(!node.knows_inventory());
    node.apply(told(node.run)).await.unwrap();
    assert!(node.knows_inventory());
}
