//! An error of the disk is believed, said truthfully, and over when the disk is well (PROMISES.md P6): injected under
//! the running program with `strace`, or made with file systems of our own.

use std::process::{Child, Command, Stdio};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::disk::Disk;
use crate::support::node::{Role, TOKEN};
use crate::support::tus::{OCTETS, head, metadata, patch, post};
use crate::support::{Node, Oracle, Request, audit, wait};

/// A tracer that makes system calls of a process fail; they work again when it is dropped.
struct Failing(Child);

impl Failing {
    /// Every `call` of this process ends with `error`.
    fn calls(pid: u32, call: &str, error: &str) -> Self {
        let child = Command::new("strace")
            .args(["-f", "-qq", "-e", &format!("trace={call}"), "-e", &format!("inject={call}:error={error}")])
            .args(["-o", "/dev/null", "-p", &pid.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .expect("strace");
        wait::until("every thread is traced", || {
            let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
            let is_traced = |thread: std::io::Result<std::fs::DirEntry>| {
                let status = std::fs::read_to_string(thread.ok()?.path().join("status")).ok()?;
                Some(status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")))
            };
            threads.map(is_traced).all(|traced| traced == Some(true)).then_some(())
        });
        Self(child)
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.0.id() as i32).expect("a pid is positive");
        // It lets go of the process in order; killed, it would leave threads stopped.
        let _ = kill_process(pid, Signal::INT);
        let _ = self.0.wait();
    }
}

fn reason(node: &Node) -> Option<String> {
    let reply = node.send(&Request::get("/readyz")).one_of(&[200, 503]);
    reply.json()["degraded"].as_str().map(str::to_owned)
}

/// The node says so everywhere, with the reason.
#[track_caller]
fn is_degraded(node: &Node, why: &str) {
    let said = wait::until("the node is degraded", || reason(node));
    assert!(said.contains(why), "{said}");
    let ready = node.send(&Request::get("/readyz")).is(503).json();
    assert!(ready["missing"].as_array().expect("a list").iter().any(|what| what == "disk"), "{ready}");
    let health = node.send(&Request::get("/api/health")).is(200).json();
    assert_eq!((health["status"].as_str(), health["reason"].as_str()), (Some("degraded"), Some(&*said)));
    let metrics = String::from_utf8_lossy(&node.get("/metrics").is(200).body).into_owned();
    assert!(metrics.contains("et_data_plane_degraded 1"), "{metrics}");
    assert!(node.log().contains("the node is degraded"));
}

#[track_caller]
fn becomes_well(node: &Node) {
    wait::until("the node is well again", || reason(node).is_none().then_some(()));
    assert_eq!(node.send(&Request::get("/api/health")).json(), serde_json::json!({"status": "healthy"}));
    assert!(node.log().contains("no longer degraded"));
}

#[test]
fn p6_a_failed_sync_falls_back_degrades_and_heals() {
    // The ring syncs where no tracer sees it; `dataplane/tests/node/faults.rs` has both engines.
    let node = Node::setup().two_processes().env("ENGINE", "readiness").env("DURABILITY", "every").start();
    let content = Oracle(3).bytes(0..9000);
    let upload = node.create(9000);
    node.patch(&upload, 0, &content[..3000]).is(204);
    let failing = Failing::calls(node.pid(Role::Data).expect("it runs"), "fdatasync", "EIO");
    node.send(&patch(&upload, 3000, &content[3000..6000])).is(500);
    is_degraded(&node, "sync");
    drop(failing);
    becomes_well(&node);
    wait::until("the journal is trusted again", || (node.send(&head(&upload)).status == 200).then_some(()));
    assert_eq!(node.offset(&upload), 3000);
    node.patch(&upload, 3000, &content[3000..]).is(204);
    node.whole(&upload, &content);
}

#[test]
fn p6_a_failed_write_falls_back_degrades_and_heals() {
    let node = Node::setup().two_processes().env("ENGINE", "readiness").start();
    let content = Oracle(4).bytes(0..9000);
    let upload = node.create(9000);
    node.patch(&upload, 0, &content[..3000]).is(204);
    let failing = Failing::calls(node.pid(Role::Data).expect("it runs"), "pwrite64", "EIO");
    node.send(&patch(&upload, 3000, &content[3000..6000])).is(500);
    is_degraded(&node, "write");
    drop(failing);
    becomes_well(&node);
    assert_eq!(node.offset(&upload), 0, "no byte of it was synced before");
    node.patch(&upload, 0, &content).is(204);
    node.whole(&upload, &content);
}

#[test]
fn p6_a_file_system_that_became_read_only_is_degraded() {
    let Some(disk) = Disk::ext4(64) else { return };
    let mut node = Node::setup().storage(&disk.path().join("storage")).start();
    let upload = node.create(9000);
    node.patch(&upload, 0, &Oracle(5).bytes(0..3000)).is(204);
    // What the kernel does itself when it meets an error in the file system.
    let status = Command::new("mount").args(["-o", "remount,abort"]).arg(disk.path()).status().expect("mount");
    assert!(status.success(), "{status}");
    let reply = node.send(&patch(&upload, 3000, &Oracle(5).bytes(3000..6000)));
    assert!(reply.status >= 500, "{}", reply.status);
    wait::until("the node is degraded", || reason(&node));
    node.without_audit();
    node.kill();
}

#[test]
fn a_file_that_is_gone_or_a_pipe_is_500_and_reported() {
    let node = Node::start();
    let content = Oracle(6).bytes(0..5000);
    let (gone, pipe) = (node.complete(&content), node.complete(&content));
    let file = |id: &str| node.storage().join("objects").join(&id[..2]).join(id);
    for upload in [&gone, &pipe] {
        std::fs::remove_file(file(&upload.id)).expect("its file");
    }
    mknodat(CWD, file(&pipe.id), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    for (upload, why) in [(&gone, "gone"), (&pipe, "no regular file")] {
        let reply = node.get(&upload.download()).is(500);
        let said = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(said.contains("damaged") && said.contains(why), "{said}");
    }
    wait::until("both are reported", || {
        let metrics = String::from_utf8_lossy(&node.get("/metrics").is(200).body).into_owned();
        metrics.contains("et_damaged_objects 2").then_some(())
    });
    assert!(node.log().contains(&gone.id) && node.log().contains(&pipe.id));
    for upload in [&gone, &pipe] {
        node.delete(&upload.file()).is(200);
    }
}

#[test]
fn a_creation_with_upload_on_a_full_disk_leaves_nothing() {
    let Some(disk) = Disk::tmpfs("size=96m") else { return };
    let node = Node::setup().storage(&disk.path().join("storage")).start();
    let create = |bytes: u64| {
        let named = post().header("Upload-Metadata", metadata(&[("filename", "big")]));
        let request = named.header("Upload-Length", bytes.to_string()).header("Content-Type", OCTETS);
        node.send(&request.body(Oracle(9).bytes(0..bytes)))
    };
    let objects = || audit::objects_below(node.storage()).len();
    for _ in 0..3 {
        let reply = create(120 << 20).is(507);
        assert_eq!(reply.header("Location"), None);
        assert!(reply.number("Retry-After") > 0);
        wait::until("nothing is left of it", || (objects() == 0).then_some(()));
    }
    assert_eq!(node.get("/api/storage").is(200).json()["uploads_count"], 0);
    create(1 << 20).is(201);
}

#[test]
fn a_limit_on_file_size_ends_no_engine() {
    for engine in ["ring", "readiness"] {
        let node = Node::setup().wrapped(&["prlimit", "--fsize=20000000"]).env("ENGINE", engine).start();
        let upload = node.create(50_000_000);
        for body in [1_000, 21_000_000] {
            let offset = node.offset(&upload);
            let reply = node.send(&patch(&upload, offset, &Oracle(1).bytes(offset..offset + body)));
            assert!(matches!(reply.status, 204 | 507), "{engine}: {}", reply.status);
        }
        node.complete(b"hello");
        node.delete(&upload.file()).is(200);
    }
}

#[test]
fn a_disk_that_hangs_stalls_no_core() {
    for engine in ["ring", "readiness"] {
        let Some(disk) = Disk::ext4(192) else { return };
        let node = Node::setup().storage(&disk.path().join("storage")).env("ENGINE", engine).start();
        let content = Oracle(8).bytes(0..6000);
        // None is complete: what the control plane confirms is recorded by the core itself.
        let uploads: Vec<_> = (0..4).map(|_| node.create(10_000)).collect();
        for upload in &uploads {
            node.patch(upload, 0, &content[..3000]).is(204);
        }
        std::thread::scope(|scope| {
            let frozen = disk.freeze();
            let (ended, ends) = std::sync::mpsc::channel();
            for upload in &uploads {
                let (node, content, ended) = (&node, &content, ended.clone());
                scope.spawn(move || {
                    let reply = node.try_send(&patch(upload, 3000, &content[3000..]));
                    ended.send(reply.map(|reply| reply.status).ok()).expect("the test listens");
                });
            }
            // Each connection is some core's; a core that hangs would keep some of them.
            for _ in 0..32 {
                node.send(&Request::get("/livez")).is(200);
            }
            assert!(ends.try_recv().is_err(), "{engine}: nothing can be written");
            drop(frozen);
            for _ in &uploads {
                assert_eq!(ends.recv().expect("an end"), Some(204), "{engine}");
            }
        });
        for upload in &uploads {
            assert_eq!(node.offset(upload), 6000);
        }
    }
}

#[test]
fn a_journal_that_hangs_stalls_no_core() {
    for engine in ["ring", "readiness"] {
        // The journal alone is on the disk that hangs; the files of objects are elsewhere.
        let Some(disk) = Disk::ext4_at(96, "storage/journal") else { return };
        let storage = disk.path().parent().expect("the storage directory");
        let node = Node::setup().storage(storage).env("ENGINE", engine).start();
        let content = Oracle(9).bytes(0..6000);
        let whole = node.complete(&content);
        let removed = node.complete(&content);
        let uploads: Vec<_> = (0..4).map(|_| node.create(6000)).collect();
        for upload in &uploads {
            node.patch(upload, 0, &content[..3000]).is(204);
        }
        std::thread::scope(|scope| {
            let frozen = disk.freeze();
            let (ended, ends) = std::sync::mpsc::channel();
            let mut asks: Vec<_> = uploads.iter().map(|upload| patch(upload, 3000, &content[3000..])).collect();
            asks.push(Request::new("DELETE", &removed.file()).header("X-API-Token", TOKEN));
            let asked = asks.len();
            for request in asks {
                let (node, ended) = (&node, ended.clone());
                scope.spawn(move || {
                    let reply = node.try_send(&request);
                    ended.send(reply.map(|reply| reply.status).ok()).expect("the test listens");
                });
            }
            for upload in &uploads {
                let file = storage.join("objects").join(&upload.id[..2]).join(&upload.id);
                wait::until("the bytes are in the file", || {
                    file.metadata().is_ok_and(|meta| meta.len() >= 6000).then_some(())
                });
            }
            // Each connection is some core's; a core that hangs would keep some of them.
            for _ in 0..32 {
                node.send(&Request::get("/livez")).is(200);
                assert!(node.get(&whole.download()).is(200).body == content, "{engine}: another content");
            }
            assert!(ends.try_recv().is_err(), "{engine}: nothing can be recorded");
            drop(frozen);
            for _ in 0..asked {
                assert!(matches!(ends.recv().expect("an end"), Some(200 | 204)), "{engine}");
            }
        });
        for upload in &uploads {
            node.whole(upload, &content);
        }
        node.get(&removed.download()).is(404);
    }
}

#[test]
fn a_clock_before_1970_starts_no_plane() {
    let dir = tempfile::tempdir().expect("a directory");
    let (source, library) = (dir.path().join("past.c"), dir.path().join("past.so"));
    let text = "#define _GNU_SOURCE\n#include <time.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n\
        int clock_gettime(clockid_t id, struct timespec *t) {\n\
        int r = syscall(SYS_clock_gettime, id, t);\n\
        if (id == CLOCK_REALTIME) t->tv_sec = -1000;\n\
        return r; }\n";
    std::fs::write(&source, text).expect("write the source");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(built.expect("cc, which also links this test").success());
    let preload = format!("LD_PRELOAD={}", library.display());
    let said = Node::setup().wrapped(&["env", &preload]).try_start().err().expect("it does not start");
    assert!(said.contains("before 1970"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
