//! Requests to the provider: five seconds, no redirects, 1 MiB (PROMISES.md §5 "Login").
//!
//! Certificates are checked against the system's store. No answer's content is ever part of an error.

use std::error::Error as _;

use reqwest::{Client, RequestBuilder, StatusCode, Url, redirect};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::bounds::{PROVIDER_BYTES_MAX, PROVIDER_WAIT};

/// Why the provider's answer is of no use; asking again later may help.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// No connection, or it broke.
    #[error("no answer: {reason}")]
    Unreachable {
        /// What the network or TLS library said.
        reason: String,
    },
    /// No whole answer in time.
    #[error("no whole answer within {} s", PROVIDER_WAIT.as_secs())]
    Slow,
    /// The answer is longer than anything a provider has to say.
    #[error("its answer is larger than 1 MiB")]
    TooLarge,
    /// It sends us elsewhere.
    #[error("it redirects with status {0}; issuer_url must be the final address")]
    Redirects(u16),
    /// It says that it cannot.
    #[error("it answers with status {0}")]
    Status(u16),
    /// The answer is not the JSON it should be.
    #[error("its answer is not the JSON that was expected")]
    Unreadable,
    /// The discovery document is another issuer's.
    #[error("its discovery document is that of {announced:?}; issuer_url must be written as the provider writes it")]
    OtherIssuer {
        /// The issuer that the document names.
        announced: String,
    },
    /// The discovery document names an address that is neither TLS nor on this machine.
    #[error("its {0} is not an https address")]
    Unprotected(&'static str),
    /// The discovery document allows no way for this node to say who it is.
    #[error("it accepts neither client_secret_post nor client_secret_basic")]
    NoClientSecret,
    /// There was a discovery document, and there is none any more.
    #[error("its discovery document is gone")]
    DocumentGone,
}

impl Fault {
    /// The provider is away, where other faults say that it, or the configuration, is wrong.
    pub fn is_absence(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Slow => true,
            Self::Status(status) => *status >= 500,
            Self::TooLarge
            | Self::Redirects(_)
            | Self::Unreadable
            | Self::OtherIssuer { .. }
            | Self::Unprotected(_)
            | Self::NoClientSecret
            | Self::DocumentGone => false,
        }
    }
}

/// Whether what goes there is protected on the way: by TLS, or by not leaving this machine.
pub fn is_protected(url: &Url) -> bool {
    let is_local = match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    };
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_local,
        _ => false,
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status; never a redirect.
    pub status: StatusCode,
    body: Vec<u8>,
}

impl Answer {
    /// The body, when the status is 200 and the JSON fits `T`.
    pub fn ok<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        if self.status != StatusCode::OK {
            return Err(Fault::Status(self.status.as_u16()));
        }
        self.json()
    }

    /// The body, whatever the status.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_slice(&self.body).map_err(|_| Fault::Unreadable)
    }
}

/// The client.
#[derive(Debug, Clone)]
pub struct Fetch {
    client: Client,
}

impl Fetch {
    /// Fails when the system has no usable certificate store.
    pub fn new() -> Result<Self, reqwest::Error> {
        Ok(Self { client: Client::builder().timeout(PROVIDER_WAIT).redirect(redirect::Policy::none()).build()? })
    }

    /// GET, to be completed by the caller.
    pub fn get(&self, url: &Url) -> RequestBuilder {
        self.client.get(url.clone()).header(http::header::ACCEPT, "application/json")
    }

    /// POST, to be completed by the caller.
    pub fn post(&self, url: &Url) -> RequestBuilder {
        self.client.post(url.clone()).header(http::header::ACCEPT, "application/json")
    }
}

/// Sends and reads the whole answer.
pub async fn send(request: RequestBuilder) -> Result<Answer, Fault> {
    let mut response = request.send().await.map_err(fault)?;
    let status = response.status();
    if status.is_redirection() {
        return Err(Fault::Redirects(status.as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(fault)? {
        if body.len() + chunk.len() > PROVIDER_BYTES_MAX {
            return Err(Fault::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body })
}

fn fault(error: reqwest::Error) -> Fault {
    if error.is_timeout() {
        return Fault::Slow;
    }
    // The outermost text says only that sending failed; the innermost says why.
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let reason = if error.source().is_some() { innermost.to_string() } else { error.without_url().to_string() };
    Fault::Unreachable { reason }
}
