//! The tables of easytransfer/CONTRACT.md §10, as the original has them; made where they are missing, never changed
//! where they are not.
//!
//! There is no table of migrations: what is there is seen by asking for it, so a database of the original counts as it
//! is, also for a user who may not create tables. The one later column (`authorize_url`) may be null, so a writer that
//! does not know it goes on working.

use std::path::Path;

use sqlx::Error;

use super::pool::Pool;
use super::sql::Dialect;

/// One thing that must be there.
struct Part {
    /// Fails when it is not.
    probe: &'static str,
    /// Makes it, per dialect.
    sqlite: &'static [&'static str],
    mysql: &'static [&'static str],
    postgres: &'static [&'static str],
}

/// Makes what is missing. Several nodes, and several tasks of one, may do so at once.
pub(super) async fn prepare(pool: &Pool) -> Result<(), Error> {
    if let Some(path) = pool.path() {
        create_private(path).await?;
    }
    for part in &PARTS {
        match pool.rows(part.probe, &[]).await {
            Ok(_) => continue,
            Err(Error::Database(_)) => {}
            Err(error) => return Err(error),
        }
        if let Err(error) = make(pool, part).await {
            // Unless another node was faster: then it is there.
            pool.rows(part.probe, &[]).await.map_err(|_| error)?;
        }
    }
    Ok(())
}

async fn make(pool: &Pool, part: &Part) -> Result<(), Error> {
    let statements = match pool.dialect() {
        Dialect::Sqlite => part.sqlite,
        Dialect::MySql => part.mysql,
        Dialect::Postgres => part.postgres,
    };
    for statement in statements {
        pool.rows(statement, &[]).await?;
    }
    Ok(())
}

/// An empty file is an empty database. SQLite gives its side files the mode of the file itself.
async fn create_private(path: &Path) -> Result<(), Error> {
    let made = tokio::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).await;
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::Io(std::io::Error::new(error.kind(), format!("create {}: {error}", path.display())))),
    }
}

// In MySQL tables compare bytes: its usual collation takes two subjects, names or tokens for one when they differ in
// case only.
const PARTS: [Part; 6] = [
    Part {
        probe: "SELECT id, oidc_sub, username, display_name, email, avatar_url, role, is_active, is_admin, \
                storage_used, created_at, updated_at FROM users WHERE 1 = 0",
        sqlite: &["CREATE TABLE IF NOT EXISTS users (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            oidc_sub VARCHAR(255) NOT NULL UNIQUE,
            username VARCHAR(255) NOT NULL,
            display_name VARCHAR(255),
            email VARCHAR(255),
            avatar_url TEXT,
            role VARCHAR(32) NOT NULL DEFAULT 'user',
            is_active BOOLEAN NOT NULL DEFAULT 1,
            is_admin BOOLEAN NOT NULL DEFAULT 0,
            storage_used BIGINT NOT NULL DEFAULT 0,
            created_at DATETIME NOT NULL,
            updated_at DATETIME NOT NULL)"],
        mysql: &["CREATE TABLE IF NOT EXISTS users (
            id INTEGER PRIMARY KEY AUTO_INCREMENT,
            oidc_sub VARCHAR(255) NOT NULL UNIQUE,
            username VARCHAR(255) NOT NULL,
            display_name VARCHAR(255),
            email VARCHAR(255),
            avatar_url TEXT,
            role VARCHAR(32) NOT NULL DEFAULT 'user',
            is_active BOOLEAN NOT NULL DEFAULT 1,
            is_admin BOOLEAN NOT NULL DEFAULT 0,
            storage_used BIGINT NOT NULL DEFAULT 0,
            created_at DATETIME(6) NOT NULL,
            updated_at DATETIME(6) NOT NULL) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"],
        postgres: &["CREATE TABLE IF NOT EXISTS users (
            id SERIAL PRIMARY KEY,
            oidc_sub VARCHAR(255) NOT NULL UNIQUE,
            username VARCHAR(255) NOT NULL,
            display_name VARCHAR(255),
            email VARCHAR(255),
            avatar_url TEXT,
            role VARCHAR(32) NOT NULL DEFAULT 'user',
            is_active BOOLEAN NOT NULL DEFAULT TRUE,
            is_admin BOOLEAN NOT NULL DEFAULT FALSE,
            storage_used BIGINT NOT NULL DEFAULT 0,
            created_at TIMESTAMP NOT NULL,
            updated_at TIMESTAMP NOT NULL)"],
    },
    Part {
        probe: r#"SELECT id, name, description, quota_json, created_at FROM "groups" WHERE 1 = 0"#,
        sqlite: &[r#"CREATE TABLE IF NOT EXISTS "groups" (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name VARCHAR(255) NOT NULL UNIQUE,
            description TEXT,
            quota_json TEXT DEFAULT '{}',
            created_at DATETIME NOT NULL)"#],
        mysql: &[r#"CREATE TABLE IF NOT EXISTS "groups" (
            id INTEGER PRIMARY KEY AUTO_INCREMENT,
            name VARCHAR(255) NOT NULL UNIQUE,
            description TEXT,
            quota_json TEXT DEFAULT ('{}'),
            created_at DATETIME(6) NOT NULL) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"#],
        postgres: &[r#"CREATE TABLE IF NOT EXISTS "groups" (
            id SERIAL PRIMARY KEY,
            name VARCHAR(255) NOT NULL UNIQUE,
            description TEXT,
            quota_json TEXT DEFAULT '{}',
            created_at TIMESTAMP NOT NULL)"#],
    },
    Part {
        probe: "SELECT user_id, group_id FROM user_groups WHERE 1 = 0",
        sqlite: &[MEMBERSHIPS],
        mysql: &[MEMBERSHIPS],
        postgres: &[MEMBERSHIPS],
    },
    Part {
        probe: "SELECT token, user_id, created_at, expires_at FROM sessions WHERE 1 = 0",
        sqlite: &[
            "CREATE TABLE IF NOT EXISTS sessions (
            token VARCHAR(255) PRIMARY KEY,
            user_id INTEGER NOT NULL REFERENCES users (id),
            created_at DATETIME NOT NULL,
            expires_at DATETIME NOT NULL)",
            "CREATE INDEX IF NOT EXISTS ix_sessions_user_id ON sessions (user_id)",
            "CREATE INDEX IF NOT EXISTS ix_sessions_expires_at ON sessions (expires_at)",
        ],
        mysql: &["CREATE TABLE IF NOT EXISTS sessions (
            token VARCHAR(255) PRIMARY KEY,
            user_id INTEGER NOT NULL,
            created_at DATETIME(6) NOT NULL,
            expires_at DATETIME(6) NOT NULL,
            INDEX ix_sessions_user_id (user_id),
            INDEX ix_sessions_expires_at (expires_at),
            FOREIGN KEY (user_id) REFERENCES users (id)) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"],
        postgres: &[
            "CREATE TABLE IF NOT EXISTS sessions (
            token VARCHAR(255) PRIMARY KEY,
            user_id INTEGER NOT NULL REFERENCES users (id),
            created_at TIMESTAMP NOT NULL,
            expires_at TIMESTAMP NOT NULL)",
            "CREATE INDEX IF NOT EXISTS ix_sessions_user_id ON sessions (user_id)",
            "CREATE INDEX IF NOT EXISTS ix_sessions_expires_at ON sessions (expires_at)",
        ],
    },
    Part {
        probe: "SELECT state, created_at, session_token, completed, redirect_uri FROM pending_logins WHERE 1 = 0",
        sqlite: &[
            "CREATE TABLE IF NOT EXISTS pending_logins (
            state VARCHAR(255) PRIMARY KEY,
            created_at DATETIME NOT NULL,
            session_token VARCHAR(255),
            completed BOOLEAN NOT NULL DEFAULT 0,
            redirect_uri TEXT)",
            "CREATE INDEX IF NOT EXISTS ix_pending_logins_created_at ON pending_logins (created_at)",
        ],
        mysql: &["CREATE TABLE IF NOT EXISTS pending_logins (
            state VARCHAR(255) PRIMARY KEY,
            created_at DATETIME(6) NOT NULL,
            session_token VARCHAR(255),
            completed BOOLEAN NOT NULL DEFAULT 0,
            redirect_uri TEXT,
            INDEX ix_pending_logins_created_at (created_at)) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"],
        postgres: &[
            "CREATE TABLE IF NOT EXISTS pending_logins (
            state VARCHAR(255) PRIMARY KEY,
            created_at TIMESTAMP NOT NULL,
            session_token VARCHAR(255),
            completed BOOLEAN NOT NULL DEFAULT FALSE,
            redirect_uri TEXT)",
            "CREATE INDEX IF NOT EXISTS ix_pending_logins_created_at ON pending_logins (created_at)",
        ],
    },
    Part {
        probe: "SELECT authorize_url FROM pending_logins WHERE 1 = 0",
        sqlite: &[AUTHORIZE_URL],
        mysql: &[AUTHORIZE_URL],
        postgres: &[AUTHORIZE_URL],
    },
];

const MEMBERSHIPS: &str = r#"CREATE TABLE IF NOT EXISTS user_groups (
    user_id INTEGER NOT NULL,
    group_id INTEGER NOT NULL,
    PRIMARY KEY (user_id, group_id),
    FOREIGN KEY (user_id) REFERENCES users (id),
    FOREIGN KEY (group_id) REFERENCES "groups" (id))"#;

const AUTHORIZE_URL: &str = "ALTER TABLE pending_logins ADD COLUMN authorize_url TEXT";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_as_ever() {
        let about = "Tables of people: how each is looked for, and made where it is missing.";
        let mut golden = crate::golden::golden("people", "schema.txt", about);
        for (number, Part { probe, sqlite, mysql, postgres }) in PARTS.iter().enumerate() {
            let number = number + 1;
            golden.text(&format!("{number} looked for"), probe);
            for (dialect, statements) in [("SQLite", sqlite), ("MySQL", mysql), ("PostgreSQL", postgres)] {
                golden.text(&format!("{number} in {dialect}"), &statements.join(";\n"));
            }
        }
        golden.check();
    }
}
