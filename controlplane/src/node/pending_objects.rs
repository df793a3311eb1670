//! Objects whose bytes come before their record: a dialect puts the record when it has seen that the bytes are right.
//! While a grant for such an object is open it is not taken for an orphan, and what is there of it is put on the
//! account of its owner to be.
//!
//! In memory alone: a restarted data plane has no grants, and a control plane that does is told of the open ones
//! ([`Fact::Open`](etransfer_contract::Fact::Open)), then without their owners.

use std::collections::HashMap;

use etransfer_contract::ObjectId;
use etransfer_contract::grant::Ticket;

use crate::catalogue::Owner;

/// All of them.
#[derive(Debug, Default)]
pub struct PendingObjects {
    by_ticket: HashMap<Ticket, ObjectId>,
    objects: HashMap<ObjectId, Awaited>,
}

#[derive(Debug, Default)]
struct Awaited {
    /// Open grants that may bring bytes of it.
    tickets: usize,
    owner: Option<Owner>,
}

impl PendingObjects {
    /// A grant may bring bytes of an object. May be told twice; a ticket is for one object.
    pub fn open(&mut self, ticket: Ticket, object: ObjectId, owner: Option<Owner>) {
        let former = self.by_ticket.insert(ticket, object);
        let awaited = self.objects.entry(object).or_default();
        awaited.owner = owner.or(awaited.owner.take());
        if former != Some(object) {
            awaited.tickets += 1;
            former.map(|former| self.leave(former));
        }
    }

    /// The grant ended; tells the object that no grant brings bytes of any more.
    pub fn settle(&mut self, ticket: Ticket) -> Option<ObjectId> {
        let object = self.by_ticket.remove(&ticket)?;
        self.leave(object).then_some(object)
    }

    /// The object never was.
    pub fn forget(&mut self, object: ObjectId) {
        if self.objects.remove(&object).is_some() {
            self.by_ticket.retain(|_, of| *of != object);
        }
    }

    /// The data plane restarted: no grant is open. Tells what was awaited.
    pub fn forget_all(&mut self) -> Vec<ObjectId> {
        std::mem::take(self).objects.into_keys().collect()
    }

    /// A grant for it is open.
    pub fn awaits(&self, object: ObjectId) -> bool {
        self.objects.contains_key(&object)
    }

    /// On whose account its bytes are.
    pub fn owner(&self, object: ObjectId) -> Option<&Owner> {
        self.objects.get(&object)?.owner.as_ref()
    }

    /// One grant less; `true`: that was the last one.
    fn leave(&mut self, object: ObjectId) -> bool {
        let Some(awaited) = self.objects.get_mut(&object) else { return false };
        awaited.tickets -= 1;
        let is_last = awaited.tickets == 0;
        if is_last {
            self.objects.remove(&object);
        }
        is_last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_awaited_until_its_last_grant_ended() {
        let (a, b) = (ObjectId::from_bytes([1; 16]), ObjectId::from_bytes([2; 16]));
        let ann = Owner::Person(1);
        let mut pending_objects = PendingObjects::default();
        pending_objects.open(1, a, Some(ann.clone()));
        pending_objects.open(1, a, None);
        pending_objects.open(2, a, None);
        pending_objects.open(3, b, None);
        assert_eq!(
            (pending_objects.owner(a), pending_objects.owner(b)),
            (Some(&ann), None),
            "told again without, it stays"
        );
        assert_eq!(pending_objects.settle(1), None);
        assert!(pending_objects.awaits(a));
        assert_eq!((pending_objects.settle(2), pending_objects.settle(2)), (Some(a), None));
        assert!(!pending_objects.awaits(a));
        pending_objects.open(4, b, None);
        pending_objects.forget(b);
        assert_eq!(
            (pending_objects.awaits(b), pending_objects.settle(3), pending_objects.settle(4)),
            (false, None, None)
        );
        pending_objects.open(5, a, None);
        pending_objects.open(5, b, None);
        assert_eq!((pending_objects.awaits(a), pending_objects.awaits(b)), (false, true), "a ticket is for one object");
        pending_objects.forget_all();
        assert_eq!((pending_objects.awaits(b), pending_objects.settle(5)), (false, None));
    }
}
