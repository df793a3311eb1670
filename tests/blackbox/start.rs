//! PROMISES.md P18: what a start replays, drops, and refuses. One node per directory, by a kernel lock; a torn tail is
//! dropped; damage elsewhere stops the start with the file named.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::node::{clean_env, et};
use crate::support::tus::Upload;
use crate::support::{Node, Oracle, audit, wait};

mod nothing_is_lost;

/// The second start on a directory; ends by itself.
#[track_caller]
fn refused(node: &Node, wrapper: &[&str]) {
    let mut command = match wrapper {
        [] => Command::new(et()),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(et());
            command
        }
    };
    command.args(["server", "start", "--host", "127.0.0.1", "--port", "0", "--storage"]).arg(node.storage());
    command.env_clear().envs(clean_env(&node.home())).current_dir(node.dir());
    let ran = wait::run(command);
    assert!(ran.code.is_some_and(|code| code != 0), "{ran:?}");
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains(&*node.storage().to_string_lossy()), "the directory is named: {said}");
    assert!(!said.contains("listening on"), "{said}");
    node.get("/api/health").is(200);
}

#[test]
fn a_second_start_on_the_same_directory_is_refused() {
    for setup in [Node::setup(), Node::setup().two_processes()] {
        let node = setup.start();
        let upload = node.complete(b"hello");
        refused(&node, &[]);
        node.whole(&upload, b"hello");
    }
}

#[test]
fn a_second_start_is_refused_whatever_the_pids() {
    if !etransfer_tests::has_root() {
        return;
    }
    let node = Node::start();
    refused(&node, &["unshare", "--pid", "--fork", "--kill-child"]);
}

#[test]
fn a_lock_left_by_a_killed_process_is_no_lock() {
    let mut node = Node::start();
    let upload = node.complete(b"hello");
    for _ in 0..3 {
        node.kill_and_start_again();
    }
    node.whole(&upload, b"hello");
}

fn journals(node: &Node) -> Vec<PathBuf> {
    let mut found = audit::files_below(&node.storage().join("journal"));
    found.retain(|(path, _)| path.extension().is_some_and(|extension| extension == "journal"));
    found.retain(|(path, _)| std::fs::read(path).is_ok_and(|bytes| bytes.iter().any(|byte| *byte != 0)));
    found.into_iter().map(|(path, _)| path).collect()
}

/// Work that leaves many records, then a kill.
fn killed_after_work() -> (Node, Vec<(Upload, Vec<u8>)>) {
    let mut node = Node::setup().env("DURABILITY", "every").start();
    let files = (0..40u64)
        .map(|seed| {
            let content = Oracle(seed).bytes(0..10_000);
            let upload = node.create(10_000);
            for part in 0..4usize {
                node.patch(&upload, part as u64 * 2_500, &content[part * 2_500..][..2_500]).is(204);
            }
            (upload, content)
        })
        .collect();
    node.kill();
    (node, files)
}

fn last_byte(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).expect("a journal with records")
}

#[test]
fn a_torn_tail_is_dropped() {
    let (mut node, files) = killed_after_work();
    for path in journals(&node) {
        // Half a record after the last one: what a kill between two parts of a write leaves.
        let mut bytes = std::fs::read(&path).expect("read a journal");
        let end = last_byte(&bytes) + 1;
        let torn: Vec<u8> = bytes[end - 20..end - 7].to_vec();
        let at = end.next_multiple_of(8);
        if bytes.len() < at + torn.len() {
            bytes.resize(at + torn.len(), 0);
        }
        bytes[at..at + torn.len()].copy_from_slice(&torn);
        std::fs::write(&path, bytes).expect("write a journal");
    }
    node.start_again();
    for (upload, content) in files {
        node.whole(&upload, &content);
    }
}

#[test]
fn a_record_cut_in_the_middle_at_the_end_is_dropped() {
    let (mut node, files) = killed_after_work();
    for path in journals(&node) {
        let mut bytes = std::fs::read(&path).expect("read a journal");
        let end = last_byte(&bytes);
        if end < 1_000 {
            // A spare: its head alone, and no record to cut.
            continue;
        }
        bytes[end - 3..].fill(0);
        std::fs::write(&path, bytes).expect("write a journal");
    }
    node.start_again();
    // The last record of each journal is lost with what it said; nothing else is, and nothing is ahead.
    let mut behind = 0;
    for (seed, (upload, content)) in files.into_iter().enumerate() {
        let offset = node.offset(&upload);
        behind += u32::from(offset < 10_000);
        node.prefix(&upload, Oracle(seed as u64), offset);
        if offset < 10_000 {
            node.patch(&upload, offset, &content[offset as usize..]).is(204);
        }
        node.whole(&upload, &content);
    }
    assert!(behind as usize <= journals(&node).len(), "{behind} uploads fell back");
}

/// Starts it again and expects a refusal that names `path`.
#[track_caller]
fn start_names(node: &mut Node, path: &Path, what: &str) {
    match node.try_start_again() {
        Ok(()) => panic!("{what}: the node started as if nothing had happened"),
        Err(said) => {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            assert!(said.contains(&name), "{what}: {name} is not named: {said}");
            assert!(!said.contains("panicked"), "{what}: {said}");
        }
    }
}

#[test]
fn damage_before_the_tail_stops_the_start_and_is_named() {
    let (mut node, files) = killed_after_work();
    let paths = journals(&node);
    assert!(!paths.is_empty());
    let path = paths.iter().max_by_key(|path| last_byte(&std::fs::read(path).expect("read a journal"))).expect("one");
    let good = std::fs::read(path).expect("read a journal");
    let end = last_byte(&good);
    for at in (0..end / 2).step_by((end / 2 / 12).max(1)) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        std::fs::write(path, &bytes).expect("write a journal");
        if at < 8 {
            // The file's own head: another kind or version of file, refused as well.
            start_names(&mut node, path, &format!("byte {at} of the head"));
            continue;
        }
        start_names(&mut node, path, &format!("byte {at} of {end}"));
    }
    std::fs::write(path, &good).expect("write a journal");
    node.start_again();
    for (upload, content) in files {
        node.whole(&upload, &content);
    }
}

#[test]
fn a_damaged_journal_is_served_read_only_when_told_to() {
    let (mut node, files) = killed_after_work();
    let paths = journals(&node);
    let path = paths.iter().max_by_key(|path| last_byte(&std::fs::read(path).expect("read a journal"))).expect("one");
    let good = std::fs::read(path).expect("read a journal");
    let mut bytes = good.clone();
    bytes[last_byte(&good) / 2] ^= 0x40;
    std::fs::write(path, &bytes).expect("write a journal");
    start_names(&mut node, path, "damaged");
    let before = audit::objects_below(node.storage()).len();
    node.set_env("SERVE_DAMAGED", "true");
    node.start_again();
    let degraded = node.get("/api/info").is(200).json()["degraded"].to_string();
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(degraded.contains("read-only") && degraded.contains(&name), "{degraded}");
    let whole = files.iter().filter(|(upload, content)| node.get(&upload.download()).body == *content).count();
    assert!(whole > 0, "what is whole is served");
    let open = node.create(1000);
    let refused = node.patch(&open, 0, &[1; 1000]);
    assert!(refused.status >= 500 && node.offset(&open) == 0, "{refused:?}");
    assert!(audit::objects_below(node.storage()).len() >= before, "nothing is taken away");
    std::fs::write(path, &good).expect("put the journal right");
    node.kill();
    node.set_env("SERVE_DAMAGED", "false");
    node.start_again();
    for (upload, content) in files {
        node.whole(&upload, &content);
    }
}

#[test]
fn a_damaged_catalogue_stops_the_start_or_is_rebuilt_never_believed() {
    let (mut node, files) = killed_after_work();
    let state = node.storage().join("state");
    let catalogue = audit::files_below(&state).into_iter().map(|(path, _)| path);
    let path = catalogue
        .filter(|path| !path.to_string_lossy().contains("token"))
        .max_by_key(|path| std::fs::metadata(path).map(|meta| meta.len()).unwrap_or(0));
    let path = path.expect("a catalogue file");
    let good = std::fs::read(&path).expect("read the catalogue");
    let mut bytes = good.clone();
    let middle = bytes.len() / 4..bytes.len() * 3 / 4;
    bytes[middle].fill(0x5A);
    std::fs::write(&path, &bytes).expect("write the catalogue");
    match node.try_start_again() {
        Err(said) => {
            assert!(!said.contains("panicked"), "{said}");
            std::fs::write(&path, &good).expect("put the catalogue back");
            node.start_again();
        }
        Ok(()) => eprintln!("it started with a damaged catalogue; what it says must be true"),
    }
    for (upload, content) in files {
        node.whole(&upload, &content);
    }
}

#[test]
fn bad_configuration_stops_the_start_with_the_key_named() {
    for (yaml, word) in [
        ("server:\n  port: many\n", "server.port"),
        ("storage:\n  durability: sometimes\n", "storage.durability"),
        ("retention:\n  default: ttl\n", "retention.default_ttl"),
        ("server: [", "config.yaml"),
        ("auth:\n  tokens: [~]\n", "auth.tokens (from"),
        ("network:\n  speed_mbps:\n    null: 5\n", "line 3: a key of network.speed_mbps reads as null: quote it"),
    ] {
        match Node::setup().config(yaml).try_start() {
            Ok(_) => panic!("{yaml:?} was accepted"),
            Err(said) => assert!(said.contains(word), "{word} is not named: {said}"),
        }
    }
    // What is unknown is reported and ignored; an empty section is absent.
    let node = Node::setup().config("server:\nno_such_key: 1\n").start();
    assert!(node.log().contains("no_such_key"), "{}", node.log_tail());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port();
    match Node::setup().port(port).try_start() {
        Ok(_) => panic!("two listeners on {port}"),
        Err(said) => assert!(said.contains(&port.to_string()) || said.contains("in use"), "{said}"),
    }
}
