//! Somebody who came in, and what that allows.

use crate::config::TokenPolicy;
use crate::retention::receiver::Who;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose deliveries add up.
    pub who: Who,
    /// What uploads made with this token get when they do not say.
    pub policy: Option<TokenPolicy>,
    /// How they came in.
    pub standing: Standing,
}

/// How somebody came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nobody is asked for credentials here: everybody is privileged (§1.3).
    Open,
    /// With a static token; no person stands behind it.
    Token {
        /// `auth.admin_tokens` names it.
        is_admin: bool,
    },
}

impl Caller {
    /// May reload the configuration (access T of the route index).
    pub fn may_reload(&self) -> bool {
        match self.standing {
            Standing::Open | Standing::Token { .. } => true,
        }
    }
}
