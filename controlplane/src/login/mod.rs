//! Signing people in with an OpenID Connect provider (easytransfer/CONTRACT.md §6.1, PROMISES.md §5 "Login").
//!
//! The way of one login:
//!
//! ```text
//! routes            Provider                 Pending                      the provider
//!   │ begin ───────────▶ authorize URL,         │
//!   │                    state, Proof           │
//!   │ start_* ─────────────────────────────────▶│ keeps the Proof
//!   │            the browser goes ─────────────────────────────────────────▶ and returns with code and state
//!   │ arrive ──────────────────────────────────▶│ gives the Proof, once
//!   │ finish ──────────▶ code for tokens, tokens for claims ───────────────▶
//!   │                    Profile                │
//!   │ ask, confirm, complete, collect ─────────▶│ a command line's login only
//! ```
//!
//! What must stay true: a login is finished with the nonce, the PKCE verifier and the redirect URI it was begun with, or
//! not at all; a provider that announces ID tokens is believed through a verified ID token only; nothing here waits for
//! the provider without a limit of time and bytes.
//!
//! *Absent on purpose:* no route, no cookie header, no user database and no session. Who a [`Profile`] becomes is decided
//! elsewhere.

mod claims;
mod discovery;
mod fetch;
mod id_token;
mod keys;
pub mod page;
mod pending;
mod provider;
mod settings;
#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use claims::ProfileFault;

pub use crate::people::Profile;
pub use fetch::Fault;
pub use id_token::IdTokenFault;
pub use pending::{Arrival, Ids, LoginId, Pending, PendingError, Question, Sent};
pub use provider::{Begun, Facts, Proof, Provider, ProviderError, Step, is_error_code};
pub use settings::{Callback, Settings, SettingsError, cookie_path, short_url};

/// 256 bits: one-time values are found by guessing in no amount of time.
const RANDOM_BYTES: usize = 32;

/// A one-time value: URL-safe, 43 characters.
fn random() -> String {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes once it has booted");
    URL_SAFE_NO_PAD.encode(bytes)
}
