//! A caller that was let in, and what it may do (easytransfer/CONTRACT.md §6.3, §7, §8.6). Every right is a question to
//! [`Caller`].

use std::sync::Arc;

use super::origin;
use crate::catalogue::{Owner, Record};
use crate::core::TokenPolicy;
use crate::people::{Session, User};
use crate::quota::Quota;
use crate::retention::receiver::Who;

/// A grant for a signed-in person is asked for again after this: a session that another program ended, or a person
/// it disabled, is out within a second.
const PERSON_CACHE_MS: u64 = 1_000;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose deliveries add up.
    pub who: Who,
    /// What uploads made with this token get when they do not say.
    pub policy: Option<TokenPolicy>,
    /// How they came in.
    pub identity: Identity,
}

/// How a caller was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The node asks for no credentials: every caller is privileged (easytransfer/CONTRACT.md §1.3).
    Open,
    /// With a static token; no person stands behind it.
    Token {
        /// `auth.admin_tokens` names it.
        is_admin: bool,
    },
    /// Signed in.
    Person(Arc<Person>),
}

/// A person who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub user: User,
    /// What they may use at this moment.
    pub quota: Quota,
    /// When the session ends; Unix milliseconds.
    pub expires_ms: u64,
}

impl Caller {
    /// A person with a session.
    pub fn person(session: Session, quota: Quota) -> Self {
        let Session { user, expires_ms } = session;
        let who = Who::user(user.id);
        Self { who, policy: None, identity: Identity::Person(Arc::new(Person { user, quota, expires_ms })) }
    }

    /// The person, if one is signed in.
    pub fn signed_in(&self) -> Option<&Person> {
        match &self.identity {
            Identity::Person(person) => Some(person),
            Identity::Open | Identity::Token { .. } => None,
        }
    }

    /// Whom uploads made by this caller belong to.
    pub fn owner(&self) -> Option<Owner> {
        self.signed_in().map(|person| Owner::Person(person.user.id))
    }

    /// What uploads that belong to no user are made with: the digest of the token, or the address. Limits count by it.
    pub fn maker(&self) -> String {
        let address = || origin::client().map(Who::address);
        match &self.identity {
            Identity::Person(_) => String::new(),
            Identity::Token { .. } => self.who.as_str().to_owned(),
            Identity::Open => address().as_ref().unwrap_or(&self.who).as_str().to_owned(),
        }
    }

    /// Whose files this caller sees: everybody's (`None`), or their own alone.
    pub fn scope(&self) -> Option<Owner> {
        let own = self.signed_in().filter(|person| !person.user.is_administrator())?;
        Some(Owner::Person(own.user.id))
    }

    /// May see, read, continue and delete it (easytransfer/CONTRACT.md §6.3): else it is as unknown.
    pub fn sees(&self, record: &Record) -> bool {
        self.scope().is_none_or(|own| record.owner.as_ref() == Some(&own))
    }

    /// May administer people and groups (access A).
    pub fn may_administer(&self) -> bool {
        match &self.identity {
            Identity::Open => true,
            Identity::Token { is_admin } => *is_admin,
            Identity::Person(person) => person.user.is_administrator(),
        }
    }

    /// May reload the configuration (access T).
    pub fn may_reload(&self) -> bool {
        match &self.identity {
            Identity::Open | Identity::Token { .. } => true,
            Identity::Person(person) => person.user.is_administrator(),
        }
    }

    /// May keep files forever although `retention.allow_permanent` is off (easytransfer/CONTRACT.md §8.6).
    pub fn is_privileged(&self) -> bool {
        self.scope().is_none()
    }

    /// How long a grant to this caller may be repeated, at most `most` milliseconds.
    pub fn cache_ms(&self, most: u64) -> u64 {
        if self.signed_in().is_some() { most.min(PERSON_CACHE_MS) } else { most }
    }

    /// In the audit log.
    pub fn name(&self) -> String {
        match &self.identity {
            Identity::Open => format!("anyone at {}", self.who.as_str()),
            Identity::Token { .. } => format!("token {}", self.who.as_str()),
            Identity::Person(person) => format!("user {} {}", person.user.id, person.user.username),
        }
    }
}
