//! A Redis of its own for one test: on a socket in its own directory, ended with the test.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::wait;

pub struct Redis {
    dir: tempfile::TempDir,
    options: Vec<&'static str>,
    child: Option<Child>,
}

impl Redis {
    /// With an append-only file: what it acknowledged is there after a kill.
    pub fn durable() -> Self {
        Self::start(&["--appendonly", "yes"])
    }
    /// Empty after every start.
    pub fn forgetful() -> Self {
        Self::start(&["--appendonly", "no"])
    }
    pub fn start(options: &[&'static str]) -> Self {
        let dir = tempfile::Builder::new().prefix("et-redis-").tempdir().expect("directory for redis");
        let mut redis = Self { dir, options: options.to_vec(), child: None };
        redis.run();
        redis
    }
    /// Starts it, or starts it again.
    pub fn run(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", ""]).arg("--unixsocket").arg(self.socket());
        command.arg("--dir").arg(self.dir.path()).arg("--logfile").arg(self.dir.path().join("redis.log"));
        let child = command.args(&self.options).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("redis-server: {error}; apt-get install redis-server")));
        // "-NOAUTH" is an answer too; "-LOADING" is none.
        wait::until("redis answers", || self.ask("PING").filter(|said| said == "+PONG" || said.starts_with("-NOAUTH")));
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("redis runs");
        kill_process(Pid::from_child(child), signal).expect("signal a child");
    }
    /// The first line of the answer to a command.
    pub fn ask(&self, command: &str) -> Option<String> {
        let mut socket = UnixStream::connect(self.socket()).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        socket.write_all(format!("{command}\r\n").as_bytes()).ok()?;
        BufReader::new(socket).lines().next()?.ok()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
