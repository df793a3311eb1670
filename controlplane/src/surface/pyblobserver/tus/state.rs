//! `HEAD` and `DELETE /upload_tus/{id}`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use etransfer_contract::grant::{Act, Field, Remove, State};
use etransfer_contract::tus::Metadata;
use http::StatusCode;

use super::{became, expires_ms, finished};
use crate::audit;
use crate::catalogue::Entry;
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::node::Edit;
use crate::surface::pyblobserver::context::RequestContext;
use crate::surface::pyblobserver::refusal::Refusal;
use crate::surface::pyblobserver::user::User;

/// How far an upload is; the data plane knows.
pub fn head(context: &RequestContext<'_>, entry: &Entry) -> Decision {
    let record = &entry.record;
    let mut fields = metadata(record.metadata.as_deref());
    if record.is_complete() {
        fields.extend(became(context, record));
    }
    let state = State {
        object: record.id,
        length: record.length,
        expires_after_s: None,
        expires_unix_ms: Some(expires_ms(record)),
        created_unix_ms: record.created_ms,
        fields,
    };
    Decision::grant(context.node(), Act::State(state))
}

/// What the client gave, in valid form: some give values that are no base64, which are taken as they are.
fn metadata(raw: Option<&str>) -> Vec<Field> {
    let Some(Ok(metadata)) = raw.map(|raw| Metadata::parse(raw.as_bytes())) else { return Vec::new() };
    let pair = |(key, value): (&str, Option<&[u8]>)| match value {
        Some(value) => format!("{key} {}", STANDARD.encode(value)),
        None => key.to_owned(),
    };
    let pairs: Vec<String> = metadata.pairs().map(pair).collect();
    vec![("Upload-Metadata".to_owned(), pairs.join(","))]
}

/// Ends an upload, or deletes the file it became. The record is gone, durably, before the bytes are.
pub async fn delete(context: &RequestContext<'_>, user: &str, entry: &Entry) -> Result<Decision, Refusal> {
    let object = entry.record.id;
    {
        let _alone = User::lock(context.node(), user).await;
        finished::count_alone(context.node(), user).await?;
        context.node().edit(finished::forgotten(user, object, Edit::default()).delete(object)).await?;
    }
    audit::surface(SurfaceId::PyBlobServer, user, audit::DELETE, object);
    let status = StatusCode::NO_CONTENT.as_u16();
    Ok(Decision::grant(context.node(), Act::Remove(Remove { object, status, fields: Vec::new(), body: String::new() })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_8_metadata_is_told_in_valid_form() {
        for (given, told) in [
            ("filename dC50eHQ=,filetype dGV4dC9wbGFpbg==", "filename dC50eHQ=,filetype dGV4dC9wbGFpbg=="),
            ("filename t.txt", "filename dC50eHQ="),
            ("is_x,name YQ==", "is_x,name YQ=="),
        ] {
            assert_eq!(metadata(Some(given)), [("Upload-Metadata".to_owned(), told.to_owned())]);
        }
        assert!(metadata(None).is_empty());
    }
}
