//! Files: direct and buffered, names, room.

use std::fs::File;
use std::path::Path;
use std::rc::Rc;

use etransfer_disk::{Mode, OFlags};

use super::{Buf, FileHandle, Io, on, on_both, pattern};
use crate::config::EngineChoice;

const NEW: OFlags = OFlags::RDWR.union(OFlags::CREATE).union(OFlags::EXCL);
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);

fn dir(path: &Path) -> FileHandle {
    Rc::new(File::open(path).expect("a directory").into())
}

async fn round_trip(io: &Io, file: &FileHandle, buf: Buf) -> Buf {
    let content = pattern(1 << 20);
    let mut buf = buf;
    buf.copy_from_slice(&content);
    let (written, buf) = io.write_at(file, buf, 0..1 << 20, 8192).await;
    written.expect("written");
    let (written, mut buf) = io.write_at(file, buf, 4096..8192, 0).await;
    written.expect("written");
    buf.fill(0);
    let (read, buf) = io.read_at(file, buf, 0..1 << 20, 8192).await;
    assert_eq!(read.expect("read"), 1 << 20);
    assert!(buf[..] == content[..]);
    // At the end of the file a read is short.
    let (read, buf) = io.read_at(file, buf, 0..1 << 20, 4096 + (1 << 20)).await;
    assert_eq!(read.expect("read"), 4096);
    assert!(buf[..4096] == content[(1 << 20) - 4096..]);
    buf
}

#[test]
fn slots_are_written_directly_and_read_back() {
    on_both(|io| async move {
        let home = tempfile::tempdir().expect("a directory");
        let below = dir(home.path());
        let opened = io.open_at(&below, "direct", NEW | OFlags::DIRECT, MODE).await;
        let file = opened.expect("this file system takes O_DIRECT");
        io.allocate(&file, 0, 2 << 20).await.expect("room");
        io.truncate(&file, 8192 + (1 << 20)).await.expect("cut");
        let slot = io.take_slot().await;
        assert!(slot.is_slot() && slot.as_ptr().align_offset(4096) == 0);
        drop(round_trip(&io, &file, slot).await);
        io.sync_data(&file).await.expect("synced");
    });
}

#[test]
fn heap_buffers_are_written_through_the_cache() {
    on_both(|io| async move {
        let file: FileHandle = Rc::new(tempfile::tempfile().expect("a file").into());
        round_trip(&io, &file, Buf::heap(1 << 20)).await;
        let slot = io.take_slot().await;
        round_trip(&io, &file, slot).await;
    });
}

#[test]
fn many_writes_in_flight_land_where_they_belong() {
    on_both(|io| async move {
        let file: FileHandle = Rc::new(tempfile::tempfile().expect("a file").into());
        let content = pattern(64 * 4096);
        let writes: Vec<_> = (0..64)
            .rev()
            .map(|block| {
                let bytes = content[block * 4096..][..4096].to_vec();
                io.write_at(&file, Buf::from(bytes), 0..4096, block as u64 * 4096)
            })
            .collect();
        for write in writes {
            write.await.0.expect("written");
        }
        let (read, buf) = io.read_at(&file, Buf::heap(64 * 4096), 0..64 * 4096, 0).await;
        assert_eq!(read.expect("read"), 64 * 4096);
        assert!(buf[..] == content[..]);
    });
}

#[test]
fn names_are_resolved_below_the_directory_only() {
    on_both(|io| async move {
        let home = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink("/etc/passwd", home.path().join("link")).expect("a link");
        std::fs::create_dir(home.path().join("inner")).expect("a directory");
        let below = dir(home.path());
        io.open_at(&below, "inner/file", NEW, MODE).await.expect("made");
        let again = io.open_at(&below, "inner/file", NEW, MODE).await;
        assert_eq!(again.expect_err("it exists").kind(), std::io::ErrorKind::AlreadyExists);
        for (name, errno) in [
            ("link", libc::ELOOP),
            ("../x", libc::EXDEV),
            ("/etc/passwd", libc::EXDEV),
            ("missing", libc::ENOENT),
            ("a\0b", libc::EINVAL),
        ] {
            let error = io.open_at(&below, name, OFlags::RDONLY, Mode::empty()).await.expect_err(name);
            assert_eq!(error.raw_os_error(), Some(errno), "{name}: {error}");
        }
        io.unlink_at(&below, "inner/file").await.expect("removed");
        let gone = io.unlink_at(&below, "inner/file").await.expect_err("it is gone");
        assert_eq!(gone.kind(), std::io::ErrorKind::NotFound);
    });
}

#[test]
fn write_now_is_there_at_once() {
    on_both(|io| async move {
        let file: FileHandle = Rc::new(tempfile::tempfile().expect("a file").into());
        io.write_now(&file, b"0123456789", 5).expect("written");
        let (read, buf) = io.read_at(&file, Buf::heap(64), 10..60, 0).await;
        assert_eq!((read.expect("read"), &buf[10..25]), (15, &b"\0\0\0\0\x000123456789"[..]));
    });
}

#[test]
fn a_full_disk_and_a_read_only_file_are_told() {
    on_both(|io| async move {
        let full: FileHandle = Rc::new(File::options().write(true).open("/dev/full").expect("a device").into());
        let (written, buf) = io.write_at(&full, Buf::heap(100), 0..100, 0).await;
        assert_eq!(written.expect_err("full").raw_os_error(), Some(libc::ENOSPC));
        assert_eq!(buf.len(), 100);
        let read_only: FileHandle = Rc::new(File::open("/dev/null").expect("a device").into());
        let (written, _) = io.write_at(&read_only, buf, 0..100, 0).await;
        assert_eq!(written.expect_err("read-only").raw_os_error(), Some(libc::EBADF));
    });
}

#[test]
fn without_slots_there_is_still_heap_memory() {
    for engine in [EngineChoice::Ring, EngineChoice::Readiness] {
        on(engine, 0, |io| async move {
            assert!(io.try_slot().is_none());
            let file: FileHandle = Rc::new(tempfile::tempfile().expect("a file").into());
            round_trip(&io, &file, Buf::heap(1 << 20)).await;
        });
    }
}
