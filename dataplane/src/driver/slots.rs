//! The core's pool of slots: 1 MiB pieces of one arena. First come, first served: a slot that comes back goes straight to
//! the longest waiter, so no waiter is overtaken. The slot freed last is given out first: it is still in cache, and a slot
//! that was never used costs no memory.
//!
//! Must stay true, and is up to the callers: a task that waits for a slot holds none, not even one whose operation has ended
//! and was not collected. Else tasks that wait for one more could hold all slots. A slot waits for a client only briefly:
//! slow clients are always many.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use super::Buf;
use super::arena::{Arena, SlotMemory};

/// The pool.
pub struct Slots {
    state: RefCell<State>,
}

struct State {
    free: Vec<SlotMemory>,
    waiters: VecDeque<Weak<RefCell<Waiter>>>,
}

/// One task in the queue.
#[derive(Default)]
struct Waiter {
    granted: Option<Buf>,
    waker: Option<Waker>,
}

impl Slots {
    /// A pool of `count` slots.
    pub fn new(count: usize) -> io::Result<Rc<Self>> {
        let mut free = Arena::pieces(count)?;
        free.reverse(); // the first memory is the first to be used
        Ok(Rc::new(Self { state: RefCell::new(State { free, waiters: VecDeque::new() }) }))
    }

    /// How many slots are free.
    pub fn free(&self) -> usize {
        self.state.borrow().free.len()
    }

    /// A slot, if one is free and no task waits for one.
    pub fn try_take(self: &Rc<Self>) -> Option<Buf> {
        let memory = self.state.borrow_mut().free.pop()?;
        Some(Buf::slot(memory, Rc::clone(self)))
    }

    /// A slot, in the order of the first polls.
    pub fn take(self: &Rc<Self>) -> TakeSlot {
        TakeSlot { pool: Rc::clone(self), ticket: None }
    }

    /// Takes a slot back, from `Buf::drop`.
    pub(super) fn give_back(pool: &Rc<Self>, memory: SlotMemory) {
        let waiter = {
            let mut state = pool.state.borrow_mut();
            // Tickets of dropped futures are dead; skip them.
            let waiter = std::iter::from_fn(|| state.waiters.pop_front()).find_map(|ticket| ticket.upgrade());
            match waiter {
                Some(waiter) => waiter,
                None => return state.free.push(memory),
            }
        };
        let mut ticket = waiter.borrow_mut();
        ticket.granted = Some(Buf::slot(memory, Rc::clone(pool)));
        let waker = ticket.waker.take();
        drop(ticket);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Waits for a slot. Dropped with a slot in hand, it passes it on.
pub struct TakeSlot {
    pool: Rc<Slots>,
    ticket: Option<Rc<RefCell<Waiter>>>,
}

impl Future for TakeSlot {
    type Output = Buf;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Buf> {
        let this = self.get_mut();
        let Some(ticket) = &this.ticket else {
            // A free memory means an empty queue: pieces go to waiters before they are free.
            if let Some(buf) = this.pool.try_take() {
                return Poll::Ready(buf);
            }
            let ticket = Rc::new(RefCell::new(Waiter { granted: None, waker: Some(cx.waker().clone()) }));
            this.pool.state.borrow_mut().waiters.push_back(Rc::downgrade(&ticket));
            this.ticket = Some(ticket);
            return Poll::Pending;
        };
        let mut place = ticket.borrow_mut();
        if let Some(buf) = place.granted.take() {
            drop(place);
            this.ticket = None;
            return Poll::Ready(buf);
        }
        place.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
