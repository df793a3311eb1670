//! A buffer that travels to a helper thread and back, as it would travel to the kernel.
//!
//! What must stay true: away from home only the bytes are touched, through a pointer that was taken at home; whatever else a
//! buffer is (the way back to its pool, the mapping it is a piece of) is used and dropped at home alone. A buffer that never
//! comes home is leaked: no other thread can give it back.

use std::mem::ManuallyDrop;
use std::ops::DerefMut;
use std::ptr::NonNull;
use std::thread::{self, ThreadId};

use super::Buf;

/// A buffer away from its core.
pub struct DetachedBuf {
    buf: ManuallyDrop<Buf>,
    base: NonNull<u8>,
    len: usize,
    home: ThreadId,
}

// SAFETY: another thread reaches the bytes alone, of which this value is the only owner; `buf` is taken out in `back`, which
// refuses every thread but the one it came from, and is never dropped here.
unsafe impl Send for DetachedBuf {}

impl DetachedBuf {
    /// Lends a buffer out.
    pub fn of(buf: Buf) -> Self {
        let mut buf = ManuallyDrop::new(buf);
        let bytes: &mut [u8] = buf.deref_mut().deref_mut();
        let (len, base) = (bytes.len(), NonNull::from(bytes).cast());
        Self { buf, base, len, home: thread::current().id() }
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the memory of a buffer stays where it is when the buffer moves, lives as long as the buffer, which this value
        // owns, and is reached through this value alone.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), self.len) }
    }

    /// The buffer, at home again.
    pub fn back(self) -> Buf {
        assert_eq!(self.home, thread::current().id(), "a buffer is given back on its own core");
        ManuallyDrop::into_inner(self.buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_written_elsewhere_are_there_when_it_is_back() {
        let mut detached = DetachedBuf::of(Buf::from(vec![1, 2, 3]));
        let detached = thread::spawn(move || {
            detached.bytes()[1] = 9;
            detached
        });
        assert_eq!(detached.join().expect("no panic").back()[..], [1, 9, 3]);
    }
}
