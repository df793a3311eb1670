//! The calls of the API, typed: one request and one answer each, no retries (callers that retry hold the patience).
//!
//! A token never leaves for another server: every URL the server hands out is reduced to its path and asked for at the
//! configured address, or at another address of the same node ([`Client::candidates`]). Redirects are not followed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use etransfer_contract::{Span, SpanSet};
use serde::de::DeserializeOwned;

use crate::fields::{detail, metadata, parse_ranges, path_of};
use crate::http1::{BODY_BYTES_MAX, Connection, Dial, Request, ResponseHead, WireError};
use crate::types::{DownloadInfo, FileInfo, FileList, FileStatus, Retention, ServerInfo, StorageInfo};
use crate::{Address, Cancel, Error, Result, Secret};

/// Of every request to an upload.
const TUS: (&str, &str) = ("Tus-Resumable", "1.0.0");
/// Names the node in the answer to a health check.
const NODE: &str = "x-node";
/// Asks for the proof.
const NONCE: &str = "X-Node-Nonce";
/// Is the proof.
const PROOF: &str = "x-node-proof";
/// The largest page every server gives.
const PAGE_SIZE_MAX: u64 = 100;

/// One server and how we present ourselves there.
#[derive(Debug)]
pub struct Client {
    address: Address,
    /// The token and its `Authorization` form.
    credential: Option<(Secret, Secret)>,
    cancel: Cancel,
    dial: Dial,
    /// Advertised addresses that did not answer, shared by all clients made from this one.
    silent: Arc<Mutex<BTreeSet<String>>>,
    idle: Mutex<Option<Connection>>,
}

/// Which files a list is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Only these; `None`: all of them.
    pub status: Option<FileStatus>,
    /// Those of the node's other surfaces too.
    pub all_surfaces: bool,
}

/// What a new upload is.
#[derive(Debug, Clone)]
pub struct NewUpload<'a> {
    /// Bytes.
    pub length: u64,
    /// Display name.
    pub filename: &'a str,
    /// `None`: the server's default.
    pub retention: Option<Retention>,
}

/// How far an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadState {
    /// Bytes from 0 without a gap.
    pub offset: u64,
    /// `None` while deferred.
    pub length: Option<u64>,
    /// All that is there; just the prefix when the server tells no more.
    pub received: SpanSet,
}

impl Client {
    /// No connection is made before the first call.
    pub fn new(address: Address, token: Option<&str>) -> Self {
        let credential = token.map(|token| (Secret::new(token), Secret::new(format!("Bearer {token}"))));
        let (cancel, dial) = (Cancel::new(), Dial::default());
        Self { address, credential, cancel, dial, silent: Arc::default(), idle: Mutex::new(None) }
    }

    /// The same, with every connection through this local interface (`eth1`). Whether there is one of that name shows
    /// with the first connection ([`WireError::Interface`]).
    pub fn through(mut self, interface: &str) -> Self {
        self.dial.interface = Some(interface.into());
        self
    }

    /// The same server and token for work that ends with `cancel`.
    pub(crate) fn under(&self, cancel: &Cancel) -> Self {
        Self {
            address: self.address.clone(),
            credential: self.credential.clone(),
            cancel: cancel.clone(),
            dial: self.dial.clone(),
            silent: Arc::clone(&self.silent),
            idle: Mutex::new(None),
        }
    }

    /// The same token at another address. For addresses that the configured server advertised and that were seen to be
    /// the same node; nothing else may ever get the token.
    pub(crate) fn at_address(&self, address: Address) -> Self {
        Self { address, ..self.clone() }
    }

    /// No credential and no patience: for the question which node is there, if any.
    pub(crate) fn probing(&self, address: Address, limit: Duration, cancel: &Cancel) -> Self {
        let dial = Dial { connect: limit, idle: limit, ..self.dial.clone() };
        Self { address, credential: None, dial, ..self.under(cancel) }
    }

    /// Advertised addresses that did not answer.
    pub(crate) fn silent(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which server.
    pub fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// `GET /api/health`: which node this is, when it says (servers before this one do not).
    pub fn health(&self) -> Result<Option<String>> {
        let what = "the health check";
        let reply = self.call("GET", &self.at("/api/health"), &[("Accept", "application/json")], None)?;
        let reply = self.accept(reply, what, what).map_err(|error| not_ours(error, what))?;
        reply.json::<serde_json::Value>(what)?;
        Ok(reply.head.field(NODE).map(str::to_owned))
    }

    /// The same, with the answer to `nonce`.
    pub(crate) fn health_proof(&self, nonce: &str) -> Result<(Option<String>, Option<String>)> {
        let what = "the health check";
        let fields = [("Accept", "application/json"), (NONCE, nonce)];
        let reply = self.call("GET", &self.at("/api/health"), &fields, None)?;
        let reply = self.accept(reply, what, what)?;
        let field = |name| reply.head.field(name).map(str::to_owned);
        Ok((field(NODE), field(PROOF)))
    }

    /// `GET /api/info`.
    pub fn info(&self) -> Result<ServerInfo> {
        self.get("/api/info", "server information", "server information")
    }

    /// `POST /api/auth/verify`: whether the server knows this token.
    pub fn verify(&self, token: &str) -> Result<bool> {
        #[derive(serde::Deserialize)]
        struct Verdict {
            valid: bool,
        }
        let what = "the token check";
        let body = serde_json::json!({ "token": token }).to_string();
        let fields = [("Content-Type", "application/json")];
        let reply = self.call("POST", &self.at("/api/auth/verify"), &fields, Some(body.as_bytes()))?;
        match self.accept(reply, what, what) {
            Err(Error::Unauthorized { .. }) => Ok(false), // the seed wants a valid token to judge a token
            other => Ok(other?.json::<Verdict>(what)?.valid),
        }
    }

    /// `GET /api/files`.
    pub fn list(&self, page: u64, page_size: u64, wanted: Wanted) -> Result<FileList> {
        let status = match wanted.status {
            None => "",
            Some(FileStatus::Complete) => "&include_partial=false&status=complete",
            Some(FileStatus::Partial) => "&status=partial",
        };
        let surfaces = if wanted.all_surfaces { "&surfaces=all" } else { "" };
        let target = format!("/api/files?page={page}&page_size={page_size}{status}{surfaces}");
        self.get(&target, "the list of files", "the list of files")
    }

    /// `GET /api/files/{id}`.
    pub fn file(&self, id: &str) -> Result<FileInfo> {
        self.get(&format!("/api/files/{id}"), "file information", id)
    }

    /// `DELETE /api/files/{id}`.
    pub fn delete(&self, id: &str) -> Result<()> {
        let reply = self.call("DELETE", &self.at(&format!("/api/files/{id}")), &[], None)?;
        self.accept(reply, "the deletion", id).map(|_| ())
    }

    /// `GET /api/storage`.
    pub fn storage(&self) -> Result<StorageInfo> {
        self.get("/api/storage", "storage information", "storage information")
    }

    /// `GET /api/files/{id}/info/download`.
    pub fn download_info(&self, id: &str) -> Result<DownloadInfo> {
        self.get(&format!("/api/files/{id}/info/download"), "download information", id)
    }

    /// `GET` of an empty file: there is nothing to keep of it, but the server learns that it was fetched.
    pub(crate) fn fetch_empty(&self, id: &str) -> Result<()> {
        let reply = self.call("GET", &self.at(&format!("/api/files/{id}/download")), &[], None)?;
        let reply = self.accept(reply, "the file", id)?;
        if reply.body.is_empty() { Ok(()) } else { Err(Error::RemoteChanged { id: id.to_owned() }) }
    }

    /// The whole id behind the start of one; 32 digits are taken as they are.
    pub fn find(&self, start: &str) -> Result<String> {
        let start = start.trim().to_ascii_lowercase();
        if start.is_empty() || start.len() > 32 || !start.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::NotAnId { text: start });
        }
        if start.len() == 32 {
            return Ok(start);
        }
        let mut fits = Vec::new();
        let (mut page, mut seen) = (1, 0);
        loop {
            let list = self.list(page, PAGE_SIZE_MAX, Wanted::default())?;
            seen += list.files.len() as u64;
            let ids = list.files.iter().map(|file| &file.file_id);
            fits.extend(ids.filter(|id| id.starts_with(&start)).cloned());
            if list.files.is_empty() || seen >= list.total {
                break;
            }
            page += 1;
        }
        fits.sort();
        fits.dedup(); // files that come meanwhile shift the pages
        match fits.len() {
            0 => Err(Error::NotFound { what: start }),
            1 => Ok(fits.remove(0)),
            count => Err(Error::Ambiguous { prefix: start, count }),
        }
    }

    /// `POST /tus`: the path of the new upload.
    pub fn create_upload(&self, new: &NewUpload<'_>) -> Result<String> {
        let length = new.length.to_string();
        self.create(("Upload-Length", &length), &metadata(new.filename, new.retention))
    }

    /// `POST /tus` for an upload whose length comes later.
    pub(crate) fn create_deferred(&self, filename: &str, retention: Option<Retention>) -> Result<String> {
        self.create(("Upload-Defer-Length", "1"), &metadata(filename, retention))
    }

    fn create(&self, length: (&str, &str), metadata: &str) -> Result<String> {
        let what = "the creation of an upload";
        let fields = [TUS, length, ("Upload-Metadata", metadata)];
        let reply = self.call("POST", &self.at("/tus"), &fields, Some(&[]))?;
        let reply = self.accept(reply, what, "/tus").map_err(|error| not_ours(error, what))?;
        let location = reply.head.field("location").ok_or(Error::Nonsense { what, why: "no Location" })?;
        path_of(location).ok_or(Error::Nonsense { what, why: "an odd Location" })
    }

    /// `PATCH` of these bytes at `offset`; `length`, when it is to be announced now.
    pub(crate) fn append(&self, path: &str, offset: u64, bytes: &[u8], length: Option<u64>) -> Result<()> {
        let (offset, length) = (offset.to_string(), length.map(|length| length.to_string()));
        let mut fields = vec![TUS, ("Content-Type", "application/offset+octet-stream"), ("Upload-Offset", &offset)];
        fields.extend(length.as_deref().map(|length| ("Upload-Length", length)));
        let reply = self.call("PATCH", path, &fields, Some(bytes))?;
        self.accept(reply, "a PATCH", path).map(|_| ())
    }

    /// `HEAD` of an upload.
    pub fn upload_state(&self, path: &str) -> Result<UploadState> {
        let what = "the state of the upload";
        let reply = self.call("HEAD", path, &[TUS], None)?;
        let head = self.accept(reply, what, path)?.head;
        let offset = head.number("upload-offset").ok_or(Error::Nonsense { what, why: "no Upload-Offset" })?;
        let mut received: SpanSet = head.field("x-received-ranges").map(parse_ranges).unwrap_or_default();
        Span::new(0, offset).into_iter().for_each(|prefix| received.insert(prefix));
        Ok(UploadState { offset, length: head.number("upload-length"), received })
    }

    /// `DELETE` of an upload.
    pub fn terminate_upload(&self, path: &str) -> Result<()> {
        let reply = self.call("DELETE", path, &[TUS], None)?;
        self.accept(reply, "the removal of the upload", path).map(|_| ())
    }

    /// A connection of one's own, for bulk.
    pub(crate) fn connect(&self) -> Result<Connection> {
        Connection::open(&self.address, &self.dial, &self.cancel).map_err(|source| self.unreachable(source))
    }

    /// A path of the API below the server's prefix.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.address.prefix())
    }

    /// The fields of a request and who we are.
    pub(crate) fn signed<'a>(&'a self, fields: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut all = fields.to_vec();
        if let Some((token, bearer)) = &self.credential {
            // Two generations of servers look in two places (easytransfer/CONTRACT.md §1.2).
            all.extend([("X-API-Token", token.expose()), ("Authorization", bearer.expose())]);
        }
        all.push(("User-Agent", concat!("et/", env!("CARGO_PKG_VERSION"))));
        all
    }

    /// The error for a request that got no usable answer.
    pub(crate) fn unreachable(&self, source: WireError) -> Error {
        match self.cancel.is_cancelled() {
            true => Error::Interrupted,
            false => Error::Unreachable { server: self.address.to_string(), source },
        }
    }

    /// The error for an answer that is a refusal; `body` is what came with it.
    pub(crate) fn refusal(&self, head: &ResponseHead, body: &[u8], what: &'static str, subject: &str) -> Error {
        let detail = detail(body).unwrap_or_else(|| format!("status {}", head.status));
        match head.status {
            401 => Error::Unauthorized { server: self.address.to_string() },
            403 => Error::Forbidden { detail },
            404 | 410 => Error::NotFound { what: subject.to_owned() },
            413 => Error::TooLarge { detail },
            507 => Error::NoSpace { detail },
            status => {
                let retry_after = head.number("retry-after").map(Duration::from_secs);
                Error::Refused { status, what, detail, retry_after }
            }
        }
    }

    fn accept(&self, reply: Reply, what: &'static str, subject: &str) -> Result<Reply> {
        match reply.head.status {
            200..=299 => Ok(reply),
            _ => Err(self.refusal(&reply.head, &reply.body, what, subject)),
        }
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str, what: &'static str, subject: &str) -> Result<T> {
        let reply = self.call("GET", &self.at(path), &[("Accept", "application/json")], None)?;
        self.accept(reply, what, subject)?.json(what)
    }

    /// Without a body: every `POST` but [`verify`](Self::verify) says all by its path.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, what: &'static str, subject: &str) -> Result<T> {
        let reply = self.call("POST", &self.at(path), &[("Accept", "application/json")], Some(&[]))?;
        self.accept(reply, what, subject)?.json(what)
    }

    /// One request, one whole answer, over the kept connection while that is good.
    fn call(&self, method: &str, target: &str, fields: &[(&str, &str)], body: Option<&[u8]>) -> Result<Reply> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut connection = match idle.filter(Connection::is_reusable) {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let fields = self.signed(fields);
        let request = Request { method, target, fields: &fields, body_bytes: body.map(|body| body.len() as u64) };
        let reply = exchange(&mut connection, &request, body).map_err(|source| self.unreachable(source))?;
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        Ok(reply)
    }
}

impl Clone for Client {
    /// The same server and token, a connection of its own.
    fn clone(&self) -> Self {
        self.under(&self.cancel)
    }
}

/// A route that every node has is missing: this is some other server.
fn not_ours(error: Error, what: &'static str) -> Error {
    match error {
        Error::NotFound { .. } => Error::Nonsense { what, why: "not found, so this is no EasyTransfer server" },
        other => other,
    }
}

/// A whole answer.
struct Reply {
    head: ResponseHead,
    body: Vec<u8>,
}

impl Reply {
    fn json<T: DeserializeOwned>(&self, what: &'static str) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|source| Error::Json { what, source })
    }
}

fn exchange(
    connection: &mut Connection,
    request: &Request<'_>,
    body: Option<&[u8]>,
) -> std::result::Result<Reply, WireError> {
    let body = body.filter(|body| !body.is_empty());
    connection.send_head(request, body.is_some())?;
    body.map_or(Ok(()), |body| connection.send_bytes(body))?;
    let head = connection.read_head(request.method == "HEAD")?;
    let body = connection.read_body(&head, BODY_BYTES_MAX)?;
    Ok(Reply { head, body })
}
