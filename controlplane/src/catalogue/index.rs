//! Everything that is known about all objects, in memory, with the orders in which it is asked for: by id, by place,
//! newest first, next to expire; and the sums that would be slow to count: over all, per owner and per surface.
//!
//! Entries are [`packed`](super::packed): each reader gets a copy of its own. A million of them fit a few hundred
//! megabytes.
//!
//! Must stay true: an entry changes only through [`CatalogueIndex`], which changes every index that its [`Marks`] stand in with it;
//! bytes whose record is gone, or not there yet, are counted as *orphans* until the data plane says
//! they are removed, or the record comes (PROMISES.md P9).

use std::cmp::Reverse;
use std::collections::hash_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use etransfer_contract::ObjectId;
use etransfer_contract::fact::Presence;

use super::listing::{Listing, Shown, Stamp};
use super::principal::{Counts, Principal, Principals};
use super::record::Record;
use super::records::Records;
use super::surface::{Owner, Place};
use crate::core::SurfaceId;

/// A record and what the data plane last said about its bytes.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What is stored.
    pub record: Record,
    /// What is there; `None` until the data plane said something.
    pub presence: Option<Presence>,
}

/// Sums over all entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Complete and listed.
    pub files: usize,
    /// Incomplete and listed.
    pub uploads: usize,
    /// Incomplete, partials and finals under construction included.
    pub open: usize,
    /// Bytes of complete entries.
    pub file_bytes: u64,
    /// Bytes received of incomplete entries.
    pub upload_bytes: u64,
}

/// A part of what there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Of one surface; `None`: of all of them.
    pub surface: Option<SurfaceId>,
    /// Of one owner; `None`: everybody's.
    pub owner: Option<Owner>,
}

/// The index.
#[derive(Debug)]
pub struct CatalogueIndex {
    expiration_ms: u64,
    entries: Records,
    /// What is in each scope; one with nothing in it is not here.
    totals_by_scope: HashMap<Scope, ScopeTotals>,
    /// How many records each principal has.
    principals: Principals,
    due: BTreeSet<(u64, ObjectId)>,
    /// Incomplete ones.
    open: HashSet<ObjectId>,
    keys: HashMap<String, ObjectId>,
    places: BTreeMap<Place, ObjectId>,
    orphans: HashMap<ObjectId, OrphanedBytes>,
}

/// What is in one scope. Ghosts are of no surface.
#[derive(Debug, Default, PartialEq, Eq)]
struct ScopeTotals {
    listing: Listing,
    totals: Totals,
    orphan_bytes: u64,
}

/// Bytes that have no record: it is gone, or not there yet.
#[derive(Debug)]
struct OrphanedBytes {
    presence: Presence,
    owner: Option<Owner>,
}

/// What of an entry the indexes stand on. As long as these stay, none of them changes.
#[derive(PartialEq, Eq)]
struct Marks<'e> {
    surface: SurfaceId,
    owner: Option<&'e Owner>,
    maker: &'e str,
    is_complete: bool,
    is_listed: bool,
    received: u64,
    updated_ms: u64,
    due_ms: Option<u64>,
    idempotency_key: Option<&'e str>,
    key: &'e str,
}

impl Scope {
    /// All there is.
    pub const EVERYTHING: Self = Self { surface: None, owner: None };

    /// Everybody's of one surface.
    pub const fn of(surface: SurfaceId) -> Self {
        Self { surface: Some(surface), owner: None }
    }

    /// A record is in it.
    pub fn holds(&self, record: &Record) -> bool {
        let is_owners = self.owner.is_none() || self.owner == record.owner;
        is_owners && self.surface.is_none_or(|surface| surface == record.surface)
    }

    /// All that a thing of this owner is in: of no surface, or of one.
    fn around(surface: Option<SurfaceId>, owner: Option<&Owner>) -> impl Iterator<Item = Self> {
        let surfaces = [Some(None), surface.map(Some)].into_iter().flatten();
        surfaces.flat_map(move |surface| {
            let owners = [Some(None), owner.map(Some)].into_iter().flatten();
            owners.map(move |owner| Self { surface, owner: owner.cloned() })
        })
    }
}

impl ScopeTotals {
    /// Bytes on disk that count against a limit.
    fn used(&self) -> u64 {
        self.totals.file_bytes + self.totals.upload_bytes + self.orphan_bytes
    }

    fn is_nothing(&self) -> bool {
        self.totals == Totals::default() && self.orphan_bytes == 0
    }
}

impl Entry {
    /// Where it stands in lists.
    pub fn stamp(&self) -> Stamp {
        (Reverse(self.updated_ms()), self.record.id)
    }

    /// Last change; Unix milliseconds.
    pub fn updated_ms(&self) -> u64 {
        let accepted = self.presence.as_ref().map_or(0, |presence| presence.at_unix_ms);
        self.record.completed_ms.unwrap_or(accepted).max(self.record.created_ms)
    }

    /// Bytes received, all ranges.
    pub fn received(&self) -> u64 {
        match (&self.presence, self.record.is_complete()) {
            (Some(presence), _) => presence.received,
            (None, true) => self.record.length.unwrap_or(0),
            (None, false) => 0,
        }
    }

    /// Bytes received without a gap from 0.
    pub fn contiguous(&self) -> u64 {
        match (&self.presence, self.record.is_complete()) {
            (_, true) => self.record.length.unwrap_or(0),
            (Some(presence), false) => presence.contiguous,
            (None, false) => 0,
        }
    }

    /// When it goes by itself; Unix milliseconds. What is of another dialect goes when that says so.
    pub fn due_ms(&self, expiration_ms: u64) -> Option<u64> {
        if self.record.surface != SurfaceId::EasyTransfer {
            return None;
        }
        if self.record.is_complete() {
            self.record.ttl_ends_ms()
        } else {
            Some(self.updated_ms().saturating_add(expiration_ms))
        }
    }

    fn marks(&self, expiration_ms: u64) -> Marks<'_> {
        let record = &self.record;
        Marks {
            surface: record.surface,
            owner: record.owner.as_ref(),
            maker: &record.maker,
            is_complete: record.is_complete(),
            is_listed: record.is_listed(),
            received: self.received(),
            updated_ms: self.updated_ms(),
            due_ms: self.due_ms(expiration_ms),
            idempotency_key: record.idempotency_key.as_deref(),
            key: &record.key,
        }
    }
}

impl CatalogueIndex {
    /// Empty; incomplete uploads live `expiration` after their last byte.
    pub fn new(expiration: Duration) -> Self {
        Self {
            expiration_ms: u64::try_from(expiration.as_millis()).unwrap_or(u64::MAX),
            entries: Records::default(),
            totals_by_scope: HashMap::new(),
            principals: Principals::default(),
            due: BTreeSet::new(),
            open: HashSet::new(),
            keys: HashMap::new(),
            places: BTreeMap::new(),
            orphans: HashMap::new(),
        }
    }

    /// As [`CatalogueIndex::new`], with records that were there before; nothing is known of their bytes.
    pub fn restore(expiration: Duration, records: Records) -> Self {
        let mut index = Self::new(expiration);
        // In the order of lists, so that these fill up without a gap.
        let mut order: Vec<Stamp> = records.entries().map(|entry| entry.stamp()).collect();
        order.sort_unstable();
        order.into_iter().filter_map(|(_, id)| records.get(id)).for_each(|entry| index.index(&entry));
        index.entries = records;
        index
    }

    /// Incomplete entries.
    pub fn open_ids(&self) -> impl Iterator<Item = ObjectId> + '_ {
        self.open.iter().copied()
    }

    /// There is a record of it.
    pub fn contains(&self, id: ObjectId) -> bool {
        self.entries.contains(id)
    }

    /// One entry.
    pub fn get(&self, id: ObjectId) -> Option<Entry> {
        self.entries.get(id)
    }

    /// How many entries there are.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// All ids, in no order.
    pub fn ids(&self) -> impl Iterator<Item = ObjectId> + '_ {
        self.entries.ids()
    }

    /// Adds a record that is not there. Bytes that came before it are its own from now on.
    pub fn insert(&mut self, record: Record) {
        let presence = self.reconcile_orphan(record.id).map(|orphan| orphan.presence);
        let entry = Entry { record, presence };
        self.index(&entry);
        self.entries.put(&entry);
    }

    /// Takes a record away. Its bytes stay counted until [`CatalogueIndex::gone`].
    pub fn remove(&mut self, id: ObjectId) -> Option<Record> {
        let entry = self.entries.remove(id)?;
        self.unindex(&entry);
        if let Some(presence) = entry.presence {
            self.put_orphan(OrphanedBytes { presence, owner: entry.record.owner.clone() });
        }
        Some(entry.record)
    }

    /// Changes an entry.
    pub fn update<T>(&mut self, id: ObjectId, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let before = self.entries.get(id)?;
        let mut entry = before.clone();
        let outcome = change(&mut entry);
        if before.marks(self.expiration_ms) != entry.marks(self.expiration_ms) {
            self.unindex(&before);
            self.index(&entry);
        }
        self.entries.put(&entry);
        Some(outcome)
    }

    /// Bytes of an object without a record; `None`: they stay on the account they are on.
    pub fn record_orphan(&mut self, presence: Presence, owner: Option<&Owner>) {
        let former = self.reconcile_orphan(presence.object).and_then(|orphan| orphan.owner);
        self.put_orphan(OrphanedBytes { presence, owner: owner.cloned().or(former) });
    }

    /// The bytes of an object are gone.
    pub fn gone(&mut self, id: ObjectId) {
        self.reconcile_orphan(id);
        self.update(id, |entry| entry.presence = None);
    }

    fn put_orphan(&mut self, orphan: OrphanedBytes) {
        let bytes = orphan.presence.received;
        self.account(Scope::around(None, orphan.owner.as_ref()), |scope_totals| scope_totals.orphan_bytes += bytes);
        self.orphans.insert(orphan.presence.object, orphan);
    }

    fn reconcile_orphan(&mut self, id: ObjectId) -> Option<OrphanedBytes> {
        let orphan = self.orphans.remove(&id)?;
        let bytes = orphan.presence.received;
        self.account(Scope::around(None, orphan.owner.as_ref()), |scope_totals| scope_totals.orphan_bytes -= bytes);
        Some(orphan)
    }

    /// Changes what is counted in each of the scopes.
    fn account(&mut self, scopes: impl Iterator<Item = Scope>, change: impl Fn(&mut ScopeTotals)) {
        for scope in scopes {
            match self.totals_by_scope.entry(scope) {
                MapEntry::Vacant(vacant) => {
                    let mut scope_totals = ScopeTotals::default();
                    change(&mut scope_totals);
                    if !scope_totals.is_nothing() {
                        vacant.insert(scope_totals);
                    }
                }
                MapEntry::Occupied(mut scope_totals) => {
                    change(scope_totals.get_mut());
                    if scope_totals.get().is_nothing() {
                        scope_totals.remove();
                    }
                }
            }
        }
    }

    /// Objects without a record, and their bytes.
    pub fn orphans(&self) -> impl Iterator<Item = (ObjectId, u64)> + '_ {
        self.orphans.iter().map(|(id, orphan)| (*id, orphan.presence.received))
    }

    /// There is no record of it, it is not whole, and its last byte came before this time.
    pub fn was_left_unfinished(&self, id: ObjectId, before_ms: u64) -> bool {
        self.orphans.get(&id).is_some_and(|orphan| !orphan.presence.complete && orphan.presence.at_unix_ms < before_ms)
    }

    /// There are bytes of it, and no record.
    pub fn is_orphan(&self, id: ObjectId) -> bool {
        self.orphans.contains_key(&id)
    }

    /// Listed entries, newest change first, ties by id, without the first `skip` of them; see [`Listing::page`].
    pub fn page(&self, scope: &Scope, shown: Shown, hidden: &[Stamp], skip: usize) -> impl Iterator<Item = Entry> {
        let scope_totals = self.totals_by_scope.get(scope);
        let ids = scope_totals.into_iter().flat_map(move |scope_totals| scope_totals.listing.page(shown, hidden, skip));
        ids.filter_map(|id| self.get(id))
    }

    /// Entries whose time has come.
    pub fn due(&self, now_ms: u64) -> impl Iterator<Item = Entry> {
        self.due.iter().take_while(move |(at, _)| *at <= now_ms).filter_map(|(_, id)| self.get(*id))
    }

    /// When this one goes by itself.
    pub fn due_ms(&self, entry: &Entry) -> Option<u64> {
        entry.due_ms(self.expiration_ms)
    }

    /// The final made by an earlier request with this key.
    pub fn by_key(&self, key: &str) -> Option<Entry> {
        self.keys.get(key).and_then(|id| self.get(*id))
    }

    /// The record that has a place in a surface.
    pub fn by_place(&self, surface: SurfaceId, key: &str) -> Option<Entry> {
        self.places.get(&(surface, key.to_owned())).and_then(|id| self.get(*id))
    }

    /// Records of a surface whose places begin with `prefix`, in their order.
    pub fn under<'s>(&'s self, surface: SurfaceId, prefix: &'s str) -> impl Iterator<Item = Entry> {
        let from = self.places.range((surface, prefix.to_owned())..);
        let found = from.take_while(move |((of, key), _)| *of == surface && key.starts_with(prefix));
        found.filter_map(|(_, id)| self.get(*id))
    }

    /// Sums over a scope.
    pub fn totals(&self, scope: &Scope) -> Totals {
        self.totals_by_scope.get(scope).map_or_else(Totals::default, |scope_totals| scope_totals.totals)
    }

    /// How many records a principal has.
    pub fn counts(&self, principal: &Principal) -> Counts {
        self.principals.counts(principal)
    }

    /// Bytes on disk that count against the limit of the node, or of one owner.
    pub fn used(&self, owner: Option<&Owner>) -> u64 {
        let scope = Scope { surface: None, owner: owner.cloned() };
        self.totals_by_scope.get(&scope).map_or(0, ScopeTotals::used)
    }

    /// Everybody who has something.
    pub fn owners(&self) -> impl Iterator<Item = &Owner> {
        let all_surfaces = self.totals_by_scope.keys().filter(|scope| scope.surface.is_none());
        all_surfaces.filter_map(|scope| scope.owner.as_ref())
    }

    fn index(&mut self, entry: &Entry) {
        let id = entry.record.id;
        self.principals.add(&entry.record);
        self.account(Scope::around(Some(entry.record.surface), entry.record.owner.as_ref()), |scope_totals| {
            scope_totals.totals.count(entry, |sum, value| *sum += value, |sum, value| *sum += value);
            if entry.record.is_listed() {
                scope_totals.listing.insert(entry.record.is_complete(), entry.stamp());
            }
        });
        if let Some(due) = entry.due_ms(self.expiration_ms) {
            self.due.insert((due, id));
        }
        if !entry.record.is_complete() {
            self.open.insert(id);
        }
        if let Some(key) = &entry.record.idempotency_key {
            self.keys.insert(key.clone(), id);
        }
        if let Some(place) = entry.record.place() {
            self.places.insert(place, id);
        }
    }

    fn unindex(&mut self, entry: &Entry) {
        let id = entry.record.id;
        self.principals.take(&entry.record);
        self.account(Scope::around(Some(entry.record.surface), entry.record.owner.as_ref()), |scope_totals| {
            scope_totals.totals.count(entry, |sum, value| *sum -= value, |sum, value| *sum -= value);
            scope_totals.listing.remove(entry.record.is_complete(), &entry.stamp());
        });
        if let Some(due) = entry.due_ms(self.expiration_ms) {
            self.due.remove(&(due, id));
        }
        if !entry.record.is_complete() {
            self.open.remove(&id);
        }
        if let Some(key) = &entry.record.idempotency_key {
            self.keys.remove(key);
        }
        if let Some(place) = entry.record.place().filter(|place| self.places.get(place) == Some(&id)) {
            self.places.remove(&place);
        }
    }
}

impl Totals {
    /// Bytes stored.
    pub const fn bytes(&self) -> u64 {
        self.file_bytes + self.upload_bytes
    }

    /// Adds or takes away one entry.
    fn count(&mut self, entry: &Entry, number: impl Fn(&mut usize, usize), bytes: impl Fn(&mut u64, u64)) {
        let listed = usize::from(entry.record.is_listed());
        if entry.record.is_complete() {
            number(&mut self.files, listed);
            bytes(&mut self.file_bytes, entry.received());
        } else {
            number(&mut self.uploads, listed);
            number(&mut self.open, 1);
            bytes(&mut self.upload_bytes, entry.received());
        }
    }
}

#[cfg(test)]
mod tests {
    use etransfer_contract::SpanSet;
    use proptest::prelude::*;

    use super::*;
    use crate::catalogue::tests::record;
    use crate::core::SurfaceId;

    fn presence(id: ObjectId, received: u64, at: u64) -> Presence {
        Presence {
            object: id,
            received,
            contiguous: received,
            spans: SpanSet::new(),
            length: Some(100),
            complete: false,
            at_unix_ms: at,
        }
    }

    fn owners() -> [Option<Owner>; 3] {
        [None, Some(Owner::Person(1)), Some(Owner::Member(SurfaceId::StreamUpload, "ann".into()))]
    }

    fn scopes() -> Vec<Scope> {
        let surfaces = [None, Some(SurfaceId::EasyTransfer), Some(SurfaceId::StreamUpload)];
        let all = surfaces.into_iter().flat_map(|surface| owners().map(|owner| Scope { surface, owner }));
        all.collect()
    }

    /// Counted afresh.
    fn recount(index: &CatalogueIndex, scope: &Scope) -> (Totals, u64) {
        let mut totals = Totals::default();
        for entry in index.entries.entries().filter(|entry| scope.holds(&entry.record)) {
            let listed = usize::from(entry.record.is_listed());
            if entry.record.is_complete() {
                totals.files += listed;
                totals.file_bytes += entry.received();
            } else {
                totals.uploads += listed;
                totals.open += 1;
                totals.upload_bytes += entry.received();
            }
        }
        let orphans = index.orphans.values().filter(|orphan| scope.owner.is_none() || orphan.owner == scope.owner);
        (totals, orphans.map(|orphan| orphan.presence.received).sum())
    }

    /// The same of each principal.
    fn recount_principals(index: &CatalogueIndex) -> HashMap<Principal, Counts> {
        let mut all: HashMap<Principal, Counts> = HashMap::new();
        for entry in index.entries.entries() {
            let principal = match (&entry.record.owner, entry.record.maker.as_str()) {
                (Some(owner), _) => Principal::Owner(owner.clone()),
                (None, "") => continue,
                (None, maker) => Principal::Maker(maker.to_owned()),
            };
            let counts = all.entry(principal).or_default();
            counts.records += 1;
            counts.open += usize::from(entry.record.completed_ms.is_none());
        }
        all
    }

    proptest! {
        /// PROMISES.md P9: a rebuilt ledger equals the sums that were kept; a page never shows what is not there.
        #[test]
        fn sums_and_orders_agree_with_a_recount(steps in prop::collection::vec((0u8..6, 0u8..12, 0u64..200), 0..60)) {
            let mut index = CatalogueIndex::new(Duration::from_secs(1));
            for (step, which, number) in steps {
                let id = ObjectId::from_bytes([which; 16]);
                match step {
                    0 => if index.get(id).is_none() {
                        let owner = owners()[usize::from(which % 3)].clone();
                        let surface = [SurfaceId::EasyTransfer, SurfaceId::StreamUpload][usize::from(which % 2)];
                        let maker = ["", "t1", "p192.0.2.1"][usize::from(which / 3 % 3)].to_owned();
                        index.insert(Record { owner, maker, surface, key: format!("{which}"), ..record(id, number) });
                    },
                    1 => { index.remove(id); }
                    2 => { index.update(id, |entry| entry.presence = Some(presence(id, number, number))); }
                    3 => { index.update(id, |entry| entry.record.completed_ms = Some(number)); }
                    4 => index.gone(id),
                    _ => if index.get(id).is_none() { index.record_orphan(presence(id, number, number), owners()[usize::from(which % 3)].as_ref()); },
                }
                for scope in &scopes() {
                    let (totals, orphans) = recount(&index, scope);
                    prop_assert_eq!(index.totals(scope), totals);
                    if scope.surface.is_none() {
                        let used = index.used(scope.owner.as_ref());
                        prop_assert_eq!(used, totals.file_bytes + totals.upload_bytes + orphans);
                    }
                    for (complete, incomplete) in [(true, true), (true, false), (false, true)] {
                        let page: Vec<Entry> = index.page(scope, Shown { complete, incomplete }, &[], 0).collect();
                        prop_assert!(page.is_sorted_by_key(Entry::stamp));
                        let is_wanted = |entry: &Entry| if entry.record.is_complete() { complete } else { incomplete };
                        prop_assert!(page.iter().all(|entry| scope.holds(&entry.record) && is_wanted(entry)));
                        let count = |is_shown: bool, count: usize| if is_shown { count } else { 0 };
                        prop_assert_eq!(page.len(), count(complete, totals.files) + count(incomplete, totals.uploads));
                    }
                }
                let counted = recount_principals(&index);
                prop_assert_eq!(index.principals.len(), counted.len());
                prop_assert!(counted.iter().all(|(principal, counts)| index.counts(principal) == *counts));
                let own = Scope::of(SurfaceId::EasyTransfer);
                prop_assert_eq!(index.due(u64::MAX).count(), index.totals(&own).open, "nothing else goes by itself");
                prop_assert!(index.totals_by_scope.values().all(|scope_totals| !scope_totals.is_nothing()));
                for surface in [SurfaceId::EasyTransfer, SurfaceId::StreamUpload] {
                    let under: Vec<_> = index.under(surface, "1").map(|entry| entry.record.key.clone()).collect();
                    prop_assert!(under.is_sorted() && under.iter().all(|key| key.starts_with('1')));
                    let placed = |entry: &Entry| entry.record.surface == surface && entry.record.key.starts_with('1');
                    prop_assert_eq!(under.len(), index.entries.entries().filter(placed).count());
                }
                let found = |entry: &Entry| index.by_place(entry.record.surface, &entry.record.key).map(|one| one.record.id);
                prop_assert!(index.entries.entries().all(|entry| found(&entry) == Some(entry.record.id)));
                let restored = CatalogueIndex::restore(Duration::from_secs(1), index.entries.clone());
                prop_assert!(scopes().iter().all(|scope| restored.totals(scope) == index.totals(scope)));
                let whole = |index: &CatalogueIndex| -> Vec<ObjectId> {
                    let both = Shown { complete: true, incomplete: true };
                    index.page(&Scope::EVERYTHING, both, &[], 0).map(|entry| entry.record.id).collect()
                };
                prop_assert_eq!(whole(&restored), whole(&index));
            }
        }
    }
}
