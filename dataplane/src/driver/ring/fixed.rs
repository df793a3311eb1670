//! Which slots are registered with the ring. Registering pins a slot's pages, so it happens on first use, and a process
//! without enough locked memory simply goes on with plain writes.

use io_uring::Submitter;

use crate::driver::Buf;
use crate::driver::arena::SlotMemory;

/// Registered slots by index.
pub struct Fixed {
    registered: Vec<bool>,
    refused: bool,
}

impl Fixed {
    /// A table for `slots` buffers, all empty.
    pub fn new(submitter: &Submitter<'_>, slots: usize) -> Self {
        let result = match slots {
            0 => Ok(()),
            _ => submitter.register_buffers_sparse(slots as u32),
        };
        if let Err(error) = &result {
            tracing::warn!(%error, "slots stay unregistered: writes cost a little more");
        }
        Self { registered: vec![false; slots], refused: result.is_err() }
    }

    /// The registered number of this buffer if it is a slot, registering it first if need be. `None`: a plain operation.
    pub fn index_of(&mut self, submitter: &Submitter<'_>, buf: &Buf) -> Option<u16> {
        self.index(submitter, buf.memory()?)
    }

    fn index(&mut self, submitter: &Submitter<'_>, memory: &SlotMemory) -> Option<u16> {
        let index = memory.index();
        let registered = self.registered.get_mut(index as usize)?;
        if !*registered {
            if self.refused {
                return None;
            }
            let memory = libc::iovec { iov_base: memory.as_ptr().cast_mut().cast(), iov_len: memory.len() };
            // SAFETY: the memory is one arena memory. The kernel pins its pages, so they stay valid for it until the ring
            // is gone, even if the mapping went first.
            if let Err(error) = unsafe { submitter.register_buffers_update(index, &[memory], None) } {
                tracing::warn!(%error, "cannot register slots (raise RLIMIT_MEMLOCK): writes cost a little more");
                self.refused = true;
                return None;
            }
            *registered = true;
        }
        u16::try_from(index).ok()
    }
}
