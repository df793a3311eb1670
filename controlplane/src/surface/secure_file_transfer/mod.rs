//! The Secure File Transfer dialect (CONTRACT.md).
//!
//! * [`device`] who asks · [`filename`] for what · [`refusal`] every refusal, its status and its words
//! * [`chunk`] what a chunk says about itself · [`upload`] a chunk's way in · [`build`] one object of all of them
//! * [`name`] what a chunk does to a file, on [`content`]: which object holds which bytes · [`store`] where that is kept
//! * [`status`], [`download`] what comes back · [`cleanup`] uploads that are not continued
//!
//! Must stay true: a request is authenticated before anything else of it is looked at; a device's files are found through
//! its own id alone. What a request must know between two steps stands in their memo ([`Memo`]).

pub mod build;
pub mod chunk;
pub mod cleanup;
pub mod content;
pub mod device;
pub mod download;
pub mod filename;
pub mod name;
pub mod refusal;
mod service;
pub mod settings;
pub mod status;
pub mod store;
pub mod upload;

pub use service::Service;

use axum::extract::{FromRequest, Request};
use axum::response::IntoResponse;
use etransfer_contract::step::Outcome;
use http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize};

use self::refusal::Refusal;
use super::cross_origin::{CrossOrigin, is_preflight};
use super::recheck::Right;
use crate::link::decision::Decision;
use crate::surface::reported::Reported;
use crate::surface::secure_file_transfer::settings::SecureFileTransfer;

/// This dialect in messages and metrics.
pub const NAME: &str = "secure_file_transfer";

/// One file of one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Whose.
    pub device: String,
    /// Its name.
    pub name: String,
}

/// What a request's next outcome is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Memo {
    /// The head of a chunk.
    Header,
    /// Its data.
    Data(upload::Coming),
    /// Whether it is what was there.
    Compare(upload::Comparing),
    /// The file.
    Build(build::Building),
}

#[derive(Serialize, Deserialize)]
struct Note {
    job: Job,
    memo: Memo,
}

impl Job {
    /// Where its document is.
    pub fn key(&self) -> String {
        store::key(&self.device, &self.name)
    }

    /// The file whose document is there.
    pub fn of_key(key: &str) -> Option<Self> {
        let (device, name) = key.split_once('/')?;
        Some(Self { device: device.to_owned(), name: name.to_owned() })
    }

    /// For the step of a request about it.
    pub fn note(&self, memo: Memo) -> String {
        serde_json::to_string(&Note { job: self.clone(), memo }).expect("a note has only string keys")
    }
}

/// One request to its answer.
pub async fn handle(app: &Service, request: Request) -> Decision {
    let config = app.node.config();
    let pages = CrossOrigin {
        origins: &config.surfaces.of::<SecureFileTransfer>().mount.cors_origins,
        methods: "GET, HEAD, POST, DELETE, OPTIONS",
        fields: None,
        exposed: "Content-Disposition, Content-Range, ETag, Last-Modified, Accept-Ranges",
        max_age_s: 600,
        credentials: false,
    };
    if is_preflight(&request) {
        return match pages.preflight(request.headers()) {
            Some(fields) => (StatusCode::NO_CONTENT, fields).into_response().into(),
            None => StatusCode::FORBIDDEN.into_response().into(),
        };
    }
    let fields = pages.fields(request.headers());
    let mut decision = answer(app, request).await.unwrap_or_else(|refusal| refusal.into_response().into());
    if let Some(fields) = fields {
        decision.add_fields(&fields);
    }
    decision
}

/// Whether the device of a transfer under way still may.
pub fn right(app: &Service, request: &Request) -> Right {
    match device::still(app, request.headers()) {
        Ok(device) => Right::Holds { rate: None, account: Some(device::account(app, &device)) },
        Err(_) => Right::Ended,
    }
}

async fn answer(app: &Service, request: Request) -> Result<Decision, Refusal> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // CONTRACT.md §3.3: a slash at the end changes nothing.
    let path = path.strip_suffix('/').unwrap_or(&path);
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (segments.as_slice(), method.as_str()) {
        (["auth", "token"], "POST") => device::login(app, request).await,
        (["auth", "token"], _) => Err(Refusal::Method("POST")),
        (["api", "files"], "GET" | "HEAD") => status::list(app, &device::authenticate(app, request.headers())?),
        (["api", "files"], _) => Err(Refusal::Method("GET")),
        (["api", "files", "upload"], "POST") => step(app, request).await,
        (["api", "files", "status", name], "GET" | "HEAD") => status::get(app, &job(app, request.headers(), name)?),
        (["api", "files", "status", _], _) => Err(Refusal::Method("GET")),
        (["api", "files", "download", _], "GET" | "HEAD") => step(app, request).await,
        (["api", "files", "download", _], _) => Err(Refusal::Method("GET, HEAD")),
        (["api", "files", name], "DELETE") => status::delete(app, &job(app, request.headers(), name)?).await,
        (["api", "files", "upload"], _) => Err(Refusal::Method("POST, DELETE")),
        (["api", "files", _], _) => Err(Refusal::Method("DELETE")),
        _ => Err(Refusal::NotFound),
    }
}

/// The file a path names, for the device that asks.
fn job(app: &Service, headers: &HeaderMap, segment: &str) -> Result<Job, Refusal> {
    let device = device::authenticate(app, headers)?;
    Ok(Job { device, name: filename::in_path(segment)? })
}

/// An upload or a download, at the step it has come to.
async fn step(app: &Service, request: Request) -> Result<Decision, Refusal> {
    let (method, headers, uri) = (request.method().clone(), request.headers().clone(), request.uri().clone());
    let Reported(outcome) = match Reported::from_request(request, app).await {
        Ok(told) => told,
        Err(response) => return Ok(response),
    };
    let Some(Outcome { ticket, continuation: memo, report: told, .. }) = outcome else {
        if method == Method::POST {
            let device = device::authenticate(app, &headers)?;
            let name = filename::in_query(uri.query().unwrap_or_default())?;
            return upload::begin(app, &Job { device, name }, &headers);
        }
        let path = uri.path();
        let path = path.strip_suffix('/').unwrap_or(path);
        let job = job(app, &headers, path.rsplit('/').next().unwrap_or_default())?;
        return download::serve(app, &job, &method, &headers);
    };
    let Note { job, memo } = serde_json::from_str(&memo).map_err(|error| {
        tracing::error!(%error, "a step's memo cannot be read");
        Refusal::Internal
    })?;
    // A device that was disabled meanwhile stores and builds nothing more.
    if device::still(app, &headers)? != job.device {
        return Err(Refusal::BadToken);
    }
    match memo {
        Memo::Header => upload::header(app, &job, &headers, told).await,
        Memo::Data(coming) => upload::data(app, &job, &headers, coming, ticket, told).await,
        Memo::Compare(comparing) => upload::compared(app, &job, comparing, told).await,
        Memo::Build(building) => build::built(app, &job, (&method, &headers), building, told).await,
    }
}

#[cfg(test)]
mod golden;
