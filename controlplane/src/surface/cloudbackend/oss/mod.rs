//! The storage plane (CONTRACT.md §B): one bucket that clients of the provider take for theirs.
//!
//! * [`call`] a request taken apart · [`place`], [`mod@key`], [`parameters`] what its target says · [`operation`]
//!   what it asks for
//! * [`access`] who may, [`signature`] what is signed · [`fields`], [`policy`], [`condition`] forms and what they may say
//! * [`post`], [`put`] content comes in, [`arrival`] and becomes an object · [`get`], [`requested`], [`disposition`] it goes out
//! * [`objects`] the catalogue, [`stored`] what is kept beside the bytes
//! * [`refusal`] every refusal, [`xml`] how it is written
//!
//! Must stay true: whatever the bucket answers, it answers as the provider would: XML, a request id, and the fields pages of
//! other origins need. Keys are labels: no path on a disk is ever made of one.

mod access;
mod arrival;
mod call;
mod condition;
mod disposition;
mod fields;
mod get;
pub mod key;
pub mod objects;
mod operation;
pub mod parameters;
mod place;
pub mod policy;
mod post;
mod put;
mod refusal;
mod requested;
pub mod signature;
pub mod stored;
mod xml;

use axum::extract::{FromRequest, Request};
use axum::response::IntoResponse;
use etransfer_contract::step::Outcome;
use http::header::{AUTHORIZATION, HOST, SERVER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use self::call::Call;
use self::operation::Operation;
use self::parameters::Parameters;
use self::place::Style;
use self::refusal::Refusal;
use crate::audit;
use crate::config::surfaces::host::bare;
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::mounts::Mounted;
use crate::surface::cloudbackend::Service;
use crate::surface::cloudbackend::settings::CloudBackend;
use crate::surface::cross_origin::CrossOrigin;
use crate::surface::reported::Reported;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-oss-request-id");

/// Whether a path that begins with the segment `first` is one of the bucket, or of some other bucket.
pub fn is_asked(app: &Service, first: &str, request: &Request) -> bool {
    let is_signed = || {
        let header = request.headers().get(AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"OSS "));
        let parameters = Parameters::parse(request.uri().query());
        header || parameters.is_ok_and(|parameters| parameters.get("OSSAccessKeyId").is_some())
    };
    let config = app.node.config();
    let cloud = config.surfaces.of::<CloudBackend>();
    first == cloud.bucket || is_own_host(cloud, request.headers()) || is_signed()
}

/// One request to its answer.
pub async fn handle(app: &Service, mounted: &Mounted, request: Request) -> Decision {
    let config = app.node.config();
    let cloud = config.surfaces.of::<CloudBackend>();
    // 24 digits, as the provider's.
    let request_id = app.node.new_id().to_string()[..24].to_ascii_uppercase();
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    let is_own_host = mounted.is_own_host || is_own_host(cloud, request.headers());
    let style = if is_own_host { Style::BucketHost } else { Style::Path };
    let origins = cross_origin(cloud);
    let (mut decision, mut fields) = if request.method() == Method::OPTIONS {
        (StatusCode::OK.into_response().into(), origins.preflight(request.headers()).unwrap_or_default())
    } else {
        let fields = origins.fields(request.headers()).unwrap_or_default();
        let decided = decide(app, mounted, style, request).await;
        (decided.unwrap_or_else(|refusal| refusal.answer(&request_id, &host).into()), fields)
    };
    fields.insert(REQUEST_ID, HeaderValue::try_from(request_id).expect("hex is visible ASCII"));
    fields.insert(SERVER, HeaderValue::from_static("EasyTransfer"));
    decision.add_fields(&fields);
    decision
}

async fn decide(app: &Service, mounted: &Mounted, style: Style, request: Request) -> Result<Decision, Refusal> {
    let (head, body) = request.into_parts();
    let told = Reported::from_request(Request::from_parts(head.clone(), body), app).await;
    let is_unsigned = access::is_unsigned(&head.headers, head.uri.query()) && head.method != Method::POST;
    // Who has no right learns nothing about what a name or a query must look like.
    let call =
        Call::new(app, mounted, style, head).map_err(|refusal| if is_unsigned { access::UNSIGNED } else { refusal })?;
    let operation = call.operation();
    let Reported(outcome) = match told {
        Ok(told) => told,
        Err(response) => return Ok(response),
    };
    Ok(act(&call, operation, outcome).await?.on_route(operation.route()))
}

/// Whether a request under way would be let in again, whatever the time is. A form has its signature in its body: it is
/// looked at again when its content is there.
pub fn still_may(app: &Service, mounted: &Mounted, request: Request) -> bool {
    let config = app.node.config();
    let cloud = config.surfaces.of::<CloudBackend>();
    let is_own_host = mounted.is_own_host || is_own_host(cloud, request.headers());
    let style = if is_own_host { Style::BucketHost } else { Style::Path };
    let (head, _) = request.into_parts();
    let Ok(call) = Call::new(app, mounted, style, head) else { return false };
    call.operation() == Operation::Post || call.check_access_again().is_ok()
}

async fn act(call: &Call<'_>, operation: Operation, outcome: Option<Outcome>) -> Result<Decision, Refusal> {
    // A form brings its own signature, in its first step.
    if !matches!(operation, Operation::Post | Operation::NotAllowed) {
        if outcome.is_some() { call.check_access_again()? } else { call.check_access()? }
    }
    match operation {
        Operation::Post => post::post(call, outcome).await,
        Operation::Put => put::put(call, outcome).await,
        Operation::Get => get::get(call),
        Operation::Delete => delete(call).await,
        Operation::NotAllowed => Err(Refusal::MethodNotAllowed),
        Operation::NotBuilt => Err(Refusal::NotImplemented),
    }
}

/// 204, whether it was there or not.
async fn delete(call: &Call<'_>) -> Result<Decision, Refusal> {
    let key = call.key()?;
    if let Some(object) = objects::remove(&call.app.node, key).await? {
        audit::surface(SurfaceId::CloudBackend, call.who(key), audit::DELETE, object.entry.record.id);
    }
    Ok(StatusCode::NO_CONTENT.into_response().into())
}

/// Removes objects that are no longer needed. PROMISES.md P11: a clock that was stepped removes nothing.
pub async fn sweep(app: &Service) {
    if !app.node.clock.agrees() {
        return;
    }
    let removed = objects::remove_orphans(&app.node, app.node.config().surfaces.of::<CloudBackend>()).await;
    if removed > 0 {
        tracing::info!(removed, "removed objects of the bucket that are no longer needed");
    }
}

fn is_own_host(cloud: &CloudBackend, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).map(bare);
    host.is_some() && host == cloud.bucket_host()
}

fn cross_origin(cloud: &CloudBackend) -> CrossOrigin<'_> {
    CrossOrigin {
        origins: &cloud.mount.cors_origins,
        methods: "GET, POST, PUT, DELETE, HEAD",
        fields: None,
        exposed: "ETag, x-oss-request-id",
        max_age_s: 3600,
        credentials: false,
    }
}

#[cfg(test)]
mod golden;
