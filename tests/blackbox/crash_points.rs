//! faults.md S4, S4b: the process is killed at each system call by which the first start changes the disk, and the
//! start after it comes up. faults.md S4c, S5: the file system loses what was not synced and is mounted again without a
//! reboot; the node starts, at every level of durability, and claims no byte that is not there.

use crate::import;
use crate::support::disk::Disk;
use crate::support::node::Setup;
use crate::support::tus::{Upload, patch_head};
use crate::support::{Node, Oracle, wait};

const CHANGES: &str =
    "pwrite64,pwritev,fdatasync,fsync,ftruncate,fallocate,rename,renameat,renameat2,unlink,unlinkat,linkat";
/// Each of the first calls, then some of the later ones: a start under a tracer takes its time.
const EACH: usize = 24;
const STEP: usize = 5;
/// More than a first start makes in one thread.
const CALLS_MAX: usize = 400;

/// Killed at the call number `call` of whichever thread gets there first. The tracer is a grandchild of ours.
fn killed_at(call: usize) -> Setup {
    let inject = format!("inject={CHANGES}:signal=KILL:when={call}");
    let trace = format!("trace={CHANGES}");
    Node::setup().wrapped(&["strace", "-D", "-f", "-qq", "-e", &trace, "-e", &inject, "-o", "/dev/null"])
}

#[test]
fn first_start_killed_at_any_call_starts_again() {
    let mut walked = 0;
    for call in (1..EACH).chain((EACH..CALLS_MAX).step_by(STEP)) {
        let dir = tempfile::tempdir().expect("a directory");
        let storage = dir.path().join("storage");
        let came_up = match killed_at(call).storage(&storage).try_start() {
            Ok(mut node) => {
                node.without_audit();
                node.kill();
                true
            }
            Err(_) => false,
        };
        let node = match Node::setup().storage(&storage).try_start() {
            Ok(node) => node,
            Err(said) => panic!("killed at call {call} of the first start, the second does not come up: {said}"),
        };
        let upload = node.complete(b"hello");
        node.whole(&upload, b"hello");
        walked += 1;
        if came_up {
            break;
        }
    }
    eprintln!("{walked} calls walked");
    assert!(walked > 8, "only {walked} calls: nothing was killed");
}

#[test]
fn import_killed_at_any_call_is_finished_by_the_next_one() {
    let mut killed = 0;
    for call in (1..10).chain((10..CALLS_MAX).step_by(STEP + 1)) {
        let dir = tempfile::tempdir().expect("a directory");
        let storage = dir.path().join("storage");
        import::data(&storage);
        import::state_file(&storage);
        let (trace, inject) = (format!("trace={CHANGES}"), format!("inject={CHANGES}:signal=KILL:when={call}"));
        let wrapper = ["strace", "-D", "-f", "-qq", "-e", &trace, "-e", &inject, "-o", "/dev/null"];
        let first = import::import_under(dir.path(), &storage, &storage, &[], &wrapper);
        // 1: one of its files is too short, and is left alone.
        let came_through = first.code == Some(1);
        killed += u32::from(!came_through);
        let second = import::import(dir.path(), &storage, &storage, &[]);
        assert_eq!(second.code, Some(1), "killed at call {call}: {first:?}; then {second:?}");
        let mut node = Node::setup().storage(&storage).start();
        import::served(&node);
        node.without_audit();
        node.kill();
        if came_through {
            break;
        }
    }
    assert!(killed > 8, "only {killed} were killed");
}

#[test]
fn the_names_of_the_nodes_own_files_are_on_the_disk_before_it_listens() {
    let dir = tempfile::tempdir().expect("a directory");
    let (storage, trace) = (dir.path().join("storage"), dir.path().join("trace"));
    let calls = "trace=rename,renameat,renameat2,fsync";
    let out = trace.display().to_string();
    // With -y each descriptor is told with its path.
    let mut node = Node::setup()
        .wrapped(&["strace", "-D", "-f", "-qq", "-y", "-e", calls, "-o", &out])
        .without_env("AUTH_TOKENS")
        .storage(&storage)
        .start();
    node.without_audit();
    node.kill();
    let state = storage.join("state").display().to_string();
    let traced = std::fs::read_to_string(&trace).expect("the trace");
    let lines: Vec<&str> = traced.lines().collect();
    let is_rename = |line: &&str| line.contains("rename") && line.contains(&format!("\"{state}/"));
    let renames: Vec<usize> = (0..lines.len()).filter(|at| is_rename(&lines[*at])).collect();
    assert!(renames.len() >= 4, "token, identity, epochs, proof key and more: {renames:?} of\n{traced}");
    for at in renames {
        let synced = lines[at + 1..].iter().find(|line| line.contains("fsync(") && line.contains(&state));
        let names_directory =
            |line: &&str| line.contains(&format!("<{state}>")) || line.contains(&format!("<{state}/surfaces>"));
        assert!(synced.is_some_and(names_directory), "not synced: {}", lines[at]);
    }
}

/// What a node was given before the power went.
struct Given {
    /// Acknowledged as complete, and to be there afterwards.
    whole: Vec<Upload>,
    /// The first 64 KiB were acknowledged.
    partial: Vec<Upload>,
    /// 64 KiB were sent, nothing was acknowledged.
    running: Vec<Upload>,
}

const SIZE: u64 = 1_000_000;
const SENT: u64 = 65_536;

fn content(seed: usize) -> Oracle {
    Oracle(seed as u64)
}

fn after_a_power_cut(disk: &Disk, durability: &str) -> (Node, Given) {
    let storage = disk.path().join("storage");
    let mut node = Node::setup().env("DURABILITY", durability).storage(&storage).start();
    let mut whole: Vec<_> = (0..4).map(|seed| node.complete(&content(seed).bytes(0..200_000))).collect();
    assert!(node.stop().success());
    node.start_again();
    // All of this is on the disk now, also at `none`, where an orderly stop syncs nothing.
    let root = std::fs::File::open(disk.path()).expect("the mount");
    rustix::fs::syncfs(root).expect("sync the file system");
    let partial: Vec<_> = (20..26)
        .map(|seed| {
            let upload = node.create(SIZE);
            node.patch(&upload, 0, &content(seed).bytes(0..SENT)).is(204);
            upload
        })
        .collect();
    let connections: Vec<_> = (30..36)
        .map(|seed| {
            let upload = node.create(SIZE);
            let mut connection = node.connect();
            connection.send_head(&patch_head(&upload, 0).header("Content-Length", SIZE.to_string()));
            connection.send(&content(seed).bytes(0..SENT));
            let file = storage.join("objects").join(&upload.id[..2]).join(&upload.id);
            wait::until("the bytes are in the file", || {
                file.metadata().is_ok_and(|meta| meta.len() >= SENT).then_some(())
            });
            (connection, upload)
        })
        .collect();
    // Each completion syncs its journal, with what the journal says of the others.
    let more = (4..12).map(|seed| node.complete(&content(seed).bytes(0..200_000)));
    whole.extend(more.collect::<Vec<_>>().into_iter().filter(|_| durability != "none"));
    Disk::write_back_first_page(&storage.join("state/catalogue.redb"));
    disk.cut_power();
    node.without_audit();
    node.kill();
    let running = connections.into_iter().map(|(_, upload)| upload).collect();
    disk.mount_again();
    (node, Given { whole, partial, running })
}

#[track_caller]
fn survives_a_power_cut(disk: Option<Disk>, durability: &str) {
    let Some(disk) = disk else { return };
    let (mut node, given) = after_a_power_cut(&disk, durability);
    if let Err(said) = node.try_start_again() {
        panic!("{durability}: the node does not start after a power cut without a reboot: {said}");
    }
    for (seed, upload) in given.whole.iter().enumerate() {
        node.whole(upload, &content(seed).bytes(0..200_000));
    }
    let partial = (20..).zip(&given.partial).map(|(seed, upload)| (seed, upload, true));
    let running = (30..).zip(&given.running).map(|(seed, upload)| (seed, upload, false));
    for (seed, upload, is_acknowledged) in partial.chain(running) {
        if node.head(upload).status == 404 && durability == "none" {
            // Forgotten with all that was recent.
            continue;
        }
        let offset = node.offset(upload);
        assert!(durability != "every" || !is_acknowledged || offset == SENT, "acknowledged at `every`: {offset}");
        node.prefix(upload, content(seed), offset);
        let all = content(seed).bytes(0..SIZE);
        node.patch(upload, offset, &all[offset as usize..]).is(204);
        node.whole(upload, &all);
    }
    assert!(node.stop().success());
    wait::run(node.et(&["server", "verify", "--storage", &node.storage().display().to_string()])).ok();
}

#[test]
fn power_cut_without_a_reboot_at_durability_complete() {
    survives_a_power_cut(Disk::ext4(256), "complete");
}

#[test]
fn power_cut_without_a_reboot_at_durability_every() {
    survives_a_power_cut(Disk::ext4(256), "every");
}

#[test]
fn power_cut_without_a_reboot_at_durability_none() {
    survives_a_power_cut(Disk::ext4(256), "none");
}

#[test]
fn power_cut_without_a_reboot_at_durability_complete_on_xfs() {
    survives_a_power_cut(Disk::xfs(320), "complete");
}

#[test]
fn power_cut_without_a_reboot_at_durability_every_on_xfs() {
    survives_a_power_cut(Disk::xfs(320), "every");
}

#[test]
fn power_cut_without_a_reboot_at_durability_none_on_xfs() {
    survives_a_power_cut(Disk::xfs(320), "none");
}
