//! faults.md M3: `et` and a server of the first generation, as published: what moves between them, and what it tells of
//! files.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use super::{id_in, installed};
use crate::support::node::{clean_env, et};
use crate::support::{Conn, Oracle, Request, oracle, wait};

const TOKEN: &str = "token-of-the-first-generation";

struct Old {
    dir: tempfile::TempDir,
    port: u16,
    server: Child,
}

impl Old {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        // It cannot take any free port by itself.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let mut command = Command::new(installed().join("first/bin/python"));
        command.args(["-m", "etransfer", "server", "start", "--host", "127.0.0.1", "--storage", "st"]);
        command.args(["--port", &port.to_string()]).env_clear().envs(clean_env(dir.path())).current_dir(dir.path());
        command.env("ETRANSFER_AUTH_TOKENS", format!("[\"{TOKEN}\"]")).env("ETRANSFER_STATE_BACKEND", "file");
        let log = std::fs::File::create(dir.path().join("log")).expect("a log");
        let server = command.stdin(Stdio::null()).stderr(log.try_clone().expect("the log again")).stdout(log).spawn();
        let old = Self { dir, port, server: server.expect("start the old server") };
        wait::until("the old server answers", || {
            let address = ([127, 0, 0, 1], old.port).into();
            let is_there = std::net::TcpStream::connect(address).is_ok();
            (is_there && Conn::open(address).try_ask(&Request::get("/api/health")).is_ok()).then_some(())
        });
        old
    }

    fn et(&self, args: &[&str]) -> Command {
        let mut command = Command::new(et());
        command.args(args).env_clear().envs(clean_env(self.dir.path())).current_dir(self.dir.path());
        command.env("ETRANSFER_SERVER", format!("127.0.0.1:{}", self.port)).env("ETRANSFER_TOKEN", TOKEN);
        command
    }
}

impl Drop for Old {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn files_go_up_and_come_down() {
    let old = Old::start();
    wait::run(old.et(&["info"])).ok();
    for (seed, length) in [1, 4095, 9_000_000].into_iter().enumerate() {
        let oracle = Oracle(seed as u64);
        oracle::write_file(&old.dir.path().join("a.bin"), oracle, length);
        let id = id_in(&wait::run(old.et(&["upload", "a.bin"])).ok().stdout);
        let status = wait::run(old.et(&["status", &id])).ok().stdout;
        assert!(status.contains("complete"), "{status}");
        let target = format!("back-{seed}");
        wait::run(old.et(&["download", &id, "-o", &target])).ok();
        oracle::check_file(&old.dir.path().join(&target), oracle, length);
        wait::run(old.et(&["delete", &id, "--force"])).ok();
    }
}
