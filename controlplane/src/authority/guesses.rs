//! The one limiter of wrong credentials, for every route of every dialect.
//!
//! | presented, past the limit of its address | then |
//! |---|---|
//! | a credential that was right from this address lately, of 16 characters or more | it is judged as ever |
//! | a shorter one that was, where only the device or account is past its limit | it is judged as ever |
//! | one that is proven by a key of the node (signed tokens, signed requests) | it is judged; wrong is 429 |
//! | any other | 429, without a look at it |
//!
//! Must stay true: what is past the limit costs no lookup and tells nothing; the same wrong credential again is no new
//! guess; who is right is not shut out by others behind the same address. The tables are bounded and lose their oldest.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};

use super::origin;
use super::table::Table;
use crate::bounds::{CREDENTIAL_CHARS_MIN, FAILURE_ENTRIES_MAX, GOOD_ENTRIES_MAX, GOOD_FOR, WRONG_ENTRIES_MAX};
use crate::config::Limit;
use crate::core::SurfaceId;

/// A right credential that is used all the time is written down again this seldom.
const GOOD_AGAIN: Duration = Duration::from_secs(60);

type Digest = [u8; 32];

/// Too many were wrong: 429, retry after this many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many wrong credentials; try again in {retry_after_s} s")]
pub struct TooMany {
    /// Seconds.
    pub retry_after_s: u64,
}

/// A device or an account that is guessed at.
#[derive(Debug, Clone, Copy)]
pub struct Principal<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Failures there may be; 0 = any number.
    pub max: u64,
    /// Within this time.
    pub window: Duration,
}

/// Against what a failure counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Whose {
    Address(IpAddr),
    Principal(SurfaceId, String),
}

#[derive(Debug)]
struct Count {
    failures: u64,
    since: Instant,
}

#[derive(Debug)]
struct Tables {
    counts: Table<Whose, Count>,
    /// When a wrong credential was counted.
    wrong: Table<(IpAddr, Digest), Instant>,
    /// When a right one was seen last.
    good: Table<(IpAddr, Digest), Instant>,
}

/// The limiter.
#[derive(Debug)]
pub struct Guesses {
    limit: ArcSwap<Limit>,
    tables: Mutex<Tables>,
}

impl Default for Guesses {
    fn default() -> Self {
        let tables = Tables {
            counts: Table::new(FAILURE_ENTRIES_MAX),
            wrong: Table::new(WRONG_ENTRIES_MAX),
            good: Table::new(GOOD_ENTRIES_MAX),
        };
        Self { limit: ArcSwap::default(), tables: Mutex::new(tables) }
    }
}

impl Guesses {
    /// From now on this many.
    pub fn obey(&self, limit: Limit) {
        self.limit.store(limit.into());
    }

    /// A device or account under the limit all of them have.
    pub fn principal<'a>(&self, name: &'a str) -> Principal<'a> {
        let limit = **self.limit.load();
        Principal { name, max: limit.per_principal, window: limit.window }
    }

    /// Whether a credential may be looked at that anybody could guess.
    pub fn admit(&self, credential: &str) -> Result<(), TooMany> {
        self.admit_at(None, credential)
    }

    /// The same for a password of `principal`; the name is part of `credential`.
    pub fn admit_at(&self, principal: Option<Principal<'_>>, credential: &str) -> Result<(), TooMany> {
        let Some((client, surface)) = whose() else { return Ok(()) };
        let tables = self.tables();
        let address = self.address_wait(&tables, client);
        let name = principal.and_then(|principal| tables.principal_wait(surface, principal));
        if address.is_none() && name.is_none() {
            return Ok(());
        }
        let is_good = tables.is_good(client, credential);
        let address = address.filter(|_| !(is_good && can_be_trusted(credential)));
        let name = name.filter(|_| !is_good);
        address.max(name).map_or(Ok(()), |retry_after_s| Err(TooMany { retry_after_s }))
    }

    /// It was right.
    pub fn right(&self, credential: &str) {
        let Some((client, _)) = whose() else { return };
        let key = (client, digest(credential));
        let mut tables = self.tables();
        let is_fresh = tables.good.get(&key).is_some_and(|seen| seen.elapsed() < GOOD_AGAIN);
        if !is_fresh {
            tables.good.put(key, Instant::now());
        }
    }

    /// Whether it was right from this address lately.
    pub fn is_known(&self, credential: &str) -> bool {
        whose().is_some_and(|(client, _)| self.tables().is_good(client, credential))
    }

    /// It was wrong. Counts once for each credential; `Err`: there were too many before it.
    pub fn wrong(&self, credential: &str) -> Result<(), TooMany> {
        self.wrong_at(None, credential)
    }

    /// The same for a password of `principal`. A password that is wrong again counts there again: an account that is
    /// being guessed at is not told from one whose owner insists.
    pub fn wrong_at(&self, principal: Option<Principal<'_>>, credential: &str) -> Result<(), TooMany> {
        let Some((client, surface)) = whose() else { return Ok(()) };
        let window = self.limit.load().window;
        let key = (client, digest(credential));
        let mut tables = self.tables();
        let address = self.address_wait(&tables, client);
        let name = principal.and_then(|principal| tables.principal_wait(surface, principal));
        tables.good.remove(&key);
        if let Some(retry_after_s) = address.max(name) {
            return Err(TooMany { retry_after_s });
        }
        let is_repeated = tables.wrong.get(&key).is_some_and(|counted| counted.elapsed() < window);
        if !is_repeated {
            tables.wrong.put(key, Instant::now());
            tables.count(Whose::Address(client), window);
        }
        if let Some(Principal { name, window, .. }) = principal {
            tables.count(Whose::Principal(surface, name.to_owned()), window);
        }
        Ok(())
    }

    fn address_wait(&self, tables: &Tables, client: IpAddr) -> Option<u64> {
        let limit = **self.limit.load();
        tables.wait_s(&Whose::Address(client), limit.per_address, limit.window)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn is_good(&self, client: IpAddr, credential: &str) -> bool {
        self.good.get(&(client, digest(credential))).is_some_and(|seen| seen.elapsed() < GOOD_FOR)
    }

    fn principal_wait(&self, surface: SurfaceId, principal: Principal<'_>) -> Option<u64> {
        let Principal { name, max, window } = principal;
        self.wait_s(&Whose::Principal(surface, name.to_owned()), max, window)
    }

    fn wait_s(&self, whose: &Whose, max: u64, window: Duration) -> Option<u64> {
        let count = self.counts.get(whose).filter(|count| max > 0 && count.failures >= max)?;
        let left = window.checked_sub(count.since.elapsed())?;
        Some(left.as_secs() + 1)
    }

    fn count(&mut self, whose: Whose, window: Duration) {
        match self.counts.get_mut(&whose).filter(|count| count.since.elapsed() < window) {
            Some(count) => count.failures += 1,
            None => {
                self.counts.put(whose, Count { failures: 1, since: Instant::now() });
            }
        }
    }
}

/// Without an address nothing is counted: then the operator asks on the socket, not the data plane.
fn whose() -> Option<(IpAddr, SurfaceId)> {
    let surface = origin::now()?.surface;
    origin::client().map(|client| (client, surface))
}

/// The secret is what stands after the name and its line feed, when there is a name.
fn can_be_trusted(credential: &str) -> bool {
    let secret = credential.split_once('\n').map_or(credential, |(_, secret)| secret);
    secret.chars().count() >= CREDENTIAL_CHARS_MIN
}

fn digest(text: &str) -> Digest {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::origin::{Origin, within};
    use crate::bounds::FAILURE_WINDOW;

    const GOOD: &str = "a-token-that-is-long-enough";

    async fn from<T>(last: u8, work: impl FnOnce() -> T) -> T {
        let address = Some(IpAddr::from([192, 0, 2, last]));
        within(Origin { address, surface: SurfaceId::EasyTransfer }, async { work() }).await
    }

    fn limited(per_address: u64, per_principal: u64) -> Guesses {
        let guesses = Guesses::default();
        guesses.obey(Limit { per_address, per_principal, window: Duration::from_secs(300) });
        guesses
    }

    #[tokio::test]
    async fn past_the_limit_only_what_was_right_from_there_is_looked_at() {
        let guesses = limited(3, 0);
        from(1, || {
            guesses.right(GOOD);
            guesses.right("short");
            for guess in ["a", "b", "c"] {
                guesses.admit(guess).unwrap();
                guesses.wrong(guess).unwrap();
            }
            assert!(guesses.admit("d").is_err_and(|too_many| (1..=301).contains(&too_many.retry_after_s)));
            assert!(guesses.admit(GOOD).is_ok(), "who is right is not shut out by others");
            assert!(guesses.admit("short").is_err(), "what can be guessed is");
            assert!(guesses.wrong("e").is_err());
        })
        .await;
        from(2, || {
            assert!(guesses.admit("d").is_ok());
            assert!(!guesses.is_known(GOOD), "it is known from where it was right");
        })
        .await;
        assert!(guesses.admit("d").is_ok(), "the operator's socket is no address");
    }

    #[tokio::test]
    async fn the_same_wrong_credential_again_is_no_guess() {
        let guesses = limited(3, 0);
        from(1, || {
            for _ in 0..1_000 {
                guesses.wrong("a token that ended").unwrap();
            }
            assert!(guesses.admit("another").is_ok());
        })
        .await;
    }

    #[tokio::test]
    async fn a_nat_of_two_hundred_people_works() {
        let guesses = Guesses::default();
        from(1, || {
            for person in 0..200 {
                guesses.wrong(&format!("what {person} mistyped")).unwrap();
            }
            assert!(guesses.admit("anything").is_ok());
        })
        .await;
    }

    #[tokio::test]
    async fn a_principal_is_guarded_wherever_guesses_come_from() {
        let guesses = limited(0, 4);
        let at = |name| Some(guesses.principal(name));
        from(9, || guesses.right("device its own")).await;
        for address in 0..4 {
            from(address, || guesses.wrong_at(at("device"), &format!("device {address}"))).await.unwrap();
        }
        assert!(from(8, || guesses.admit_at(at("device"), "device anything")).await.is_err());
        assert!(from(8, || guesses.admit_at(at("other"), "other anything")).await.is_ok());
        assert!(
            from(9, || guesses.admit_at(at("device"), "device its own")).await.is_ok(),
            "its owner is not shut out"
        );
    }

    #[tokio::test]
    async fn addresses_without_number_free_nobody() {
        let guesses = limited(1, 0);
        from(1, || guesses.wrong("a")).await.unwrap();
        for address in 0..FAILURE_ENTRIES_MAX as u32 - 1 {
            guesses.tables().count(Whose::Address(IpAddr::from(address.to_be_bytes())), FAILURE_WINDOW);
        }
        assert!(from(1, || guesses.admit("b")).await.is_err(), "a full table forgets its oldest alone");
        guesses.tables().count(Whose::Address(IpAddr::from([255; 4])), FAILURE_WINDOW);
        assert!(from(1, || guesses.admit("b")).await.is_ok(), "and this was the oldest");
    }
}
