//! `POST /upload_tus`: the record is durable before the client, or the data plane, hears of the upload.

use axum::response::IntoResponse;
use etransfer_contract::grant::{Act, Append, Field};
use etransfer_contract::tus::{Concat, CreateHead, DeclaredLength, Metadata};
use http::StatusCode;

use super::{became, expires_ms, finished, put};
use crate::audit;
use crate::catalogue::{Principal, Record, Scope};
use crate::clock::imf;
use crate::core::SurfaceId;
use crate::line::decision::Decision;
use crate::node::Edit;
use crate::surface::pyblobserver::asked::Asked;
use crate::surface::pyblobserver::file::{self, Detail};
use crate::surface::pyblobserver::refusal::Refusal;
use crate::surface::pyblobserver::{name, room};

/// How soon whoever has too many uploads open may ask again, in seconds.
const RETRY_OPEN_S: u64 = 60;

/// Creates an upload, with its first bytes when there are some.
pub async fn create(asked: &Asked<'_>) -> Result<Decision, Refusal> {
    let user = asked.user()?;
    let head = CreateHead::parse(&asked.headers)?;
    if head.concat != Concat::No {
        return Err(Refusal::Form("Upload-Concat is not available on this server"));
    }
    let length = match head.length {
        DeclaredLength::Known(length) => Some(length),
        DeclaredLength::Deferred | DeclaredLength::FinalOfParts => None,
    };
    check(asked, &user, length)?;
    let (place, _nobody_else) = file::draw_place(asked.node(), asked.settings().short_path_length).await;
    let record = describe(asked, &user, place, &head.metadata, length);
    if head.body_is_upload && !asked.meta.body.is_empty() {
        return with_upload(asked, &user, record).await;
    }
    keep(asked, &user, &record).await?;
    let mut response = StatusCode::CREATED.into_response();
    put(response.headers_mut(), created(asked, &record));
    put(response.headers_mut(), vec![("Upload-Offset".to_owned(), "0".to_owned())]);
    let more = if record.is_complete() {
        became(asked, &record)
    } else {
        vec![("Upload-Expires".to_owned(), imf(expires_ms(&record)))]
    };
    put(response.headers_mut(), more);
    Ok(response.into())
}

/// What can be said before a byte came: 413 above the largest file, 403 beyond the user's room.
fn check(asked: &Asked<'_>, user: &str, length: Option<u64>) -> Result<(), Refusal> {
    let settings = asked.settings();
    if length.is_some_and(|length| length > asked.file_bytes_max()) {
        return Err(Refusal::FileTooLarge(settings.file_size_limit_mb));
    }
    let account = asked.account(user);
    let used = asked.node().used_by(&account.owner);
    if used.saturating_add(length.unwrap_or(0)) > account.max.unwrap_or(u64::MAX) {
        return Err(Refusal::TotalTooLarge(settings.total_size_limit_mb));
    }
    asked.node().admit(Some(&Principal::Owner(account.owner)), length != Some(0))?;
    if asked.node().totals(&Scope::of(SurfaceId::PyBlobServer)).open >= asked.config.uploads.open_max {
        return Err(Refusal::TooMany(RETRY_OPEN_S));
    }
    Ok(())
}

fn describe(asked: &Asked<'_>, user: &str, place: String, metadata: &Metadata, length: Option<u64>) -> Record {
    let node = asked.node();
    let told = metadata.get("filename").or_else(|| metadata.get("name")).unwrap_or_default();
    let now = node.clock.now_ms();
    let mut record = file::record(node.new_id(), place, user, name::of_text(told), now);
    record.metadata = metadata.raw().map(str::to_owned);
    record.length = length;
    record.completed_ms = (length == Some(0)).then_some(now);
    record.detail = Detail { is_tus: true, ..Detail::default() }.to_value();
    record
}

async fn keep(asked: &Asked<'_>, user: &str, record: &Record) -> Result<(), Refusal> {
    let edit = finished::awaited(user, record.id, Edit::default()).put(record.clone());
    asked.node().edit(edit).await?;
    audit::surface(SurfaceId::PyBlobServer, user, audit::CREATE, record.id);
    Ok(())
}

/// Creation with upload: a grant that answers 201.
async fn with_upload(asked: &Asked<'_>, user: &str, record: Record) -> Result<Decision, Refusal> {
    let (node, settings) = (asked.node(), asked.settings());
    let most = record.length.unwrap_or_else(|| asked.file_bytes_max());
    let bytes = asked.meta.body.length();
    if bytes.is_some_and(|bytes| bytes > most) {
        return Err(match record.length {
            Some(_) => Refusal::Form("The body is longer than Upload-Length"),
            None => Refusal::FileTooLarge(settings.file_size_limit_mb),
        });
    }
    let ticket = node.ticket();
    let promise = room::reserve(node, ticket, bytes, most, &asked.account(user)).await?;
    if promise.is_cut && (bytes.is_some() || promise.bytes == 0) {
        node.unreserve(ticket);
        return Err(Refusal::TotalTooLarge(settings.total_size_limit_mb));
    }
    if let Err(refusal) = keep(asked, user, &record).await {
        node.unreserve(ticket);
        return Err(refusal);
    }
    let append = Append {
        object: record.id,
        length: record.length,
        length_max: Some(asked.file_bytes_max()),
        parallel: false,
        budget: Some(promise.bytes),
        expires_after_s: None,
        expires_unix_ms: Some(expires_ms(&record)),
        completed: became(asked, &record),
        created: Some(created(asked, &record)),
        rate: None,
    };
    Ok(Decision::cached(node, ticket, 0, Act::Append(append)))
}

/// The fields of a 201 that are not about bytes.
fn created(asked: &Asked<'_>, record: &Record) -> Vec<Field> {
    vec![("Location".to_owned(), format!("{}/upload_tus/{}", asked.base(), record.id))]
}
