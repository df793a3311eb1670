//! Owned bytes: a slot of the core's arena, or heap memory. An operation takes a [`Buf`] by value and gives it back with
//! its result, so memory the kernel may write to is never reachable from anywhere else.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::arena::SlotMemory;
use super::slots::Slots;

/// Bytes with one owner. Not `Clone`; a slot returns to its pool on drop.
pub struct Buf(Kind);

enum Kind {
    Slot(Slot),
    Heap(Vec<u8>),
}

/// A memory of the arena that finds its way home.
struct Slot {
    /// `None` only while dropping.
    memory: Option<SlotMemory>,
    pool: Rc<Slots>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            Slots::give_back(&self.pool, memory);
        }
    }
}

impl Buf {
    /// Zeroed heap memory.
    pub fn heap(len: usize) -> Self {
        Self(Kind::Heap(vec![0; len]))
    }

    pub(super) fn slot(memory: SlotMemory, pool: Rc<Slots>) -> Self {
        Self(Kind::Slot(Slot { memory: Some(memory), pool }))
    }

    /// Whether this is a slot: 4096-aligned, and registered where the engine registers memory.
    pub fn is_slot(&self) -> bool {
        matches!(self.0, Kind::Slot(_))
    }

    /// The arena memory behind a slot.
    pub(crate) fn memory(&self) -> Option<&SlotMemory> {
        match &self.0 {
            Kind::Slot(slot) => slot.memory.as_ref(),
            Kind::Heap(_) => None,
        }
    }
}

impl From<Vec<u8>> for Buf {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Kind::Heap(bytes))
    }
}

/// An empty buffer, without memory.
impl Default for Buf {
    fn default() -> Self {
        Self(Kind::Heap(Vec::new()))
    }
}

impl Deref for Buf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kind::Slot(slot) => slot.memory.as_ref().expect("only a dropped slot has no memory"),
            Kind::Heap(bytes) => bytes,
        }
    }
}

impl DerefMut for Buf {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Kind::Slot(slot) => slot.memory.as_mut().expect("only a dropped slot has no memory"),
            Kind::Heap(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_slot() { "slot" } else { "heap" };
        write!(f, "Buf({kind}, {} bytes)", self.len())
    }
}
