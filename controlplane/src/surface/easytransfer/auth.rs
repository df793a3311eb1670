//! `POST /api/auth/verify` (CONTRACT.md §5.7): open, against the live tokens, in constant time, and not for guessing.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::clock::iso;
use crate::surface::attached::Attached;
use crate::surface::easytransfer::Service;
use crate::surface::query::Invalid;
use crate::surface::refusal::Refused;

/// Exactly one token; a key given twice is refused (PROMISES.md §4).
#[derive(serde::Deserialize)]
struct VerifyRequest {
    token: String,
}

/// Whether a token is valid.
pub async fn verify(State(app): State<Service>, Attached(body): Attached) -> Response {
    let Ok(VerifyRequest { token }) = serde_json::from_slice(&body) else {
        return Invalid::in_body("token", "JSON with one token, a string", Value::Null).into_response();
    };
    let (valid, expires_ms) = match app.authority.verify(&token).await {
        Ok(verdict) => verdict,
        Err(denied) => return Refused::from(denied).into_response(),
    };
    if !valid {
        app.denials.note(401);
    }
    Json(json!({"valid": valid, "expires_at": expires_ms.map(iso)})).into_response()
}
