//! Ending work from outside: a flag, a bell for sleepers, and the sockets to shut so that blocked calls return at once.
//!
//! A child is cancelled with its parent and may be cancelled alone: the connections of one transfer are a child of the
//! transfer, so that the first fatal error stops all of them without looking like the user's wish.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// A handle to end something; clones end the same thing.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    cancelled: bool,
    next: u64,
    sockets: BTreeMap<u64, TcpStream>,
    children: Vec<Cancel>,
}

impl Cancel {
    /// Not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// A handle that ends with this one and can end before it.
    pub fn child(&self) -> Self {
        let child = Self::new();
        let mut state = self.state();
        if state.cancelled {
            drop(state);
            child.cancel();
        } else {
            state.children.retain(|other| !other.is_cancelled() && Arc::strong_count(&other.inner) > 1);
            state.children.push(child.clone());
        }
        child
    }

    /// Ends everything below this handle: sleepers wake, blocked sockets fail.
    pub fn cancel(&self) {
        let mut state = self.state();
        state.cancelled = true;
        for socket in state.sockets.values() {
            let _ = socket.shutdown(Shutdown::Both); // already closed is as good
        }
        let children = std::mem::take(&mut state.children);
        drop(state);
        self.inner.bell.notify_all();
        children.iter().for_each(Self::cancel);
    }

    /// Whether [`cancel`](Self::cancel) was called here or above.
    pub fn is_cancelled(&self) -> bool {
        self.state().cancelled
    }

    /// [`Error::Interrupted`] once cancelled.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Sleeps, unless cancelled.
    pub fn sleep(&self, duration: Duration) -> Result<()> {
        let end = Instant::now() + duration;
        let mut state = self.state();
        loop {
            if state.cancelled {
                return Err(Error::Interrupted);
            }
            let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return Ok(());
            };
            state = self.inner.bell.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The socket is shut when this handle is cancelled, until the registration is dropped.
    pub(crate) fn watch(&self, socket: &TcpStream) -> std::io::Result<Watch> {
        let twin = socket.try_clone()?;
        let mut state = self.state();
        if state.cancelled {
            let _ = twin.shutdown(Shutdown::Both); // the next call on it fails, which is all we want
        }
        let key = state.next;
        state.next += 1;
        state.sockets.insert(key, twin);
        Ok(Watch { cancel: self.clone(), key })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a socket under watch while it lives.
#[derive(Debug)]
pub(crate) struct Watch {
    cancel: Cancel,
    key: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.cancel.state().sockets.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_ends_its_children_and_not_the_other_way_round() {
        let parent = Cancel::new();
        let (first, second) = (parent.child(), parent.child());
        first.cancel();
        assert!(first.is_cancelled() && !parent.is_cancelled() && !second.is_cancelled());
        parent.cancel();
        assert!(second.is_cancelled());
        assert!(parent.child().is_cancelled());
    }

    #[test]
    fn a_sleeper_wakes_when_cancelled() {
        let cancel = Cancel::new();
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| cancel.sleep(Duration::from_secs(600)));
            cancel.cancel();
            assert!(matches!(sleeper.join().unwrap(), Err(Error::Interrupted)));
        });
    }
}
