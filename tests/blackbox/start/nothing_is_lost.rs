//! A start destroys nothing: what it cannot explain is refused, isolated or set aside, and told. One row of
//! `dataplane/START.md` each, on the built program.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::metrics::{metrics, sum};
use crate::support::tus::{OCTETS, Upload, post};
use crate::support::{Node, Oracle, audit, wait};

const UNKNOWN: &str = "00112233445566778899aabbccddeeff";

fn file_of(node: &Node, id: &str) -> PathBuf {
    node.storage().join("objects").join(&id[..2]).join(id)
}

fn gauge(node: &Node, name: &str) -> f64 {
    sum(&metrics(node), name, &[])
}

fn verify(node: &Node) -> wait::Ran {
    let storage = node.storage().to_str().expect("paths of tests are UTF-8").to_owned();
    wait::run(node.et(&["server", "verify", "--storage", &storage]))
}

fn some_files(node: &Node) -> Vec<(Upload, Vec<u8>)> {
    let content = |seed| Oracle(seed).bytes(0..20_000 + seed * 1000);
    (0..12).map(|seed| (node.complete(&content(seed)), content(seed))).collect()
}

fn all_whole(node: &Node, files: &[(Upload, Vec<u8>)]) {
    files.iter().for_each(|(upload, content)| node.whole(upload, content));
}

fn quarantine(node: &Node) -> Vec<PathBuf> {
    audit::files_below(&node.storage().join("quarantine")).into_iter().map(|(path, _)| path).collect()
}

#[test]
fn missing_journal_refuses() {
    let mut node = Node::start();
    let files = some_files(&node);
    node.kill();
    let before = audit::objects_below(node.storage()).len();
    let (journal, aside) = (node.storage().join("journal"), node.dir().join("journal aside"));
    std::fs::rename(&journal, &aside).expect("take the journal away");
    for what in ["journal/ is missing", "journal/ is empty"] {
        let said = node.try_start_again().expect_err("a node without its journal");
        assert!(said.contains(what) && said.contains("restore"), "{said}");
        assert!(said.contains(&*node.storage().to_string_lossy()), "the directory is named: {said}");
        assert_eq!(audit::objects_below(node.storage()).len(), before, "every file is where it was");
        std::fs::create_dir_all(&journal).expect("an empty journal");
    }
    std::fs::remove_dir(&journal).expect("nothing was put there");
    std::fs::rename(&aside, &journal).expect("bring it back");
    node.start_again();
    all_whole(&node, &files);
    assert!(quarantine(&node).is_empty());
}

#[test]
fn missing_objects_refuse() {
    let mut node = Node::start();
    let files = some_files(&node);
    node.kill();
    let (objects, aside) = (node.storage().join("objects"), node.dir().join("objects aside"));
    std::fs::rename(&objects, &aside).expect("take the objects away");
    for _ in 0..2 {
        let said = node.try_start_again().expect_err("a node without its objects");
        assert!(said.contains("objects/ is missing or empty"), "{said}");
    }
    std::fs::remove_dir(&objects).expect("nothing was put there");
    std::fs::rename(&aside, &objects).expect("bring them back");
    node.start_again();
    all_whole(&node, &files);
}

/// What HEAD, GET, PATCH and the metrics say of a damaged object, and that all others are served.
#[track_caller]
fn isolated(node: &Node, bad: &Upload, good: &[(Upload, Vec<u8>)]) {
    let got = node.get(&bad.download());
    assert!(got.status == 500 && String::from_utf8_lossy(&got.body).contains("damaged"), "{got:?}");
    let head = node.head(bad);
    assert!(head.status == 500 && head.header("Upload-Offset").is_none(), "no false offset: {head:?}");
    all_whole(node, good);
    wait::until("it is told", || (gauge(node, "et_damaged_objects") == 1.0).then_some(()));
}

#[test]
fn a_missing_or_short_object_is_isolated_and_comes_back_when_it_is_put_right() {
    let mut node = Node::start();
    let mut files = some_files(&node);
    let (bad, content) = files.pop().expect("one of them");
    let path = file_of(&node, &bad.id);
    for cut in [true, false] {
        node.kill();
        if cut {
            std::fs::File::options().write(true).open(&path).and_then(|file| file.set_len(5_000)).expect("cut it");
        } else {
            std::fs::remove_file(&path).expect("remove it");
        }
        node.start_again();
        isolated(&node, &bad, &files);
        node.stop();
        let told = verify(&node);
        assert!(told.code == Some(1) && told.stdout.contains(&format!("{} is not served", bad.id)), "{told:?}");
        std::fs::write(&path, &content).expect("put it right");
        node.start_again();
        node.whole(&bad, &content);
        wait::until("it is told", || (gauge(&node, "et_damaged_objects") == 0.0).then_some(()));
    }
    // An unfinished one, and what is left of it is removed like any other.
    let open = node.create(1_000_000);
    node.patch(&open, 0, &Oracle(5).bytes(0..300_000)).is(204);
    node.kill();
    std::fs::remove_file(file_of(&node, &open.id)).expect("remove it");
    node.start_again();
    isolated(&node, &open, &files);
    assert_eq!(node.patch(&open, 300_000, b"x").status, 500, "nothing is put behind what is missing");
    node.delete(&open.file()).is(200);
    node.kill_and_start_again();
    assert_eq!(node.head(&open).status, 404);
    wait::until("it is told", || (gauge(&node, "et_damaged_objects") == 0.0).then_some(()));
}

#[test]
fn a_file_without_a_record_goes_to_the_quarantine_and_leaves_it_when_its_time_is_over() {
    let mut node = Node::start();
    let files = some_files(&node);
    node.stop();
    std::fs::write(file_of(&node, UNKNOWN), b"no record names this").expect("a file without a record");
    let told = verify(&node).ok();
    assert!(told.stdout.contains(&format!("{UNKNOWN} is in quarantine/ since")), "{told:?}");
    let aside = quarantine(&node);
    assert_eq!(std::fs::read(&aside[0]).expect("its file"), b"no record names this");
    node.start_again();
    all_whole(&node, &files);
    wait::until("it is told", || (gauge(&node, "et_quarantined_files") == 1.0).then_some(()));
    // Put back by hand without a record, it is set aside again; never unlinked by a start.
    node.kill();
    std::fs::rename(&aside[0], file_of(&node, UNKNOWN)).expect("put it back");
    node.start_again();
    assert_eq!(quarantine(&node).len(), 1);
    assert!(node.log().contains("it is in quarantine/ now"), "{}", node.log_tail());
    drop(node);

    let node = Node::setup().env("STORAGE_QUARANTINE", 1);
    let dir = tempfile::tempdir().expect("a directory");
    let place = dir.path().join("storage/quarantine");
    std::fs::create_dir_all(&place).expect("a quarantine");
    std::fs::write(place.join(format!("{UNKNOWN}.1000")), "old").expect("an old file");
    std::fs::write(place.join("notes.txt"), "not ours").expect("another file");
    let node = node.storage(&dir.path().join("storage")).start();
    wait::until("the sweep took it", || (!place.join(format!("{UNKNOWN}.1000")).exists()).then_some(()));
    assert!(place.join("notes.txt").exists());
    wait::until("it is told", || (gauge(&node, "et_quarantined_files") == 0.0).then_some(()));
}

/// Yesterday's state/ beside today's journal and objects.
#[test]
fn an_older_catalogue_removes_nothing_it_does_not_know() {
    let mut node = Node::setup().env("CLEANUP_INTERVAL", 1).start();
    let old = some_files(&node);
    node.stop();
    let (state, yesterday, today) =
        (node.storage().join("state"), node.dir().join("yesterday"), node.dir().join("today"));
    copy(&state, &yesterday);
    node.start_again();
    let new = some_files(&node);
    let gone = node.complete(b"deleted today");
    node.delete(&gone.file()).is(200);
    node.stop();
    std::fs::rename(&state, &today).expect("take today's state away");
    copy(&yesterday, &state);
    for _ in 0..2 {
        node.start_again();
        wait::until("it is told", || (gauge(&node, "et_unclaimed_objects") == new.len() as f64).then_some(()));
        let sweeps = gauge(&node, "et_sweeps_total");
        wait::until("two sweeps went by", || (gauge(&node, "et_sweeps_total") >= sweeps + 2.0).then_some(()));
        all_whole(&node, &old);
        assert!(new.iter().all(|(upload, _)| node.get(&upload.download()).status == 404), "not served");
        assert!(new.iter().all(|(upload, _)| file_of(&node, &upload.id).exists()), "and kept");
        assert!(node.log().contains("the catalogue knows nothing of these objects"), "{}", node.log_tail());
        node.stop();
    }
    let told = verify(&node).ok();
    let is_told = |upload: &Upload| told.stdout.contains(&format!("{} has", upload.id));
    assert!(
        new.iter().all(|(upload, _)| is_told(upload)) && !old.iter().any(|(upload, _)| is_told(upload)),
        "{told:?}"
    );
    // With the right one back, everything is what it was.
    std::fs::rename(&state, node.dir().join("yesterday, used")).expect("take yesterday's state away");
    copy(&today, &state);
    node.start_again();
    all_whole(&node, &old);
    all_whole(&node, &new);
    wait::until("it is told", || (gauge(&node, "et_unclaimed_objects") == 0.0).then_some(()));
    assert_eq!(node.get(&gone.download()).status, 404);
    node.stop();
    // By hand, and only by hand, what is unclaimed goes to the quarantine.
    std::fs::remove_dir_all(&state).expect("take today's state away");
    let storage = node.storage().to_str().expect("paths of tests are UTF-8").to_owned();
    let aside = || wait::run(node.et(&["server", "verify", "--storage", &storage, "--quarantine-unclaimed"]));
    let refused = aside();
    assert!(refused.code != Some(0) && refused.stderr.contains("put the right one back"), "{refused:?}");
    assert!(quarantine(&node).is_empty());
    std::fs::remove_dir_all(&state).expect("the new one");
    copy(&yesterday, &state);
    aside().ok();
    assert_eq!(quarantine(&node).len(), new.len());
    node.start_again();
    all_whole(&node, &old);
    wait::until("it is told", || (gauge(&node, "et_quarantined_files") == new.len() as f64).then_some(()));
    assert_eq!(gauge(&node, "et_unclaimed_objects"), 0.0);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for (path, _) in audit::files_below(from) {
        let target = to.join(path.strip_prefix(from).expect("below it"));
        std::fs::create_dir_all(target.parent().expect("a parent")).expect("a directory");
        std::fs::copy(&path, &target).expect("copy a file");
    }
}

/// The record of a removal is on the disk before the file goes, at every durability level and for every reason.
#[test]
fn a_removal_is_synced_before_its_file_is_unlinked() {
    for durability in ["none", "complete", "every"] {
        let dir = tempfile::tempdir().expect("a directory");
        let trace = dir.path().join("trace");
        let wrapper = ["strace", "-f", "-D", "-y", "-e", "trace=fdatasync,fsync,unlinkat,unlink", "-o"];
        let wrapper: Vec<&str> = wrapper.into_iter().chain([trace.to_str().expect("a path in UTF-8")]).collect();
        let node = Node::setup().env("DURABILITY", durability).env("ENGINE", "readiness").env("WORKERS", 1);
        let mut node = node.wrapped(&wrapper).start();
        let deleted = node.complete(b"deleted");
        node.delete(&deleted.file()).is(200);
        let before = audit::objects_below(node.storage()).len();
        // Long enough that some of it is in the file before the rest turns out to be too much.
        let surplus = post().header("Upload-Length", "3000000").header("Content-Type", OCTETS);
        let refused = node.send(&surplus.body(Oracle(1).bytes(0..4_000_000)).chunked(50_000));
        assert!(refused.status == 400, "{refused:?}");
        wait::until("it is discarded", || (audit::objects_below(node.storage()).len() == before).then_some(()));
        node.stop();
        let text = std::fs::read_to_string(&trace).expect("the trace");
        let (mut is_synced, mut unlinked) = (false, 0);
        for line in text.lines() {
            if line.contains("sync(") && line.contains("/journal/") {
                is_synced = true;
            } else if line.contains("unlink")
                && line.contains("/objects>")
                // strace splits the line of a call during which another thread makes one.
                && (line.contains("= 0") || line.contains("<unfinished"))
            {
                assert!(is_synced, "{durability}: unlinked before the sync: {line}\n{text}");
                (is_synced, unlinked) = (false, unlinked + 1);
            }
        }
        assert_eq!(unlinked, 2, "{durability}: the deleted file and the refused creation: {text}");
    }
}

/// Puts a directory in the place of an object's file, which no unlink takes away.
fn make_undeletable(path: &Path) {
    std::fs::remove_file(path).expect("take the file away");
    std::fs::create_dir(path).expect("a directory in its place");
}

#[test]
fn a_removal_whose_unlink_fails_is_an_error_counts_on_and_is_carried_out_later() {
    let mut node = Node::start();
    let content = Oracle(1).bytes(0..500_000);
    let file = node.complete(&content);
    let path = file_of(&node, &file.id);
    make_undeletable(&path);
    let failed = node.delete(&file.file());
    assert_eq!(failed.status, 500, "{failed:?}");
    let told =
        wait::until("it is told", || Some(metrics(&node)).filter(|text| sum(text, "et_removals_due", &[]) == 1.0));
    assert_eq!(sum(&told, "et_storage_used_bytes", &[]), 500_000.0, "not credited: {told}");
    assert_eq!(node.get(&file.download()).status, 404, "and no client finds it");
    // The next run goes on with it.
    node.kill_and_start_again();
    wait::until("it is told", || (gauge(&node, "et_removals_due") == 1.0).then_some(()));
    assert_eq!(node.get(&file.download()).status, 404);
    std::fs::remove_dir(&path).expect("let it go");
    wait::within(Duration::from_secs(90), || (gauge(&node, "et_removals_due") == 0.0).then_some(())).expect("retried");
    wait::until("it is credited", || (gauge(&node, "et_storage_used_bytes") == 0.0).then_some(()));
}

#[test]
fn an_expired_file_whose_unlink_fails_stays_in_the_books_until_it_is_gone() {
    let mut node = Node::setup().env("CLEANUP_INTERVAL", 1).start();
    let content = Oracle(1).bytes(0..500_000);
    let file = node.complete_as(&[("filename", "short"), ("retention", "ttl"), ("retention_ttl", "5")], &content);
    let path = file_of(&node, &file.id);
    make_undeletable(&path);
    wait::until("it expired", || (gauge(&node, "et_removals_due") == 1.0).then_some(()));
    assert_eq!(node.get(&file.download()).status, 404);
    std::fs::remove_dir(&path).expect("let it go");
    wait::within(Duration::from_secs(90), || (gauge(&node, "et_removals_due") == 0.0).then_some(())).expect("retried");
    node.kill_and_start_again();
    assert_eq!(node.get(&file.download()).status, 404);
    assert_eq!(gauge(&node, "et_storage_used_bytes"), 0.0);
}
