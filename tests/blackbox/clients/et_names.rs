//! What `et` moves besides plain files with plain names: names that are no text, standard input and output, pipes, files
//! of `/proc`, and a machine without a home directory.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};

use super::id_in;
use crate::support::{Node, Oracle, oracle, wait};

/// A whole upload in memory, past what `et` reads ahead.
const LONG: usize = 20_000_000;

#[track_caller]
fn piped(mut command: Command, input: &[u8]) -> wait::Ran {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start et");
    let mut stdin = child.stdin.take().expect("its standard input");
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("its end");
    feeder.join().expect("the feeder ends");
    wait::Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[track_caller]
fn content(node: &Node, id: &str) -> Vec<u8> {
    node.get(&format!("/api/files/{id}/download")).is(200).body
}

fn name_of(node: &Node, id: &str) -> String {
    let file: serde_json::Value = serde_json::from_slice(&node.get(&format!("/api/files/{id}")).is(200).body).unwrap();
    file["filename"].as_str().expect("a name").to_owned()
}

#[test]
fn names_that_are_no_text_travel_both_ways() {
    let node = Node::start();
    let bytes = Oracle(1).bytes(0..5000);
    let odd = |name: &[u8]| node.dir().join(OsStr::from_bytes(name));
    let directory = odd(b"dir\xfe");
    std::fs::create_dir(&directory).expect("a directory");
    for (path, expected) in [(odd(b"bad\xff.bin"), "bad%FF.bin"), (directory.join("plain"), "plain")] {
        std::fs::write(&path, &bytes).expect("a file");
        let mut upload = node.et(&["upload"]);
        let ran = wait::run({
            upload.arg(&path);
            upload
        })
        .ok();
        let id = id_in(&ran.stdout);
        assert_eq!(name_of(&node, &id), expected);
        let mut inside = node.et(&["download", &id, "-o", "copy"]);
        inside.current_dir(&directory);
        wait::run(inside).ok();
        assert_eq!(std::fs::read(directory.join("copy")).expect("the copy"), bytes);
        std::fs::remove_file(directory.join("copy")).expect("a copy");
        let target = odd(b"out\xff");
        let download = || {
            let mut download = node.et(&["download", &id, "-o"]);
            download.arg(&target);
            download
        };
        wait::run(download()).ok();
        assert_eq!(std::fs::read(&target).expect("the file"), bytes);
        let again = wait::run(download()).ok();
        assert!(again.stderr.contains("already"), "the record holds the name: {again:?}");
        let left = std::fs::read_dir(node.dir()).expect("a directory").flatten().map(|entry| entry.file_name());
        assert!(!left.into_iter().any(|name| name.as_bytes().ends_with(b".part")), "nothing is left");
        std::fs::remove_file(&target).expect("a file");
    }
}

#[test]
fn standard_input_and_output_of_any_length() {
    let node = Node::start();
    for (seed, length) in [0, 1, 8 << 20, (8 << 20) + 1, LONG].into_iter().enumerate() {
        let bytes = Oracle(seed as u64).bytes(0..length as u64);
        let ran = piped(node.et(&["upload", "-", "--name", "from stdin"]), &bytes).ok();
        let id = id_in(&ran.stdout);
        assert_eq!(name_of(&node, &id), "from stdin");
        assert!(content(&node, &id) == bytes, "{length} bytes");
        let download = node.et(&["download", &id, "-o", "-"]).stderr(Stdio::piped()).output().expect("et");
        assert!(download.status.success() && download.stdout == bytes, "{length} bytes");
    }
    assert!(!node.dir().join("-").exists());
}

#[test]
fn what_says_it_is_empty_is_read_to_its_end() {
    let node = Node::start();
    let id = id_in(&wait::run(node.et(&["upload", "/proc/version"])).ok().stdout);
    assert_eq!(content(&node, &id), std::fs::read("/proc/version").expect("a file of /proc"));
    let pipe = node.dir().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let bytes = Oracle(2).bytes(0..100_000);
    let (to, given) = (pipe.clone(), bytes.clone());
    let writer = std::thread::spawn(move || std::fs::write(to, given));
    let id = id_in(&wait::run(node.et(&["upload", "pipe"])).ok().stdout);
    writer.join().expect("the writer ends").expect("all is taken");
    assert_eq!((content(&node, &id), name_of(&node, &id)), (bytes, "pipe".to_owned()));
}

#[test]
fn a_home_is_needed_only_where_something_is_saved() {
    let node = Node::start();
    oracle::write_file(&node.dir().join("a.bin"), Oracle(3), 100_000);
    let homeless = |args: &[&str]| {
        let mut command = node.et(args);
        command.env_remove("HOME");
        command
    };
    let id = id_in(&wait::run(homeless(&["upload", "a.bin"])).ok().stdout);
    wait::run(homeless(&["download", &id, "-o", "b.bin"])).ok();
    oracle::check_file(&node.dir().join("b.bin"), Oracle(3), 100_000);
    wait::run(homeless(&["list"])).ok();
    let setup = wait::run(homeless(&["setup", &node.addr().to_string()]));
    assert!(setup.code == Some(1) && setup.stderr.contains("HOME is not set"), "{setup:?}");
}
