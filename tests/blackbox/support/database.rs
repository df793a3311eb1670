//! The user database as another program reaches it: SQLite's file, or a database on a server (easytransfer/CONTRACT.md
//! §10, §15.22).

use std::path::PathBuf;
use std::process::Command;

use super::{Node, Request, wait};

#[expect(dead_code, reason = "the user database's own suite also stops them and starts them again")]
#[path = "../../../controlplane/src/people/tests/servers.rs"]
mod servers;

pub use servers::{Kind, PASSWORD, Server, USER};

/// Where it is.
pub enum Database {
    Sqlite(PathBuf),
    /// One of a server's, by its name.
    On {
        kind: Kind,
        port: u16,
        name: String,
    },
}

/// Takes the file and the statements.
const SQLITE: &str = "import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=10)
database.executescript(sys.argv[2])
database.commit()";

impl Database {
    /// A node's own file, with its tables.
    #[track_caller]
    pub fn of(node: &Node) -> Self {
        // The first question about a session makes them.
        node.send(&Request::get("/api/files").header("X-Session-Token", "no-session")).is(401);
        Self::Sqlite(node.storage().join("users.db"))
    }

    /// A new one on a server.
    #[track_caller]
    pub fn create(server: &Server, name: &str) -> Self {
        let first = if server.kind == Kind::MariaDb { "mysql" } else { "postgres" };
        let of = |name: &str| Self::On { kind: server.kind, port: server.port, name: name.into() };
        of(first).run(&format!("CREATE DATABASE {name}"));
        of(name)
    }

    /// Runs statements, separated by semicolons.
    #[track_caller]
    pub fn run(&self, statements: &str) {
        let command = match self {
            Self::Sqlite(path) => {
                let mut command = program("python3", "python3");
                command.args(["-c", SQLITE]).arg(path).arg(statements);
                command
            }
            Self::On { kind: Kind::MariaDb, port, name } => {
                let mut command = program("mariadb", "mariadb-client");
                command.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user", USER, "--port"]);
                command.args([&port.to_string(), name, "--execute", statements]).env("MYSQL_PWD", PASSWORD);
                command
            }
            Self::On { kind: Kind::Postgres, port, name } => {
                let mut command = program("psql", "postgresql-client");
                command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", USER, "-p"]);
                command.args([&port.to_string(), "-d", name, "-c", statements]).env("PGPASSWORD", PASSWORD);
                command
            }
        };
        wait::run(command).ok();
    }

    /// Adds a person who is active, with a session.
    #[track_caller]
    pub fn add_session(&self, name: &str, role: &str, token: &str) {
        self.run(&[person(name, role, true), session(name, token)].concat());
    }
}

/// A program of a package; where it is missing the test fails with the package's name.
#[track_caller]
fn program(name: &str, package: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|dir| dir.join(name).exists());
    assert!(is_there, "{name} is missing: apt-get install {package}");
    Command::new(name)
}

/// The statement that adds a person with the role `user`, `admin` or `guest`.
pub fn person(name: &str, role: &str, is_active: bool) -> String {
    format!(
        "INSERT INTO users (oidc_sub, username, role, is_active, is_admin, storage_used, created_at, updated_at) \
         VALUES ('{name}', '{name}', '{role}', {is_active}, FALSE, 0, '{THEN}', '{THEN}');"
    )
}

/// The statement that adds a session of a person.
pub fn session(name: &str, token: &str) -> String {
    format!(
        "INSERT INTO sessions (token, user_id, created_at, expires_at) \
         SELECT '{token}', id, '{THEN}', '2199-01-01 00:00:00.000000' FROM users WHERE username = '{name}';"
    )
}

/// When everything here was made.
const THEN: &str = "2026-01-01 00:00:00.000000";
