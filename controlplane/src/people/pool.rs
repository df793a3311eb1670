//! Connections to the database of people: made when first needed, few, never waited for without a limit, and made again
//! after a failure.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Error, Executor, MySql, MySqlPool, PgPool, Postgres, Sqlite, SqlitePool};

use super::sql::{self, Dialect, Row, Value};
use crate::bounds::{PEOPLE_CONNECT_WAIT, PEOPLE_CONNECTIONS_MAX, PEOPLE_LOCK_WAIT};
use crate::config::Database;
use crate::core::PeopleBackend;

/// For finding out whether a connection that comes back is still good.
const RETURN_LIMIT: Duration = Duration::from_secs(2);

/// The usual ports.
const MYSQL_PORT: u16 = 3306;
const POSTGRES_PORT: u16 = 5432;

/// The connections.
pub(super) struct Pool {
    links: Links,
    distrusted: Distrust,
}

enum Links {
    Sqlite { pool: SqlitePool, path: PathBuf },
    MySql(MySqlPool),
    Postgres(PgPool),
}

/// When the last failure was. A connection that is older may be one of its causes: to a file that was read-only, to a
/// server that is no longer the one to write to.
#[derive(Debug, Clone)]
struct Distrust(Arc<Mutex<Option<Instant>>>);

impl Distrust {
    fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection of this age was made after the failure.
    fn spares(&self, age: Duration) -> bool {
        let failure = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failure.is_none_or(|failure| age < failure.elapsed())
    }
}

/// Changes that are made together or not at all; dropped, it is undone.
pub(super) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    MySql(sqlx::Transaction<'static, MySql>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Pool {
    pub(super) fn new(database: &Database, default_path: &Path) -> Self {
        let distrusted = Distrust(Arc::default());
        let links = match database.backend {
            PeopleBackend::Sqlite => {
                let path = database.path.as_deref().unwrap_or(default_path);
                Links::Sqlite { pool: sqlite(path, &distrusted), path: path.to_owned() }
            }
            PeopleBackend::MySql => Links::MySql(mysql(database, &distrusted)),
            PeopleBackend::Postgres => Links::Postgres(postgres(database, &distrusted)),
        };
        Self { links, distrusted }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.links {
            Links::Sqlite { .. } => Dialect::Sqlite,
            Links::MySql(_) => Dialect::MySql,
            Links::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The file, when it is one.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.links {
            Links::Sqlite { path, .. } => Some(path),
            Links::MySql(_) | Links::Postgres(_) => None,
        }
    }

    /// Connections that are open now are not used again.
    pub(super) fn distrust(&self) {
        self.distrusted.now();
    }

    /// Runs one statement by itself.
    pub(super) async fn rows(&self, statement: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        match &self.links {
            Links::Sqlite { pool, .. } => sql::rows(Dialect::Sqlite, pool, statement, values).await,
            Links::MySql(pool) => sql::rows(Dialect::MySql, pool, statement, values).await,
            Links::Postgres(pool) => sql::rows(Dialect::Postgres, pool, statement, values).await,
        }
    }

    pub(super) async fn begin(&self) -> Result<Transaction, Error> {
        Ok(match &self.links {
            // The write lock from the start: a reader that becomes a writer half-way could only fail.
            Links::Sqlite { pool, .. } => Transaction::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Links::MySql(pool) => Transaction::MySql(pool.begin().await?),
            Links::Postgres(pool) => Transaction::Postgres(pool.begin().await?),
        })
    }
}

impl Transaction {
    /// Runs one statement.
    pub(super) async fn rows(&mut self, statement: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        match self {
            Self::Sqlite(link) => sql::rows(Dialect::Sqlite, &mut **link, statement, values).await,
            Self::MySql(link) => sql::rows(Dialect::MySql, &mut **link, statement, values).await,
            Self::Postgres(link) => sql::rows(Dialect::Postgres, &mut **link, statement, values).await,
        }
    }

    pub(super) async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(link) => link.commit().await,
            Self::MySql(link) => link.commit().await,
            Self::Postgres(link) => link.commit().await,
        }
    }
}

fn sqlite(path: &Path, distrusted: &Distrust) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // An acknowledged change of rights survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(PEOPLE_LOCK_WAIT)
        .foreign_keys(true)
        .disable_statement_logging();
    bounded(SqlitePoolOptions::new(), distrusted).connect_lazy_with(options)
}

fn mysql(database: &Database, distrusted: &Distrust) -> MySqlPool {
    let options = MySqlConnectOptions::new()
        .host(&database.host)
        .port(database.port.unwrap_or(MYSQL_PORT))
        .username(&database.user)
        .password(database.password.0.expose())
        .database(&database.name)
        .disable_statement_logging();
    bounded(MySqlPoolOptions::new(), distrusted)
        .after_connect(|link, _| {
            Box::pin(async move {
                // What a row says after its lock was taken must be what the last holder left.
                link.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                let limit = format!("SET SESSION innodb_lock_wait_timeout = {}", PEOPLE_LOCK_WAIT.as_secs());
                link.execute(sqlx::AssertSqlSafe(limit)).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options)
}

fn postgres(database: &Database, distrusted: &Distrust) -> PgPool {
    let options = PgConnectOptions::new_without_pgpass()
        .host(&database.host)
        .port(database.port.unwrap_or(POSTGRES_PORT))
        .username(&database.user)
        .password(database.password.0.expose())
        .database(&database.name)
        .disable_statement_logging();
    bounded(PgPoolOptions::new(), distrusted)
        .after_connect(|link, _| {
            Box::pin(async move {
                let limit = format!("SET lock_timeout = {}", PEOPLE_LOCK_WAIT.as_millis());
                link.execute(sqlx::AssertSqlSafe(limit)).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options)
}

fn bounded<DB: sqlx::Database>(options: PoolOptions<DB>, distrusted: &Distrust) -> PoolOptions<DB> {
    let distrusted = distrusted.clone();
    options
        .max_connections(PEOPLE_CONNECTIONS_MAX)
        .acquire_timeout(PEOPLE_CONNECT_WAIT)
        .test_before_acquire(true)
        .before_acquire(move |_, link| {
            let spared = distrusted.spares(link.age);
            Box::pin(async move { Ok(spared) })
        })
        // The pool's own look at a connection that comes back knows no limit: behind a server that hangs, all places
        // would be taken for as long as the network believes in it.
        .after_release(|link, _| {
            Box::pin(async move {
                let hung = |_| Error::Io(std::io::ErrorKind::TimedOut.into());
                tokio::time::timeout(RETURN_LIMIT, link.ping()).await.map_err(hung)?.map(|()| true)
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_costs_older_connections_their_place() {
        let distrusted = Distrust(Arc::default());
        assert!(distrusted.spares(Duration::MAX));
        distrusted.now();
        assert!(!distrusted.spares(Duration::from_secs(1000)));
        *distrusted.0.lock().unwrap() = Instant::now().checked_sub(Duration::from_secs(10));
        assert!(distrusted.spares(Duration::from_secs(9)) && !distrusted.spares(Duration::from_secs(1000)));
    }
}
