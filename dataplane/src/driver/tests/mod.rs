//! What [`Io`] promises, kept by both drivers.

mod files;
mod life;
mod sockets;
mod streams;

use std::future::Future;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::*;
use crate::config::EngineChoice;

/// Runs `main` as a core on its own thread, once per engine.
fn on_both<Fut>(main: impl Fn(Io) -> Fut + Clone + Send + 'static)
where
    Fut: Future<Output = ()> + 'static,
{
    for engine in [EngineChoice::Ring, EngineChoice::Readiness] {
        on(engine, 8, main.clone());
    }
}

fn on<Fut>(engine: EngineChoice, slots: usize, main: impl FnOnce(Io) -> Fut + Send + 'static)
where
    Fut: Future<Output = ()> + 'static,
{
    let options = CoreOptions { engine, slots, ..CoreOptions::default() };
    let core = std::thread::Builder::new().name(format!("{engine:?}"));
    let core = core.spawn(move || run_core(options, main)).expect("a thread");
    core.join().expect("the core's thread").unwrap_or_else(|error| panic!("{engine:?}: {error}"));
}

fn listener() -> (Fd, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    (Rc::new(OwnedFd::from(listener)), address)
}

/// A connection: the core's end, and an ordinary blocking socket.
async fn pair(io: &Io) -> (Fd, TcpStream) {
    let (listener, address) = listener();
    let client = TcpStream::connect(address).expect("the listener is there");
    let (socket, peer) = io.accept(&listener).await.expect("a connection is waiting");
    assert_eq!(peer, client.local_addr().expect("connected"));
    (Rc::new(socket), client)
}

/// Bytes that tell their place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

/// A Unix listener with a small queue.
fn unix_listener(path: &std::path::Path, backlog: i32) -> Fd {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
    let server = socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
    bind(&server, &SocketAddrUnix::new(path).expect("short enough")).expect("bound");
    listen(&server, backlog).expect("listening");
    Rc::new(server)
}

/// How many descriptors this process has, once nothing is in flight but the doorbell.
async fn descriptors_settled(io: &Io) -> usize {
    while io.in_flight() > 0 {
        io.sleep(std::time::Duration::from_millis(1)).await;
    }
    std::fs::read_dir("/proc/self/fd").expect("procfs").count()
}
