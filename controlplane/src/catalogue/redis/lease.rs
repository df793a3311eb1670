//! Who may write, and how far the writing is: what fences a control plane off that lost its place without noticing.
//!
//! Each start is a *term*, above every earlier one; each attempt to write has a *generation*, above every earlier one. A
//! script acts only when Redis holds this term, a generation that was acknowledged or tried, and none as new as its own:
//! * a paused holder wakes up after another one took over: the owner is another, nothing is written (PROMISES.md P15);
//! * an attempt that timed out is executed late, after a newer one: its generation is not above the one found;
//! * Redis came back with older data, or none: the generation is below what was acknowledged.

/// This run's right to write.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct WriterLease {
    owner: String,
    term: u64,
    /// The generation of the last attempt that is known to have succeeded.
    written: u64,
    /// The generation of the last attempt.
    tried: u64,
}

/// What stands in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `<term>:<run>`
    pub owner: Option<String>,
    /// Of the last write.
    pub generation: Option<u64>,
}

/// What that means for this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseStatus {
    /// It goes on.
    Ours,
    /// Redis has lost what it had acknowledged.
    Wiped,
    /// Another control plane took over.
    Lost,
}

impl WriterLease {
    /// Of the run that just took over.
    pub fn new(run: &str, term: u64, generation: u64) -> Self {
        Self { owner: format!("{term}:{run}"), term, written: generation, tried: generation }
    }

    /// `<term>:<run>`, as the owner's key holds it.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The number of this run.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// The generation that was acknowledged last.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The generation of a new attempt.
    pub fn attempt(&mut self) -> u64 {
        self.tried += 1;
        self.tried
    }

    /// The last attempt succeeded.
    pub fn succeed(&mut self) {
        self.written = self.tried;
    }

    /// What `found` means.
    pub fn status(&self, found: &Found) -> LeaseStatus {
        let Some(owner) = &found.owner else { return LeaseStatus::Wiped };
        if *owner == self.owner {
            return match found.generation {
                Some(generation) if generation > self.tried => LeaseStatus::Lost,
                Some(generation) if generation >= self.written => LeaseStatus::Ours,
                Some(_) | None => LeaseStatus::Wiped,
            };
        }
        match owner.split_once(':').and_then(|(term, _)| term.parse::<u64>().ok()) {
            Some(term) if term < self.term => LeaseStatus::Wiped,
            Some(_) | None => LeaseStatus::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p15_what_is_found_says_who_may_write() {
        let mut lease = WriterLease::new("me", 5, 10);
        lease.attempt();
        lease.succeed();
        lease.attempt();
        let rows = [
            (Some("5:me"), Some(11), LeaseStatus::Ours, "as it was left"),
            (Some("5:me"), Some(12), LeaseStatus::Ours, "the attempt without an answer was made"),
            (Some("5:me"), Some(10), LeaseStatus::Wiped, "an older state came back"),
            (Some("5:me"), None, LeaseStatus::Wiped, "half of it is gone"),
            (Some("5:me"), Some(13), LeaseStatus::Lost, "another process writes in our name"),
            (None, None, LeaseStatus::Wiped, "empty again"),
            (None, Some(11), LeaseStatus::Wiped, "the owner is gone"),
            (Some("4:former"), Some(9), LeaseStatus::Wiped, "a state from before this run"),
            (Some("6:next"), Some(11), LeaseStatus::Lost, "another process took over"),
            (Some("5:other"), Some(11), LeaseStatus::Lost, "two took over from the same older state"),
            (Some("nonsense"), Some(11), LeaseStatus::Lost, "not ours to judge"),
        ];
        for (owner, generation, status, why) in rows {
            let found = Found { owner: owner.map(str::to_owned), generation };
            assert_eq!(lease.status(&found), status, "{why}");
        }
    }
}
