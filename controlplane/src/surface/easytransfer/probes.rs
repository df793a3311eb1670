//! For the operator: does it live (`/livez`), may it get work (`/readyz`), what does it do (`/metrics`). The first
//! two are open, read memory only, and tell nothing but words of ours.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};

use super::admin;
use crate::authority::Caller;
use crate::metrics::MEDIA_TYPE;
use crate::surface::easytransfer::Service;
use crate::surface::refusal::Refused;

/// `GET /livez`: an answer is all there is to say. While the control plane is away the data plane answers 503.
pub async fn live() -> Json<Value> {
    Json(json!({"live": true}))
}

/// `GET /readyz`: 200 when nothing is missing, else 503 with what is.
pub async fn ready(State(app): State<Service>) -> Response {
    let missing = app.missing();
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = json!({"ready": missing.is_empty(), "missing": missing});
    if let Some(reason) = app.node.plane().degraded {
        body["degraded"] = reason.into();
    }
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// `GET /metrics`: it names interfaces and tells how much is stored, so not everybody may read it.
pub async fn metrics(State(app): State<Service>, Extension(caller): Extension<Caller>) -> Result<Response, Refused> {
    admin::check(&caller)?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE), (CACHE_CONTROL, "no-store")], app.metrics.text()).into_response())
}

impl Service {
    /// What keeps this node from doing its work:
    ///
    /// * `catalogue` the last write of the catalogue failed
    /// * `data_plane` one of its cores was not heard for 5 s
    /// * `inventory` it has not told yet what it holds
    /// * `disk` it no longer trusts its disk (PROMISES.md P6)
    fn missing(&self) -> Vec<&'static str> {
        let plane = self.node.plane();
        let conditions = [
            ("catalogue", !self.node.catalogue().is_failing),
            ("data_plane", self.metrics.cores.are_there(plane.cores)),
            ("inventory", self.node.knows_inventory()),
            ("disk", plane.degraded.is_none()),
        ];
        conditions.into_iter().filter(|(_, holds)| !holds).map(|(name, _)| name).collect()
    }
}
