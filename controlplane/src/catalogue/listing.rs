//! What a list shows of one scope, newest change first: any page of it at the same cost, wherever it lies.

use std::cmp::Reverse;

use etransfer_contract::ObjectId;

use super::order::Order;

/// Where an entry stands in a list: by its last change, Unix milliseconds; ties by id.
pub type Stamp = (Reverse<u64>, ObjectId);

/// The entries of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    complete: Order<Stamp>,
    incomplete: Order<Stamp>,
}

/// Which of them are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// Complete ones.
    pub complete: bool,
    /// Incomplete ones.
    pub incomplete: bool,
}

impl Shown {
    /// One of this kind is wanted.
    pub const fn lets(self, is_complete: bool) -> bool {
        if is_complete { self.complete } else { self.incomplete }
    }
}

impl Listing {
    /// Adds one that is not there.
    pub fn insert(&mut self, is_complete: bool, stamp: Stamp) {
        self.of(is_complete).insert(stamp);
    }

    /// Takes one away.
    pub fn remove(&mut self, is_complete: bool, stamp: &Stamp) {
        self.of(is_complete).remove(stamp);
    }

    fn of(&mut self, is_complete: bool) -> &mut Order<Stamp> {
        if is_complete { &mut self.complete } else { &mut self.incomplete }
    }

    /// What is shown, without the first `skip`. Those `hidden` are in order, of those that are shown, and count as absent.
    pub fn page(&self, shown: Shown, hidden: &[Stamp], skip: usize) -> impl Iterator<Item = ObjectId> {
        static NOTHING: Order<Stamp> = Order::new();
        let complete = if shown.complete { &self.complete } else { &NOTHING };
        let incomplete = if shown.incomplete { &self.incomplete } else { &NOTHING };
        let position = |stamp: &Stamp| complete.rank(stamp) + incomplete.rank(stamp);
        let absent = first(hidden.len(), |index| position(&hidden[index]) - index > skip);
        let skip = skip.saturating_add(absent);
        let from = first(complete.len(), |index| complete.get(index).is_none_or(|stamp| position(stamp) >= skip));
        let (mut complete, mut incomplete) =
            (complete.after(from).peekable(), incomplete.after(skip - from).peekable());
        let merged = std::iter::from_fn(move || match (complete.peek(), incomplete.peek()) {
            (Some(one), Some(other)) if one < other => complete.next(),
            (Some(_), None) => complete.next(),
            (_, Some(_)) => incomplete.next(),
            (None, None) => None,
        });
        merged.filter(|stamp| hidden.binary_search(stamp).is_err()).map(|(_, id)| *id)
    }
}

/// The first index below `count` that has what all after it have; `count`: none has.
fn first(count: usize, has: impl Fn(usize) -> bool) -> usize {
    let (mut from, mut to) = (0, count);
    while from < to {
        let middle = from.midpoint(to);
        if has(middle) { to = middle } else { from = middle + 1 }
    }
    from
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn stamp(number: u16) -> Stamp {
        // Several changes in one millisecond.
        (Reverse(u64::from(number / 3)), ObjectId::from_bytes([(number % 251) as u8; 16]))
    }

    proptest! {
        /// A page is what walking through all entries finds.
        #[test]
        fn every_page_is_what_a_walk_finds(
            entries in prop::collection::btree_map(0u16..700, (any::<bool>(), prop::bool::weighted(0.2)), 0..500),
            (complete, incomplete) in (any::<bool>(), any::<bool>()),
            skip in prop_oneof![0usize..600, Just(usize::MAX)],
        ) {
            let shown = Shown { complete, incomplete };
            let entries: BTreeMap<Stamp, (bool, bool)> =
                entries.into_iter().map(|(number, what)| (stamp(number), what)).collect();
            let mut listing = Listing::default();
            entries.iter().for_each(|(stamp, (is_complete, _))| listing.insert(*is_complete, *stamp));
            let of_shown = entries.iter().filter(|(_, (is_complete, _))| shown.lets(*is_complete));
            let (hidden, seen): (Vec<_>, Vec<_>) = of_shown.partition(|(_, (_, is_hidden))| *is_hidden);
            let hidden: Vec<Stamp> = hidden.into_iter().map(|(stamp, _)| *stamp).collect();
            let page: Vec<ObjectId> = listing.page(shown, &hidden, skip).collect();
            prop_assert_eq!(page, seen.into_iter().skip(skip).map(|((_, id), _)| *id).collect::<Vec<_>>());
            entries.iter().for_each(|(stamp, (is_complete, _))| listing.remove(*is_complete, stamp));
            prop_assert_eq!(listing, Listing::default());
        }
    }
}
