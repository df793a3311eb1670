//! What the peer of a TCP socket has not acknowledged, as the kernel counts it (`tcp(7)`, `linux/sockios.h`). Never waits, and
//! works on a connection that was reset too: its counters stay as they were.

use std::ffi::c_int;
use std::io;
use std::os::fd::AsFd;

use rustix::ioctl::{Getter, Opcode, ioctl};

/// Bytes of the send queue that were not acknowledged.
const SIOCOUTQ: Opcode = 0x5411;
/// Bytes of the send queue that never left.
const SIOCOUTQNSD: Opcode = 0x894B;

/// The end of what was written into a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unacknowledged {
    /// The peer's kernel has not acknowledged these last bytes.
    pub bytes: u64,
    /// Of them, the last ones that were never put on the network.
    pub unsent: u64,
}

/// Reads the counters of the kernel.
pub fn unacknowledged(socket: impl AsFd) -> io::Result<Unacknowledged> {
    let bytes = look::<SIOCOUTQ>(&socket)?;
    // Second: a segment that leaves between the two calls counts as one that left.
    let unsent = look::<SIOCOUTQNSD>(&socket)?;
    Ok(Unacknowledged { bytes, unsent: unsent.min(bytes) })
}

fn look<const REQUEST: Opcode>(socket: impl AsFd) -> io::Result<u64> {
    // SAFETY: both requests write exactly one C `int` and read nothing.
    let request = unsafe { Getter::<REQUEST, c_int>::new() };
    // SAFETY: as above; a descriptor that is no such socket answers with an error and writes nothing.
    let bytes = unsafe { ioctl(socket, request) }?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, client)
    }

    fn until(socket: &TcpStream, met: impl Fn(Unacknowledged) -> bool) -> Unacknowledged {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let now = unacknowledged(socket).unwrap();
            if met(now) {
                return now;
            }
            assert!(Instant::now() < deadline, "{now:?}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_the_peer_read_is_acknowledged() {
        let (mut node, mut client) = pair();
        node.write_all(&[7; 1000]).unwrap();
        client.read_exact(&mut [0; 1000]).unwrap();
        until(&node, |now| now == Unacknowledged { bytes: 0, unsent: 0 });
    }

    #[test]
    fn what_a_reset_left_behind_is_still_counted() {
        let (mut node, client) = pair();
        node.set_nonblocking(true).unwrap();
        let mut taken = 0;
        while let Ok(bytes) = node.write(&[7; 65_536]) {
            taken += bytes as u64;
        }
        // The client reads nothing, so its window is full: the rest never leaves.
        let full = until(&node, |now| now.unsent > 0 && now.unsent == now.bytes);
        assert!(full.bytes < taken, "its kernel has some of it");
        drop(client);
        let deadline = Instant::now() + Duration::from_secs(30);
        while node.write(&[7]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            assert!(Instant::now() < deadline, "the reset is noticed");
        }
        let after = unacknowledged(&node).unwrap();
        assert!(after.bytes > 0 && after.bytes <= full.bytes, "{full:?} {after:?}");
    }

    #[test]
    fn what_is_no_tcp_socket_cannot_tell() {
        assert!(unacknowledged(std::fs::File::open("/dev/null").unwrap()).is_err());
    }
}
