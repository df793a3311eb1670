//! Listening sockets: one per core and address, all with `SO_REUSEPORT`, so that the kernel spreads connections over the
//! cores and each core accepts only its own.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, Socket, Type};

use crate::start_error::StartError;

/// Connections the kernel keeps until they are accepted, per listener.
const BACKLOG: i32 = 4096;

/// How often another free port is chosen when it is taken on one of the other addresses.
const PORT_TRIES: usize = 16;

/// What is bound: the addresses with their ports, and for each core its listeners in the same order.
pub type Bound = (Vec<SocketAddr>, Vec<Vec<OwnedFd>>);

/// Binds every address once per core, to its device too when it has one; a port 0 is chosen by the first listener and
/// shared by all of them.
pub fn bind_all(
    configured: &[SocketAddr],
    devices: &BTreeMap<IpAddr, String>,
    cores: usize,
) -> Result<Bound, StartError> {
    let mut tries = 1;
    loop {
        match try_bind_all(configured, devices, cores) {
            Err(StartError::Listen { address, error })
                if address.port() == 0 && error.kind() == io::ErrorKind::AddrInUse && tries < PORT_TRIES =>
            {
                tries += 1;
            }
            other => return other,
        }
    }
}

fn try_bind_all(
    configured: &[SocketAddr],
    devices: &BTreeMap<IpAddr, String>,
    cores: usize,
) -> Result<Bound, StartError> {
    let mut addresses = Vec::with_capacity(configured.len());
    let mut listeners: Vec<Vec<OwnedFd>> = (0..cores).map(|_| Vec::new()).collect();
    let mut chosen = None;
    for &address in configured {
        let failed = |error| StartError::Listen { address, error };
        let mut bound = address;
        if let (0, Some(port)) = (address.port(), chosen) {
            bound.set_port(port);
        }
        refuse_taken(bound).map_err(failed)?;
        for core in &mut listeners {
            let socket = stream(bound).map_err(failed)?;
            if let Some(device) = devices.get(&address.ip()) {
                let refused = |error| StartError::Device { address, device: device.clone(), error };
                socket.bind_device(Some(device.as_bytes())).map_err(refused)?;
            }
            bound = listen(&socket, bound).map_err(failed)?;
            core.push(socket.into());
        }
        chosen = Some(bound.port());
        addresses.push(bound);
    }
    Ok((addresses, listeners))
}

/// `SO_REUSEPORT` lets two nodes of one user share a port silently; a bind without it fails when the port is taken.
fn refuse_taken(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let socket = stream(address)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

/// Returns the bound address, with a real port in place of 0.
fn listen(socket: &Socket, address: SocketAddr) -> io::Result<SocketAddr> {
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let bound = socket.local_addr()?;
    bound.as_socket().ok_or_else(|| io::Error::other("a TCP socket without an IP address"))
}

fn stream(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_the_same_one_for_every_address_and_core() {
        let configured: Vec<SocketAddr> =
            ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"].iter().map(|text| text.parse().unwrap()).collect();
        let (addresses, listeners) = bind_all(&configured, &BTreeMap::new(), 2).unwrap();
        let port = addresses[0].port();
        assert!(port > 0);
        let expected: Vec<SocketAddr> = configured.iter().map(|at| SocketAddr::new(at.ip(), port)).collect();
        assert_eq!(addresses, expected);
        assert_eq!(listeners.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3]);
        // A port in use is refused, although both sides would share it.
        assert!(matches!(bind_all(&addresses[1..2], &BTreeMap::new(), 1), Err(StartError::Listen { .. })));
    }

    #[test]
    fn a_device_that_is_not_there_is_named() {
        let devices = BTreeMap::from([(IpAddr::from([127, 0, 0, 1]), "no-such-nic".to_owned())]);
        let error = bind_all(&["127.0.0.1:0".parse().unwrap()], &devices, 1).unwrap_err();
        assert!(error.to_string().starts_with("bind 127.0.0.1:0 to no-such-nic: No such device"), "{error}");
        let StartError::Device { address, device, .. } = error else { panic!("{error}") };
        let refused = StartError::Device { address, device, error: io::ErrorKind::PermissionDenied.into() };
        assert!(refused.to_string().contains("it needs CAP_NET_RAW"), "{refused}");
    }
}
