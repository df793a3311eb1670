//! A storage node in memory, over std sockets, a thread per connection: the routes the client uses, the rules of the
//! contract for them, and faults that happen exactly when told.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use etransfer_client::{Address, Client};
use etransfer_contract::{Span, SpanSet};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::fake_door::{Blocked, Door, Mood};
use crate::fake_people::People;

/// What happens to the next PATCH, or to the next ranged GET.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// Nothing.
    None,
    /// This status and field, the body unread, then the connection is closed.
    Refuse(u16, Option<(&'static str, &'static str)>),
    /// This many bytes of the body move, then the connection breaks.
    CutAfter(u64),
    /// All is stored, the answer never comes.
    LoseAnswer,
    /// This many bytes move, then the whole server goes away.
    DieAfter(u64),
}

#[derive(Debug, Clone, Default)]
pub struct Stored {
    pub name: String,
    pub metadata: BTreeMap<String, String>,
    pub length: u64,
    pub data: Vec<u8>,
    pub received: SpanSet,
    pub etag: String,
    pub active: bool,
}

impl Stored {
    pub fn is_complete(&self) -> bool {
        self.received.contiguous() == self.length
    }
}

#[derive(Debug, Default)]
pub struct State {
    pub files: BTreeMap<String, Stored>,
    pub patch_faults: VecDeque<Fault>,
    pub get_faults: VecDeque<Fault>,
    /// Answers to this many creations are 507 before one succeeds.
    pub creations_without_room: usize,
    /// `/api/storage` says "full" this often.
    pub storage_full: usize,
    pub announces_parallel: bool,
    pub takes_parallel: bool,
    pub token: Option<String>,
    pub people: People,
    /// What `/api/endpoints` lists; `None`: there is no such route.
    pub advertised: Option<Value>,
    /// What `/api/traffic` answers.
    pub traffic: Value,
    /// The stream of it: this many events, then the connection ends. `None`: there is no such route.
    pub traffic_events: Option<usize>,
    /// What it calls itself.
    pub node: Option<String>,
    /// Under which it proves its addresses; `None`: a server that gives none.
    pub proof_key: Option<String>,
    /// `Location` names another host.
    pub foreign_location: bool,
    pub creations: usize,
    /// Offset and length of each PATCH, status of its answer (0 = none).
    pub patches: Vec<(u64, u64, u16)>,
    pub body_bytes: u64,
    pub sent_bytes: u64,
    pub gets: usize,
}

const PROOF_KEY: &str = "the key of the proofs";

/// The running server.
pub struct Fake {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// No new work.
    down: AtomicBool,
    /// And all old work is over.
    stopped: AtomicBool,
    /// Connections being served.
    active: AtomicUsize,
    connections: Mutex<Vec<TcpStream>>,
    address: Mutex<Option<SocketAddr>>,
    doors: Mutex<BTreeMap<IpAddr, Arc<Door>>>,
}

impl Fake {
    pub fn start() -> Self {
        let state = State { announces_parallel: true, takes_parallel: true, ..State::default() };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            down: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            connections: Mutex::default(),
            address: Mutex::new(None),
            doors: Mutex::default(),
        });
        let address = listen(&shared, "127.0.0.1:0".parse().unwrap());
        *shared.address.lock().unwrap() = Some(address);
        Self { address, shared }
    }

    pub fn address(&self) -> Address {
        self.address.to_string().parse().unwrap()
    }

    /// A node of several addresses, all on one port: 127.0.0.1 (the configured one), 127.0.0.2, and so on, advertised.
    pub fn with_doors(count: u8) -> (Self, Vec<Arc<Door>>) {
        let fake = Self::start();
        let port = fake.address.port();
        let addresses: Vec<SocketAddr> = (1..=count).map(|at| SocketAddr::from(([127, 0, 0, at], port))).collect();
        let doors: Vec<Arc<Door>> = addresses.iter().map(|_| Arc::default()).collect();
        let known = addresses.iter().map(SocketAddr::ip).zip(doors.iter().cloned());
        *fake.shared.doors.lock().unwrap() = known.collect();
        for address in &addresses[1..] {
            listen(&fake.shared, *address);
        }
        let entries = addresses.iter().map(|address| json!({"url": format!("http://{address}")})).collect();
        let mut state = fake.state();
        state.node = Some("the node".into());
        state.proof_key = Some(PROOF_KEY.into());
        state.advertised = Some(entries);
        drop(state);
        (fake, doors)
    }

    pub fn client(&self) -> Client {
        Client::new(self.address(), Some("secret"))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    /// The only file there.
    pub fn only(&self) -> (String, Stored) {
        let state = self.state();
        assert_eq!(state.files.len(), 1, "one file");
        state.files.iter().map(|(id, stored)| (id.clone(), stored.clone())).next().unwrap()
    }

    /// Puts a complete file there.
    pub fn put(&self, name: &str, data: &[u8]) -> String {
        let received = Span::new(0, data.len() as u64).into_iter().collect();
        let (length, data) = (data.len() as u64, data.to_vec());
        let stored = Stored { name: name.into(), length, data, received, etag: "\"v1\"".into(), ..Stored::default() };
        let mut state = self.state();
        let id = format!("{:032x}", state.files.len() + 0xab);
        state.files.insert(id.clone(), stored);
        id
    }

    /// Closes the door and breaks every connection.
    pub fn stop(&self) {
        self.shared.stop(0);
    }

    /// Opens it again at the same address, with what was stored.
    pub fn restart(&self) {
        self.shared.stopped.store(false, Ordering::SeqCst);
        self.shared.down.store(false, Ordering::SeqCst);
        listen(&self.shared, self.address);
    }

    pub fn is_down(&self) -> bool {
        self.shared.stopped.load(Ordering::SeqCst)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// `own`: how many of the connections being served are the caller's.
    fn stop(&self, own: usize) {
        if self.down.swap(true, Ordering::SeqCst) {
            return;
        }
        for connection in self.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        let address = self.address.lock().unwrap().expect("set at start");
        let port = address.port();
        for ip in self.doors.lock().unwrap().keys() {
            let _ = TcpStream::connect(SocketAddr::new(*ip, port));
        }
        let _ = TcpStream::connect(address); // wakes the listener, which then closes
        while TcpStream::connect(address).is_ok() || self.active.load(Ordering::SeqCst) > own {
            std::thread::yield_now();
        }
        self.stopped.store(true, Ordering::SeqCst);
    }
}

fn listen(shared: &Arc<Shared>, address: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    let shared = shared.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if shared.down.load(Ordering::SeqCst) {
                return;
            }
            let stream = stream.unwrap();
            shared.connections.lock().unwrap().push(stream.try_clone().unwrap());
            let shared = shared.clone();
            shared.active.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                serve(&shared, stream);
                shared.active.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    address
}

struct Request {
    method: String,
    path: String,
    query: String,
    fields: BTreeMap<String, String>,
}

impl Request {
    fn read(reader: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut request = Self { method, path: path.to_owned(), query: query.to_owned(), fields: BTreeMap::new() };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { return Some(request) };
            request.fields.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }

    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map(String::as_str).unwrap_or_default()
    }

    /// What is presented; both places must agree, or it is an unknown token.
    fn token(&self) -> String {
        let (token, bearer) = (self.field("x-api-token"), self.field("authorization"));
        match bearer.strip_prefix("Bearer ").unwrap_or(bearer) == token {
            true => token.to_owned(),
            false => format!("{token} and {bearer}"),
        }
    }

    fn number(&self, name: &str) -> u64 {
        self.field(name).parse().unwrap_or(0)
    }
}

/// The connection shall not be used again.
struct Closed;
type Served = Result<(), Closed>;

fn serve(shared: &Shared, stream: TcpStream) {
    let ip = stream.local_addr().unwrap().ip();
    let door = shared.doors.lock().unwrap().get(&ip).cloned().unwrap_or_default();
    let entered = door.enter(&stream);
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader) {
        door.note(&request.path, !request.token().is_empty());
        let stays = entered.is_ok() && door.check().is_ok() && !shared.down.load(Ordering::SeqCst);
        if !stays || answer(shared, &door, &request, &mut reader).is_err() {
            break;
        }
    }
    while door.mood() == Mood::Mute && !shared.down.load(Ordering::SeqCst) {
        std::thread::sleep(std::time::Duration::from_millis(5)); // the connection stays, and nothing comes
    }
    let _ = reader.get_ref().shutdown(Shutdown::Both);
}

/// What the node answers to a nonce at `local`.
fn proof(nonce: &str, local: SocketAddr) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(PROOF_KEY.as_bytes()).unwrap();
    mac.update(format!("et-node-proof-1{nonce}{local}").as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn answer(shared: &Shared, door: &Door, request: &Request, reader: &mut BufReader<TcpStream>) -> Served {
    let mut state = shared.state.lock().unwrap();
    let open = matches!(request.path.as_str(), "/api/health" | "/api/info") || People::is_open(&request.path);
    let token = request.token();
    state.people.see(&request.path, &token);
    let known = state.token.as_ref().is_none_or(|expected| *expected == token) || state.people.knows(&token);
    if !open && !known {
        drop(state);
        reply(reader, 401, &[], &json!({"error": "Unauthorized", "message": "bad token"}))?;
        return Err(Closed);
    }
    if let Some((status, fields, body)) = state.people.answer(&request.method, &request.path, &token) {
        return reply(reader, status, &fields, &body);
    }
    let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["api", "health"]) => {
            let node = if door.mood() == Mood::Stranger { Some("another".to_owned()) } else { state.node.clone() };
            let mut fields: Vec<_> = node.into_iter().map(|node| ("X-Node", node)).collect();
            let mut local = reader.get_ref().local_addr().unwrap();
            if door.mood() == Mood::Relay {
                local.set_ip(IpAddr::from([127, 0, 0, 1]));
            }
            if door.mood() != Mood::Echo && !request.field("x-node-nonce").is_empty() {
                fields.push(("X-Node-Proof", proof(request.field("x-node-nonce"), local)));
            }
            reply(reader, 200, &fields, &json!({"status": "healthy"}))
        }
        ("GET", ["api", "endpoints"]) if state.advertised.is_some() => {
            reply(reader, 200, &[], &json!({"endpoints": state.advertised, "proof_key": state.proof_key}))
        }
        ("GET", ["api", "info"]) => {
            let extensions: &[&str] =
                if state.announces_parallel { &["creation", "parallel-writes"] } else { &["creation"] };
            reply(reader, 200, &[], &json!({"version": "fake", "tus_extensions": extensions}))
        }
        ("GET", ["api", "traffic"]) => reply(reader, 200, &[], &state.traffic),
        ("GET", ["api", "traffic", "stream"]) if state.traffic_events.is_some() => {
            let fields = [("Content-Type", "text/event-stream".into()), ("Transfer-Encoding", "chunked".into())];
            head(reader, 200, &fields)?;
            let event = format!(": a comment\n\nevent: traffic\ndata: {}\n\n", state.traffic);
            let (first, second) = event.split_at(event.len() / 2); // chunks end anywhere
            for _ in 0..state.traffic_events.unwrap_or_default() {
                let chunks = [first, second].map(|part| format!("{:x}\r\n{part}\r\n", part.len())).concat();
                reader.get_mut().write_all(chunks.as_bytes()).map_err(|_| Closed)?;
            }
            Err(Closed)
        }
        ("GET", ["api", "storage"]) => {
            let full = state.storage_full > 0;
            state.storage_full = state.storage_full.saturating_sub(1);
            reply(reader, 200, &[], &json!({"used": 9, "max": 10, "can_accept_uploads": !full}))
        }
        ("GET", ["api", "files"]) => {
            let page: usize = request.query.split(['=', '&']).nth(1).and_then(|page| page.parse().ok()).unwrap_or(1);
            let all: Vec<Value> = state.files.iter().map(|(id, stored)| file_json(id, stored)).collect();
            let files: Vec<&Value> = all.iter().skip((page - 1) * 100).take(100).collect();
            reply(reader, 200, &[], &json!({"files": files, "total": all.len(), "page": page, "page_size": 100}))
        }
        ("GET", ["api", "files", id]) => found(reader, state.files.get(*id), |stored| file_json(id, stored)),
        ("DELETE", ["api", "files", id] | ["tus", id]) => {
            let gone = state.files.remove(*id);
            found(reader, gone.as_ref(), |_| json!({"status": "deleted"}))
        }
        ("GET", ["api", "files", id, "info", "download"]) => found(reader, state.files.get(*id), |stored| {
            json!({"file_id": id, "filename": stored.name, "size": stored.length,
                   "available_size": stored.received.contiguous(), "is_upload_complete": stored.is_complete(),
                   "upload_active": stored.active})
        }),
        ("GET", ["api", "files", id, "download"]) => download(shared, door, state, id, request, reader),
        ("POST", ["tus"]) => create(&mut state, request, reader),
        ("HEAD", ["tus", id]) => match state.files.get(*id) {
            None => head(reader, 404, &[]),
            Some(stored) => head(
                reader,
                200,
                &[
                    ("Upload-Offset", stored.received.contiguous().to_string()),
                    ("Upload-Length", stored.length.to_string()),
                    ("X-Received-Ranges", stored.received.to_string()),
                ],
            ),
        },
        ("PATCH", ["tus", id]) => patch(shared, door, state, id, request, reader),
        _ => reply(reader, 404, &[], &json!({"detail": "no such route"})),
    }
}

fn file_json(id: &str, stored: &Stored) -> Value {
    let status = if stored.is_complete() { "complete" } else { "partial" };
    json!({"file_id": id, "filename": stored.name, "size": stored.length, "status": status,
           "uploaded_size": stored.received.bytes(), "metadata": {}})
}

fn create(state: &mut State, request: &Request, reader: &mut BufReader<TcpStream>) -> Served {
    use base64::Engine;
    if state.creations_without_room > 0 {
        state.creations_without_room -= 1;
        return reply(reader, 507, &[("Retry-After", "10".into())], &json!({"error": "x", "message": "full"}));
    }
    let metadata: BTreeMap<String, String> = request
        .field("upload-metadata")
        .split(',')
        .filter_map(|pair| pair.split_once(' '))
        .map(|(key, value)| {
            let value = base64::engine::general_purpose::STANDARD.decode(value).unwrap();
            (key.to_owned(), String::from_utf8(value).unwrap())
        })
        .collect();
    state.creations += 1;
    let id = format!("{:032x}", 0xc0ffee + state.creations);
    let length = request.number("upload-length");
    let stored = Stored {
        name: metadata.get("filename").cloned().unwrap_or_default(),
        metadata,
        length,
        data: vec![0; length as usize],
        etag: "\"v1\"".into(),
        active: true,
        ..Stored::default()
    };
    state.files.insert(id.clone(), stored);
    let host = if state.foreign_location { "192.0.2.1:1" } else { request.field("host") };
    head(reader, 201, &[("Location", format!("http://{host}/tus/{id}")), ("Content-Length", "0".into())])
}

/// The table of easytransfer/CONTRACT.md §2.4.
fn verdict(state: &State, stored: &Stored, offset: u64, length: u64) -> u16 {
    let contiguous = stored.received.contiguous();
    let Some(span) = Span::at(offset, length) else { return if offset == contiguous { 204 } else { 409 } };
    if stored.received.contains(span) || offset > stored.length {
        return 409;
    }
    if span.end() > stored.length {
        return 400;
    }
    if offset == contiguous || (state.takes_parallel && offset.is_multiple_of(4096)) { 204 } else { 409 }
}

fn patch(
    shared: &Shared,
    door: &Door,
    mut state: MutexGuard<'_, State>,
    id: &str,
    request: &Request,
    reader: &mut BufReader<TcpStream>,
) -> Served {
    let (offset, length) = (request.number("upload-offset"), request.number("content-length"));
    let fault = state.patch_faults.pop_front().unwrap_or(Fault::None);
    if let Fault::Refuse(status, field) = fault {
        state.patches.push((offset, length, status));
        let fields: Vec<_> = field.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        drop(state);
        reply(reader, status, &fields, &json!({"detail": "told to"}))?;
        return linger(reader);
    }
    let status = state.files.get(id).map_or(404, |stored| verdict(&state, stored, offset, length));
    if status != 204 {
        state.patches.push((offset, length, status));
        let at = state.files.get(id).map_or(0, |stored| stored.received.contiguous());
        drop(state);
        reply(reader, status, &[("Upload-Offset", at.to_string())], &json!({"detail": "no"}))?;
        return linger(reader);
    }
    drop(state);
    let limit = match fault {
        Fault::CutAfter(bytes) | Fault::DieAfter(bytes) => bytes.min(length),
        _ => length,
    };
    let taken = take_body(shared, door, id, offset, limit, reader);
    let whole = taken == length && !matches!(fault, Fault::CutAfter(_) | Fault::DieAfter(_) | Fault::LoseAnswer);
    let mut state = shared.state.lock().unwrap();
    state.patches.push((offset, length, if whole { 204 } else { 0 }));
    let at = state.files.get(id).map_or(0, |stored| stored.received.contiguous());
    drop(state);
    if matches!(fault, Fault::DieAfter(_)) {
        shared.stop(1);
    }
    if whole { head(reader, 204, &[("Upload-Offset", at.to_string())]) } else { Err(Closed) }
}

/// Stores a body piece by piece, as it comes.
fn take_body(
    shared: &Shared,
    door: &Door,
    id: &str,
    offset: u64,
    limit: u64,
    reader: &mut BufReader<TcpStream>,
) -> u64 {
    let mut taken = 0;
    let mut block = vec![0; 64 * 1024];
    while taken < limit {
        let want = (limit - taken).min(block.len() as u64) as usize;
        let Ok(count) = reader.read(&mut block[..want]) else { break };
        let Ok(()) = door.pass(count as u64) else { break };
        let Some(span) = Span::at(offset + taken, count as u64) else { break };
        let mut state = shared.state.lock().unwrap();
        state.body_bytes += span.len();
        let Some(stored) = state.files.get_mut(id) else { break };
        for missing in stored.received.missing(span) {
            let from = (missing.start() - span.start()) as usize;
            let to = (missing.end() - span.start()) as usize;
            stored.data[missing.start() as usize..missing.end() as usize].copy_from_slice(&block[from..to]);
        }
        stored.received.insert(span);
        taken += span.len();
    }
    taken
}

fn download(
    shared: &Shared,
    door: &Door,
    mut state: MutexGuard<'_, State>,
    id: &str,
    request: &Request,
    reader: &mut BufReader<TcpStream>,
) -> Served {
    let fault = state.get_faults.pop_front().unwrap_or(Fault::None);
    state.gets += 1;
    if let Fault::Refuse(status, field) = fault {
        let fields: Vec<_> = field.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        return reply(reader, status, &fields, &json!({"detail": "told to"}));
    }
    let Some(stored) = state.files.get(id).cloned() else { return reply(reader, 404, &[], &json!({"detail": "gone"})) };
    let available = stored.received.contiguous();
    let range = request.field("range").strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let fresh = request.field("if-range").is_empty() || request.field("if-range") == stored.etag;
    let asked =
        range.filter(|_| fresh).map(|(first, last)| (first.parse::<u64>().unwrap(), last.parse::<u64>().unwrap()));
    let (start, end) = asked.map_or((0, available), |(first, last)| (first, (last + 1).min(available)));
    if asked.is_some() && start >= end {
        return reply(
            reader,
            416,
            &[("Content-Range", format!("bytes */{}", stored.length))],
            &json!({"detail": "range"}),
        );
    }
    let mut fields = vec![("ETag", stored.etag.clone()), ("Content-Length", (end - start).to_string())];
    if asked.is_some() {
        fields.push(("Content-Range", format!("bytes {start}-{}/{}", end - 1, stored.length)));
    }
    let count = match fault {
        Fault::CutAfter(bytes) | Fault::DieAfter(bytes) => bytes.min(end - start),
        _ => end - start,
    };
    state.sent_bytes += count;
    drop(state);
    head(reader, if asked.is_some() { 206 } else { 200 }, &fields)?;
    let body = &stored.data[start as usize..(start + count) as usize];
    for block in body.chunks(64 * 1024) {
        door.pass(block.len() as u64).map_err(|Blocked| Closed)?;
        reader.get_mut().write_all(block).map_err(|_| Closed)?;
    }
    match fault {
        Fault::None => Ok(()),
        Fault::DieAfter(_) => {
            shared.stop(1);
            Err(Closed)
        }
        _ => Err(Closed),
    }
}

fn found(reader: &mut BufReader<TcpStream>, stored: Option<&Stored>, json: impl Fn(&Stored) -> Value) -> Served {
    match stored {
        Some(stored) => reply(reader, 200, &[], &json(stored)),
        None => reply(reader, 404, &[], &json!({"detail": "not found"})),
    }
}

fn reply(reader: &mut BufReader<TcpStream>, status: u16, fields: &[(&str, String)], body: &Value) -> Served {
    let body = body.to_string();
    let mut fields = fields.to_vec();
    fields.push(("Content-Length", body.len().to_string()));
    head(reader, status, &fields)?;
    reader.get_mut().write_all(body.as_bytes()).map_err(|_| Closed)
}

fn head(reader: &mut BufReader<TcpStream>, status: u16, fields: &[(&str, String)]) -> Served {
    let mut text = format!("HTTP/1.1 {status} Fake\r\n");
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    reader.get_mut().write_all(text.as_bytes()).map_err(|_| Closed)
}

/// After an early answer: no more is read than a little, then the connection goes (easytransfer/CONTRACT.md §15.24).
fn linger(reader: &mut BufReader<TcpStream>) -> Served {
    let _ = reader.get_ref().shutdown(Shutdown::Write);
    let mut rest = [0; 64 * 1024];
    let _ = reader.read(&mut rest);
    Err(Closed)
}
