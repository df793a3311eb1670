//! `PATCH /upload_tus/{id}`: everything up to the first byte.

use axum::response::IntoResponse;
use etransfer_contract::grant::{Act, Append};
use etransfer_contract::tus::{AppendHead, Refusal as Words};
use http::StatusCode;

use super::{became, expires_ms, put};
use crate::catalogue::Entry;
use crate::link::decision::Decision;
use crate::surface::pyblobserver::context::RequestContext;
use crate::surface::pyblobserver::refusal::Refusal;
use crate::surface::pyblobserver::room;

/// Appends.
pub async fn append(context: &RequestContext<'_>, user: &str, entry: &Entry) -> Result<Decision, Refusal> {
    let head = AppendHead::parse(&context.headers)?;
    let record = &entry.record;
    if record.is_complete() {
        return complete(context, entry, &head);
    }
    let (node, settings) = (context.node(), context.settings());
    let end = head.offset.saturating_add(context.meta.body.length().unwrap_or(0));
    if record.length.is_none() && head.length.unwrap_or(end).max(end) > context.file_bytes_max() {
        return Err(Refusal::FileTooLarge(settings.file_size_limit_mb));
    }
    let length = record.length.or(head.length).unwrap_or_else(|| context.file_bytes_max());
    let rest = length.saturating_sub(entry.received());
    let (ticket, bytes) = (node.ticket(), context.meta.body.length());
    // What is more than the upload may take is refused by the data plane, and nothing has to be promised for it.
    let promise = room::reserve(node, ticket, bytes, rest, &context.account(user)).await?;
    if promise.is_cut && (bytes.is_some() || promise.bytes == 0) {
        node.unreserve(ticket);
        return Err(if head.offset == entry.contiguous() {
            Refusal::TotalTooLarge(settings.total_size_limit_mb)
        } else {
            misplaced(entry)
        });
    }
    let append = Append {
        object: record.id,
        length: record.length,
        length_max: Some(context.file_bytes_max()),
        parallel: false,
        budget: Some(promise.bytes),
        expires_after_s: None,
        expires_unix_ms: Some(expires_ms(record)),
        completed: became(context, record),
        created: None,
        rate: None,
    };
    Ok(Decision::cached(node, ticket, 0, Act::Append(append)))
}

/// Nothing at the end of a finished upload is what a client sends whose answer was lost.
fn complete(context: &RequestContext<'_>, entry: &Entry, head: &AppendHead) -> Result<Decision, Refusal> {
    let length = entry.contiguous();
    if !context.meta.body.is_empty() || head.offset != length {
        return Err(misplaced(entry));
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    put(response.headers_mut(), vec![("Upload-Offset".to_owned(), length.to_string())]);
    put(response.headers_mut(), became(context, &entry.record));
    Ok(response.into())
}

fn misplaced(entry: &Entry) -> Refusal {
    let offset = entry.contiguous();
    let words = Words::new(409, format!("the upload continues at offset {offset}"));
    Refusal::Tus(words.with("Upload-Offset", offset.to_string()))
}
