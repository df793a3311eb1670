//! Bodies under way, by the local address of their connection: the control plane weighs NICs by them.
//!
//! Must stay true: small bodies do not come here, so the lock is taken twice for a body that takes longer than that by
//! far; an address without a body takes no room.
#![expect(clippy::disallowed_types, reason = "shared by the cores, held for one look at a short map")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use etransfer_contract::grant::Act;
use etransfer_contract::order::OpenTransfers;

/// Smaller files have ended before a report could matter.
const COUNTED_BYTES_MIN: u64 = 1 << 20;

/// What is under way on all cores.
#[derive(Debug, Default)]
pub struct Transfers(Mutex<BTreeMap<IpAddr, Open>>);

/// On one address.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Open {
    receiving: u32,
    sending: u32,
}

/// Which way a body goes.
#[derive(Debug, Clone, Copy)]
enum Way {
    In,
    Out,
}

/// One body under way until it drops.
#[derive(Debug)]
pub struct OpenTransfer<'t> {
    transfers: &'t Transfers,
    address: IpAddr,
    way: Way,
}

impl Transfers {
    /// Counts what `act` moves over `address`, when it is worth it.
    pub fn enter(&self, address: IpAddr, act: &Act) -> Option<OpenTransfer<'_>> {
        let (way, length) = match act {
            Act::Append(permit) => (Way::In, permit.length),
            Act::Serve(permit) => (Way::Out, permit.length),
            Act::State(_) | Act::Remove(_) | Act::Concat(_) | Act::Forward { .. } | Act::Step(_) => return None,
        };
        self.begin(address, way, length)
    }

    /// Counts content that comes in by a step.
    pub fn enter_step(&self, address: IpAddr, length: Option<u64>) -> Option<OpenTransfer<'_>> {
        self.begin(address, Way::In, length)
    }

    fn begin(&self, address: IpAddr, way: Way, length: Option<u64>) -> Option<OpenTransfer<'_>> {
        if length.is_some_and(|bytes| bytes < COUNTED_BYTES_MIN) {
            return None;
        }
        let address = address.to_canonical();
        self.change(address, way, |count| *count += 1);
        Some(OpenTransfer { transfers: self, address, way })
    }

    /// What is under way now.
    pub fn open(&self) -> Vec<OpenTransfers> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |(address, open): (&IpAddr, &Open)| OpenTransfers {
            address: *address,
            receiving: open.receiving,
            sending: open.sending,
        };
        all.iter().map(told).collect()
    }

    fn change(&self, address: IpAddr, way: Way, change: impl FnOnce(&mut u32)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = all.entry(address).or_default();
        change(match way {
            Way::In => &mut open.receiving,
            Way::Out => &mut open.sending,
        });
        if *open == Open::default() {
            all.remove(&address);
        }
    }
}

impl Drop for OpenTransfer<'_> {
    fn drop(&mut self) {
        self.transfers.change(self.address, self.way, |count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use etransfer_contract::ObjectId;
    use etransfer_contract::grant::{Append, Serve};

    use super::*;

    fn append(length: Option<u64>) -> Act {
        Act::Append(Append {
            object: ObjectId::from_bytes([1; 16]),
            length,
            length_max: None,
            parallel: false,
            budget: None,
            expires_after_s: None,
            expires_unix_ms: None,
            completed: Vec::new(),
            created: None,
            rate: None,
        })
    }

    fn serve(length: Option<u64>) -> Act {
        Act::Serve(Serve {
            object: ObjectId::from_bytes([1; 16]),
            length,
            complete: true,
            etag: String::new(),
            modified_ms: None,
            judged: false,
            fields: Vec::new(),
            chunk: None,
            consumed: Vec::new(),
            receiver: String::new(),
            hold_last: false,
            exclusive: false,
            report: false,
            counted: None,
            rate: None,
        })
    }

    #[test]
    fn large_bodies_are_counted_by_address_and_direction_while_they_last() {
        let transfers = Transfers::default();
        let (one, two) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 1, 1]));
        let large = Some(COUNTED_BYTES_MIN);
        let first = transfers.enter(one, &append(large));
        let second = transfers.enter("::ffff:10.0.0.1".parse().unwrap(), &append(None));
        let third = transfers.enter(two, &serve(large));
        assert!(transfers.enter(one, &append(Some(COUNTED_BYTES_MIN - 1))).is_none());
        assert!(transfers.enter(one, &Act::Forward { bytes_max: u64::MAX }).is_none());
        let expected = [
            OpenTransfers { address: one, receiving: 2, sending: 0 },
            OpenTransfers { address: two, receiving: 0, sending: 1 },
        ];
        assert_eq!(transfers.open(), expected);
        drop((first, third));
        assert_eq!(transfers.open(), [OpenTransfers { address: one, receiving: 1, sending: 0 }]);
        drop(second);
        assert_eq!(transfers.open(), []);
    }
}
