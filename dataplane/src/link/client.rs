//! Requests to the control plane over its Unix socket: a few kept-alive connections per core.
//!
//! Must stay true: a connection goes back to the pool only after its answer was read to the end. A request that may change
//! something is carried out at most once: when a pooled connection turns out dead it is sent again only if the control plane
//! cannot have it, because the connection took nothing of it; after that, no answer is an error of its own.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::time::Duration;

use etransfer_contract::fact::{Claim, Verdict};
use etransfer_contract::link::{CALL, CLAIM_PATH};
use etransfer_disk::Disk;
use event_listener::Event;
use rustix::net::sockopt::socket_peercred;

use crate::body::{Body, BodyError, Fill};
use crate::bounds::{CONTROL_ANSWER_BYTES_MAX, CONTROL_ANSWER_WAIT, CONTROL_IDLE_MAX, CONTROL_REQUESTS_MAX};
use crate::driver::{Buf, Fd, Io};
use crate::http::ResponseHead;
use crate::wire::{Wire, WireError};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlLinkError {
    /// The control plane is away or does not answer.
    #[error("the control plane is away: {0}")]
    Away(#[from] WireError),
    /// Another user's program listens there; nothing is sent to it.
    #[error("{0} is another user's socket, not the control plane's")]
    Foreign(PathBuf),
    /// It answered something that is no HTTP, or too much.
    #[error("the control plane's answer cannot be read")]
    Garbled,
    /// Too many requests wait for it.
    #[error("too many requests wait for the control plane")]
    Crowded,
}

/// The link of one core.
pub struct ControlLink {
    io: Io,
    path: PathBuf,
    idle: RefCell<Vec<Wire>>,
    open: Cell<usize>,
    turn: Event,
}

/// An answer whose body is still on the wire.
pub struct ControlReply {
    /// Status and fields.
    pub head: ResponseHead,
    /// What is left of the body.
    pub body: Body,
    /// Where it comes from.
    pub wire: Wire,
}

/// Whether the program at the other end runs as this user or as root. A data plane of root serves a control plane of the
/// user whose directory the socket stands in.
fn is_own(disk: &dyn Disk, socket: &Fd, path: &Path) -> bool {
    let Ok(peer) = socket_peercred(socket) else { return false };
    let (peer, own) = (peer.uid.as_raw(), rustix::process::geteuid().as_raw());
    let owner = || path.parent().and_then(|directory| disk.owner_of(directory).ok());
    // Only root ever looks at the directory, and only at another user's control plane.
    peer == own || peer == 0 || (own == 0 && owner() == Some(peer))
}

/// Counts one open request until it drops.
struct Turn<'c>(&'c ControlLink);

impl ControlLink {
    /// Uses the socket at `path`; connects with the first request.
    pub fn new(io: Io, path: PathBuf) -> Self {
        Self { io, path, idle: RefCell::default(), open: Cell::new(0), turn: Event::new() }
    }

    /// Sends a request (head and body in one piece) and reads the head of its answer.
    pub async fn request(&self, request: &[u8], limit: Duration) -> Result<ControlReply, ControlLinkError> {
        let _turn = self.wait_for_turn(limit).await?;
        loop {
            let pooled = self.take_idle();
            let was_pooled = pooled.is_some();
            let mut wire = match pooled {
                Some(wire) => wire,
                None => self.connect().await?,
            };
            let (taken, sent) = wire.send_counted(Buf::from(request.to_vec()), false, limit).await;
            let answered = match sent {
                Ok(()) => answer(&mut wire, limit).await,
                Err(error) => Err(error.into()),
            };
            match answered {
                Ok((head, body)) => return Ok(ControlReply { head, body, wire }),
                Err(ControlLinkError::Away(WireError::Closed | WireError::Io(_)))
                    if was_pooled && (taken == 0 || is_safe(request)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a request and takes its whole answer.
    pub async fn call(&self, request: &[u8], limit: Duration) -> Result<(ResponseHead, Vec<u8>), ControlLinkError> {
        let mut reply = self.request(request, limit).await?;
        let body = reply.take_whole(limit).await?;
        let ControlReply { head, body: rest, wire } = reply;
        self.give_back(wire, &head, &rest);
        Ok((head, body))
    }

    /// Posts JSON to one of the link's own paths.
    pub async fn post(
        &self,
        path: &str,
        json: &impl serde::Serialize,
        limit: Duration,
    ) -> Result<(u16, Vec<u8>), ControlLinkError> {
        let body = serde_json::to_vec(json).expect("the types of the link are always JSON");
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: line\r\n{CALL}: call\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(&body);
        let (head, body) = self.call(&request, limit).await?;
        Ok((head.status(), body))
    }

    /// May these bytes of a held-back delivery leave? `None`: there is no verdict, so they may not.
    pub async fn claim(&self, claim: &Claim) -> Option<Verdict> {
        match self.post(CLAIM_PATH, claim, CONTROL_ANSWER_WAIT).await {
            Ok((200, body)) => serde_json::from_slice(&body).ok(),
            Ok((status, _)) => {
                tracing::error!(status, object = %claim.object, "the control plane gave no verdict on a claim");
                None
            }
            Err(error) => {
                tracing::warn!(%error, object = %claim.object, "no verdict on a claim; the delivery ends");
                None
            }
        }
    }

    /// Lets half of the idle connections go: a burst's connections outlive it by seconds only.
    pub fn trim(&self) {
        let mut idle = self.idle.borrow_mut();
        let kept = idle.len().div_ceil(2);
        let surplus = idle.split_off(kept);
        drop(idle);
        drop(surplus);
    }

    /// Returns a connection whose answer was read to its end.
    pub fn give_back(&self, wire: Wire, head: &ResponseHead, body: &Body) {
        let mut idle = self.idle.borrow_mut();
        if head.keep_alive() && body.is_done() && idle.len() < CONTROL_IDLE_MAX {
            idle.push(wire);
        }
    }

    /// A connection that the control plane has not closed, as far as this side knows.
    fn take_idle(&self) -> Option<Wire> {
        loop {
            let wire = self.idle.borrow_mut().pop()?;
            if wire.last_bytes().is_none() && !wire.is_broken() {
                return Some(wire);
            }
        }
    }

    async fn connect(&self) -> Result<Wire, ControlLinkError> {
        let socket = self.io.connect_unix(&self.path).await.map_err(WireError::Io)?;
        if !is_own(self.io.machine().disk(), &socket, &self.path) {
            return Err(ControlLinkError::Foreign(self.path.clone()));
        }
        Ok(Wire::new(self.io.clone(), socket))
    }

    async fn wait_for_turn(&self, limit: Duration) -> Result<Turn<'_>, ControlLinkError> {
        let deadline = self.io.now() + limit;
        while self.open.get() >= CONTROL_REQUESTS_MAX {
            let listener = self.turn.listen();
            let late = self.io.sleep_until(deadline);
            futures_util::future::select(std::pin::pin!(listener), std::pin::pin!(late)).await;
            if self.io.now() >= deadline {
                return Err(ControlLinkError::Crowded);
            }
        }
        self.open.set(self.open.get() + 1);
        Ok(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.turn.notify(1);
    }
}

/// The request may be sent twice (RFC 9110 §9.2.1: safe methods).
fn is_safe(request: &[u8]) -> bool {
    [&b"GET "[..], b"HEAD ", b"OPTIONS "].iter().any(|method| request.starts_with(method))
}

async fn answer(wire: &mut Wire, limit: Duration) -> Result<(ResponseHead, Body), ControlLinkError> {
    loop {
        match ResponseHead::parse(wire.ahead(), false) {
            Ok(Some((head, consumed))) if !head.is_interim() => {
                wire.consume(consumed);
                let body = Body::new(head.framing());
                return Ok((head, body));
            }
            Ok(Some((_interim, consumed))) => wire.consume(consumed),
            Ok(None) => {
                wire.more(limit).await?;
            }
            Err(_) => return Err(ControlLinkError::Garbled),
        }
    }
}

impl ControlReply {
    /// Reads the rest of the body.
    pub async fn take_whole(&mut self, limit: Duration) -> Result<Vec<u8>, ControlLinkError> {
        let mut whole = Vec::new();
        while !self.body.is_done() {
            let piece = self.next_piece(limit).await?;
            whole.extend_from_slice(&piece);
            if whole.len() > CONTROL_ANSWER_BYTES_MAX {
                return Err(ControlLinkError::Garbled);
            }
        }
        Ok(whole)
    }

    /// What there is of the body as soon as there is something; empty only at its end. For answers that come in pieces
    /// with time between them.
    pub async fn next_event(&mut self, limit: Duration) -> Result<Vec<u8>, ControlLinkError> {
        // Long enough for a piece that is on its way, too short to be noticed.
        const AT_ONCE: Duration = Duration::from_millis(1);
        loop {
            if self.wire.ahead().is_empty() {
                self.wire.more(limit).await?;
            }
            match self.next_piece(AT_ONCE).await {
                // Framing came, and no content yet.
                Err(ControlLinkError::Away(WireError::Late)) => {}
                other => return other,
            }
        }
    }

    /// The next piece of the body, as large as it comes before the limit; empty only at its end.
    pub async fn next_piece(&mut self, limit: Duration) -> Result<Vec<u8>, ControlLinkError> {
        const PIECE_BYTES: usize = 64 * 1024;
        let want = self.body.remaining().map_or(PIECE_BYTES, |bytes| bytes.min(PIECE_BYTES as u64) as usize);
        let (bytes, fill, buf) = self.body.fill(&mut self.wire, Buf::heap(want), 0..want, limit).await;
        match fill {
            Ok(Fill::Full | Fill::Done) => Ok(buf[..bytes].to_vec()),
            Ok(Fill::Tick) if bytes > 0 => Ok(buf[..bytes].to_vec()),
            Ok(Fill::Tick) => Err(WireError::Late.into()),
            Err(BodyError::Wire(error)) => Err(error.into()),
            Err(BodyError::Framing(_) | BodyError::Form | BodyError::Slow) => Err(ControlLinkError::Garbled),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;

    use super::*;
    use crate::config::EngineChoice;
    use crate::driver::{CoreOptions, run_core};

    /// A control plane that answers the first request of each connection, takes the second one and is gone. Tells the method
    /// of each that it took.
    fn forgetful(path: &Path) -> Receiver<String> {
        let listener = UnixListener::bind(path).expect("a socket");
        let (took, taken) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                for answered in [true, false] {
                    let mut request = Vec::new();
                    let mut byte = [0];
                    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                        request.extend(byte);
                    }
                    let Some(method) = String::from_utf8_lossy(&request).split(' ').next().map(str::to_owned) else {
                        break;
                    };
                    if request.is_empty() || took.send(method).is_err() {
                        break;
                    }
                    if answered {
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("an answer");
                    }
                }
            }
        });
        taken
    }

    #[test]
    fn what_the_control_plane_may_have_carried_out_is_not_sent_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("line");
        let taken = forgetful(&path);
        let options = CoreOptions { engine: EngineChoice::Readiness, slots: 1, ..CoreOptions::default() };
        let run = run_core(options, move |io| async move {
            let line = ControlLink::new(io, path);
            let mut outcomes = Vec::new();
            for method in ["DELETE", "DELETE", "GET", "GET"] {
                let request = format!("{method} /x HTTP/1.1\r\nHost: line\r\n\r\n");
                outcomes.push(line.call(request.as_bytes(), CONTROL_ANSWER_WAIT).await.is_ok());
            }
            assert_eq!(outcomes, [true, false, true, true], "a lost DELETE is an error, a lost GET is asked again");
        });
        run.expect("a core");
        let methods: Vec<String> = taken.try_iter().collect();
        assert_eq!(methods, ["DELETE", "DELETE", "GET", "GET", "GET"], "each DELETE once");
    }
}
