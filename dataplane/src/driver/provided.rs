//! The provided-buffer ring: buffers the kernel picks from when bytes arrive, so that a connection that waits owns none.
//!
//! What must stay true: a buffer is either the kernel's (published at the tail) or lent to exactly one [`LentBuf`]; it goes
//! back once, when that is dropped; memory and ring outlive the kernel's registration, because the engine keeps one
//! reference until it has unregistered them, and every `LentBuf` keeps another.

use std::cell::Cell;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use super::CHUNK_BYTES_MAX;
use super::arena::Mapping;

/// Buffers per core; a power of two.
pub const PROVIDED_COUNT: u16 = 256;
/// The one buffer group of a core's ring.
pub const PROVIDED_GROUP: u16 = 0;

/// The buffers and the ring that offers them.
pub struct Provided {
    entries: Mapping,
    memory: Mapping,
    tail: Cell<u16>,
    lent: Cell<u16>,
}

impl Provided {
    /// Memory only: nothing is the kernel's yet.
    pub fn new() -> io::Result<Rc<Self>> {
        let entries = Mapping::new(usize::from(PROVIDED_COUNT) * size_of::<BufRingEntry>())?;
        let memory = Mapping::new(usize::from(PROVIDED_COUNT) * CHUNK_BYTES_MAX)?;
        Ok(Rc::new(Self { entries, memory, tail: Cell::new(0), lent: Cell::new(0) }))
    }

    /// Hands ring and buffers to the kernel.
    pub fn register(&self, submitter: &Submitter<'_>) -> io::Result<()> {
        let address = self.entries.base().as_ptr() as u64;
        // SAFETY: the ring's memory is page-aligned (a mapping), holds `PROVIDED_COUNT` entries, and the engine keeps
        // `self` until `unregister` or until the ring is closed.
        unsafe { submitter.register_buf_ring_with_flags(address, PROVIDED_COUNT, PROVIDED_GROUP, 0) }?;
        (0..PROVIDED_COUNT).for_each(|id| self.publish(id));
        Ok(())
    }

    /// Whether the kernel has a buffer to pick.
    pub fn available(&self) -> usize {
        usize::from(PROVIDED_COUNT - self.lent.get())
    }

    /// Takes over a buffer that a completion named. The caller vouches that the kernel just picked `id` and wrote `len`
    /// bytes to it.
    pub fn lend(self: &Rc<Self>, id: u16, len: usize) -> LentBuf {
        assert!(id < PROVIDED_COUNT && len <= CHUNK_BYTES_MAX, "the kernel named a buffer we never provided");
        self.lent.set(self.lent.get() + 1);
        LentBuf { ring: Rc::clone(self), id, len }
    }

    fn buffer(&self, id: u16) -> NonNull<u8> {
        // SAFETY: id < PROVIDED_COUNT (asserted in `lend`, bounded in `register`), so this stays inside `memory`.
        unsafe { self.memory.base().add(usize::from(id) * CHUNK_BYTES_MAX) }
    }

    /// Offers a buffer to the kernel.
    fn publish(&self, id: u16) {
        let tail = self.tail.get();
        let base = self.entries.base().as_ptr().cast::<BufRingEntry>();
        // SAFETY: the index is below PROVIDED_COUNT, so the entry lies in the mapping; the kernel does not read an entry
        // beyond the tail it has seen, so this one is ours. Entries are plain integers, zero is a valid value.
        let entry = unsafe { &mut *base.add(usize::from(tail & (PROVIDED_COUNT - 1))) };
        entry.set_addr(self.buffer(id).as_ptr() as u64);
        entry.set_len(CHUNK_BYTES_MAX as u32);
        entry.set_bid(id);
        self.tail.set(tail.wrapping_add(1));
        // SAFETY: `base` is the first entry of the ring, whose spare field is the tail shared with the kernel; it is
        // aligned, lives as long as `self`, and is only ever accessed atomically once the ring is registered.
        let shared = unsafe { &*BufRingEntry::tail(base).cast::<AtomicU16>() };
        shared.store(self.tail.get(), Ordering::Release);
    }
}

/// One buffer with received bytes; back to the kernel on drop.
pub struct LentBuf {
    ring: Rc<Provided>,
    id: u16,
    len: usize,
}

impl Deref for LentBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes at the start of this buffer were written by the kernel before it reported the completion;
        // until `drop` publishes the buffer again, the kernel does not write to it.
        unsafe { std::slice::from_raw_parts(self.ring.buffer(self.id).as_ptr(), self.len) }
    }
}

impl Drop for LentBuf {
    fn drop(&mut self) {
        self.ring.lent.set(self.ring.lent.get() - 1);
        self.ring.publish(self.id);
    }
}
