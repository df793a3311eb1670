//! Edits against a catalogue that takes its time and may refuse, with facts in between; then all of it against a model.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use etransfer_contract::Span;
use etransfer_contract::fact::{Fact, FactBatch, Presence};
use etransfer_contract::link::VERSION;
use etransfer_contract::order::{NodeFacts, Orders, OrdersQuery, What};
use proptest::prelude::*;
use tokio::sync::oneshot;

use super::super::{Account, Node, Room};
use super::*;
use crate::catalogue::tests::record;
use crate::catalogue::{Backend, Commit, Docs, Scope, Snapshot};
use crate::config::Config;

const HERE: SurfaceId = SurfaceId::CloudBackend;

/// A catalogue that says nothing until it is told what to say.
#[derive(Default)]
struct Slow(Mutex<Written>);

#[derive(Default)]
struct Written {
    records: BTreeMap<ObjectId, Record>,
    docs: Docs,
    /// In order; what was refused is written before what came later.
    waiting: Vec<Change>,
    waiters: Vec<oneshot::Sender<Result<(), WriteError>>>,
}

impl Backend for Arc<Slow> {
    fn write(&self, changes: Vec<Change>) -> Commit {
        let (tell, told) = oneshot::channel();
        let mut written = self.0.lock().unwrap();
        written.waiting.extend(changes);
        written.waiters.push(tell);
        Commit::Waiting(told)
    }
}

impl Slow {
    /// Writes all that waits, or refuses it.
    fn say(&self, yes: bool) {
        let mut written = self.0.lock().unwrap();
        let changes = if yes { std::mem::take(&mut written.waiting) } else { Vec::new() };
        for change in changes {
            match change {
                Change::Put(record) => {
                    written.records.insert(record.id, *record);
                }
                Change::Delete(id) => {
                    written.records.remove(&id);
                }
                Change::Doc { surface, key, value: Some(value) } => {
                    written.docs.insert((surface, key), value);
                }
                Change::Doc { surface, key, value: None } => {
                    written.docs.remove(&(surface, key));
                }
                Change::Keep(_) | Change::Trust => {}
            }
        }
        for asker in std::mem::take(&mut written.waiters) {
            let refusal = WriteError { reason: "away".into(), is_full: false };
            let _ = asker.send(if yes { Ok(()) } else { Err(refusal) });
        }
    }
}

/// A control plane, its catalogue, and the run of the data plane it hears.
struct Bench {
    node: Node,
    slow: Arc<Slow>,
    run: u64,
}

fn begin(slow: &Arc<Slow>) -> Node {
    let written = slow.0.lock().unwrap();
    let (records, docs) = (written.records.values().cloned().collect(), written.docs.clone());
    let backend = Box::new(Arc::clone(slow));
    Node::new(Arc::new(Config::defaults()), Snapshot { backend, records, docs, ..Snapshot::of_memory() })
}

impl Bench {
    fn new() -> Self {
        let slow = Arc::<Slow>::default();
        let bench = Self { node: begin(&slow), slow, run: 1 };
        bench.tell(vec![Fact::Inventory { objects: Vec::new(), last: true }]);
        bench
    }

    /// Killed and started again: what was not written is lost. It knows nothing of the disk yet.
    fn restart(&mut self) {
        let mut written = self.slow.0.lock().unwrap();
        written.waiting.clear();
        written.waiters.clear();
        drop(written);
        self.node = begin(&self.slow);
    }

    /// Facts of which none has to be on disk before it is answered.
    fn tell(&self, facts: Vec<Fact>) {
        let told = self.node.apply(FactBatch { version: VERSION, run: self.run, asked_by: 0, facts });
        assert_eq!(poll(pin!(told).as_mut()), Poll::Ready(Ok(())));
    }

    /// An edit whose write is answered at once.
    fn edit(&self, edit: Edit, yes: bool) -> Result<(), WriteError> {
        let mut edit = pin!(self.node.edit(edit));
        if let Poll::Ready(done) = poll(edit.as_mut()) {
            return done;
        }
        self.slow.say(yes);
        match poll(edit) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => panic!("the write was answered"),
        }
    }

    fn ordered(&self) -> Vec<ObjectId> {
        let (known, node) = (self.node.no_orders(), NodeFacts::default());
        let Orders { control_run, epoch, .. } = known;
        let query = OrdersQuery { version: VERSION, run: self.run, control_run, epoch, after: 0, busy: false, node };
        let object = |What::Remove { object, .. }| object;
        self.node.orders(&query).into_iter().flat_map(|orders| orders.orders).map(|order| object(order.what)).collect()
    }

    fn used(&self, owner: Option<&Owner>) -> u64 {
        self.node.lock().index.used(owner)
    }
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn id(number: u32) -> ObjectId {
    let mut bytes = [9; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

fn owner(number: u8) -> Option<Owner> {
    let member = |name: &str| Owner::Member(HERE, name.into());
    [None, Some(member("ann")), Some(member("bob"))][usize::from(number % 3)].clone()
}

fn file(number: u32, key: &str, of: u8) -> Record {
    Record { surface: HERE, key: key.into(), owner: owner(of), completed_ms: Some(5), ..record(id(number), 1) }
}

fn whole(number: u32, bytes: u64) -> Presence {
    Presence {
        object: id(number),
        received: bytes,
        contiguous: bytes,
        spans: Span::new(0, bytes).into_iter().collect(),
        length: Some(bytes),
        complete: true,
        at_unix_ms: 5,
    }
}

#[test]
fn bytes_may_come_before_their_record() {
    let bench = Bench::new();
    let ann = owner(1).unwrap();
    bench.node.reserve(1, Some(100), 100, Some(Account { owner: ann.clone(), max: Some(150) }));
    bench.node.expect_bytes(1, id(1), Some(ann.clone()));
    bench.tell(vec![Fact::Completed(whole(1, 100)), Fact::Inventory { objects: vec![whole(1, 100)], last: true }]);
    bench.node.sweep();
    assert_eq!((bench.ordered(), bench.used(Some(&ann))), (vec![], 100));
    assert_eq!(bench.edit(Edit::default().put(Record { completed_ms: None, ..file(1, "a", 1) }), true), Ok(()));
    let entry = bench.node.by_place(HERE, "a").unwrap();
    assert_eq!((entry.received(), entry.record.completed_ms), (100, Some(5)), "what was told counts for the record");
    bench.tell(vec![Fact::Settled { ticket: 1, stored: 100 }]);
    assert_eq!((bench.ordered(), bench.node.used_by(&ann), bench.used(Some(&ann))), (vec![], 100, 100));
    let account = Account { owner: ann.clone(), max: Some(150) };
    assert_eq!(bench.node.would_fit(50, &account), Room::Unlimited);
    assert!(matches!(bench.node.would_fit(51, &account), Room::Full { used: 100, .. }), "the promise is over");
}

#[test]
fn bytes_without_a_record_go_when_their_last_grant_ends() {
    let bench = Bench::new();
    for (ticket, number) in [(1, 1), (2, 1), (3, 2), (4, 3)] {
        bench.node.expect_bytes(ticket, id(number), owner(1));
    }
    bench.tell((1..4).map(|number| Fact::Completed(whole(number, 10))).collect());
    bench.tell(vec![Fact::Settled { ticket: 1, stored: 10 }]);
    assert_eq!(bench.ordered(), [], "another grant is open");
    bench.tell(vec![Fact::Settled { ticket: 2, stored: 0 }]);
    bench.node.unreserve(3);
    assert_eq!(bench.ordered(), [id(1), id(2)]);
    bench.tell(vec![Fact::Discarded { object: id(3) }, Fact::Progress(whole(3, 10))]);
    assert_eq!(bench.ordered(), [id(1), id(2)], "no decision covers what comes after its end");
    bench.tell(vec![Fact::Inventory { objects: (1..4).map(|number| whole(number, 10)).collect(), last: true }]);
    assert_eq!(bench.node.unclaimed(), (1, 10), "but it is told");
    bench.tell((1..4).map(|number| Fact::Removed { object: id(number) }).collect());
    assert_eq!((bench.used(None), bench.used(owner(1).as_ref())), (0, 0));
}

#[test]
fn a_control_plane_that_starts_anew_is_told_what_is_awaited_before_it_judges() {
    let mut bench = Bench::new();
    bench.node.expect_bytes(1, id(1), owner(1));
    bench.restart();
    bench.tell(vec![Fact::Completed(whole(1, 10)), Fact::Progress(whole(2, 10))]);
    bench.node.sweep();
    assert_eq!(bench.ordered(), [], "it is not known yet who waits for what");
    let pages = vec![whole(1, 10), whole(2, 10)];
    bench
        .tell(vec![Fact::Open { ticket: 1, object: id(1), bytes: 10 }, Fact::Inventory { objects: pages, last: true }]);
    assert_eq!((bench.ordered(), bench.node.unclaimed()), (vec![], (1, 10)));
    bench.edit(Edit::default().put(file(1, "a", 1)), true).unwrap();
    bench.tell(vec![Fact::Settled { ticket: 1, stored: 10 }]);
    assert_eq!((bench.ordered(), bench.used(owner(1).as_ref())), (vec![], 10));
    bench.node.expect_bytes(2, id(3), None);
    bench.run = 2;
    bench.tell(vec![Fact::Progress(whole(3, 10))]);
    assert_eq!(bench.ordered(), [id(3)], "a new data plane has no grants");
}

#[test]
fn an_edit_that_cannot_be_written_was_not_made() {
    let mut bench = Bench::new();
    let before =
        Edit::default().put(file(1, "a", 1)).put(file(2, "b", 2)).write(HERE, "a", "old").write(HERE, "b", "b");
    bench.edit(before, true).unwrap();
    bench.tell(vec![Fact::Completed(whole(1, 10)), Fact::Completed(whole(2, 20))]);
    bench.node.expect_bytes(1, id(3), owner(2));
    bench.tell(vec![Fact::Completed(whole(3, 30))]);
    let edit = || {
        let renamed = Record { key: "c".into(), owner: owner(2), ..file(2, "c", 2) };
        let docs = Edit::default().write(HERE, "a", "new").erase(HERE, "b").write(HERE, "c", "c");
        docs.put(file(3, "a", 2)).put(renamed)
    };
    let state = || {
        let records: Vec<_> = bench.node.records_under(HERE, "").into_iter().map(|entry| entry.record).collect();
        (records, bench.node.docs_under(HERE, ""), bench.used(owner(1).as_ref()), bench.used(owner(2).as_ref()))
    };
    let old = state();
    {
        let mut edit = pin!(bench.node.edit(edit()));
        assert!(poll(edit.as_mut()).is_pending());
        assert_eq!(bench.node.by_place(HERE, "a").unwrap().record.id, id(3), "the other record of the place is gone");
        bench.tell(vec![Fact::Progress(whole(1, 10))]);
        bench.node.sweep();
        assert_eq!(bench.ordered(), [], "its bytes are not, as long as it may come back");
        bench.slow.say(false);
        assert!(matches!(poll(edit), Poll::Ready(Err(_))));
    }
    assert_eq!(state(), old);
    bench.slow.say(true);
    bench.restart();
    assert_eq!(
        bench.node.records_under(HERE, "").iter().map(|entry| entry.record.id).collect::<Vec<_>>(),
        [id(1), id(2)]
    );
    assert_eq!(bench.node.docs_under(HERE, ""), old.1, "both were written, in order");
    let pages = [(1, 10), (2, 20), (3, 30)].map(|(number, bytes)| whole(number, bytes)).to_vec();
    let open = Fact::Open { ticket: 1, object: id(3), bytes: 30 };
    bench.tell(vec![open, Fact::Inventory { objects: pages, last: true }]);
    bench.edit(edit(), true).unwrap();
    assert_eq!(bench.ordered(), [id(1)], "written, it is time");
    assert_eq!(bench.node.doc(HERE, "a").as_deref(), Some(&b"new"[..]));
    assert_eq!(bench.node.docs_under(HERE, "").len(), 2);
    assert_eq!((bench.used(owner(1).as_ref()), bench.used(owner(2).as_ref())), (10, 50), "until they are gone");
}

#[test]
fn bytes_that_went_meanwhile_do_not_get_their_record_back() {
    let bench = Bench::new();
    bench.edit(Edit::default().put(file(1, "a", 1)), true).unwrap();
    let mut edit = pin!(bench.node.edit(Edit::default().delete(id(1))));
    assert!(poll(edit.as_mut()).is_pending());
    bench.tell(vec![Fact::Removed { object: id(1) }]);
    bench.slow.say(false);
    assert!(matches!(poll(edit), Poll::Ready(Err(_))));
    assert!(bench.node.by_place(HERE, "a").is_none());
}

#[test]
fn who_stops_waiting_leaves_the_edit_as_it_stands() {
    let bench = Bench::new();
    bench.edit(Edit::default().put(file(1, "a", 1)), true).unwrap();
    bench.tell(vec![Fact::Completed(whole(1, 10))]);
    {
        let mut edit = pin!(bench.node.edit(Edit::default().delete(id(1))));
        assert!(poll(edit.as_mut()).is_pending());
    }
    assert!(bench.node.by_place(HERE, "a").is_none());
    bench.node.sweep();
    assert_eq!(bench.ordered(), [id(1)]);
}

#[test]
fn what_facts_decided_stays_when_a_record_is_written_anew() {
    let bench = Bench::new();
    let read = Record { completed_ms: None, length: None, ..file(1, "a", 1) };
    bench.edit(Edit::default().put(read.clone()), true).unwrap();
    bench.tell(vec![Fact::Completed(whole(1, 10))]);
    let (object, ticket) = (id(1), 1);
    let receiver =
        crate::retention::receiver::Receiver { who: crate::retention::receiver::Who::credential("a"), by_chunk: false };
    let (receiver, span) = (receiver.to_string(), Span::new(0, 10));
    bench.tell(vec![Fact::Served { number: 1, object, ticket, receiver, span, whole: true, reach: None, times: 1 }]);
    bench.edit(Edit::default().put(Record { detail: 7.into(), ..read }), true).unwrap();
    let record = bench.node.by_place(HERE, "a").unwrap().record;
    assert_eq!((record.completed_ms, record.length, record.download_count), (Some(5), Some(10), 1));
    assert_eq!(record.detail, 7);
    bench.edit(Edit::default().delete(id(1)).put(file(1, "b", 1)), true).unwrap();
    assert_eq!(bench.ordered(), [], "deleted and put is put");
}

/// What should be known.
#[derive(Debug, Default, Clone, PartialEq)]
struct Model {
    records: BTreeMap<ObjectId, (String, u8)>,
    docs: BTreeMap<String, Vec<u8>>,
}

/// What is on disk, and who still writes.
#[derive(Debug, Default)]
struct World {
    disk: BTreeMap<ObjectId, u64>,
    open: BTreeMap<u64, ObjectId>,
    /// Whose the bytes will be.
    owners: BTreeMap<ObjectId, u8>,
    /// Objects brought before this one were brought to an earlier run of the control plane.
    first: u32,
    last: u32,
}

impl World {
    /// One of the objects that have a record or may get one; others are on their way out.
    fn pick(&self, model: &Model, number: u8) -> Option<ObjectId> {
        let is_needed = |id: &&ObjectId| model.records.contains_key(id) || self.open.values().any(|open| open == *id);
        let needed: Vec<_> = self.disk.keys().filter(is_needed).collect();
        needed.get(usize::from(number) % needed.len().max(1)).map(|id| **id)
    }

    fn bring(&mut self, bench: &Bench, of: u8) {
        self.last += 1;
        let ticket = u64::from(self.last);
        bench.node.expect_bytes(ticket, id(self.last), owner(of));
        bench.tell(vec![Fact::Completed(whole(self.last, ticket * 10))]);
        self.disk.insert(id(self.last), ticket * 10);
        self.open.insert(ticket, id(self.last));
        self.owners.insert(id(self.last), of % 3);
    }

    fn settle(&mut self, bench: &Bench, number: u8) {
        let ticket = self.open.keys().nth(usize::from(number) % self.open.len().max(1)).copied();
        if let Some(ticket) = ticket {
            self.open.remove(&ticket);
            bench.tell(vec![Fact::Settled { ticket, stored: 0 }]);
        }
    }

    fn take_inventory(&self, bench: &Bench) {
        let open = self.open.iter().map(|(ticket, object)| Fact::Open { ticket: *ticket, object: *object, bytes: 0 });
        let objects = self.disk.iter().map(|(object, bytes)| Presence { object: *object, ..whole(0, *bytes) });
        bench.tell(open.chain([Fact::Inventory { objects: objects.collect(), last: true }]).collect());
    }
}

impl Model {
    /// The edit that one step makes, what is so after it, and what it takes away.
    fn step(&self, world: &World, (a, b, of): (u8, u8, u8)) -> (Edit, Self, BTreeSet<ObjectId>) {
        let (mut edit, mut after) = (Edit::default(), self.clone());
        let mut touched: BTreeSet<ObjectId> = self.records.keys().copied().collect();
        let name = |number: u8| format!("k{}", number % 4);
        if b.is_multiple_of(3)
            && let Some(object) = world.pick(self, b / 3)
        {
            edit = edit.delete(object);
            after.records.remove(&object);
        }
        let puts = [(world.pick(self, a), name(b)), (world.pick(self, a / 2), name(a))];
        for (object, key) in puts.into_iter().take(usize::from(a % 3)) {
            let Some(object) = object else { continue };
            let of = if self.records.contains_key(&object) { of % 3 } else { world.owners[&object] };
            edit = edit.put(Record { key: key.clone(), owner: owner(of), id: object, ..file(0, "", 0) });
            after.records.retain(|_, (other, _)| *other != key);
            after.records.insert(object, (key, of));
            touched.insert(object);
        }
        if a.is_multiple_of(2) {
            edit = edit.write(HERE, name(a), vec![b]);
            after.docs.insert(name(a), vec![b]);
        }
        if b.is_multiple_of(2) {
            edit = edit.erase(HERE, name(b));
            after.docs.remove(&name(b));
        }
        touched.retain(|object| !after.records.contains_key(object));
        (edit, after, touched)
    }

    fn agrees(&self, bench: &Bench, world: &World) -> Result<(), TestCaseError> {
        let records: BTreeMap<_, _> = bench
            .node
            .records_under(HERE, "")
            .into_iter()
            .map(|Entry { record, .. }| {
                (record.id, (record.key, (0..3).find(|of| owner(*of) == record.owner).unwrap()))
            })
            .collect();
        prop_assert_eq!(&records, &self.records);
        let docs = bench.node.docs_under(HERE, "").into_iter().map(|(key, content)| (key, content.to_vec())).collect();
        prop_assert_eq!(&self.docs, &docs);
        prop_assert_eq!(bench.used(None), world.disk.values().sum::<u64>(), "every byte on disk counts once");
        for of in 1..3 {
            let is_theirs = |object: &ObjectId| self.records.get(object).is_some_and(|(_, whose)| *whose == of);
            let recorded = world.disk.iter().filter(|(object, _)| is_theirs(object)).map(|(_, bytes)| bytes);
            prop_assert_eq!(bench.node.used_by(&owner(of).unwrap()), recorded.sum::<u64>());
            let awaited = world.open.values().filter(|object| !self.records.contains_key(object));
            let awaited = awaited.filter(|object| world.owners[object] == of && **object > id(world.first));
            let awaited = awaited.filter_map(|object| world.disk.get(object)).sum::<u64>();
            let used = bench.used(owner(of).as_ref());
            prop_assert!(
                used >= bench.node.used_by(&owner(of).unwrap()) + awaited,
                "and what will be theirs is theirs"
            );
        }
        prop_assert_eq!(bench.node.totals(&Scope::of(HERE)).files, self.records.len());
        Ok(())
    }

    /// Nothing is ordered away that is needed.
    fn is_safe(&self, bench: &Bench, world: &World) -> Result<(), TestCaseError> {
        for object in bench.ordered() {
            prop_assert!(!self.records.contains_key(&object), "{object} has a record");
            prop_assert!(!world.open.values().any(|open| *open == object), "{object} is awaited");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Edits that succeed, fail and are interrupted, bytes that come before their records, restarts of either side: what is
    /// known is what the model says, sums are sums of the disk, and what is not needed is deleted in the end.
    #[test]
    fn what_is_known_and_counted_is_what_was_done(
        steps in prop::collection::vec((0u8..8, any::<(u8, u8, u8)>(), any::<bool>(), 0u8..4), 0..40),
    ) {
        let (mut bench, mut world, mut model) = (Bench::new(), World::default(), Model::default());
        for (kind, (a, b, of), yes, between) in steps {
            match kind {
                0 | 1 => world.bring(&bench, of),
                2 => world.settle(&bench, a),
                3..=5 => {
                    let (edit, after, taken) = model.step(&world, (a, b, of));
                    {
                        let mut edit = pin!(bench.node.edit(edit));
                        let mut outcome = poll(edit.as_mut());
                        // A grant whose object is put now is settled after the answer, no sooner.
                        match between {
                            0 => world.bring(&bench, of),
                            1 => { bench.node.sweep(); }
                            2 => world.take_inventory(&bench),
                            _ => {}
                        }
                        model.is_safe(&bench, &world)?;
                        if outcome.is_pending() {
                            bench.slow.say(yes);
                            outcome = poll(edit);
                            prop_assert_eq!(outcome.map(|outcome| outcome.is_ok()), Poll::Ready(yes));
                        }
                    }
                    if yes {
                        model = after;
                        world.open.retain(|_, object| !taken.contains(object));
                    }
                }
                6 if yes => {
                    if a.is_multiple_of(2) {
                        bench.slow.say(true);
                    }
                    bench.restart();
                    world.first = world.last;
                    model.is_safe(&bench, &world)?;
                    world.take_inventory(&bench);
                }
                6 => {
                    bench.run += 1;
                    world.open.clear();
                    world.take_inventory(&bench);
                }
                _ => {
                    bench.node.sweep();
                    let ordered = bench.ordered();
                    for object in &ordered {
                        world.disk.remove(object);
                    }
                    bench.tell(ordered.into_iter().map(|object| Fact::Removed { object }).collect());
                }
            }
            model.is_safe(&bench, &world)?;
            model.agrees(&bench, &world)?;
        }
        while !world.open.is_empty() {
            world.settle(&bench, 0);
        }
        bench.node.sweep();
        let ordered: BTreeSet<_> = bench.ordered().into_iter().filter(|object| world.disk.contains_key(object)).collect();
        let needless = world.disk.keys().filter(|object| !model.records.contains_key(object)).copied().collect();
        let needless: BTreeSet<_> = needless;
        prop_assert!(ordered.is_subset(&needless));
        // What a control plane that was killed had not decided stays undecided: it is kept, and told.
        prop_assert_eq!(needless.len() - ordered.len(), bench.node.unclaimed().0);
        if world.first == 0 {
            prop_assert_eq!(ordered, needless);
        }
        bench.slow.say(true);
        let written = bench.slow.0.lock().unwrap();
        prop_assert!(written.records.keys().eq(model.records.keys()), "and so it is written");
    }
}
