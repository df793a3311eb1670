//! Passwords: argon2id, computed off the async threads, few at a time.
//!
//! Must stay true: an unknown name costs the same time as a wrong password; what is hashed for one [`Purpose`]
//! takes neither a seat nor a place in the queue from another, and one address never fills a queue; each hash takes
//! 19 MiB, kept for the next one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::authority::origin;
use crate::bounds::{HASH_QUEUE_MAX, HASH_QUEUE_PER_ADDRESS};

const SALT_BYTES: usize = 16;
/// What a hash that was made elsewhere may cost: 1 GiB of memory and this many passes over it.
const MEMORY_KIB_MAX: u32 = 1 << 20;
const PASSES_MAX: u32 = 16;
/// What a password is compared with when no account has the name: argon2id with the parameters of [`hash`]; no
/// password is known to fit.
const NO_ACCOUNT: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What a hash is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A password that is to be right.
    Login,
    /// Of a share, made or visited.
    Share,
    /// Of an account that a user registers.
    Registration,
    /// A new password for an account, or of an account the operator makes.
    Change,
}

impl Purpose {
    const ALL: [Self; 4] = [Self::Login, Self::Share, Self::Registration, Self::Change];

    /// Hashes computed at the same time: people who log in wait for no other purpose.
    const fn at_once(self) -> usize {
        match self {
            Self::Login => 2,
            Self::Share | Self::Registration | Self::Change => 1,
        }
    }
}

/// Where passwords are hashed.
#[derive(Debug, Clone)]
pub struct Passwords {
    queues: Arc<[HashQueue; Purpose::ALL.len()]>,
    memories: Arc<Memories>,
}

/// How many places each address has in a queue.
type Taken = Mutex<HashMap<IpAddr, usize>>;

/// The queue of one purpose.
#[derive(Debug)]
struct HashQueue {
    queue: Arc<Semaphore>,
    seats: Arc<Semaphore>,
    /// Places taken, by address.
    from: Arc<Taken>,
}

/// A place in a queue, and the address it counts against.
struct Place {
    _place: OwnedSemaphorePermit,
    from: Option<(IpAddr, Arc<Taken>)>,
}

impl HashQueue {
    fn of(purpose: Purpose) -> Self {
        Self {
            queue: Arc::new(Semaphore::new(HASH_QUEUE_MAX)),
            seats: Arc::new(Semaphore::new(purpose.at_once())),
            from: Arc::default(),
        }
    }

    fn enter(&self) -> Result<Place, Busy> {
        let place = Arc::clone(&self.queue).try_acquire_owned().map_err(|_full| Busy)?;
        let Some(client) = origin::client() else { return Ok(Place { _place: place, from: None }) };
        let mut from = self.from.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = from.entry(client).or_default();
        if *taken >= HASH_QUEUE_PER_ADDRESS {
            return Err(Busy);
        }
        *taken += 1;
        Ok(Place { _place: place, from: Some((client, Arc::clone(&self.from))) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((client, from)) = &self.from else { return };
        let mut from = from.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = from.get_mut(client) {
            *taken -= 1;
            if *taken == 0 {
                from.remove(client);
            }
        }
    }
}

/// What hashes were computed in and the next ones will be, one for each seat that is free. Memory that is given back stays
/// with the allocator's arena of the thread that used it, and hashes meet ever new threads.
#[derive(Default)]
struct Memories(Mutex<Vec<Vec<Block>>>);

/// Too many passwords wait: 503, try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many logins at once; try again")]
pub struct Busy;

impl Default for Passwords {
    fn default() -> Self {
        Self { queues: Arc::new(Purpose::ALL.map(HashQueue::of)), memories: Arc::default() }
    }
}

impl Passwords {
    /// The PHC string of a password, with a salt of its own.
    pub async fn hash(&self, purpose: Purpose, password: &str) -> Result<String, Busy> {
        let password = password.to_owned();
        self.compute(purpose, move |memory| hash(&password, memory)).await
    }

    /// Whether `password` is the one that `phc` was made of. Without a `phc`, or with one that cannot be read, it is not,
    /// after the same time.
    pub async fn verify(&self, purpose: Purpose, password: &str, phc: Option<&str>) -> Result<bool, Busy> {
        let (password, phc) = (password.to_owned(), phc.map(str::to_owned));
        self.compute(purpose, move |memory| is_right(&password, phc.as_deref(), memory)).await
    }

    async fn compute<T, F>(&self, purpose: Purpose, work: F) -> Result<T, Busy>
    where
        T: Send + 'static,
        F: FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    {
        let lane = &self.queues[purpose as usize];
        let place = lane.enter()?;
        let seat = Arc::clone(&lane.seats).acquire_owned().await.map_err(|_closed| Busy)?;
        let memories = Arc::clone(&self.memories);
        // All go along: a client that went away does not free what is still being computed.
        let done = tokio::task::spawn_blocking(move || {
            let _held = (place, seat);
            memories.lend(work)
        });
        done.await.map_err(|_ended| Busy)
    }
}

impl Memories {
    fn lend<T>(&self, work: impl FnOnce(&mut Vec<Block>) -> T) -> T {
        let mut memory = self.free().pop().unwrap_or_default();
        let done = work(&mut memory);
        // A hash from elsewhere may have needed far more than ours do; that is not kept.
        if memory.len() <= Params::DEFAULT.block_count() {
            self.free().push(memory);
        }
        done
    }

    /// Those that are free; each is whole between two hashes, so a poisoned lock is as good as any.
    fn free(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The blocks are of a user's password.
impl std::fmt::Debug for Memories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memories").finish_non_exhaustive()
    }
}

/// Whether a password can be checked against `phc`: argon2id, and at a price that can be paid.
pub fn is_usable(phc: &str) -> bool {
    Known::read(phc).is_some()
}

/// A PHC string taken apart.
struct Known {
    argon2: Argon2<'static>,
    salt: Salt,
    output: Output,
}

impl Known {
    fn read(phc: &str) -> Option<Self> {
        let phc = PasswordHash::new(phc).ok().filter(|phc| phc.algorithm == ARGON2ID_IDENT)?;
        let version = phc.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
        let params = Params::try_from(&phc).ok()?;
        let is_payable = params.m_cost() <= MEMORY_KIB_MAX && params.t_cost() <= PASSES_MAX;
        let argon2 = Argon2::new(Algorithm::Argon2id, version, params);
        Some(Self { argon2, salt: phc.salt?, output: phc.hash? }).filter(|_| is_payable)
    }
}

fn hash(password: &str, memory: &mut Vec<Block>) -> String {
    const IN_RANGE: &str = "the default parameters and a salt of 16 bytes are in range, and bodies bound the password";
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).expect("the kernel's random source does not fail once the machine is up");
    let argon2 = Argon2::default();
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::default().into()),
        params: argon2.params().try_into().expect(IN_RANGE),
        salt: Some(Salt::new(&salt).expect(IN_RANGE)),
        hash: Some(compute(&argon2, &salt, password, memory).expect(IN_RANGE)),
    };
    hash.to_string()
}

fn is_right(password: &str, phc: Option<&str>, memory: &mut Vec<Block>) -> bool {
    let its_hash = phc.and_then(Known::read);
    let is_its_hash = its_hash.is_some();
    let known = its_hash.unwrap_or_else(|| Known::read(NO_ACCOUNT).expect("it is well-formed; a test reads it"));
    let output = compute(&known.argon2, &known.salt, password, memory);
    output.is_some_and(|output| output.as_bytes().ct_eq(known.output.as_bytes()).into()) && is_its_hash
}

/// What argon2 makes of a password; `None` for a salt that is too short.
fn compute(argon2: &Argon2<'_>, salt: &[u8], password: &str, memory: &mut Vec<Block>) -> Option<Output> {
    let params = argon2.params();
    if memory.len() < params.block_count() {
        memory.resize(params.block_count(), Block::new());
    }
    let mut output = [0; Output::MAX_LENGTH];
    let output = output.get_mut(..params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN))?;
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, output, memory).ok()?;
    Output::new(output).ok()
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHasher, PasswordVerifier};

    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash() {
        let passwords = Passwords::default();
        let phc = passwords.hash(Purpose::Login, "hunter2").await.unwrap();
        let parameters = |phc: &str| phc.rsplitn(3, '$').last().unwrap().to_owned();
        assert_eq!(parameters(&phc), parameters(NO_ACCOUNT), "an unknown name costs as much");
        for (password, phc, fits) in [
            ("hunter2", Some(phc.as_str()), true),
            ("hunter3", Some(&phc), false),
            ("", Some(&phc), false),
            ("hunter2", None, false),
            ("hunter2", Some("$argon2id$broken"), false),
            ("hunter2", Some("hunter2"), false),
        ] {
            assert_eq!(passwords.verify(Purpose::Login, password, phc).await, Ok(fits), "{password} {phc:?}");
        }
        assert_ne!(passwords.hash(Purpose::Login, "hunter2").await.unwrap(), phc, "each has a salt of its own");
    }

    #[tokio::test]
    async fn hashes_are_those_of_everybody_else() {
        let passwords = Passwords::default();
        for (kib, passes, queues, output_bytes) in
            [(8, 1, 1, 16), (64, 3, 2, 32), (20_000, 1, 3, 64), (19_456, 2, 1, 32)]
        {
            let params = Params::new(kib, passes, queues, Some(output_bytes)).unwrap();
            let theirs =
                Argon2::from(params).hash_password_with_salt(b"hunter2", b"a salt of theirs").unwrap().to_string();
            assert_eq!(passwords.verify(Purpose::Login, "hunter2", Some(&theirs)).await, Ok(true), "{theirs}");
            assert_eq!(passwords.verify(Purpose::Login, "hunter3", Some(&theirs)).await, Ok(false), "{theirs}");
            let ours = passwords.hash(Purpose::Login, "hunter2").await.unwrap();
            Argon2::default().verify_password(b"hunter2", ours.as_str()).unwrap();
        }
        let reference = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert_eq!(passwords.verify(Purpose::Login, "password", Some(reference)).await, Ok(true));
    }

    #[test]
    fn a_hash_has_a_price_that_can_be_paid() {
        for (phc, usable) in [
            (NO_ACCOUNT.to_owned(), true),
            (NO_ACCOUNT.replace("m=19456,t=2", "m=1048576,t=16"), true),
            (NO_ACCOUNT.replace("m=19456", "m=1048577"), false),
            (NO_ACCOUNT.replace("t=2", "t=17"), false),
            (NO_ACCOUNT.replace("t=2", "t=0"), false),
            (NO_ACCOUNT.replace("p=1", "p=2433"), false),
            (NO_ACCOUNT.replace("argon2id", "argon2i"), false),
            (NO_ACCOUNT.replace("v=19", "v=18"), false),
            (NO_ACCOUNT.rsplit_once('$').unwrap().0.to_owned(), false),
            ("$argon2id$nonsense".to_owned(), false),
        ] {
            assert_eq!(is_usable(&phc), usable, "{phc}");
        }
    }

    #[tokio::test]
    async fn the_memory_of_a_hash_is_used_again_unless_it_was_more_than_ours() {
        let passwords = Passwords::default();
        let kept = || passwords.memories.free().iter().map(Vec::len).collect::<Vec<_>>();
        let verify = |phc| passwords.verify(Purpose::Login, "hunter2", phc);
        let (one, other) = tokio::join!(verify(None), verify(None));
        assert_eq!((one, other), (Ok(false), Ok(false)));
        let first = kept();
        assert!(
            (1..=Purpose::Login.at_once()).contains(&first.len()) && first.iter().all(|blocks| *blocks == 19_456),
            "{first:?}"
        );
        verify(None).await.unwrap();
        assert_eq!(kept(), first);
        let large = NO_ACCOUNT.replace("m=19456", "m=30000");
        for _each in &first {
            verify(Some(&large)).await.unwrap();
        }
        assert!(kept().is_empty());
    }

    #[tokio::test]
    async fn beyond_the_queue_it_is_busy_and_then_goes_on_and_other_purposes_never_notice() {
        let passwords = Passwords::default();
        let queue = &passwords.queues[Purpose::Share as usize].queue;
        let held = Arc::clone(queue).acquire_many_owned(HASH_QUEUE_MAX as u32).await.unwrap();
        assert_eq!(passwords.verify(Purpose::Share, "a", None).await, Err(Busy));
        for other in [Purpose::Login, Purpose::Registration, Purpose::Change] {
            assert_eq!(passwords.verify(other, "a", None).await, Ok(false), "{other:?}");
        }
        drop(held);
        assert_eq!(passwords.verify(Purpose::Share, "a", None).await, Ok(false));
    }

    #[tokio::test]
    async fn one_address_never_fills_a_queue() {
        let passwords = Passwords::default();
        let lane = &passwords.queues[Purpose::Login as usize];
        let from = |last| origin::Origin {
            address: Some(IpAddr::from([192, 0, 2, last])),
            surface: crate::core::SurfaceId::CloudBackend,
        };
        let held = origin::within(from(1), async {
            let held: Vec<Place> = (0..HASH_QUEUE_PER_ADDRESS).map(|_| lane.enter().unwrap()).collect();
            assert!(lane.enter().is_err());
            held
        })
        .await;
        assert!(origin::within(from(2), async { lane.enter() }).await.is_ok(), "another one still gets in");
        drop(held);
        assert!(lane.from.lock().unwrap().is_empty());
        assert!(origin::within(from(1), async { lane.enter() }).await.is_ok());
    }
}
