//! A table addressed by [`Key`]: an engine's memory of what is in flight. A key of an earlier tenant finds nothing.

use super::Key;

/// Values by key. Places are given out by the slab above the seam; this table only follows it.
#[derive(Debug)]
pub struct Table<T> {
    places: Vec<Option<(u32, T)>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { places: Vec::new() }
    }
}

impl<T> Table<T> {
    /// Puts a value under a key whose place is free.
    pub fn insert(&mut self, key: Key, value: T) {
        let index = key.index as usize;
        if index >= self.places.len() {
            self.places.resize_with(index + 1, || None);
        }
        let before = self.places[index].replace((key.generation, value));
        assert!(before.is_none(), "two operations in flight under one index");
    }

    /// The value under this very key.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.places.get_mut(key.index as usize) {
            Some(Some((generation, value))) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// Takes the value under this very key.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.index as usize)?;
        if place.as_ref().is_none_or(|(generation, _)| *generation != key.generation) {
            return None;
        }
        place.take().map(|(_, value)| value)
    }

    /// Takes everything.
    pub fn drain(&mut self) -> Vec<T> {
        self.places.drain(..).flatten().map(|(_, value)| value).collect()
    }
}
