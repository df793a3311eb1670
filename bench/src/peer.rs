//! A server that is started to be measured: nginx, this one, or a binary that was named; ended on drop.
//!
//! A peer is known by name (its binary is all that is needed), or described whole: `NAME=DIALECT:PATH:COMMAND`, where the
//! command has `{port}` and `{dir}` in it and stays in the foreground.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::target::Dialect;

/// How to start one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub name: String,
    pub dialect: Dialect,
    /// Path of the URL.
    pub path: String,
    command: Vec<String>,
    /// Variables it is started with.
    environment: Vec<(&'static str, &'static str)>,
}

/// Name, dialect, path, and what follows the binary.
const KNOWN: [(&str, Dialect, &str, &str); 6] = [
    ("et", Dialect::Easytransfer, "", "server start --host 127.0.0.1 --port {port} --storage {dir}/storage"),
    ("nginx", Dialect::Put, "/put", "-p {dir} -c {dir}/nginx.conf -e {dir}/error.log"),
    ("tusd", Dialect::Tus, "/files/", "-host 127.0.0.1 -port {port} -upload-dir {dir} -base-path /files/"),
    (
        "rustus",
        Dialect::Tus,
        "/files",
        // It refuses bodies of more than 256 KiB when it is not told otherwise.
        "--host 127.0.0.1 --port {port} --data-dir {dir} --info-dir {dir}/info --max-body-size 1099511627776 --log-level ERROR",
    ),
    ("dufs", Dialect::Put, "", "{dir} --allow-all --bind 127.0.0.1 --port {port}"),
    ("rclone", Dialect::Put, "", "serve webdav {dir} --addr 127.0.0.1:{port} --vfs-cache-mode writes"),
];

/// nginx without TCP_CORK. With it, a range that begins inside a page leaves in two packets, and the second waits for the
/// acknowledgement of the first, 40 ms; without it, whole files cost more.
pub const NOPUSH_OFF: (&str, &str) = ("NGINX_TCP_NOPUSH", "off");

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is no peer: write tusd=/path/to/tusd (et, nginx, tusd, rustus, dufs, rclone), or NAME=DIALECT:PATH:COMMAND with {{port}} and {{dir}}"
)]
pub struct NotAPeer(String);

impl FromStr for Peer {
    type Err = NotAPeer;

    fn from_str(text: &str) -> Result<Self, NotAPeer> {
        let parse = || {
            let (name, rest) = text.split_once('=')?;
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let known = KNOWN.iter().find(|(known, ..)| *known == name);
            let peer = match (known, &rest.splitn(3, ':').collect::<Vec<_>>()[..]) {
                (_, &[dialect, path, command]) => Self {
                    name: name.to_owned(),
                    dialect: Dialect::from_str(dialect, true).ok()?,
                    path: path.to_owned(),
                    command: words(command),
                    environment: Vec::new(),
                },
                (Some((_, dialect, path, args)), _) => Self {
                    name: name.to_owned(),
                    dialect: *dialect,
                    path: (*path).to_owned(),
                    command: std::iter::once(rest.to_owned()).chain(words(args)).collect(),
                    environment: Vec::new(),
                },
                _ => return None,
            };
            (!peer.name.is_empty() && !peer.command.is_empty() && !rest.is_empty()).then_some(peer)
        };
        parse().ok_or_else(|| NotAPeer(text.to_owned()))
    }
}

/// A path counts from here, not from the directory the server is started in; a bare name is looked for in `PATH`.
fn program(word: &str) -> std::io::Result<String> {
    if word.contains('/') { Ok(std::path::absolute(word)?.display().to_string()) } else { Ok(word.to_owned()) }
}

/// A started peer.
pub struct Running {
    child: Child,
    pub url: String,
}

impl Peer {
    /// One that is described whole.
    pub fn described(name: &str, dialect: Dialect, path: &str, command: &[&str]) -> Self {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Self { name: name.into(), dialect, path: path.into(), command, environment: Vec::new() }
    }

    /// The same server, told something more.
    pub fn with(&self, name: &'static str, value: &'static str) -> Self {
        let mut peer = self.clone();
        peer.environment.push((name, value));
        peer
    }

    /// The program that is started.
    pub fn program(&self) -> &str {
        &self.command[0]
    }

    /// Starts it with `dir` for its files, on `cpus` alone (a list for taskset) when some are given; returns when it
    /// listens.
    pub fn start(&self, dir: &Path, cpus: Option<&str>) -> Result<Running> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        if self.name == "nginx" {
            std::fs::create_dir_all(dir.join("put"))?;
            std::fs::write(
                dir.join("nginx.conf"),
                nginx_configuration(dir, address, self.environment.contains(&NOPUSH_OFF)),
            )?;
        }
        let fill = |word: &String| {
            word.replace("{port}", &address.port().to_string()).replace("{dir}", &dir.display().to_string())
        };
        let mut words: Vec<String> = self.command.iter().map(fill).collect();
        words[0] = program(&words[0])?;
        if let Some(cpus) = cpus {
            words.splice(..0, ["taskset", "-c", cpus].map(str::to_owned));
        }
        let log = std::fs::File::create(dir.join("log")).with_context(|| format!("make a log in {}", dir.display()))?;
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(dir).env("ETRANSFER_AUTH_ENABLED", "false").env("HOME", dir);
        command.envs(self.environment.iter().copied());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("start {} ({})", self.name, words.join(" ")))?;
        let mut running = Running { child, url: format!("http://{address}{}", self.path) };
        running.wait_listening(address).with_context(|| {
            let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
            format!("{} does not listen; it said:\n{log}", self.name)
        })?;
        Ok(running)
    }
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_listening(&mut self, address: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("nothing listens on {address} after {START_LIMIT:?}")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One worker, as one data core is measured; tuned for it: 1 MiB body buffer (16 KiB is the default), temporary files on
/// the same file system, sendfile, no access log.
fn nginx_configuration(dir: &Path, address: SocketAddr, nopush_off: bool) -> String {
    let (dir, nopush) = (dir.display(), if nopush_off { "off" } else { "on" });
    // As another user, nginx's worker could not write here; without root there is no other user.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "{user} daemon off; worker_processes 1; worker_rlimit_nofile 16384; pid {dir}/nginx.pid;
events {{ worker_connections 8192; }}
http {{
    access_log off; sendfile on; tcp_nopush {nopush}; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 600;
    client_max_body_size 0; client_body_buffer_size 1m; client_body_temp_path {dir}/temp;
    fastcgi_temp_path {dir}/t1; proxy_temp_path {dir}/t2; scgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4;
    server {{ listen {address}; location / {{ root {dir}; dav_methods PUT DELETE; create_full_put_path on; }} }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_binary_is_found_from_another_directory() {
        let here = std::env::current_dir().expect("a directory").display().to_string();
        for (word, expected) in
            [("nginx", "nginx".to_owned()), ("/opt/et", "/opt/et".into()), ("target/et", format!("{here}/target/et"))]
        {
            assert_eq!(program(word).expect("a path"), expected);
        }
    }

    #[test]
    fn peers_are_known_or_described() {
        let tusd = "tusd=/opt/tusd".parse::<Peer>().expect("known");
        assert_eq!((tusd.dialect, tusd.path.as_str()), (Dialect::Tus, "/files/"));
        assert_eq!(tusd.command[..2], ["/opt/tusd", "-host"]);
        let node = "node=tus:/files:node server.mjs {port} {dir}".parse::<Peer>().expect("described");
        assert_eq!((node.name.as_str(), node.dialect, node.path.as_str()), ("node", Dialect::Tus, "/files"));
        assert_eq!(node.command, ["node", "server.mjs", "{port}", "{dir}"]);
        for text in ["unknown=/opt/unknown", "tusd", "tusd=", "=x", "a=tus:/files:", "a=ftp:/x:y", ""] {
            assert!(text.parse::<Peer>().is_err(), "{text:?}");
        }
    }
}
