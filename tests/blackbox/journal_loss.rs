//! faults.md S1: a journal that is missing, as a whole or in part, is named by a start that refuses; nothing is
//! unlinked, and with the missing part back in its place the node is what it was.

use std::path::{Path, PathBuf};

use crate::support::node::Setup;
use crate::support::tus::Upload;
use crate::support::{Node, Oracle, audit};

/// Some of everything, then a kill.
fn killed(setup: Setup) -> (Node, Vec<(Upload, Vec<u8>)>) {
    let mut node = setup.start();
    let files = (0..28u64)
        .map(|seed| {
            let content = Oracle(seed).bytes(0..5_000);
            (node.complete(&content), content)
        })
        .collect();
    node.kill();
    (node, files)
}

fn segments(node: &Node) -> Vec<PathBuf> {
    let found = audit::files_below(&node.storage().join("journal")).into_iter().map(|(path, _)| path);
    found.filter(|path| path.extension().is_some_and(|extension| extension == "journal")).collect()
}

fn has_records(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.iter().skip(64).any(|byte| *byte != 0))
}

/// The start is refused, names `name`, and every object is still there.
#[track_caller]
fn refuses(node: &mut Node, name: &str, what: &str) {
    let before = audit::objects_below(node.storage());
    match node.try_start_again() {
        Ok(()) => panic!("{what}: the node started as if nothing had happened"),
        Err(said) => assert!(said.contains(name) && !said.contains("panicked"), "{what}: {name} is not named: {said}"),
    }
    assert_eq!(audit::objects_below(node.storage()), before, "{what}: objects were unlinked");
}

#[track_caller]
fn is_whole_again(mut node: Node, files: &[(Upload, Vec<u8>)]) {
    node.start_again();
    files.iter().for_each(|(upload, content)| node.whole(upload, content));
}

#[test]
fn missing_journal_refuses() {
    let (mut node, files) = killed(Node::setup());
    let (journal, elsewhere) = (node.storage().join("journal"), node.dir().join("elsewhere"));
    std::fs::rename(&journal, &elsewhere).expect("the mount is lost");
    refuses(&mut node, "journal", "no directory");
    // A mount point whose mount is gone.
    let _ = std::fs::remove_dir_all(&journal);
    std::fs::create_dir(&journal).expect("an empty directory");
    refuses(&mut node, "journal", "an empty directory");
    std::fs::remove_dir_all(&journal).expect("remove the mount point");
    std::fs::rename(&elsewhere, &journal).expect("the mount is back");
    is_whole_again(node, &files);
}

#[test]
fn missing_or_cut_segment_refuses() {
    let (mut node, files) = killed(Node::setup().env("DURABILITY", "complete"));
    let used: Vec<_> = segments(&node).into_iter().filter(|path| has_records(path)).collect();
    assert!(!used.is_empty());
    for path in used {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let good = std::fs::read(&path).expect("read a segment");
        std::fs::remove_file(&path).expect("remove a segment");
        refuses(&mut node, &name, "removed");
        for left in [good.len() / 2, 64, 0] {
            std::fs::write(&path, &good[..left]).expect("cut a segment");
            refuses(&mut node, &name, &format!("cut to {left}"));
        }
        std::fs::write(&path, good).expect("put the segment back");
    }
    is_whole_again(node, &files);
}

#[test]
fn all_segments_gone_beside_the_checkpoint_refuses() {
    let (mut node, files) = killed(Node::setup());
    let aside = node.dir().join("aside");
    std::fs::create_dir(&aside).expect("a directory");
    let moved: Vec<_> = segments(&node)
        .into_iter()
        .map(|path| {
            let to = aside.join(path.file_name().expect("a name"));
            std::fs::rename(&path, &to).expect("move a segment");
            (path, to)
        })
        .collect();
    refuses(&mut node, ".journal", "all segments gone");
    moved.iter().for_each(|(path, to)| std::fs::rename(to, path).expect("move it back"));
    is_whole_again(node, &files);
}

#[test]
fn yesterdays_journal_beside_todays_objects_refuses() {
    let (mut node, _) = killed(Node::setup());
    let (journal, yesterday) = (node.storage().join("journal"), node.dir().join("yesterday"));
    copy(&journal, &yesterday);
    node.start_again();
    let newer = node.complete(b"of today");
    node.stop();
    let today = node.dir().join("today");
    std::fs::rename(&journal, &today).expect("move today's journal");
    copy(&yesterday, &journal);
    refuses(&mut node, "journal", "a journal of yesterday");
    std::fs::remove_dir_all(&journal).expect("yesterday's");
    std::fs::rename(&today, &journal).expect("today's");
    node.start_again();
    node.whole(&newer, b"of today");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory").map(|entry| entry.expect("an entry")) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copy a file");
    }
}
