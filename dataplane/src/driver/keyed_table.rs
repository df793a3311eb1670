//! A table addressed by [`Key`]: an engine's memory of what is in flight. A key of an earlier tenant finds nothing.

use super::Key;

/// Values by key. The [`OperationTable`](super::operation_table) hands out the rows; this table only follows it.
#[derive(Debug)]
pub struct KeyedTable<T> {
    rows: Vec<Option<(u32, T)>>,
}

impl<T> Default for KeyedTable<T> {
    fn default() -> Self {
        Self { rows: Vec::new() }
    }
}

impl<T> KeyedTable<T> {
    /// Puts a value under a key whose row is free.
    pub fn insert(&mut self, key: Key, value: T) {
        let index = key.index as usize;
        if index >= self.rows.len() {
            self.rows.resize_with(index + 1, || None);
        }
        let before = self.rows[index].replace((key.generation, value));
        assert!(before.is_none(), "two operations in flight under one index");
    }

    /// The value under this very key.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.rows.get_mut(key.index as usize) {
            Some(Some((generation, value))) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// Takes the value under this very key.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let row = self.rows.get_mut(key.index as usize)?;
        if row.as_ref().is_none_or(|(generation, _)| *generation != key.generation) {
            return None;
        }
        row.take().map(|(_, value)| value)
    }

    /// Takes everything.
    pub fn drain(&mut self) -> Vec<T> {
        self.rows.drain(..).flatten().map(|(_, value)| value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: u32, generation: u32) -> Key {
        Key { index, generation }
    }

    #[test]
    fn a_key_of_an_earlier_tenant_finds_nothing() {
        let mut table = KeyedTable::default();
        table.insert(key(3, 7), "first");
        assert_eq!(table.remove(key(3, 6)), None);
        assert_eq!(table.remove(key(2, 7)), None);
        assert_eq!(table.remove(key(9, 7)), None);
        assert_eq!(table.remove(key(3, 7)), Some("first"));
        table.insert(key(3, 8), "second");
        assert_eq!(table.get_mut(key(3, 7)), None);
        assert_eq!(table.get_mut(key(3, 8)), Some(&mut "second"));
        assert_eq!(table.drain(), ["second"]);
    }

    #[test]
    #[should_panic(expected = "two operations")]
    fn two_tenants_at_once_are_a_bug() {
        let mut table = KeyedTable::default();
        table.insert(key(0, 0), ());
        table.insert(key(0, 1), ());
    }

    #[test]
    fn keys_travel_as_bits() {
        for key in [key(0, 0), key(u32::MAX, 1), key(1, u32::MAX), key(123, 456)] {
            assert_eq!(Key::from_bits(key.to_bits()), key);
        }
    }
}
