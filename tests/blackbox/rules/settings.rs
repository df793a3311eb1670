//! What the command line and the file decide at start (easytransfer/CONTRACT.md §1.3, §9.2, §10).

use std::path::Path;
use std::process::Command;

use crate::support::node::{clean_env, et};
use crate::support::{Node, wait};

/// A server with nothing but these words; ends with the test.
struct Plain(wait::Running);

impl Plain {
    #[track_caller]
    fn start(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = Command::new(et());
        command.args(["server", "start"]).args(args).env_clear().envs(clean_env(dir)).current_dir(dir);
        let plain = Self(wait::Running::start(command_with(command, env)));
        wait::until("it listens", || plain.address().map(drop));
        plain
    }

    /// `host:port` of its listener.
    fn address(&self) -> Option<String> {
        let said = self.0.read(None).stdout;
        let (_, rest) = said.split_once("listening on http://")?;
        rest.split_once(['\n', ' ']).map(|(address, _)| address.trim_end_matches('/').to_owned())
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.0.kill();
    }
}

fn command_with(mut command: Command, env: &[(&str, &str)]) -> Command {
    command.envs(env.iter().copied());
    command
}

#[test]
fn section_1_3_an_open_node_that_others_can_reach_warns() {
    let dir = tempfile::tempdir().expect("a directory");
    for (host, is_warned) in [("127.0.0.1", false), ("0.0.0.0", true)] {
        let open = [("ETRANSFER_AUTH_ENABLED", "false")];
        let node = Plain::start(dir.path(), &["--host", host, "--port", "0"], &open);
        let log = node.0.read(None).stderr;
        assert_eq!(log.contains("auth.enabled is false"), is_warned, "{host}: {log}");
    }
}

#[test]
fn section_9_2_only_flags_that_were_given_override() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = "server: {host: 127.0.0.1, port: 0}\nstorage: {path: of-the-file}\nstate: {backend: memory}\n";
    std::fs::write(dir.path().join("node.yaml"), file).expect("write the configuration");
    let of_the_file = Plain::start(dir.path(), &["--config", "node.yaml"], &[]);
    let address = of_the_file.address().expect("it listens");
    assert!(address.starts_with("127.0.0.1:") && !address.ends_with(":8765"), "{address}");
    assert!(dir.path().join("of-the-file/objects").is_dir() && !dir.path().join("storage").exists());
    assert!(of_the_file.0.read(None).stderr.contains("memory"), "the backend is the file's");
    let pinned = [("ETRANSFER_STORAGE_PATH", "of-the-environment")];
    drop(Plain::start(dir.path(), &["--config", "node.yaml"], &pinned));
    assert!(dir.path().join("of-the-environment/objects").is_dir(), "the environment counts more than the file");
    drop(Plain::start(dir.path(), &["--config", "node.yaml", "--storage", "of-the-flag"], &pinned));
    assert!(dir.path().join("of-the-flag/objects").is_dir(), "and a flag more than both");
}

#[test]
fn section_10_workers_is_the_number_of_cores_and_one_means_all() {
    let cores = |workers: u32| Node::setup().env("WORKERS", workers).start().get("/api/info").json()["cores"].clone();
    let all = std::thread::available_parallelism().expect("a number of cores").get();
    assert_eq!(cores(1), all);
    assert_eq!(cores(2), all.min(2));
}
