//! The pyBlobServer dialect (CONTRACT.md): files behind short public names, a bearer token per user.
//!
//! * [`route`] which resource a path names · [`refusal`] everything that is refused, with its words
//! * [`context`] what handlers ask of a request · [`tokens`] whose token it is · [`rate`] how often an address may ask
//! * [`user`] users · [`arrival`] a file coming in · [`upload`] by a form · [`socket`] by a WebSocket · [`tus`] in parts
//! * [`download`] `/s/{file_id}` · [`list`], [`delete`]
//! * [`mod@file`] a file as it is kept and told · [`downloads`] counting · [`room`] limits · [`upkeep`] what happens by itself
//!
//! Must stay true: authority is decided in [`context`] for every request again, outcomes of steps included; no name
//! that a client chose is part of a path; content never passes through here.

mod arrival;
mod context;
mod delete;
mod download;
mod downloads;
mod file;
mod list;
mod mime;
mod name;
mod rate;
mod refusal;
mod room;
mod route;
mod service;
pub mod settings;
mod short;
mod socket;
mod stamp;
mod tokens;
mod tus;
mod upkeep;
mod upload;
mod user;

pub use service::Service;

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use etransfer_contract::tus as tus_words;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::json;

use context::RequestContext;
use refusal::Refusal;
use route::Route;
use upload::Files;

use crate::link::decision::Decision;
use crate::link::meta::{Call, Meta};
use crate::mounts::Mounted;
use crate::surface::cross_origin::{CrossOrigin, is_preflight};
use crate::surface::pyblobserver::settings::PyBlobServer;
use crate::surface::recheck::Right;
use crate::surface::reported::Reported;

const METHODS: &str = "GET, POST, PUT, DELETE";
const METHODS_EXTENDED: &str = "GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS";
const EXPOSED: &str = "Location, X-Filename, Tus-Resumable, Tus-Extension, Tus-Version, Tus-Max-Size, Upload-Expires, \
     Upload-Metadata, Upload-Offset, Upload-Length, X-File-Id, X-File-Url, Content-Disposition, Content-Range, ETag, \
     Retry-After";
const FIELDS: &str = "Authorization, Content-Type, Location, X-Filename, Tus-Resumable, Tus-Extension, Tus-Version, \
     Tus-Max-Size, Upload-Expires, Upload-Metadata, Upload-Offset, Upload-Length, Upload-Defer-Length, Upload-Checksum, \
     X-HTTP-Method-Override, X-Requested-With";
const MAX_AGE_S: u32 = 3600;

/// One request to its answer.
pub async fn handle(app: &Service, mounted: &Mounted, request: Request) -> Decision {
    let config = app.node.config();
    let settings = config.surfaces.of::<PyBlobServer>();
    let pages = CrossOrigin {
        origins: &settings.mount.cors_origins,
        methods: if settings.extended { METHODS_EXTENDED } else { METHODS },
        fields: Some(FIELDS),
        exposed: EXPOSED,
        max_age_s: MAX_AGE_S,
        credentials: false,
    };
    if is_preflight(&request) {
        let preflight = match pages.preflight(request.headers()) {
            Some(fields) => (StatusCode::OK, fields, "OK").into_response(),
            None => (StatusCode::BAD_REQUEST, "Disallowed CORS origin").into_response(),
        };
        let mut decision = Decision::from(preflight);
        decision.add_fields(&safety(false));
        return decision;
    }
    let fields = pages.fields(request.headers()).unwrap_or_default();
    let meta = *request.extensions().get::<Meta>().expect("the entry puts it there");
    let mut context = RequestContext {
        app,
        config: config.clone(),
        mounted,
        meta,
        method: request.method().clone(),
        headers: request.headers().clone(),
        query: request.uri().query().unwrap_or_default().to_owned(),
    };
    let route = Route::of(request.uri().path(), settings.extended);
    let is_tus = route.as_ref().is_ok_and(Route::is_tus);
    let decided = match route {
        Ok(route) => decide(&mut context, route, request).await,
        Err(no_route) => context.admit().and(Err(Refusal::NoRoute(no_route))),
    };
    let mut decision = decided.unwrap_or_else(|refusal| refusal.into_response().into());
    decision.add_fields(&fields);
    decision.add_fields(&safety(context.is_tls()));
    if is_tus {
        let version = HeaderValue::from_static(tus_words::VERSION);
        decision.add_fields(&HeaderMap::from_iter([(HeaderName::from_static("tus-resumable"), version)]));
    }
    decision
}

/// Whether the user of a transfer under way still may. A conversation looks its token up for every message.
pub fn right(app: &Service, request: &Request) -> Right {
    let config = app.node.config();
    let settings = config.surfaces.of::<PyBlobServer>();
    let is_open = match Route::of(request.uri().path(), settings.extended) {
        Ok(Route::UploadSocket) => true,
        Ok(Route::File(_)) => !settings.require_auth_for_download,
        Ok(_) | Err(_) => false,
    };
    if is_open {
        return Right::of(true);
    }
    let user = tokens::bearer(request.headers())
        .and_then(|token| tokens::user_of(&app.node, settings, &tokens::digest(token)));
    match user {
        Some(user) => Right::Holds { rate: None, account: Some(context::account(settings, &user)) },
        None => Right::Ended,
    }
}

/// Method, rate limit, handler.
async fn decide(context: &mut RequestContext<'_>, route: Route, request: Request) -> Result<Decision, Refusal> {
    if context.meta.call != Call::Outcome && route.is_limited() {
        context.admit()?;
    }
    if route.is_tus() {
        let effective = tus_words::method_override(context.method.as_str(), &context.headers)?;
        let name = effective.name(context.method.as_str()).to_owned();
        context.method = Method::from_bytes(name.as_bytes()).unwrap_or(Method::POST);
    }
    if !route.methods().contains(&context.method) {
        return Err(Refusal::Method(route.methods()));
    }
    let context = &*context;
    match route {
        Route::Root => Ok(Json(json!({"message": "Hello World"})).into_response().into()),
        Route::Health => Ok(Json(json!({"status": "ok"})).into_response().into()),
        Route::User(id) => user::show(context, &id).await.map(Decision::from),
        Route::Upload => upload::upload(context, Files::One, told(context, request).await?).await,
        Route::UploadBatch => upload::upload(context, Files::Batch, told(context, request).await?).await,
        Route::File(name) => download::download(context, &name),
        Route::List => list::list(context).map(Decision::from),
        Route::Delete(name) => delete::one(context, &name).await,
        Route::DeleteAll => delete::all(context).await.map(Decision::from),
        Route::Auth => auth(context).map(Decision::from),
        Route::UploadSocket => socket::converse(context, told(context, request).await?).await,
        Route::Tus => tus::collection(context).await,
        Route::TusUpload(id) => tus::upload(context, &id).await,
    }
}

async fn told(
    context: &RequestContext<'_>,
    request: Request,
) -> Result<Option<etransfer_contract::step::Outcome>, Refusal> {
    let Reported(outcome) = Reported::from_request(request, context.app).await.map_err(|_| Refusal::Failed)?;
    Ok(outcome)
}

/// `GET /auth` (CONTRACT.md §8).
fn auth(context: &RequestContext<'_>) -> Result<Response, Refusal> {
    let user = context.user()?;
    let token = tokens::bearer(&context.headers).unwrap_or_default();
    Ok(Json(json!({"user": user, "token": token})).into_response())
}

/// Fields of every answer (CONTRACT.md §2.3).
fn safety(is_tls: bool) -> HeaderMap {
    let field = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let mut fields = HeaderMap::from_iter([
        field(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        field(header::X_FRAME_OPTIONS, "DENY"),
        field(header::X_XSS_PROTECTION, "1; mode=block"),
    ]);
    if is_tls {
        fields.extend([field(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains")]);
    }
    fields
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
