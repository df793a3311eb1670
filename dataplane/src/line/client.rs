//! Requests to the control plane over its Unix socket: a few kept-alive connections per core.
//!
//! Must stay true: a connection goes back to the pool only after its answer was read to the end; a request is sent again
//! only when a pooled connection turned out dead before a single byte of an answer came.

use std::cell::{Cell, RefCell};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etransfer_contract::fact::{Claim, Verdict};
use etransfer_contract::line::{CLAIM_PATH, LINE};
use event_listener::Event;
use rustix::net::sockopt::socket_peercred;

use crate::body::{Body, BodyError, Fill};
use crate::http::ResponseHead;
use crate::wire::{Wire, WireError};
use crate::world::{Buf, Fd, Io};

/// Requests one core has open at the control plane; the rest wait their turn.
const OPEN_MAX: usize = 64;
/// Idle connections kept per core.
const IDLE_MAX: usize = 32;
/// How long an answer may take. Long polls bring their own.
pub const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// Largest answer that is taken whole (grants, verdicts, orders).
const WHOLE_BYTES_MAX: usize = 8 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The control plane is away or does not answer.
    #[error("the control plane is away: {0}")]
    Away(#[from] WireError),
    /// Another user's program listens there; it is asked nothing.
    #[error("{0} is another user's socket, not the control plane's")]
    Foreign(PathBuf),
    /// It answered something that is no HTTP, or too much.
    #[error("the control plane's answer can not be read")]
    Garbled,
    /// Too many requests wait for it.
    #[error("too many requests wait for the control plane")]
    Crowded,
}

/// One core's way to the control plane.
pub struct LineClient {
    io: Io,
    path: PathBuf,
    idle: RefCell<Vec<Wire>>,
    open: Cell<usize>,
    turn: Event,
}

/// An answer whose body is still on the wire.
pub struct LineReply {
    /// Status and fields.
    pub head: ResponseHead,
    /// What is left of the body.
    pub body: Body,
    /// Where it comes from.
    pub wire: Wire,
}

/// Whether the program at the other end runs as this user or as root. A data plane of root serves a control plane of the
/// user whose directory the socket stands in.
fn is_own(socket: &Fd, path: &Path) -> bool {
    let Ok(peer) = socket_peercred(socket) else { return false };
    let (peer, own) = (peer.uid.as_raw(), rustix::process::geteuid().as_raw());
    let owner =
        || path.parent().and_then(|directory| std::fs::symlink_metadata(directory).ok()).map(|found| found.uid());
    // Only root ever looks at the directory, and only at another user's control plane.
    peer == own || peer == 0 || (own == 0 && owner() == Some(peer))
}

/// Counts one open request until it drops.
struct Turn<'c>(&'c LineClient);

impl LineClient {
    /// Talks to the socket at `path`; connects when first asked.
    pub fn new(io: Io, path: PathBuf) -> Self {
        Self { io, path, idle: RefCell::default(), open: Cell::new(0), turn: Event::new() }
    }

    /// Sends a request (head and body in one piece) and reads the head of its answer.
    pub async fn ask(&self, request: &[u8], limit: Duration) -> Result<LineReply, LineError> {
        let _turn = self.wait_for_turn(limit).await?;
        loop {
            let pooled = self.idle.borrow_mut().pop();
            let was_pooled = pooled.is_some();
            let mut wire = match pooled {
                Some(wire) => wire,
                None => self.connect().await?,
            };
            match exchange(&mut wire, request, limit).await {
                Ok((head, body)) => return Ok(LineReply { head, body, wire }),
                Err(LineError::Away(WireError::Closed | WireError::Io(_))) if was_pooled => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a request and takes its whole answer.
    pub async fn call(&self, request: &[u8], limit: Duration) -> Result<(ResponseHead, Vec<u8>), LineError> {
        let mut reply = self.ask(request, limit).await?;
        let body = reply.take_whole(limit).await?;
        let LineReply { head, body: rest, wire } = reply;
        self.give_back(wire, &head, &rest);
        Ok((head, body))
    }

    /// Posts JSON to one of the line's own paths.
    pub async fn post(
        &self,
        path: &str,
        json: &impl serde::Serialize,
        limit: Duration,
    ) -> Result<(u16, Vec<u8>), LineError> {
        let body = serde_json::to_vec(json).expect("the line's own types are always JSON");
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: line\r\n{LINE}: call\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(&body);
        let (head, body) = self.call(&request, limit).await?;
        Ok((head.status(), body))
    }

    /// May these bytes of a held-back delivery leave? `None`: there is no verdict, so they may not.
    pub async fn claim(&self, claim: &Claim) -> Option<Verdict> {
        match self.post(CLAIM_PATH, claim, ANSWER_WAIT).await {
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
        if head.keep_alive() && body.is_done() && idle.len() < IDLE_MAX {
            idle.push(wire);
        }
    }

    async fn connect(&self) -> Result<Wire, LineError> {
        let socket = self.io.connect_unix(&self.path).await.map_err(WireError::Io)?;
        if !is_own(&socket, &self.path) {
            return Err(LineError::Foreign(self.path.clone()));
        }
        Ok(Wire::new(self.io.clone(), socket))
    }

    async fn wait_for_turn(&self, limit: Duration) -> Result<Turn<'_>, LineError> {
        let deadline = self.io.now() + limit;
        while self.open.get() >= OPEN_MAX {
            let listener = self.turn.listen();
            let late = self.io.sleep_until(deadline);
            futures_util::future::select(std::pin::pin!(listener), std::pin::pin!(late)).await;
            if self.io.now() >= deadline {
                return Err(LineError::Crowded);
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

async fn exchange(wire: &mut Wire, request: &[u8], limit: Duration) -> Result<(ResponseHead, Body), LineError> {
    wire.send(request.to_vec(), false, limit).await?;
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
            Err(_) => return Err(LineError::Garbled),
        }
    }
}

impl LineReply {
    /// Reads the rest of the body.
    pub async fn take_whole(&mut self, limit: Duration) -> Result<Vec<u8>, LineError> {
        let mut whole = Vec::new();
        while !self.body.is_done() {
            let piece = self.next_piece(limit).await?;
            whole.extend_from_slice(&piece);
            if whole.len() > WHOLE_BYTES_MAX {
                return Err(LineError::Garbled);
            }
        }
        Ok(whole)
    }

    /// What there is of the body as soon as there is something; empty only at its end. For answers that come in pieces
    /// with time between them.
    pub async fn next_event(&mut self, limit: Duration) -> Result<Vec<u8>, LineError> {
        // Long enough for a piece that is on its way, too short to be noticed.
        const AT_ONCE: Duration = Duration::from_millis(1);
        loop {
            if self.wire.ahead().is_empty() {
                self.wire.more(limit).await?;
            }
            match self.next_piece(AT_ONCE).await {
                // Framing came, and no content yet.
                Err(LineError::Away(WireError::Late)) => {}
                other => return other,
            }
        }
    }

    /// The next piece of the body, as large as it comes before the limit; empty only at its end.
    pub async fn next_piece(&mut self, limit: Duration) -> Result<Vec<u8>, LineError> {
        const PIECE_BYTES: usize = 64 * 1024;
        let want = self.body.remaining().map_or(PIECE_BYTES, |bytes| bytes.min(PIECE_BYTES as u64) as usize);
        let (bytes, fill, buf) = self.body.fill(&mut self.wire, Buf::heap(want), 0..want, limit).await;
        match fill {
            Ok(Fill::Full | Fill::Done) => Ok(buf[..bytes].to_vec()),
            Ok(Fill::Tick) if bytes > 0 => Ok(buf[..bytes].to_vec()),
            Ok(Fill::Tick) => Err(WireError::Late.into()),
            Err(BodyError::Wire(error)) => Err(error.into()),
            Err(BodyError::Framing(_) | BodyError::Form | BodyError::Slow) => Err(LineError::Garbled),
        }
    }
}
