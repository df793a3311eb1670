//! Uploads in parts: TUS 1.0.0 below `/upload_tus` (CONTRACT.md §8). Heads are judged here, what depends on bytes by
//! the data plane under the grant.
//!
//! An upload is a record like any file: it has its short name from the beginning, and is a file as soon as the data plane
//! tells that it is complete; nothing has to happen in between. Beside it stands a document that says that it was not
//! counted yet ([`finished`]).

mod append;
mod create;
pub mod finished;
mod state;

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use etransfer_contract::grant::Field;
use etransfer_contract::{ObjectId, tus};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::context::RequestContext;
use super::file::{self, Detail};
use super::refusal::Refusal;
use crate::catalogue::{Entry, Record};
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::node::{Look, Node};

/// How long an upload may take, from its creation on.
const LIFE: Duration = Duration::from_secs(5 * 24 * 3600);
/// How long a finished upload can still be asked for.
const AFTERGLOW: Duration = Duration::from_secs(3600);
/// Extensions that work.
const EXTENSIONS: &str = "creation,creation-defer-length,creation-with-upload,expiration,termination";

/// `/upload_tus`
pub async fn collection(context: &RequestContext<'_>) -> Result<Decision, Refusal> {
    if context.method == Method::OPTIONS {
        return Ok(options(context).into());
    }
    create::create(context).await
}

/// `/upload_tus/{id}`
pub async fn upload(context: &RequestContext<'_>, id: &str) -> Result<Decision, Refusal> {
    if context.method == Method::OPTIONS {
        return Ok(options(context).into());
    }
    let user = context.user()?;
    tus::version(&context.headers)?;
    let entry = find(context.node(), &user, id).ok_or(Refusal::UploadNotFound)?;
    if context.method == Method::PATCH {
        append::append(context, &user, &entry).await
    } else if context.method == Method::DELETE {
        state::delete(context, &user, &entry).await
    } else {
        Ok(state::head(context, &entry))
    }
}

/// What the server speaks; no token is needed to ask.
fn options(context: &RequestContext<'_>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    put(
        response.headers_mut(),
        vec![
            ("Tus-Version".to_owned(), tus::VERSION.to_owned()),
            ("Tus-Extension".to_owned(), EXTENSIONS.to_owned()),
            ("Tus-Max-Size".to_owned(), context.file_bytes_max().to_string()),
        ],
    );
    response
}

/// The upload with this id, if it is the user's and not over: one in parts for [`LIFE`], a finished one for [`AFTERGLOW`].
fn find(node: &Node, user: &str, id: &str) -> Option<Entry> {
    let Look::There(entry) = node.look(SurfaceId::PyBlobServer, id.parse::<ObjectId>().ok()?) else { return None };
    let is_theirs = file::user_of(&entry.record) == user && Detail::of(&entry.record).is_tus;
    (is_theirs && !is_over(&entry.record, node.clock.now_ms())).then_some(*entry)
}

/// Its time has passed.
fn is_over(record: &Record, now_ms: u64) -> bool {
    let ends = match record.completed_ms {
        Some(completed) => completed.saturating_add(AFTERGLOW.as_millis() as u64),
        None => expires_ms(record),
    };
    ends <= now_ms
}

/// When an upload in parts ends; Unix milliseconds.
fn expires_ms(record: &Record) -> u64 {
    record.created_ms.saturating_add(LIFE.as_millis() as u64)
}

/// What an upload became, on the answer that completes it.
fn became(context: &RequestContext<'_>, record: &Record) -> Vec<Field> {
    vec![
        ("X-File-Id".to_owned(), record.key.clone()),
        ("X-File-Url".to_owned(), format!("{}/s/{}", context.base(), record.key)),
    ]
}

/// Adds grant fields to an ordinary response.
fn put(headers: &mut HeaderMap, fields: Vec<Field>) {
    for (name, value) in fields {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
}
