//! On whose limits a record counts, and how many records each principal has: so that one of them fills the node for
//! itself alone.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;

use super::record::Record;
use super::surface::Owner;

/// Who has records: a user, else what the record was made with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Whom the record belongs to.
    Owner(Owner),
    /// A static token by its digest, or the address of a client that showed no credential (an IPv6 one by its /64).
    Maker(String),
}

/// How many records a principal has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them: files, uploads, parts, pieces.
    pub records: usize,
    /// Those that are not complete.
    pub open: usize,
}

/// How many records each principal may have; 0: any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `uploads.records_per_principal`
    pub records: usize,
    /// `uploads.open_per_principal`
    pub open: usize,
}

/// A principal has as many as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Crowded {
    /// Incomplete ones.
    #[error(
        "you have {0} unfinished uploads, the most that one user, token or address may have here \
         (uploads.open_per_principal): finish or delete some, then try again"
    )]
    Open(usize),
    /// All together.
    #[error(
        "you have {0} files and uploads, the most that one user, token or address may have here \
         (uploads.records_per_principal): delete some, then try again"
    )]
    Records(usize),
}

/// `Retry-After` of a request that is refused for it, in seconds.
pub const RETRY_CROWDED_S: u64 = 60;

/// The counts of all principals; one that has nothing is not here.
#[derive(Debug, Default)]
pub struct Principals(HashMap<Principal, Counts>);

impl Principal {
    /// Of a record; `None`: one of the operator, or of a release that did not write down who made it.
    pub fn of(record: &Record) -> Option<Self> {
        let maker = || (!record.maker.is_empty()).then(|| Self::Maker(record.maker.clone()));
        record.owner.clone().map(Self::Owner).or_else(maker)
    }
}

impl Limits {
    /// Whether one more record fits to these; `opens`: it is not complete at once.
    pub const fn admit(self, counts: Counts, opens: bool) -> Result<(), Crowded> {
        if opens && self.open > 0 && counts.open >= self.open {
            return Err(Crowded::Open(self.open));
        }
        if self.records > 0 && counts.records >= self.records {
            return Err(Crowded::Records(self.records));
        }
        Ok(())
    }
}

impl Principals {
    /// Of one.
    pub fn counts(&self, principal: &Principal) -> Counts {
        self.0.get(principal).copied().unwrap_or_default()
    }

    /// How many principals have something.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// No principal has anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A record is there from now on.
    pub(super) fn add(&mut self, record: &Record) {
        let Some(principal) = Principal::of(record) else { return };
        let counts = self.0.entry(principal).or_default();
        counts.records += 1;
        counts.open += usize::from(!record.is_complete());
    }

    /// A record is not there any more, as it was when it was added.
    pub(super) fn take(&mut self, record: &Record) {
        let Some(MapEntry::Occupied(mut counts)) = Principal::of(record).map(|one| self.0.entry(one)) else { return };
        let left = counts.get_mut();
        left.records -= 1;
        left.open -= usize::from(!record.is_complete());
        if left.records == 0 {
            counts.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b7_the_last_one_within_a_limit_is_let_in_and_one_above_is_told_which_limit() {
        let limits = Limits { records: 3, open: 2 };
        let counts = |records, open| Counts { records, open };
        assert_eq!(limits.admit(counts(2, 1), true), Ok(()));
        assert_eq!(limits.admit(counts(2, 2), true), Err(Crowded::Open(2)));
        assert_eq!(limits.admit(counts(2, 2), false), Ok(()), "what is complete at once opens nothing");
        assert_eq!(limits.admit(counts(3, 0), false), Err(Crowded::Records(3)));
        assert_eq!(limits.admit(counts(3, 0), true), Err(Crowded::Records(3)));
        assert_eq!(limits.admit(counts(usize::MAX, 9), true), Err(Crowded::Open(2)), "lowered below what is there");
        let none = Limits { records: 0, open: 0 };
        assert_eq!(none.admit(counts(usize::MAX, usize::MAX), true), Ok(()));
        for (crowded, key) in [(Crowded::Open(2), "open_per_principal"), (Crowded::Records(3), "records_per_principal")]
        {
            assert!(crowded.to_string().contains(key), "{crowded}");
        }
    }
}
