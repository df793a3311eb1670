//! PUT of an object (CONTRACT.md §B7): the signer of the request writes any key.

use etransfer_contract::step::Outcome;
use http::header::CONTENT_TYPE;

use super::arrival::{self, Arrival, Success};
use super::call::Call;
use super::policy::Bounds;
use super::refusal::Refusal;
use super::stored::Headers;
use crate::link::decision::Decision;

/// One object.
pub async fn put(call: &Call<'_>, outcome: Option<Outcome>) -> Result<Decision, Refusal> {
    if let Some(outcome) = outcome {
        return arrival::arrived(call, &outcome.continuation, outcome.report).await.map(Decision::from);
    }
    let headers = &call.head.headers;
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    let forbids = headers.get("x-oss-forbid-overwrite");
    let arrival = Arrival {
        key: call.key()?.clone(),
        headers: Headers::new(content_type, headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))?,
        forbid_overwrite: forbids.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true")),
        success: Success::Ok,
        basis: None,
    };
    let exact = call.meta().body.length();
    arrival::receive(call, arrival, Bounds { min: 0, max: u64::MAX }, exact, u64::MAX).await
}
