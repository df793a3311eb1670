//! Listening sockets: one per core and address, all with `SO_REUSEPORT`, so that the kernel spreads connections over the
//! cores and each core accepts only its own.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, Socket, Type};

use crate::node::StartError;

/// Connections the kernel keeps until they are accepted, per listener.
const BACKLOG: i32 = 4096;

/// Binds every address once per core; a port 0 is chosen by the first core and shared by the others.
pub fn bind_all(configured: &[SocketAddr], cores: usize) -> Result<(Vec<SocketAddr>, Vec<Vec<OwnedFd>>), StartError> {
    let mut addresses = Vec::with_capacity(configured.len());
    let mut listeners: Vec<Vec<OwnedFd>> = (0..cores).map(|_| Vec::new()).collect();
    for &address in configured {
        let failed = |error| StartError::Listen { address, error };
        refuse_taken(address).map_err(failed)?;
        let mut bound = address;
        for core in &mut listeners {
            let socket = bind(bound).map_err(failed)?;
            bound = local(&socket).map_err(failed)?;
            core.push(socket.into());
        }
        addresses.push(bound);
    }
    Ok((addresses, listeners))
}

/// `SO_REUSEPORT` lets two nodes of one user share a port without a word; a bind without it tells.
fn refuse_taken(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let socket = stream(address)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = stream(address)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn stream(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn local(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?;
    address.as_socket().ok_or_else(|| io::Error::other("a TCP socket without an IP address"))
}
