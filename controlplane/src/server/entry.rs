//! What happens to every request, in this order:
//!
//! 1. the control link's fields are read and taken off; a HEAD that travelled as GET is a HEAD again
//! 2. the control link's own calls go to their paths
//! 3. the dialect is found ([`crate::mounts`]); what led there is taken off the path
//! 4. the dialect decides ([`Surface::handle`]); it finds [`Meta`] and [`Mounted`] in the extensions, and where the request comes
//!    from in [`origin`]; the audit log is told of a refusal
//! 5. an answer to HEAD loses its body; a grant names the holder it is counted for and becomes JSON
//!    ([`crate::link::decision`]); `OPTIONS /`, which no dialect knows, is 204: load balancers send it as a health check
//!
//! Next: the dialect, for `/tus` and `/api` [`crate::surface::easytransfer::entry`].

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::response::{IntoResponse, Response};
use etransfer_contract::grant::Holder;
use etransfer_contract::link::FIELD_PREFIX;
use http::header::HOST;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use tower::ServiceExt;

use super::calls;
use crate::app::App;
use crate::authority::origin::{self, Origin};
use crate::bounds::FACTS_BATCH_BYTES_MAX;
use crate::core::SurfaceId;
use crate::link::meta::{Call, Meta};
use crate::mounts::Mounted;
use crate::surface::recheck::recheck;
use crate::surface::{self, Surface, attempts};

/// Who answers what comes through the socket.
#[derive(Clone)]
pub struct Routes {
    /// The control link's own calls: facts, orders, claims, counters, and what the operator's commands ask.
    pub line: Router,
    /// What clients ask, by dialect.
    pub surfaces: Arc<[Box<dyn Surface>]>,
}

impl Routes {
    /// Everything the socket answers.
    pub fn of(app: &App) -> Self {
        let surfaces: Arc<[_]> = surface::all(app).into();
        let operators = surfaces.iter().map(|surface| surface.operator_routes());
        let line = operators.fold(calls::router().with_state(app.clone()), Router::merge);
        Self { line: line.layer(DefaultBodyLimit::max(FACTS_BATCH_BYTES_MAX)), surfaces }
    }

    /// The dialect of that name; `None`: this server does not have it.
    pub fn surface(&self, id: SurfaceId) -> Option<&dyn Surface> {
        self.surfaces.iter().map(|surface| &**surface).find(|surface| surface.id() == id)
    }
}

/// One request from the socket to its answer.
pub async fn handle(app: &App, routes: &Routes, mut request: Request) -> Response {
    let meta = Meta::of(request.headers());
    if meta.is_head {
        *request.method_mut() = Method::HEAD;
    }
    if meta.call == Call::Line {
        return routes.line.clone().oneshot(request).await.into_response();
    }
    strip_line_fields(request.headers_mut());
    let mounted = mount(app, &meta, &mut request);
    let Some(surface) = routes.surface(mounted.surface) else { return StatusCode::NOT_FOUND.into_response() };
    let address = attempts::address(&app.node.config(), &meta, request.headers());
    origin::within(Origin { address, surface: mounted.surface }, decide(app, surface, meta, mounted, request)).await
}

/// One request of a client.
async fn decide(app: &App, surface: &dyn Surface, meta: Meta, mounted: Mounted, mut request: Request) -> Response {
    request.extensions_mut().insert(meta);
    request.extensions_mut().insert(mounted.clone());
    if meta.call == Call::Recheck {
        return recheck(app, surface, &mounted, request).await;
    }
    let is_head = request.method() == Method::HEAD;
    let is_check = request.method() == Method::OPTIONS && request.uri().path() == "/";
    let mut decision = surface.handle(&mounted, request).await;
    if is_check && matches!(decision.status(), Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)) {
        decision = StatusCode::NO_CONTENT.into_response().into();
    }
    if let Some(status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS)) =
        decision.status()
    {
        app.denials.note(status.as_u16());
    }
    if is_head {
        decision.empty(HeaderMap::new());
    }
    decision.count_among(|| {
        let at_once = u32::try_from(app.node.config().limits.transfers_per_credential).unwrap_or(u32::MAX);
        origin::holder().map(|key| Holder { key, at_once })
    });
    decision.into_wire()
}

/// Finds the surface and gives the request the path that surface knows.
fn mount(app: &App, meta: &Meta, request: &mut Request) -> Mounted {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let (mounted, rest) = app.mounts.resolve(meta.listener, host, request.uri().path());
    if !mounted.prefix.is_empty() {
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let target = PathAndQuery::try_from(format!("{rest}{query}"));
        *request.uri_mut() = Uri::from(target.expect("the end of a path, from a slash on, is a path"));
    }
    mounted
}

/// Handlers see what the client sent, and [`Meta`].
fn strip_line_fields(headers: &mut HeaderMap) {
    let own: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with(FIELD_PREFIX)).cloned().collect();
    own.into_iter().for_each(|name| {
        headers.remove(name);
    });
}
