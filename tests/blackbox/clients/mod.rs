//! Other people's clients, unmodified, as their registries publish them; and our own.

mod big;
mod curl;
mod et;
mod et_killed;
mod et_names;
mod first_generation;
mod javascript;
pub mod python;
mod seed;
mod tuspy;

use std::path::PathBuf;
use std::process::Command;

use crate::support::node::clean_env;
use crate::support::{Node, Oracle, oracle, wait};

/// Sizes where clients and servers err: nothing, one byte, around one chunk.
const SIZES: [u64; 6] = [0, 1, 4_095, (4 << 20) - 1, 4 << 20, (4 << 20) + 1];

/// Where `.ci/clients` put the clients.
pub fn installed() -> PathBuf {
    if let Some(path) = std::env::var_os("ET_CLIENTS") {
        return path.into();
    }
    let own = std::env::current_exe().expect("path of the test program");
    let target = own.ancestors().nth(3).expect("target/<profile>/deps/<test>");
    let clients = target.join("clients");
    assert!(clients.join("stamp").exists(), "{} is not there: run ./.ci/clients first", clients.display());
    clients
}

pub fn script(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/clients")).join(name)
}

pub fn python(node: &Node, args: &[&str]) -> Command {
    let mut command = Command::new(installed().join("venv/bin/python"));
    command.args(args).env_clear().envs(clean_env(&client_home(node))).current_dir(node.dir());
    command.env("COLUMNS", "200").env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs a script in JavaScript that imports what is installed.
#[track_caller]
pub fn javascript(node: &Node, name: &str, args: &[&str]) -> wait::Ran {
    // A module is looked up beside the file that imports it.
    let program = installed().join("js").join(format!("{}-{name}", std::process::id()));
    std::fs::copy(script(name), &program).expect("put the script beside its modules");
    let mut command = Command::new("node");
    command.arg(&program).args(args).env_clear().envs(clean_env(&client_home(node))).current_dir(node.dir());
    let ran = wait::run(command);
    let _ = std::fs::remove_file(&program);
    ran
}

/// A home of its own, so that no client finds another's settings.
pub fn client_home(node: &Node) -> PathBuf {
    let home = node.dir().join("client-home");
    std::fs::create_dir_all(&home).expect("home of a client");
    home
}

/// A file with this content to send.
pub fn source(node: &Node, name: &str, oracle: Oracle, length: u64) -> PathBuf {
    let path = node.dir().join(name);
    oracle::write_file(&path, oracle, length);
    path
}

/// The first 32 hex digits that stand alone in a text.
#[track_caller]
pub fn id_in(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let id = words
        .into_iter()
        .find(|word| word.len() == 32 && word.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
    id.unwrap_or_else(|| panic!("no id in {text:?}")).to_owned()
}
