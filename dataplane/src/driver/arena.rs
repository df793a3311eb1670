//! The arena: one anonymous mapping, cut into 1 MiB pieces. A memory is exclusive memory with a stable address, which is
//! what an operation in the kernel needs.
//!
//! What must stay true: a [`SlotMemory`] is made once per place, so two pieces never overlap; the mapping lives until the last
//! memory is gone. Pages are touched on first use only: an idle server owns no arena memory.

use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::rc::Rc;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

pub const SLOT_BYTES: usize = 1 << 20;
/// The arena starts on a huge page, so that the kernel can back it with huge pages.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// A private anonymous mapping.
pub(super) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// Zeroed, untouched pages.
    pub(super) fn new(len: usize) -> io::Result<Self> {
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice aliases nothing.
        let base = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }?;
        let base = NonNull::new(base.cast()).expect("a mapping is never at address zero");
        Ok(Self { base, len })
    }

    /// Its first byte.
    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Asks for huge pages; a refusal only costs speed.
    fn advise_huge(&self) {
        // SAFETY: the range is exactly our own mapping, and the advice does not change what it holds.
        let _refused = unsafe { madvise(self.base.as_ptr().cast(), self.len, Advice::LinuxHugepage) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is exactly what `new` mapped, and every user of it holds this value, so none is left.
        let _cannot_fail = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// Makes the pieces.
pub struct Arena;

impl Arena {
    /// `count` pieces of [`SLOT_BYTES`] each.
    pub fn pieces(count: usize) -> io::Result<Vec<SlotMemory>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let mapping = Rc::new(Mapping::new(count * SLOT_BYTES + HUGE_PAGE_BYTES)?);
        mapping.advise_huge();
        let skip = mapping.base.as_ptr().align_offset(HUGE_PAGE_BYTES);
        let memory = |index: usize| {
            // SAFETY: skip < HUGE_PAGE_BYTES and index < count, so the memory ends inside the mapping.
            let base = unsafe { mapping.base.add(skip + index * SLOT_BYTES) };
            SlotMemory { base, index: index as u32, _mapping: Rc::clone(&mapping) }
        };
        Ok((0..count).map(memory).collect())
    }
}

/// Exclusive ownership of one slot's memory.
pub struct SlotMemory {
    base: NonNull<u8>,
    index: u32,
    _mapping: Rc<Mapping>,
}

impl SlotMemory {
    /// Which slot of the arena this is: its number among the registered buffers.
    pub fn index(&self) -> u32 {
        self.index
    }
}

impl Deref for SlotMemory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the memory lies in the mapping `_mapping` keeps alive, is initialised (anonymous pages read as zero),
        // and is reachable only through this value, which `Arena::pieces` makes once per place.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), SLOT_BYTES) }
    }
}

impl DerefMut for SlotMemory {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), SLOT_BYTES) }
    }
}
