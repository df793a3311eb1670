//! Database servers of a test's own: from the Debian packages, in a temporary directory, on a free port, ended with the
//! test. They refuse to run as root, so as root they get the user their package brought along.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Who signs in at the servers, and with what.
pub const USER: &str = "node";
pub const PASSWORD: &str = "canary-p4ssw0rd'of%the?node";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    MariaDb,
    Postgres,
}

/// A server with a person [`USER`] who may do everything.
pub struct Server {
    pub kind: Kind,
    pub port: u16,
    dir: TempDir,
    process: Child,
}

impl Server {
    /// Makes an empty installation and starts it.
    pub fn start(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        own(kind, dir.path());
        match kind {
            Kind::MariaDb => install_mariadb(dir.path()),
            Kind::Postgres => install_postgres(dir.path()),
        }
        let (process, port) = run(kind, dir.path(), free_port());
        Self { kind, port, dir, process }
    }

    /// SIGSTOP: connections stay open and nothing answers. Returns when every thread has stopped: a thread that runs when the
    /// signal is sent may answer one more query.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let deadline = Instant::now() + Duration::from_secs(10);
        let processes = || std::iter::once(self.process.id()).chain(children(self.process.id()));
        while !processes().all(has_stopped) {
            assert!(Instant::now() < deadline, "the server does not stop");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Goes on after [`Self::stop`].
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.process.wait().unwrap();
    }

    /// Starts again after [`Self::kill`], at the same port with the same data.
    pub fn start_again(&mut self) {
        let (process, port) = run(self.kind, self.dir.path(), self.port);
        assert_eq!(port, self.port);
        self.process = process;
    }

    fn signal(&self, signal: Signal) {
        // PostgreSQL's connections are processes of their own.
        for pid in std::iter::once(self.process.id()).chain(children(self.process.id())) {
            let pid = Pid::from_raw(pid as i32).expect("a process id is not zero");
            // A child may have ended since it was listed.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.process.wait();
    }
}

/// Whether each thread is stopped, or has ended.
fn has_stopped(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok()).all(|stat| {
        // pid (name) state …
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 'Z', 'X']))
    })
}

fn children(pid: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The package's own user; as anybody else the servers run as who runs the tests.
fn unprivileged(kind: Kind) -> Option<&'static str> {
    let name = match kind {
        Kind::MariaDb => "mysql",
        Kind::Postgres => "postgres",
    };
    rustix::process::geteuid().is_root().then_some(name)
}

fn package(kind: Kind) -> &'static str {
    match kind {
        Kind::MariaDb => "mariadb-server",
        Kind::Postgres => "postgresql",
    }
}

/// A program of the package; where it is missing the test fails with the package's name.
fn program(kind: Kind, name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let beside = versions.map(|version| version.path().join("bin"));
    let usual = ["/usr/sbin", "/usr/bin", "/usr/local/bin"].map(PathBuf::from);
    let found = beside.chain(usual).map(|dir| dir.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is missing: apt-get install {}", package(kind)))
}

/// A program of the package as its own user. Temporary files stay in `dir`: several servers at once would take each
/// other's.
fn command(kind: Kind, name: &str, dir: &Path) -> Command {
    let program = program(kind, name);
    let mut command = match unprivileged(kind) {
        None => Command::new(program),
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", user, "--regid", user, "--clear-groups", "--"]).arg(program);
            command
        }
    };
    command.env("TMPDIR", dir).stdin(Stdio::null());
    command
}

fn own(kind: Kind, path: &Path) {
    let Some(user) = unprivileged(kind) else { return };
    let people = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = people.lines().find(|line| line.starts_with(&format!("{user}:")));
    let line = line.unwrap_or_else(|| panic!("user {user} is missing: apt-get install {}", package(kind)));
    let ids: Vec<u32> = line.split(':').skip(2).take(2).map(|id| id.parse().unwrap()).collect();
    chown(path, Some(ids[0]), Some(ids[1])).unwrap();
}

fn finished(output: Output, what: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {}\n{told}{}", output.status, String::from_utf8_lossy(&output.stdout));
}

fn install_mariadb(dir: &Path) {
    let output = command(Kind::MariaDb, "mariadb-install-db", dir)
        .args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"])
        .arg(format!("--datadir={}", dir.join("data").display()))
        .output();
    finished(output.unwrap(), "mariadb-install-db");
    let grant = format!(
        "CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{}';\nGRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n",
        PASSWORD.replace('\'', "''")
    );
    std::fs::write(dir.join("init.sql"), grant).unwrap();
}

fn install_postgres(dir: &Path) {
    std::fs::write(dir.join("password"), PASSWORD).unwrap();
    let output = command(Kind::Postgres, "initdb", dir)
        .args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"])
        .args([format!("--username={USER}"), format!("--pwfile={}", dir.join("password").display())])
        .arg("-D")
        .arg(dir.join("data"))
        .output();
    finished(output.unwrap(), "initdb");
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts the server and waits until it answers. A port that was taken meanwhile is changed for another.
fn run(kind: Kind, dir: &Path, mut port: u16) -> (Child, u16) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let mut process = launch(kind, dir, port);
        loop {
            if is_ready(kind, port) {
                return (process, port);
            }
            assert!(Instant::now() < deadline, "{kind:?} does not answer\n{}", log_of(dir));
            if let Some(status) = process.try_wait().unwrap() {
                let log = log_of(dir);
                assert!(Instant::now() < deadline, "{kind:?} ended with {status}\n{log}");
                if log.contains("in use") && !log.contains("shared memory") {
                    port = free_port();
                }
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn log_of(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap_or_default()
}

fn launch(kind: Kind, dir: &Path, port: u16) -> Child {
    let data = dir.join("data");
    let mut command = match kind {
        Kind::MariaDb => {
            let mut command = command(kind, "mariadbd", dir);
            command
                .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-log-bin", "--skip-name-resolve"])
                .args(["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M"])
                .arg(format!("--port={port}"))
                .arg(format!("--datadir={}", data.display()))
                .arg(format!("--init-file={}", dir.join("init.sql").display()))
                .arg(format!("--socket={}", dir.join("socket").display()))
                .arg(format!("--pid-file={}", dir.join("pid").display()));
            command
        }
        Kind::Postgres => {
            let mut command = command(kind, "postgres", dir);
            command
                .arg("-D")
                .arg(&data)
                .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c"])
                .arg(format!("unix_socket_directories={}", dir.display()))
                .args(["-p", &port.to_string()]);
            command
        }
    };
    let log = std::fs::File::create(dir.join("log")).unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// Both packages bring a program that asks the server whether it takes connections.
fn is_ready(kind: Kind, port: u16) -> bool {
    let port = port.to_string();
    let output = match kind {
        Kind::MariaDb => Command::new(program(kind, "mariadb-admin"))
            .args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--connect-timeout=1", "--port", &port])
            .args(["--user", USER, "ping"])
            .env("MYSQL_PWD", PASSWORD)
            .output(),
        Kind::Postgres => {
            Command::new(program(kind, "pg_isready")).args(["-h", "127.0.0.1", "-t", "1", "-p", &port]).output()
        }
    };
    output.unwrap().status.success()
}
