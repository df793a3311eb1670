//! Passwords: argon2id, computed off the async threads, few at a time.
//!
//! Must stay true: a name that nobody has costs the same time as a wrong password; no more than [`AT_ONCE`] hashes are
//! computed together (each takes 19 MiB), and no more than [`QUEUE_MAX`] wait.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// Hashes computed at the same time.
const AT_ONCE: usize = 2;
/// Hashes computed or waited for.
const QUEUE_MAX: usize = 64;
const SALT_BYTES: usize = 16;
/// What a password is compared with when there is nobody it could belong to: argon2id with the parameters of [`hash`]; no
/// password is known to fit.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Where passwords are hashed.
#[derive(Debug, Clone)]
pub struct Passwords {
    queue: Arc<Semaphore>,
    seats: Arc<Semaphore>,
}

/// Too many passwords wait: 503, try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many logins at once; try again")]
pub struct Busy;

impl Default for Passwords {
    fn default() -> Self {
        Self { queue: Arc::new(Semaphore::new(QUEUE_MAX)), seats: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Passwords {
    /// The PHC string of a password, with a salt of its own.
    pub async fn hash(&self, password: &str) -> Result<String, Busy> {
        let password = password.to_owned();
        self.compute(move || hash(&password)).await
    }

    /// Whether `password` is the one that `phc` was made of. Without a `phc`, or with one that cannot be read, it is not,
    /// after the same time.
    pub async fn verify(&self, password: &str, phc: Option<&str>) -> Result<bool, Busy> {
        let (password, phc) = (password.to_owned(), phc.map(str::to_owned));
        self.compute(move || is_right(&password, phc.as_deref())).await
    }

    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let place = Arc::clone(&self.queue).try_acquire_owned().map_err(|_full| Busy)?;
        let seat = Arc::clone(&self.seats).acquire_owned().await.map_err(|_closed| Busy)?;
        // Both go along: a client that went away does not free what is still being computed.
        let done = tokio::task::spawn_blocking(move || {
            let _held = (place, seat);
            work()
        });
        done.await.map_err(|_ended| Busy)
    }
}

fn hash(password: &str) -> String {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).expect("the kernel's random source does not fail once the machine is up");
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .expect("the default parameters and a salt of 16 bytes are in range, and bodies bound the password");
    hash.to_string()
}

fn is_right(password: &str, phc: Option<&str>) -> bool {
    let somebodys = phc.and_then(|phc| PasswordHash::new(phc).ok());
    let is_somebodys = somebodys.is_some();
    let hash = somebodys.unwrap_or_else(|| PasswordHash::new(NOBODYS).expect("it is well-formed; a test reads it"));
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok() && is_somebodys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash() {
        let passwords = Passwords::default();
        let phc = passwords.hash("hunter2").await.unwrap();
        let parameters = |phc: &str| phc.rsplitn(3, '$').last().unwrap().to_owned();
        assert_eq!(parameters(&phc), parameters(NOBODYS), "a name nobody has costs as much");
        for (password, phc, fits) in [
            ("hunter2", Some(phc.as_str()), true),
            ("hunter3", Some(&phc), false),
            ("", Some(&phc), false),
            ("hunter2", None, false),
            ("hunter2", Some("$argon2id$broken"), false),
            ("hunter2", Some("hunter2"), false),
        ] {
            assert_eq!(passwords.verify(password, phc).await, Ok(fits), "{password} {phc:?}");
        }
        assert_ne!(passwords.hash("hunter2").await.unwrap(), phc, "each has a salt of its own");
    }

    #[tokio::test]
    async fn beyond_the_queue_it_is_busy_and_then_goes_on() {
        let passwords = Passwords::default();
        let held = Arc::clone(&passwords.queue).acquire_many_owned(QUEUE_MAX as u32).await.unwrap();
        assert_eq!(passwords.verify("a", None).await, Err(Busy));
        drop(held);
        assert_eq!(passwords.verify("a", None).await, Ok(false));
    }
}
