//! What this core counts (contract crate, `counters`): plain numbers of one thread, nothing shared, nothing atomic.
//!
//! Must stay true: the path of a byte adds to a number and goes on; reporting is one task that takes a copy each second.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use etransfer_contract::counters::{AddressBytes, CoreCounters};

use crate::bounds::REPORTED_ADDRESSES_MAX;

/// The numbers of one core.
#[derive(Default)]
pub struct Counters(RefCell<CoreCounters>);

/// What one client's connection counts into.
pub struct Tally {
    counters: Rc<Counters>,
    /// Index of its local address.
    address: usize,
    /// When the request arrived whose first content byte has not left yet.
    asked: Cell<Option<Instant>>,
}

impl Counters {
    /// A copy of the numbers.
    pub fn copy(&self) -> CoreCounters {
        self.0.borrow().clone()
    }

    /// Changes the numbers.
    pub fn update(&self, change: impl FnOnce(&mut CoreCounters)) {
        change(&mut self.0.borrow_mut());
    }

    fn address(&self, address: IpAddr) -> usize {
        let addresses = &mut self.0.borrow_mut().addresses;
        let key = Some(address).filter(|_| addresses.len() < REPORTED_ADDRESSES_MAX);
        let known = |key: Option<IpAddr>| addresses.iter().position(|bytes| bytes.address == key);
        known(Some(address)).or_else(|| known(key)).unwrap_or_else(|| {
            addresses.push(AddressBytes { address: key, received: 0, sent: 0 });
            addresses.len() - 1
        })
    }
}

impl Tally {
    /// Of a connection that came in by `local`.
    pub fn new(counters: &Rc<Counters>, local: IpAddr) -> Self {
        let address = counters.address(local.to_canonical());
        Self { counters: Rc::clone(counters), address, asked: Cell::new(None) }
    }

    /// The head of a request is complete.
    pub fn asked(&self, now: Instant) {
        self.asked.set(Some(now));
    }

    /// Content of an upload came.
    pub fn received(&self, bytes: u64) {
        self.counters.update(|core| core.addresses[self.address].received += bytes);
    }

    /// Content of a download was given to the kernel.
    pub fn sent(&self, bytes: u64, now: Instant) {
        let asked = self.asked.take();
        self.counters.update(|core| {
            core.addresses[self.address].sent += bytes;
            if let Some(asked) = asked {
                core.first_byte.observe(now.saturating_duration_since(asked));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn p16_the_addresses_told_apart_are_bounded_and_no_byte_is_lost() {
        let counters = Rc::new(Counters::default());
        for host in 0..=255u8 {
            for _ in 0..2 {
                Tally::new(&counters, IpAddr::from([127, 0, 0, host])).received(1);
            }
        }
        let told = counters.0.borrow();
        assert_eq!(told.addresses.len(), REPORTED_ADDRESSES_MAX + 1);
        assert_eq!(told.addresses[3], AddressBytes { address: Some([127, 0, 0, 3].into()), received: 2, sent: 0 });
        let rest = told.addresses.iter().find(|bytes| bytes.address.is_none()).unwrap();
        assert_eq!(rest.received, 2 * (256 - REPORTED_ADDRESSES_MAX as u64));
    }

    #[test]
    fn the_first_byte_of_an_answer_is_timed_once() {
        let counters = Rc::new(Counters::default());
        let tally = Tally::new(&counters, IpAddr::from([127, 0, 0, 1]));
        let start = Instant::now();
        tally.asked(start);
        tally.sent(10, start + Duration::from_millis(3));
        tally.sent(20, start + Duration::from_secs(9));
        let told = counters.0.borrow();
        assert_eq!((told.addresses[0].sent, told.first_byte.count(), told.first_byte.sum_s()), (30, 1, 0.003));
    }
}
