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
use crate::link::decision::Decision;
use crate::node::Edit;
use crate::surface::pyblobserver::context::RequestContext;
use crate::surface::pyblobserver::file::{self, Detail};
use crate::surface::pyblobserver::refusal::Refusal;
use crate::surface::pyblobserver::{name, room};

/// How soon a user with too many open uploads may ask again, in seconds.
const RETRY_OPEN_S: u64 = 60;

/// Creates an upload, with its first bytes when there are some.
pub async fn create(context: &RequestContext<'_>) -> Result<Decision, Refusal> {
    let user = context.user()?;
    let head = CreateHead::parse(&context.headers)?;
    if head.concat != Concat::No {
        return Err(Refusal::Form("Upload-Concat is not available on this server"));
    }
    let length = match head.length {
        DeclaredLength::Known(length) => Some(length),
        DeclaredLength::Deferred | DeclaredLength::FinalOfParts => None,
    };
    check(context, &user, length)?;
    let (place, _nobody_else) = file::draw_place(context.node(), context.settings().short_path_length).await;
    let record = describe(context, &user, place, &head.metadata, length);
    if head.body_is_upload && !context.meta.body.is_empty() {
        return with_upload(context, &user, record).await;
    }
    keep(context, &user, &record).await?;
    let mut response = StatusCode::CREATED.into_response();
    put(response.headers_mut(), created(context, &record));
    put(response.headers_mut(), vec![("Upload-Offset".to_owned(), "0".to_owned())]);
    let more = if record.is_complete() {
        became(context, &record)
    } else {
        vec![("Upload-Expires".to_owned(), imf(expires_ms(&record)))]
    };
    put(response.headers_mut(), more);
    Ok(response.into())
}

/// What can be said before a byte came: 413 above the largest file, 403 beyond the user's room.
fn check(context: &RequestContext<'_>, user: &str, length: Option<u64>) -> Result<(), Refusal> {
    let settings = context.settings();
    if length.is_some_and(|length| length > context.file_bytes_max()) {
        return Err(Refusal::FileTooLarge(settings.file_size_limit_mb));
    }
    let account = context.account(user);
    let used = context.node().used_by(&account.owner);
    if used.saturating_add(length.unwrap_or(0)) > account.max.unwrap_or(u64::MAX) {
        return Err(Refusal::TotalTooLarge(settings.total_size_limit_mb));
    }
    context.node().admit(Some(&Principal::Owner(account.owner)), length != Some(0))?;
    if context.node().totals(&Scope::of(SurfaceId::PyBlobServer)).open >= context.config.uploads.open_max {
        return Err(Refusal::TooMany(RETRY_OPEN_S));
    }
    Ok(())
}

fn describe(
    context: &RequestContext<'_>,
    user: &str,
    place: String,
    metadata: &Metadata,
    length: Option<u64>,
) -> Record {
    let node = context.node();
    let told = metadata.get("filename").or_else(|| metadata.get("name")).unwrap_or_default();
    let now = node.clock.now_ms();
    let mut record = file::record(node.new_id(), place, user, name::of_text(told), now);
    record.metadata = metadata.raw().map(str::to_owned);
    record.length = length;
    record.completed_ms = (length == Some(0)).then_some(now);
    record.detail = Detail { is_tus: true, ..Detail::default() }.to_value();
    record
}

async fn keep(context: &RequestContext<'_>, user: &str, record: &Record) -> Result<(), Refusal> {
    let edit = finished::awaited(user, record.id, Edit::default()).put(record.clone());
    context.node().edit(edit).await?;
    audit::surface(SurfaceId::PyBlobServer, user, audit::CREATE, record.id);
    Ok(())
}

/// Creation with upload: a grant that answers 201.
async fn with_upload(context: &RequestContext<'_>, user: &str, record: Record) -> Result<Decision, Refusal> {
    let (node, settings) = (context.node(), context.settings());
    let most = record.length.unwrap_or_else(|| context.file_bytes_max());
    let bytes = context.meta.body.length();
    if bytes.is_some_and(|bytes| bytes > most) {
        return Err(match record.length {
            Some(_) => Refusal::Form("The body is longer than Upload-Length"),
            None => Refusal::FileTooLarge(settings.file_size_limit_mb),
        });
    }
    let ticket = node.ticket();
    let promise = room::reserve(node, ticket, bytes, most, &context.account(user)).await?;
    if promise.is_cut && (bytes.is_some() || promise.bytes == 0) {
        node.unreserve(ticket);
        return Err(Refusal::TotalTooLarge(settings.total_size_limit_mb));
    }
    if let Err(refusal) = keep(context, user, &record).await {
        node.unreserve(ticket);
        return Err(refusal);
    }
    let append = Append {
        object: record.id,
        length: record.length,
        length_max: Some(context.file_bytes_max()),
        parallel: false,
        budget: Some(promise.bytes),
        expires_after_s: None,
        expires_unix_ms: Some(expires_ms(&record)),
        completed: became(context, &record),
        created: Some(created(context, &record)),
        rate: None,
    };
    Ok(Decision::cached(node, ticket, 0, Act::Append(append)))
}

/// The fields of a 201 that are not about bytes.
fn created(context: &RequestContext<'_>, record: &Record) -> Vec<Field> {
    vec![("Location".to_owned(), format!("{}/upload_tus/{}", context.base(), record.id))]
}
