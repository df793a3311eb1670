//! Reservations of space that are in use: from the grant that carries one until the fact that ends it. The data
//! plane reports them to a restarted control plane before its inventory is whole, so nothing is promised twice (PROMISES.md P9).
//!
//! Must stay true: the end of a reservation is reported after its beginning, or the beginning is not reported at all; so the table is
//! emptied before [`Fact::Settled`] is queued, and [`Budgets::report_open`] queues what it finds while it holds the table.
#![expect(clippy::disallowed_types, reason = "one table for all cores, held for an entry, never across a wait")]

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use etransfer_contract::ObjectId;
use etransfer_contract::fact::Fact;
use etransfer_contract::grant::Ticket;

use super::Facts;

/// The open reservations of all cores.
#[derive(Default)]
pub struct Budgets(Mutex<HashMap<Ticket, (ObjectId, u64)>>);

impl Budgets {
    /// A request begins to use a grant that may store `bytes`.
    pub fn open(&self, ticket: Ticket, object: ObjectId, bytes: u64) {
        self.lock().insert(ticket, (object, bytes));
    }

    /// It ended: `stored` of them are in the object, the rest is free.
    pub fn settle(&self, facts: &Facts, ticket: Ticket, stored: u64) {
        self.lock().remove(&ticket);
        facts.push(Fact::Settled { ticket, stored });
    }

    /// Ends those of `tickets` that no request uses: their grants never arrived. The control plane names a reservation here
    /// only when it is older than any answer that is still awaited.
    pub fn settle_unused(&self, facts: &Facts, tickets: &[Ticket]) {
        let open = self.lock();
        for &ticket in tickets.iter().filter(|ticket| !open.contains_key(ticket)) {
            facts.push(Fact::Settled { ticket, stored: 0 });
        }
    }

    /// Reports the open ones to a control plane that restarted.
    pub fn report_open(&self, facts: &Facts) {
        for (&ticket, &(object, bytes)) in self.lock().iter() {
            facts.push(Fact::Open { ticket, object, bytes });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Ticket, (ObjectId, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
