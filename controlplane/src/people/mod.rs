//! People: who they are, the groups they are in, and the sessions they hold (easytransfer/CONTRACT.md §6), in an SQL
//! database with the schema of easytransfer/CONTRACT.md §10.
//!
//! * [`model`] what a user, a group and a session are, [`profile`] what a login provider tells
//! * `users`, `groups`, `sessions`: the operations of [`People`], one file per table
//! * `sql` one text for three dialects, `pool` the connections, `schema` the tables
//! * `stamp`, `token`, `fit`: what stands in the columns
//!
//! Must stay true:
//! * The database belongs to everybody: other programs add users, groups and sessions while the node runs, and their rows
//!   count at once (easytransfer/CONTRACT.md §15.22). So nothing is remembered here, and tables and columns are the
//!   original's, no more.
//! * A token made here is stored as its digest; only the answer of a sign-in holds the token itself.
//! * A change is one transaction, and who changes a user's groups or sessions writes the user's row first. That row is
//!   the lock: no person signs in while being disabled, and none is in a group twice.
//! * Every call answers within [`PEOPLE_ANSWER_WAIT`]. A database that is away at the start, stops, hangs or comes back empty is
//!   [`PeopleError::Away`] for as long as it lasts, and then works again without a restart (PROMISES.md P15).
//!
//! *Absent on purpose:* pending logins, which live in memory and are not shared between nodes; their table is created and
//! swept for the other programs. An SQLite file that exists keeps its mode; a new one is private.

mod error;
mod fit;
mod groups;
pub mod model;
mod pool;
pub mod profile;
mod schema;
mod sessions;
mod sql;
mod stamp;
mod token;
mod users;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bounds::PEOPLE_ANSWER_WAIT;
use crate::config::Database;

pub use error::PeopleError;
pub use model::{Group, Membership, NewSession, Role, Session, User};
pub use profile::Profile;

use error::Fault;
use pool::Pool;

/// How often a change is tried that collides with others. Each round lets at least one of them through.
const ROUNDS: usize = 16;

/// The people of this node; clones share their connections.
#[derive(Clone)]
pub struct People(Arc<Shared>);

struct Shared {
    pool: Pool,
    /// The tables were seen after the last failure.
    is_prepared: AtomicBool,
}

impl People {
    /// Says where they are; `default_path` is the SQLite file when the settings name none. Connects when first asked, so it
    /// cannot fail. Must be called on a runtime.
    pub fn open(database: &Database, default_path: &Path) -> Self {
        Self(Arc::new(Shared { pool: Pool::new(database, default_path), is_prepared: AtomicBool::new(false) }))
    }

    fn pool(&self) -> &Pool {
        &self.0.pool
    }

    /// Runs one operation: prepares the tables before, repeats it when it collides with another, ends it at the limit.
    async fn work<T, F>(&self, operation: impl Fn() -> F) -> Result<T, PeopleError>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let rounds = async {
            for _ in 1..ROUNDS {
                match self.round(&operation).await {
                    Err(Fault::Sql(error)) if error::is_collision(&error) => {}
                    result => return result,
                }
            }
            self.round(&operation).await
        };
        let error = match tokio::time::timeout(PEOPLE_ANSWER_WAIT, rounds).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(Fault::Refused(refusal))) => return Err(refusal),
            Ok(Err(Fault::Sql(error))) => PeopleError::from_sql(&error),
            Err(_) => PeopleError::Away { reason: format!("no answer for {} s", PEOPLE_ANSWER_WAIT.as_secs()) },
        };
        if error != PeopleError::Taken {
            // The database may be another one from now on, and empty.
            self.0.is_prepared.store(false, Ordering::Release);
            self.pool().distrust();
        }
        Err(error)
    }

    async fn round<T, F>(&self, operation: &impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        if !self.0.is_prepared.load(Ordering::Acquire) {
            schema::prepare(self.pool()).await?;
            self.0.is_prepared.store(true, Ordering::Release);
        }
        operation().await
    }
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("People").field(&self.pool().dialect()).finish()
    }
}
