//! What happens to every request of this dialect, in this order (TUS.md §A12):
//!
//! 1. `/tus/` becomes `/tus`: clients write both, and not all of them follow a redirect
//! 2. pages of strangers are kept off a node that asks for no credentials; a CORS preflight is answered
//! 3. on `/tus`, `X-HTTP-Method-Override` becomes the method (T-OVR-1, T-OVR-2)
//! 4. the router: 404 for a path, 405 for a method that does not exist; below `/api` a path that does not exist asks for a
//!    credential too
//! 5. the gate, around every route: 401 without a credential, unless the path is open
//! 6. the handler, for PATCH in `tus/append.rs`
//! 7. fields every reply has: CORS, `Tus-Resumable`; also inside grants, for the replies made under them

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use etransfer_contract::tus;
use http::header::CACHE_CONTROL;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use tower::ServiceExt;

use super::{cors, strangers, tus as uploads};
use crate::authority::Presented;
use crate::authority::open::is_open;
use crate::core::SurfaceId;
use crate::core::percent::{self, Undecodable};
use crate::link::decision::Decision;
use crate::link::meta::Meta;
use crate::metrics::decisions;
use crate::surface::cross_origin::is_preflight;
use crate::surface::easytransfer::Service;
use crate::surface::refusal::Refused;

/// `Tus-Resumable`
pub const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");

/// One request to its answer.
pub async fn handle(app: &Service, router: &Router, mut request: Request) -> Decision {
    without_slash(&mut request);
    let is_tus = uploads::is_tus_path(request.uri().path());
    let config = app.node.config();
    let origins = strangers::origins(&config);
    let cors = cors::fields(&origins, request.headers());
    let meta = request.extensions().get::<Meta>().copied();
    let admitted = meta.map(|meta| strangers::check(&config, &meta, request.method(), request.headers()));
    let (method, mut decision) = match admitted {
        Some(Err(refused)) => (request.method().clone(), refused.into_response().into()),
        Some(Ok(())) | None => decide(app, router, request, &origins, is_tus).await,
    };
    let is_options = method == Method::OPTIONS;
    if method == Method::HEAD {
        let not_kept = is_tus.then(|| (CACHE_CONTROL, HeaderValue::from_static("no-store")));
        decision.empty(HeaderMap::from_iter(not_kept));
    }
    decision.add_fields(&cors);
    if is_tus && !is_options {
        // T-VER-1: every reply but the one to OPTIONS, errors included.
        let version = HeaderMap::from_iter([(TUS_RESUMABLE, HeaderValue::from_static(tus::VERSION))]);
        decision.add_fields(&version);
    }
    decision
}

/// The method the request counts as, and its answer.
async fn decide(
    app: &Service,
    router: &Router,
    mut request: Request,
    origins: &[String],
    is_tus: bool,
) -> (Method, Decision) {
    if is_preflight(&request) {
        return (Method::OPTIONS, cors::preflight(origins, request.headers()).into());
    }
    if is_tus && request.method() != Method::OPTIONS {
        match tus::method_override(request.method().as_str(), request.headers()) {
            Ok(effective) => {
                let name = effective.name(request.method().as_str()).to_owned();
                *request.method_mut() = Method::from_bytes(name.as_bytes()).unwrap_or(Method::POST);
            }
            Err(refusal) => return (request.method().clone(), Refused::from(refusal).into_response().into()),
        }
    }
    let method = request.method().clone();
    if let Err(refused) = check_path(request.uri().path()) {
        return (method, refused.into_response().into());
    }
    let routed = async |request| Decision::carried(word(router.clone().oneshot(request).await.into_response()));
    let decision = decisions::follow((&app.metrics, SurfaceId::EasyTransfer), request, routed).await;
    (method, decision)
}

/// `/tus/` is `/tus`. A redirect would name a path without the prefix that a proxy took off.
fn without_slash(request: &mut Request) {
    if request.uri().path() == "/tus/" {
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let target = PathAndQuery::try_from(format!("/tus{query}"));
        *request.uri_mut() = Uri::from(target.expect("a query that was one is one still"));
    }
}

/// A broken escape is 400; one that is no UTF-8 matches nothing, as a path that does not exist (PROMISES.md §4).
fn check_path(path: &str) -> Result<(), Refused> {
    match percent::decode(path) {
        Ok(_) => Ok(()),
        Err(Undecodable::Broken) => Err(Refused::new(400, "the path has a broken escape")),
        Err(Undecodable::NotUtf8) => Err(Refused::new(404, "no such path")),
    }
}

/// Tells which route a request took: a layer inside the router, where that is known.
pub async fn name_route(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    match route {
        Some(route) => Decision::carried(response).on_route(route.as_str().to_owned()).into_response(),
        None => response,
    }
}

/// The one place where authority is decided; every route is behind it.
pub async fn gate(State(app): State<Service>, mut request: Request, next: Next) -> Response {
    match admit(&app, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

/// Who comes in; a request that does is told who asks.
pub async fn admit(app: &Service, request: &mut Request) -> Result<(), Refused> {
    let path = request.uri().path();
    let is_question = request.method() == Method::OPTIONS && uploads::is_tus_path(path);
    if is_question || is_open(path) {
        return Ok(());
    }
    let peer = request.extensions().get::<Meta>().and_then(|meta| meta.peer).map(|peer| peer.ip());
    let presented = Presented::of(request.method(), request.uri(), request.headers());
    let caller = app.authority.judge(&presented, peer, &app.node.config().user_system.role_quotas).await?;
    request.extensions_mut().insert(presented);
    request.extensions_mut().insert(caller);
    Ok(())
}

/// Gives the router's own empty 405 the body of every other refusal.
fn word(mut response: Response) -> Response {
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let mut worded = Refused::new(405, "Method Not Allowed").into_response();
    if let Some(allow) = response.headers().get(http::header::ALLOW) {
        worded.headers_mut().insert(http::header::ALLOW, allow.clone());
    }
    // Which route it was stays known.
    *worded.extensions_mut() = std::mem::take(response.extensions_mut());
    worded
}
