//! A real server in a directory of its own on a free port: start, stop, kill, start again; one process or one per plane.
//! A test that fails prints the tail of the server's log (and keeps the directory when `ET_KEEP` is set); one that passes
//! ends with the audit of `audit.rs`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::raw::{Conn, DEADLINE, NoReply, Reply, Request};
use super::{audit, wait};

/// The token every test uses unless it says otherwise; the second one belongs to another user.
pub const TOKEN: &str = "token-of-the-tests";
pub const OTHER_TOKEN: &str = "token-of-another-user";

/// The program under test: `$ET_BIN`, else `et` beside this test's own build.
pub fn et() -> PathBuf {
    if let Some(path) = std::env::var_os("ET_BIN") {
        return path.into();
    }
    let own = std::env::current_exe().expect("path of the test program");
    let profile = own.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    let et = profile.join("et");
    assert!(et.exists(), "{} is not there: run `cargo build --workspace` first, or set ET_BIN", et.display());
    et
}

/// `auto`, or what the run asks for (`ET_ENGINE=readiness`).
pub fn engine() -> String {
    std::env::var("ET_ENGINE").unwrap_or_else(|_| "auto".into())
}

/// Which processes make up the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planes {
    One,
    Two,
}

/// One process of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Both,
    Data,
    Control,
}

/// How to start a node.
#[derive(Clone)]
pub struct Setup {
    env: BTreeMap<String, String>,
    config: Option<String>,
    planes: Planes,
    storage: Option<PathBuf>,
    wrapper: Vec<String>,
    hosts: String,
    port: u16,
}

impl Setup {
    /// Runs the server under another program that replaces itself by it (`prlimit …`), so that the pid stays.
    pub fn wrapped(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        self
    }
    /// Sets `ETRANSFER_<name>`.
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.insert(format!("ETRANSFER_{name}"), value.to_string());
        self
    }
    pub fn without_env(mut self, name: &str) -> Self {
        self.env.remove(&format!("ETRANSFER_{name}"));
        self
    }
    /// The configuration file's text.
    pub fn config(mut self, yaml: &str) -> Self {
        self.config = Some(yaml.into());
        self
    }
    pub fn two_processes(mut self) -> Self {
        self.planes = Planes::Two;
        self
    }
    /// Listen on these addresses, with commas between, instead of 127.0.0.1 alone; the first is [`Node::addr`].
    pub fn hosts(mut self, hosts: &str) -> Self {
        self.hosts = hosts.into();
        self
    }
    /// Listen on this port instead of a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }
    /// Store somewhere else than in the node's own directory.
    pub fn storage(mut self, path: &Path) -> Self {
        self.storage = Some(path.into());
        self
    }
    /// No token, and no authentication.
    pub fn open(self) -> Self {
        self.without_env("AUTH_TOKENS").env("AUTH_ENABLED", "false")
    }
    #[track_caller]
    pub fn start(self) -> Node {
        self.try_start().unwrap_or_else(|failure| panic!("the node does not start: {failure}"))
    }
    /// `Err`: what it said on the way out.
    pub fn try_start(self) -> Result<Node, String> {
        let dir = tempfile::Builder::new().prefix("et-node-").tempdir().expect("directory for a node");
        let storage = self.storage.clone().unwrap_or_else(|| dir.path().join("storage"));
        std::fs::create_dir_all(dir.path().join("home")).expect("home directory");
        let mut node = Node {
            setup: self,
            dir,
            storage,
            addr: None,
            processes: Vec::new(),
            said: Arc::default(),
            idle: None,
            audit: true,
        };
        if let Some(text) = &node.setup.config {
            std::fs::write(node.dir.path().join("config.yaml"), text).expect("write the configuration");
        }
        node.launch()?;
        Ok(node)
    }
}

struct Process {
    role: Role,
    child: Child,
}

/// A running node.
pub struct Node {
    setup: Setup,
    dir: tempfile::TempDir,
    storage: PathBuf,
    addr: Option<SocketAddr>,
    processes: Vec<Process>,
    said: Arc<Mutex<Vec<String>>>,
    idle: Option<(usize, usize)>,
    audit: bool,
}

impl Node {
    pub fn setup() -> Setup {
        let mut env = BTreeMap::new();
        env.insert("ETRANSFER_AUTH_TOKENS".into(), format!("[\"{TOKEN}\",\"{OTHER_TOKEN}\"]"));
        env.insert("ETRANSFER_ENGINE".into(), engine());
        // Every dialect is there unless a test says otherwise; an empty configuration has EasyTransfer alone.
        for surface in ["SECURE_FILE_TRANSFER", "CLOUDBACKEND", "STREAM_UPLOAD", "PYBLOBSERVER"] {
            env.insert(format!("ETRANSFER_SURFACES__{surface}"), "{}".into());
        }
        let hosts = "127.0.0.1".into();
        Setup { env, config: None, planes: Planes::One, storage: None, wrapper: Vec::new(), hosts, port: 0 }
    }
    #[track_caller]
    pub fn start() -> Self {
        Self::setup().start()
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr.expect("the node has been started")
    }
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }
    pub fn storage(&self) -> &Path {
        &self.storage
    }
    /// The node's directory: `storage/`, `home/`, `server.log`; tests may put files of their own there.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }
    pub fn config_path(&self) -> PathBuf {
        self.dir.path().join("config.yaml")
    }
    /// Lines the server printed on standard output.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().expect("lines").clone()
    }
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }
    fn log_path(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }
    /// Ends the test without the audit: for tests that leave the server in a state on purpose.
    pub fn without_audit(&mut self) {
        self.audit = false;
    }

    // ---- processes

    fn command(&self, role: Role) -> Command {
        let mut command = match self.setup.wrapper.split_first() {
            None => Command::new(et()),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(et());
                command
            }
        };
        command.arg("server").arg(match role {
            Role::Both => "start",
            Role::Data => "data",
            Role::Control => "control",
        });
        command.arg("--storage").arg(&self.storage);
        let port = self.addr.map_or(self.setup.port, |addr| addr.port()).to_string();
        command.args(["--host", &self.setup.hosts, "--port", &port]);
        if self.setup.config.is_some() {
            command.arg("--config").arg(self.config_path());
        }
        command.env_clear().envs(clean_env(&self.home())).envs(&self.setup.env);
        command.current_dir(self.dir.path());
        command
    }

    /// Starts whatever is not running.
    fn launch(&mut self) -> Result<(), String> {
        match self.setup.planes {
            Planes::One => self.spawn(Role::Both)?,
            Planes::Two => {
                self.spawn(Role::Control)?;
                self.spawn(Role::Data)?;
            }
        }
        self.idle = None;
        // What is opened with the first request (connections between the planes) belongs to the idle figure.
        if self.try_send(&Request::get("/api/files").header("X-API-Token", TOKEN)).is_ok() {
            self.idle = Some(audit::counts(&self.open_files()));
        }
        Ok(())
    }

    /// Starts one process; a data plane (or both) is waited for until it listens.
    pub fn spawn(&mut self, role: Role) -> Result<(), String> {
        if self.processes.iter().any(|process| process.role == role) {
            return Ok(());
        }
        let log = std::fs::File::options().create(true).append(true).open(self.log_path()).expect("open server.log");
        let mut command = self.command(role);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        let lines = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let (said, (listening, heard)) = (Arc::clone(&self.said), std::sync::mpsc::channel());
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if let Some(url) = line.split_once("listening on http://").map(|(_, rest)| rest) {
                    let addr = url.split_whitespace().next().unwrap_or_default().trim_end_matches('/');
                    let _ = listening.send(addr.parse::<SocketAddr>());
                }
                said.lock().expect("lines").push(line);
            }
        });
        let role_listens = role != Role::Control;
        self.processes.push(Process { role, child });
        if !role_listens {
            return Ok(());
        }
        match heard.recv_timeout(DEADLINE) {
            Ok(Ok(addr)) => {
                self.addr = Some(addr);
                Ok(())
            }
            Ok(Err(error)) => Err(format!("no address after `listening on http://`: {error}")),
            Err(_) => {
                let mut process = self.processes.pop().expect("just pushed");
                let status = process.child.try_wait();
                let _ = process.child.kill();
                let _ = process.child.wait();
                Err(format!("{role:?} ended with {status:?}; said {:?}; log:\n{}", self.said(), self.log_tail()))
            }
        }
    }

    pub fn pid(&self, role: Role) -> Option<u32> {
        self.processes.iter().find(|process| process.role == role).map(|process| process.child.id())
    }
    pub fn signal(&self, role: Role, signal: Signal) {
        let pid = self.pid(role).unwrap_or_else(|| panic!("{role:?} is not running"));
        let pid = Pid::from_raw(pid as i32).expect("a pid is positive");
        kill_process(pid, signal).expect("signal a child");
    }
    /// SIGKILL to one process; it is gone when this returns.
    pub fn kill_one(&mut self, role: Role) {
        let at = self.processes.iter().position(|process| process.role == role).expect("the process runs");
        let mut process = self.processes.remove(at);
        process.child.kill().expect("kill a child");
        process.child.wait().expect("wait for a killed child");
    }
    /// SIGKILL to all of it.
    pub fn kill(&mut self) {
        for mut process in self.processes.drain(..) {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
    /// SIGTERM to all of it, and how each ended (data plane first).
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        let mut worst = ExitStatus::from_raw(0);
        let mut processes = std::mem::take(&mut self.processes);
        processes.sort_by_key(|process| process.role == Role::Control);
        for mut process in processes {
            let pid = Pid::from_child(&process.child);
            let _ = kill_process(pid, Signal::TERM);
            let ended = wait::within(DEADLINE, || process.child.try_wait().expect("wait for a child"));
            let Some(status) = ended else {
                let _ = process.child.kill();
                let _ = process.child.wait();
                panic!("{:?} does not stop after SIGTERM; log:\n{}", process.role, self.log_tail());
            };
            if !status.success() {
                worst = status;
            }
        }
        worst
    }
    /// Waits for a process that was told to end by other means.
    #[track_caller]
    pub fn wait_end(&mut self, role: Role) -> ExitStatus {
        let at = self.processes.iter().position(|process| process.role == role).expect("the process runs");
        let mut process = self.processes.remove(at);
        wait::until("the process ends", || process.child.try_wait().expect("wait for a child"))
    }
    /// Sets `ETRANSFER_<name>` for what is started from now on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.setup.env.insert(format!("ETRANSFER_{name}"), value.to_owned());
    }
    /// As [`Setup::wrapped`], for what is started from now on.
    pub fn wrap_from_now_on(&mut self, wrapper: &[&str]) {
        self.setup.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
    }
    /// Starts what is not running, on the same port and directory.
    #[track_caller]
    pub fn start_again(&mut self) {
        if let Err(failure) = self.try_start_again() {
            panic!("the node does not start again: {failure}");
        }
    }
    pub fn try_start_again(&mut self) -> Result<(), String> {
        // A port just freed may be refused for a moment.
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            match self.launch() {
                Err(failure) if Instant::now() < until && failure.contains("in use") => {}
                other => return other,
            }
        }
    }
    #[track_caller]
    pub fn kill_and_start_again(&mut self) {
        self.kill();
        self.start_again();
    }

    // ---- requests

    #[track_caller]
    pub fn connect(&self) -> Conn {
        Conn::open(self.addr())
    }
    /// One request on a connection of its own, as it stands.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Reply {
        self.try_send(request).unwrap_or_else(|error| panic!("no reply to {request:?}: {error:?}"))
    }
    pub fn try_send(&self, request: &Request) -> Result<Reply, NoReply> {
        let Ok(mut conn) = Conn::try_open(self.addr()) else { return Err(NoReply::Reset(Vec::new())) };
        conn.try_ask(request)
    }
    /// GET with the common token.
    #[track_caller]
    pub fn get(&self, target: &str) -> Reply {
        self.send(&Request::get(target).header("X-API-Token", TOKEN))
    }
    #[track_caller]
    pub fn delete(&self, target: &str) -> Reply {
        self.send(&Request::new("DELETE", target).header("X-API-Token", TOKEN))
    }

    /// The client half of the program under test, with this node's home directory (so it finds the token).
    pub fn et(&self, args: &[&str]) -> Command {
        let mut command = Command::new(et());
        command.args(args).env_clear().envs(clean_env(&self.home())).current_dir(self.dir.path());
        command.env("ETRANSFER_SERVER", self.url()).env("ETRANSFER_TOKEN", TOKEN);
        command
    }

    // ---- what is left

    fn open_files(&self) -> Vec<String> {
        self.processes.iter().flat_map(|process| audit::open_files(process.child.id())).collect()
    }
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

/// What every started program sees of the environment.
pub fn clean_env(home: &Path) -> Vec<(String, std::ffi::OsString)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut env = vec![("PATH".into(), path), ("HOME".into(), home.into()), ("LANG".into(), "C.UTF-8".into())];
    env.push(("RUST_BACKTRACE".into(), "1".into()));
    env
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the server said\n{}\n--- its log ends\n{}", self.said().join("\n"), self.log_tail());
            self.kill();
            if std::env::var_os("ET_KEEP").is_some() {
                eprintln!("--- kept: {}", self.dir.path().display());
                self.dir.disable_cleanup(true);
            }
            return;
        }
        let mut found = Vec::new();
        if let Some(port) = self.addr.map(|addr| addr.port()).filter(|_| self.audit) {
            for process in &self.processes {
                found.extend(audit::leftovers(process.child.id(), port));
            }
            let open = self.open_files();
            let (sockets, files) = audit::counts(&open);
            let idle = self.idle.filter(|_| !self.processes.is_empty()).unwrap_or((usize::MAX / 2, usize::MAX / 2));
            if sockets > idle.0 + audit::SOCKETS_SLACK || files > idle.1 + audit::FILES_SLACK {
                found.push(format!("{sockets} sockets and {files} others open, {idle:?} when idle: {open:#?}"));
            }
            let log = self.log();
            found.extend(log.lines().filter(|l| l.contains("panicked at")).map(|l| format!("in the log: {l}")));
            if log.contains(TOKEN) || log.contains(OTHER_TOKEN) {
                found.push("a token stands in the log (PROMISES.md P22)".into());
            }
        }
        let tail = self.log_tail();
        self.kill();
        assert!(found.is_empty(), "the node is not clean at the end: {found:#?}\n--- its log ends\n{tail}");
    }
}
