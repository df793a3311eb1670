//! The description of this dialect: `/openapi.json`, and a page of it at `/docs` and `/redoc` (CONTRACT.md §17.7).
//!
//! `openapi.json` beside this file is written by hand. Tests (`tests/openapi.rs`) keep it true: paths and methods are those of the router,
//! who may is what the gate says, and the JSON of real answers has exactly the fields of the schemas.
//!
//! Must stay true: the page runs nothing and loads nothing.

mod page;

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use serde_json::Value;
use sha2::{Digest, Sha256};

const SOURCE: &str = include_str!("openapi.json");
/// A day's visits need one transfer; a new version is seen soon.
const CACHE: &str = "max-age=300";

/// What is served; it never changes while the program runs.
struct Served {
    json: String,
    page: String,
    policy: String,
}

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let document = document();
    let style = STANDARD.encode(Sha256::digest(page::STYLE));
    Served {
        json: document.to_string(),
        page: page::render(&document),
        policy: format!("default-src 'none'; style-src 'sha256-{style}'; frame-ancestors 'none'; base-uri 'none'"),
    }
});

/// `GET /openapi.json`
pub async fn json() -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, CACHE)], SERVED.json.as_str()).into_response()
}

/// `GET /docs`, `GET /redoc`
pub async fn docs() -> Response {
    let fields = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, SERVED.policy.as_str()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, CACHE),
    ];
    (fields, SERVED.page.as_str()).into_response()
}

/// The description, with the version of this program.
fn document() -> Value {
    let mut document: Value = serde_json::from_str(SOURCE).expect("the tests read the same file");
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document
}

/// What stands at a `$ref` into the document; anything else is itself.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let target = value["$ref"].as_str().and_then(|target| target.strip_prefix('#'));
    target.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}
