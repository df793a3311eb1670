//! The driver of a core, as the configuration chooses it: the ring, or epoll where io_uring is refused.

use std::io;
use std::sync::Arc;

use super::engine_agreement::EngineVote;
use super::epoll::Epoll;
use super::remote::Mailbox;
use super::ring::Ring;
use super::{CoreOptions, Driver};
use crate::config::EngineChoice;

/// The driver for a core with these options; with others it agrees on one ([`EngineVote`]).
pub(super) fn driver(options: &CoreOptions, mailbox: &Arc<Mailbox>, vote: EngineVote) -> io::Result<Box<dyn Driver>> {
    let ring = || Ring::new(mailbox.doorbell(), options.slots);
    Ok(match options.engine {
        EngineChoice::Ring => Box::new(ring().map_err(|error| {
            let text = format!("io_uring is refused ({error}): {}; or set server.engine to auto", remedy(&error));
            io::Error::new(error.kind(), text)
        })?),
        EngineChoice::Readiness => Box::new(Epoll::new(mailbox.doorbell())?),
        EngineChoice::Auto => {
            let ring = ring();
            let agreed = vote.cast(ring.is_ok());
            match ring {
                Ok(ring) if agreed.on_ring => return Ok(Box::new(ring)),
                Err(error) if agreed.is_first_without => tracing::warn!(
                    core = options.core,
                    %error,
                    "no io_uring: all cores run on readiness (epoll), at 1.3 to 1.8 times the CPU; {}",
                    remedy(&error)
                ),
                Ok(_) | Err(_) => {}
            }
            Box::new(Epoll::new(mailbox.doorbell())?)
        }
    })
}

/// What to do about a refused ring.
fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "in a container, allow io_uring_setup, io_uring_enter and io_uring_register in its seccomp profile; \
             on a host, set sysctl kernel.io_uring_disabled=0"
        }
        Some(libc::ENOSYS) => "this kernel has no io_uring, or a seccomp profile hides it; 6.1 is the floor",
        Some(libc::ENOMEM) => "raise the locked-memory limit (ulimit -l, LimitMEMLOCK=)",
        _ => "6.1 is the oldest kernel it runs on, 6.12 and later are recommended",
    }
}
