//! A store takes disk, clocks, randomness and threads from the machine that it is handed, and from nowhere else. Method: a
//! machine whose clocks stand still and whose files have no descriptor that the store could use by itself.
use std::ffi::OsStr;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use etransfer_disk::{Disk, OpenFile, Space, Stat};

use super::*;
use crate::driver::{Host, Machine};

/// What its wall clock shows.
const WALL: Duration = Duration::from_millis(1_234_567_890_123);

#[derive(Debug)]
struct StoppedClock {
    now: Instant,
    parallel: AtomicUsize,
}

impl Host for StoppedClock {
    fn disk(&self) -> &dyn Disk {
        self
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn unix_time(&self) -> Duration {
        WALL
    }

    fn random(&self) -> io::Result<u64> {
        Ok(42)
    }

    fn in_parallel(&self, work: &(dyn Fn() + Sync)) {
        self.parallel.fetch_add(1, Ordering::Relaxed);
        work();
    }
}

impl Disk for StoppedClock {
    fn open(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<File> {
        Os.open(path, flags, mode).map(wrap)
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        Os.make_directory(path)
    }

    fn is_there(&self, path: &Path) -> bool {
        Os.is_there(path)
    }

    fn owner_of(&self, path: &Path) -> io::Result<u32> {
        Os.owner_of(path)
    }

    fn rename(&self, path: &Path, new: &Path) -> io::Result<()> {
        Os.rename(path, new)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        Os.unlink(path)
    }

    fn link(&self, path: &Path, directory: &File, name: &str) -> io::Result<()> {
        Os.link(path, inner(directory), name)
    }

    fn boot_id(&self) -> io::Result<[u8; 36]> {
        Os.boot_id()
    }
}

/// A file whose descriptor is not to be had.
#[derive(Debug)]
struct Wrapped(File);

fn wrap(file: File) -> File {
    File::other(Wrapped(file))
}

fn inner(file: &File) -> &File {
    &file.downcast::<Wrapped>().expect("a file of this disk").0
}

impl OpenFile for Wrapped {
    fn open_at(&self, name: &str, flags: OFlags, mode: Mode) -> io::Result<File> {
        self.0.open_at(name, flags, mode).map(wrap)
    }

    fn make_directory_at(&self, name: &str) -> io::Result<()> {
        self.0.make_directory_at(name)
    }

    fn rename_at(&self, name: &str, to: &File, new: &str) -> io::Result<()> {
        self.0.rename_at(name, inner(to), new)
    }

    fn rename_to_free_at(&self, name: &str, to: &File, new: &str) -> io::Result<()> {
        self.0.rename_to_free_at(name, inner(to), new)
    }

    fn unlink_at(&self, name: &str) -> io::Result<()> {
        self.0.unlink_at(name)
    }

    fn stat_at(&self, name: &str) -> io::Result<Stat> {
        self.0.stat_at(name)
    }

    fn each_name(&self, visit: &mut dyn FnMut(&OsStr) -> io::Result<ControlFlow<()>>) -> io::Result<()> {
        self.0.each_name(visit)
    }

    fn stat(&self) -> io::Result<Stat> {
        self.0.stat()
    }

    fn space(&self) -> io::Result<Space> {
        self.0.space()
    }

    fn mount_id(&self) -> Option<u64> {
        self.0.mount_id()
    }

    fn try_lock(&self) -> io::Result<()> {
        self.0.try_lock()
    }

    fn unlock(&self) -> io::Result<()> {
        self.0.unlock()
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        self.0.read_at(bytes, at)
    }

    fn read_direct_at(&self, bytes: &mut [u8], at: u64) -> io::Result<Option<usize>> {
        self.0.read_direct_at(bytes, at)
    }

    fn is_cached(&self, at: u64) -> bool {
        self.0.is_cached(at)
    }

    fn drop_cached(&self) -> io::Result<()> {
        self.0.drop_cached()
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        self.0.write_at(bytes, at)
    }

    fn copy_from(&self, at: u64, from: &File, from_at: u64, length: u64) -> io::Result<u64> {
        self.0.copy_from(at, inner(from), from_at, length)
    }

    fn allocate(&self, at: u64, length: u64) -> io::Result<()> {
        self.0.allocate(at, length)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.truncate(length)
    }

    fn make_private(&self) -> io::Result<()> {
        self.0.make_private()
    }

    fn set_blocking(&self) -> io::Result<()> {
        self.0.set_blocking()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn sync_file_system(&self) -> io::Result<()> {
        self.0.sync_file_system()
    }

    fn try_clone(&self) -> io::Result<File> {
        self.0.try_clone().map(wrap)
    }
}

fn start(root: &Path, machine: &Machine, boot: BootId) -> (Arc<Store>, Replayed) {
    Store::open_in(StoreOptions { machine: machine.clone(), ..options(root, 1) }, boot).unwrap()
}

/// Uploads, an import, a removal, a checkpoint, a power loss, an orphan; what the journal is then.
fn live(root: &Path, machine: &Machine) -> Vec<(PathBuf, Vec<u8>)> {
    let (store, _) = start(root, machine, BOOT);
    store_bytes(&store, id(1), Some(10), 0, b"hello");
    store_complete(&store, id(2), b"whole", true);
    let foreign = root.join("foreign");
    std::fs::write(&foreign, b"another program's").unwrap();
    let pieces = [Foreign { path: foreign, from: 2, span: span(0, 9) }];
    store.adopt(id(3), 9, &pieces, Placing::Copy).unwrap();
    erase(&store, id(2));
    store.compact().unwrap();
    assert!(store.verify(id(1)).unwrap().damaged.is_empty());
    store_bytes(&store, id(1), None, 5, b"wor");
    store.close().unwrap();
    drop(store);
    std::fs::write(root.join("objects").join(ObjectPath::of(id(9)).as_str()), b"an orphan").unwrap();
    let (store, replayed) = start(root, machine, BootId([2; 16]));
    assert_eq!((replayed.objects, replayed.orphans, replayed.took), (2, 1, Duration::ZERO));
    let wall_ms = WALL.as_millis() as u64;
    assert_eq!(store.find(id(1)).unwrap().look().written_unix_ms, wall_ms);
    let aside = store.quarantined().unwrap();
    assert_eq!(aside.iter().map(|aside| (aside.object, aside.at_unix_ms)).collect::<Vec<_>>(), [(id(9), wall_ms)]);
    drop(store);
    let files = journal_files(root).into_iter();
    files.map(|path| (path.strip_prefix(root).unwrap().to_owned(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn two_lives_on_one_machine_write_the_same_journal() {
    let host = Arc::new(StoppedClock { now: Instant::now(), parallel: AtomicUsize::new(0) });
    let machine = Machine::other(Arc::<StoppedClock>::clone(&host));
    let [first, second] = [directory(), directory()].map(|root| live(root.path(), &machine));
    assert!(first.len() > 1);
    assert_eq!(first, second);
    assert!(host.parallel.load(Ordering::Relaxed) >= 4, "each start walks the objects");
}
