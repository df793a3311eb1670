//! A database of one step: where it is, and a way into it that is not the one under test.

use std::path::PathBuf;

use tempfile::TempDir;

use super::super::pool::Pool;
use super::super::sql::{Dialect, Row, Value};
use super::super::{People, Profile};
use super::servers::{Kind, PASSWORD, Server, USER};
use crate::config::{Config, Database};
use crate::core::{Password, PeopleBackend, Secret};

/// A database that no other test uses.
pub struct Place {
    pub database: Database,
    /// Where SQLite's file is.
    pub path: PathBuf,
    /// Another program's connections.
    pub other: Pool,
    /// Keeps the file of SQLite.
    _dir: Option<TempDir>,
}

impl Place {
    pub fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.db");
        std::fs::write(&path, "").unwrap();
        let database = Config::defaults().user_system.database;
        Self { other: Pool::new(&database, &path), database, path, _dir: Some(dir) }
    }

    /// A new database on a server; its name is cut to what both take.
    pub async fn on(server: &Server, name: &str) -> Self {
        let name = &name[..name.len().min(60)];
        let admin =
            Pool::new(&settings(server, if server.kind == Kind::MariaDb { "mysql" } else { "postgres" }), "".as_ref());
        admin.rows(&format!("CREATE DATABASE {name}"), &[]).await.unwrap();
        let database = settings(server, name);
        Self { other: Pool::new(&database, "".as_ref()), database, path: PathBuf::new(), _dir: None }
    }

    pub fn people(&self) -> People {
        People::open(&self.database, &self.path)
    }

    /// The same as a user that may read and write, and no more; a file knows no such thing. Once per server.
    pub async fn limited(&self) -> Option<People> {
        let statements: &[&str] = match self.other.dialect() {
            Dialect::Sqlite => return None,
            Dialect::MySql => {
                &["CREATE USER limited IDENTIFIED BY 'x'", "GRANT SELECT, INSERT, UPDATE, DELETE ON *.* TO limited"]
            }
            Dialect::Postgres => &[
                "CREATE USER limited PASSWORD 'x'",
                "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited",
                "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO limited",
            ],
        };
        for statement in statements {
            self.run(statement).await;
        }
        let (user, password) = ("limited".into(), Password(Secret::new("x")));
        Some(People::open(&Database { user, password, ..self.database.clone() }, &self.path))
    }

    /// What another program does.
    pub async fn run(&self, statement: &str) -> Vec<Row> {
        self.run_with(statement, &[]).await
    }

    pub async fn run_with(&self, statement: &str, values: &[Value<'_>]) -> Vec<Row> {
        self.other.rows(statement, values).await.unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// The one number another program reads.
    pub async fn number(&self, statement: &str) -> i64 {
        self.run(&format!("SELECT ({statement}) AS number")).await[0].int("number").unwrap()
    }
}

fn settings(server: &Server, name: &str) -> Database {
    let backend = match server.kind {
        Kind::MariaDb => PeopleBackend::MySql,
        Kind::Postgres => PeopleBackend::Postgres,
    };
    Database {
        backend,
        path: None,
        host: "127.0.0.1".into(),
        port: Some(server.port),
        user: USER.into(),
        password: Password(Secret::new(PASSWORD)),
        name: name.into(),
    }
}

/// A person who signs in.
pub fn profile(subject: &str, groups: &[&str]) -> Profile {
    Profile {
        subject: subject.into(),
        username: format!("{subject}-name"),
        groups: groups.iter().map(|group| (*group).into()).collect(),
        ..Profile::default()
    }
}
