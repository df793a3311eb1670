//! Building a ring: the best flags the kernel grants, the operations it must know, and its bounds. Whatever is merely
//! nice to have is tried and let go; whatever is needed and missing is an error, and `auto` then takes readiness.

use std::io;

use io_uring::{IoUring, Probe, opcode};

/// Submission queue entries, best first: the queues count as locked memory, and an ordinary user may have little. A full
/// queue is submitted early, so this bounds a batch and nothing else.
const SQ_ENTRIES: [u32; 3] = [512, 128, 32];
/// Completions per submission. Beyond that the kernel keeps completions scratch, which only costs time.
const CQ_FACTOR: u32 = 8;
/// Kernel worker threads per core, of either kind.
const WORKERS_MAX: u32 = 4;

/// What this kernel's ring can do beyond the minimum.
#[derive(Debug, Clone, Copy)]
pub struct Abilities {
    /// `IORING_OP_FTRUNCATE` (6.9).
    pub truncate: bool,
}

/// Operations without which this engine does not run.
const NEEDED: [u8; 14] = [
    opcode::Accept::CODE,
    opcode::AsyncCancel::CODE,
    opcode::Connect::CODE,
    opcode::Fallocate::CODE,
    opcode::Fsync::CODE,
    opcode::OpenAt2::CODE,
    opcode::PollAdd::CODE,
    opcode::Read::CODE,
    opcode::ReadFixed::CODE,
    opcode::Recv::CODE,
    opcode::Send::CODE,
    opcode::UnlinkAt::CODE,
    opcode::Write::CODE,
    opcode::WriteFixed::CODE,
];

/// A ring for the calling thread.
pub fn ring() -> io::Result<(IoUring, Abilities)> {
    let ring = granted()?;
    if !ring.params().is_feature_ext_arg() || !ring.params().is_feature_nodrop() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "this kernel's io_uring is too old (6.1 is the floor)"));
    }
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    if let Some(missing) = NEEDED.iter().find(|code| !probe.is_supported(**code)) {
        let what = format!("this kernel's io_uring lacks operation {missing} (6.1 is the floor)");
        return Err(io::Error::new(io::ErrorKind::Unsupported, what));
    }
    bound_workers(&ring);
    Ok((ring, Abilities { truncate: probe.is_supported(opcode::Ftruncate::CODE) }))
}

/// Smaller queues when memory is refused, down to the smallest.
fn granted() -> io::Result<IoUring> {
    let mut last = Err(io::ErrorKind::OutOfMemory.into());
    for entries in SQ_ENTRIES {
        last = granted_with(entries);
        match &last {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {
                tracing::debug!(entries, "no memory for queues of this size, one step down (RLIMIT_MEMLOCK)");
            }
            Ok(_) | Err(_) => break,
        }
    }
    last
}

/// The ladder: deferred task work, cooperative task work, plain. Only "I do not know that flag" goes a step down.
fn granted_with(entries: u32) -> io::Result<IoUring> {
    let mut deferred = IoUring::builder();
    deferred.setup_submit_all().setup_taskrun_flag().setup_coop_taskrun().setup_single_issuer().setup_defer_taskrun();
    let mut cooperative = IoUring::builder();
    cooperative.setup_submit_all().setup_taskrun_flag().setup_coop_taskrun();
    for mut builder in [deferred, cooperative] {
        match builder.setup_cqsize(CQ_FACTOR * entries).dontfork().build(entries) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                tracing::debug!("the ring refuses its best flags, one step down");
            }
            result => return result,
        }
    }
    IoUring::builder().setup_cqsize(CQ_FACTOR * entries).dontfork().build(entries)
}

/// Workers run what the kernel cannot do without blocking (sync, open). Few, and only where this process may run.
fn bound_workers(ring: &IoUring) {
    if let Err(error) = ring.submitter().register_iowq_max_workers(&mut [WORKERS_MAX, WORKERS_MAX]) {
        tracing::debug!(%error, "the ring's workers stay unbounded");
    }
    // SAFETY: an all-zero cpu_set_t is the empty set, and CPU_SET stays inside it (it ignores numbers beyond its size).
    let cpus = unsafe {
        let mut cpus: libc::cpu_set_t = std::mem::zeroed();
        crate::driver::allowed_cpus().into_iter().for_each(|cpu| libc::CPU_SET(cpu, &mut cpus));
        cpus
    };
    if let Err(error) = ring.submitter().register_iowq_aff(&cpus) {
        tracing::debug!(%error, "the ring's workers may run anywhere");
    }
}
