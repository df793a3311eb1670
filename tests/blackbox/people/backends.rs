//! easytransfer/CONTRACT.md §10: three catalogues × three user databases, on the real servers; one day of one person on
//! each pair.

use super::{by, get};
use crate::support::database::{Database, Kind, PASSWORD, Server, USER};
use crate::support::redis::Redis;
use crate::support::tus::{patch, post};
use crate::support::{Node, Reply, Request, Role, TOKEN, Upload, wait};

const CATALOGUES: [&str; 3] = ["memory", "file", "redis"];
const LIMIT: usize = 5_000;

#[test]
fn every_catalogue_works_with_every_user_database() {
    let redis = Redis::durable();
    std::thread::scope(|scope| {
        for kind in [None, Some(Kind::MariaDb), Some(Kind::Postgres)] {
            let redis = &redis;
            scope.spawn(move || {
                let server = kind.map(Server::start);
                for catalogue in CATALOGUES {
                    eprintln!("pair: {catalogue}, {kind:?}");
                    one_day(catalogue, server.as_ref(), redis);
                }
            });
        }
    });
}

/// The configuration; `limit` is what a person may store.
fn config(server: Option<&Server>, name: &str, limit: usize) -> String {
    let database = match server {
        None => String::new(),
        Some(server) => {
            let backend = if server.kind == Kind::MariaDb { "mysql" } else { "postgresql" };
            let password = serde_json::json!(PASSWORD);
            let place = format!("host: 127.0.0.1, port: {}, user: {USER}, password: {password}", server.port);
            format!("  database: {{backend: {backend}, mysql: {{{place}, database: {name}}}}}\n")
        }
    };
    format!("user_system:\n  enabled: true\n{database}  role_quotas: {{user: {{max_storage_size: {limit}}}}}\n")
}

fn one_day(catalogue: &str, server: Option<&Server>, redis: &Redis) {
    let name = format!("node_{catalogue}");
    let on_server = server.map(|server| Database::create(server, &name));
    let setup = Node::setup().two_processes().config(&config(server, &name, LIMIT));
    let mut node = setup.env("STATE_BACKEND", catalogue).env("REDIS_URL", redis.url()).start();
    // The first question about a session makes the tables.
    let unknown = Request::get("/api/files").header("X-Session-Token", "no-session");
    wait::until("the user database answers", || (node.send(&unknown).one_of(&[401, 503]).status == 401).then_some(()));
    let database = on_server.unwrap_or_else(|| Database::of(&node));
    database.add_session("ann", "user", "session-of-ann");

    let ann = Person { node: &node, token: "session-of-ann" };
    let first = ann.create(3_000);
    ann.append(&first, 3_000).is(204);
    assert_eq!((ann.listed(), ann.used()), (1, 3_000));
    let second = ann.create(4_000);
    let full = ann.append(&second, 4_000).is(507);
    assert_eq!((full.number("X-User-Storage-Used"), full.number("X-User-Storage-Max")), (3_000, LIMIT as u64));
    ann.send("DELETE", &first.file()).is(200);
    assert_eq!(ann.used(), 0, "credited");
    ann.append(&second, 4_000).is(204);

    let third = ann.create(4_000);
    ann.append(&third, 4_000).is(507);
    std::fs::write(node.config_path(), config(server, &name, 2 * LIMIT)).expect("write the configuration");
    let reload = Request::new("POST", "/api/admin/reload-config").header("X-API-Token", TOKEN);
    let told = node.send(&reload).is(200).json();
    assert!(told["changes"].get("role_quotas").is_some(), "{told}");
    ann.append(&third, 4_000).is(204);
    assert_eq!((ann.listed(), ann.used()), (2, 8_000));

    node.kill_one(Role::Control);
    node.spawn(Role::Control).expect("the control plane starts again");
    wait::until("it answers", || (node.get("/api/files").one_of(&[200, 503]).status == 200).then_some(()));
    let ann = Person { node: &node, token: "session-of-ann" };
    let kept = if catalogue == "memory" { (0, 0) } else { (2, 8_000) };
    wait::until("what is kept is counted", || ((ann.listed(), ann.used()) == kept).then_some(()));
    if catalogue != "memory" {
        assert!(ann.send("GET", &second.download()).is(200).body == vec![7; 4_000]);
    }
    ann.send("POST", "/api/users/logout").is(200);
    ann.send("GET", "/api/users/me").is(401);
    assert!(!node.log().contains(PASSWORD), "PROMISES.md P22: the database's password stands in the log");
}

/// A person with a session.
struct Person<'n> {
    node: &'n Node,
    token: &'static str,
}

impl Person<'_> {
    #[track_caller]
    fn send(&self, method: &str, path: &str) -> Reply {
        self.node.send(&by(self.token, Request::new(method, path)))
    }
    #[track_caller]
    fn create(&self, length: usize) -> Upload {
        let create = post().header("Upload-Length", length.to_string());
        Upload::at(self.node.send(&by(self.token, create)).is(201).field("Location"))
    }
    #[track_caller]
    fn append(&self, upload: &Upload, length: usize) -> Reply {
        self.node.send(&by(self.token, patch(upload, 0, &vec![7; length])))
    }
    #[track_caller]
    fn listed(&self) -> u64 {
        get(self.node, self.token, "/api/files").is(200).json()["total"].as_u64().expect("a number")
    }
    #[track_caller]
    fn used(&self) -> u64 {
        get(self.node, self.token, "/api/users/me/quota").is(200).json()["storage_used"].as_u64().expect("a number")
    }
}
