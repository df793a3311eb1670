//! A Redis of its own for each test: on a socket in a directory of its own, ended with the test.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Connection, FromRedisValue};
use rustix::process::{Pid, Signal, kill_process};

use crate::core::Secret;

/// A running server; the same data when it is started again.
pub struct Server {
    dir: tempfile::TempDir,
    options: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// One that keeps nothing.
    pub fn start() -> Self {
        Self::with("--appendonly no")
    }

    /// One with these options.
    pub fn with(options: &str) -> Self {
        let options = options.split(' ').map(str::to_owned).collect();
        let mut server = Self { dir: tempfile::tempdir().unwrap(), options, child: None };
        server.run();
        server
    }

    /// Starts it (again).
    pub fn run(&mut self) {
        let path = self.dir.path();
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", ""]).arg("--unixsocket").arg(path.join("redis.sock"));
        command.arg("--dir").arg(path).arg("--logfile").arg(path.join("redis.log")).args(&self.options);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("redis-server: {error}; apt-get install redis-server")));
        until("Redis answers", || {
            let ping =
                self.try_connect().and_then(|mut connection| redis::cmd("PING").query::<redis::Value>(&mut connection));
            // With a password, this "no" is an answer too.
            match ping {
                Ok(_) => Some(()),
                Err(error) => (error.code() == Some("NOAUTH")).then_some(()),
            }
        });
    }

    /// Its address, without credentials.
    pub fn url(&self) -> Secret {
        self.url_with("")
    }

    /// Its address and a query (`db=1`).
    pub fn url_with(&self, query: &str) -> Secret {
        Secret::new(format!("unix://{}?{query}", self.dir.path().join("redis.sock").display()))
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGSTOP or SIGCONT.
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// Any command.
    pub fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().unwrap_or_default());
        for word in words {
            command.arg(word);
        }
        command.query(&mut self.try_connect().unwrap()).unwrap()
    }

    fn try_connect(&self) -> redis::RedisResult<Connection> {
        redis::Client::open(self.url().expose())?.get_connection_with_timeout(Duration::from_secs(5))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Polls until `ready` gives a value.
#[track_caller]
pub fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < end, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
