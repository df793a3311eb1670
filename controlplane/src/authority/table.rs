//! A map with a bound: one more entry than fits takes the place of the oldest. It never forgets all at once, so no
//! client that fills it frees themselves and everybody else.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// The map. An entry's age counts from when it was put last.
#[derive(Debug)]
pub struct Table<K, V> {
    max: usize,
    entries: HashMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
    next: u64,
}

impl<K: Clone + Eq + Hash, V> Table<K, V> {
    /// Holds at most `max` entries.
    pub fn new(max: usize) -> Self {
        Self { max, entries: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }

    /// The entry of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// The same, to change it; its age stays.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// Puts an entry in as the newest one; what had to go for it.
    pub fn put(&mut self, key: K, value: V) -> Option<(K, V)> {
        self.remove(&key);
        let gone = if self.entries.len() >= self.max { self.pop_oldest() } else { None };
        self.order.insert(self.next, key.clone());
        self.entries.insert(key, (self.next, value));
        self.next += 1;
        gone
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (at, value) = self.entries.remove(key)?;
        self.order.remove(&at);
        Some(value)
    }

    /// The oldest entry.
    pub fn oldest(&self) -> Option<(&K, &V)> {
        let (_, key) = self.order.first_key_value()?;
        self.get(key).map(|value| (key, value))
    }

    /// Takes the oldest entry out.
    pub fn pop_oldest(&mut self) -> Option<(K, V)> {
        let (_, key) = self.order.pop_first()?;
        let (_, value) = self.entries.remove(&key)?;
        Some((key, value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_and_the_others_stay() {
        let mut table = Table::new(3);
        for key in 0..3 {
            assert_eq!(table.put(key, key * 10), None);
        }
        assert_eq!(table.put(0, 1), None, "put again it is the newest");
        assert_eq!(table.put(3, 30), Some((1, 10)));
        assert_eq!(
            (table.get(&0), table.get(&1), table.get(&2), table.get(&3)),
            (Some(&1), None, Some(&20), Some(&30))
        );
        assert_eq!(table.remove(&2), Some(20));
        assert_eq!((table.len(), table.oldest()), (2, Some((&0, &1))));
        for key in 100..10_000 {
            table.put(key, 0);
            assert!(table.len() <= 3 && table.order.len() == table.entries.len());
        }
    }
}
