//! The bare loop of io.md §7, a process of its own: one thread, one ring, RECV WAITALL into registered aligned 1 MiB slots,
//! (CRC-32 while hot), O_DIRECT WRITE_FIXED at depth 2 into preallocated files. No HTTP, no journal, no grant: what the
//! kernel alone costs. Connection number n sends the bytes of file n and gets one byte back when all are written.
//!
//! What must stay true: a slot is touched by us only between the completion that filled it and the write that empties it,
//! and everything the ring was given outlives the ring.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, RawFd};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use io_uring::{IoUring, cqueue, opcode, types};
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, openat};

use super::process::{Process, pinned};
use super::settings::{MIB, Settings};

/// First argument that makes this program the bare loop.
pub const ROLE: &str = "bare-loop";
const SLOT_BYTES: usize = MIB as usize;
const DEPTH: usize = 2;
/// Slots start on a huge page.
const ARENA_ALIGN: usize = 2 << 20;
const MSG_WAITALL: i32 = 0x100;

/// What becomes of a filled slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    Discard,
    Write,
    WriteWithCrc,
}

const SINKS: [(&str, Sink); 3] =
    [("discard", Sink::Discard), ("write", Sink::Write), ("write+crc", Sink::WriteWithCrc)];

/// Starts the bare loop on the server's CPU; the address it listens on.
pub fn start(settings: &Settings, sink: Sink, dir: &Path) -> Result<(Process, std::net::SocketAddr)> {
    let name = SINKS.iter().find(|(_, known)| *known == sink).expect("every sink is named").0;
    let mut command = pinned(settings.server_cpu, std::env::current_exe()?);
    command.args([ROLE, name, &settings.files.to_string(), &settings.file_bytes.to_string()]).arg(dir);
    let mut process = Process::start({
        command.stdout(std::process::Stdio::piped());
        command
    })?;
    let mut line = String::new();
    let output = process.child().stdout.take().context("standard output is piped")?;
    io::BufRead::read_line(&mut io::BufReader::new(output), &mut line)?;
    Ok((process, line.trim().parse().with_context(|| format!("the bare loop says {line:?}"))?))
}

/// The file that connection number `index` fills.
pub fn file_path(dir: &Path, index: usize) -> PathBuf {
    dir.join(format!("bare-{index}"))
}

/// The bare loop itself: `<sink> <files> <bytes each> <directory>`.
pub fn run(args: &[String]) -> Result<()> {
    let [sink, files, bytes, dir] = args else { bail!("{ROLE} <sink> <files> <bytes> <directory>") };
    let sink = SINKS.iter().find(|(name, _)| name == sink).context("no such sink")?.1;
    let (count, bytes, dir): (usize, u64, PathBuf) = (files.parse()?, bytes.parse()?, dir.into());
    ensure!(bytes % MIB == 0, "whole slots only: the bare loop knows no tail");
    let mut files = Vec::new();
    if sink != Sink::Discard {
        for index in 0..count {
            files.push(preallocated(&file_path(&dir, index), bytes)?);
        }
    }
    let arena = Arena::new(count * DEPTH);
    let mut ring = build_ring(&arena)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?);

    let mut lanes = Vec::new();
    for index in 0..count {
        lanes.push(Lane::new(listener.accept()?.0, files.get(index), bytes, index));
    }
    turn(&mut ring, &arena, &mut lanes, sink)?;
    // The parent reads our CPU time before it ends us.
    loop {
        std::thread::park();
    }
}

fn preallocated(path: &Path, bytes: u64) -> Result<File> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::DIRECT | OFlags::CLOEXEC;
    let file = openat(rustix::fs::CWD, path, flags, Mode::from_raw_mode(0o600)).context("open direct")?;
    fallocate(&file, FallocateFlags::empty(), 0, bytes).context("preallocate")?;
    Ok(file.into())
}

fn build_ring(arena: &Arena) -> Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun().setup_coop_taskrun();
    let ring = builder.build(64)?;
    arena.register(&ring)?;
    ring.submitter().register_ring_fd()?;
    Ok(ring)
}

/// One connection on its way into one file.
struct Lane {
    socket: TcpStream,
    file: RawFd,
    left: u64,
    offset: u64,
    receiving: bool,
    /// Bytes in a slot on their way to the disk; 0: free.
    writing: [usize; DEPTH],
    first_slot: usize,
    crc: crc32fast::Hasher,
}

impl Lane {
    fn new(socket: TcpStream, file: Option<&File>, bytes: u64, index: usize) -> Self {
        let file = file.map_or(-1, |file| file.as_raw_fd());
        let crc = crc32fast::Hasher::new();
        let first_slot = index * DEPTH;
        Self { socket, file, left: bytes, offset: 0, receiving: false, writing: [0; DEPTH], first_slot, crc }
    }

    fn is_done(&self) -> bool {
        self.left == 0 && self.writing == [0; DEPTH]
    }
}

/// Which completion this is: lane, slot of the lane, and whether it is a write.
fn tag(lane: usize, slot: usize, write: bool) -> u64 {
    (lane * DEPTH + slot) as u64 * 2 + u64::from(write)
}

/// Runs all lanes to their end.
fn turn(ring: &mut IoUring, arena: &Arena, lanes: &mut [Lane], sink: Sink) -> Result<()> {
    for index in 0..lanes.len() {
        receive(ring, arena, lanes, index)?;
    }
    let mut done = 0;
    let mut completions: Vec<cqueue::Entry> = Vec::with_capacity(64);
    while done < lanes.len() {
        ring.submit_and_wait(1)?;
        completions.extend(ring.completion());
        for completion in completions.drain(..) {
            let (token, result) = (completion.user_data(), completion.result());
            let came = usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))?;
            let (index, slot) = (token as usize / 2 / DEPTH, token as usize / 2 % DEPTH);
            if token & 1 == 1 {
                ensure!(came == lanes[index].writing[slot], "short write of {came}");
                lanes[index].writing[slot] = 0;
            } else {
                filled(ring, arena, &mut lanes[index], index, slot, came, sink)?;
            }
            receive(ring, arena, lanes, index)?;
            if lanes[index].is_done() {
                std::hint::black_box(lanes[index].crc.clone().finalize());
                lanes[index].socket.write_all(&[1])?;
                done += 1;
            }
        }
    }
    Ok(())
}

/// A slot has been filled: to the disk with it.
fn filled(
    ring: &mut IoUring,
    arena: &Arena,
    lane: &mut Lane,
    index: usize,
    slot: usize,
    came: usize,
    sink: Sink,
) -> Result<()> {
    ensure!(came > 0, "connection {index} closed with {} bytes missing", lane.left);
    lane.receiving = false;
    lane.left -= came as u64;
    let number = lane.first_slot + slot;
    match sink {
        Sink::Discard => return Ok(()),
        Sink::Write => {}
        Sink::WriteWithCrc => lane.crc.update(arena.slot(number, came)),
    }
    let write = opcode::WriteFixed::new(types::Fd(lane.file), arena.address(number), came as u32, number as u16);
    let write = write.offset(lane.offset).build().user_data(tag(index, slot, true));
    lane.offset += came as u64;
    lane.writing[slot] = came;
    push(ring, &write)
}

/// Receives into a free slot, if there is one and bytes are missing.
fn receive(ring: &mut IoUring, arena: &Arena, lanes: &mut [Lane], index: usize) -> Result<()> {
    let lane = &mut lanes[index];
    let Some(slot) = lane.writing.iter().position(|bytes| *bytes == 0) else { return Ok(()) };
    if lane.receiving || lane.left == 0 {
        return Ok(());
    }
    lane.receiving = true;
    let want = lane.left.min(SLOT_BYTES as u64) as u32;
    let socket = types::Fd(lane.socket.as_raw_fd());
    let receive = opcode::Recv::new(socket, arena.address(lane.first_slot + slot), want).flags(MSG_WAITALL);
    push(ring, &receive.build().user_data(tag(index, slot, false)))
}

fn push(ring: &mut IoUring, entry: &io_uring::squeue::Entry) -> Result<()> {
    // SAFETY: sockets, files and slots named by entries live until `run` ends, which waits for the last completion.
    unsafe { ring.submission().push(entry) }.context("the submission queue holds two entries per lane")
}

/// Registered memory: slots one behind the other.
struct Arena {
    start: *mut u8,
    slots: usize,
}

impl Arena {
    fn new(slots: usize) -> Self {
        let layout = std::alloc::Layout::from_size_align(slots * SLOT_BYTES, ARENA_ALIGN).expect("a small arena");
        // SAFETY: the layout is not empty; the memory is never freed.
        let start = unsafe { std::alloc::alloc(layout) };
        assert!(!start.is_null(), "no memory for {slots} slots");
        // SAFETY: the range is ours; the advice changes nothing but page sizes. Refused: small pages.
        let _ = unsafe { rustix::mm::madvise(start.cast(), layout.size(), rustix::mm::Advice::LinuxHugepage) };
        // SAFETY: the range is ours and as long as the layout says.
        unsafe { start.write_bytes(1, layout.size()) };
        Self { start, slots }
    }

    fn register(&self, ring: &IoUring) -> io::Result<()> {
        let slots: Vec<io::IoSliceMut<'_>> = (0..self.slots)
            // SAFETY: each slot lies inside the arena and slots do not overlap; the slices live for this call only.
            .map(|slot| io::IoSliceMut::new(unsafe { std::slice::from_raw_parts_mut(self.address(slot), SLOT_BYTES) }))
            .collect();
        // SAFETY: `IoSliceMut` has the layout of `iovec` (std promises it); the arena outlives the ring.
        unsafe { ring.submitter().register_buffers(std::slice::from_raw_parts(slots.as_ptr().cast(), slots.len())) }
    }

    fn address(&self, slot: usize) -> *mut u8 {
        assert!(slot < self.slots);
        self.start.wrapping_add(slot * SLOT_BYTES)
    }

    fn slot(&self, slot: usize, len: usize) -> &[u8] {
        assert!(len <= SLOT_BYTES);
        // SAFETY: inside the arena; the receive that filled it has completed and its write is not submitted yet.
        unsafe { std::slice::from_raw_parts(self.address(slot), len) }
    }
}
