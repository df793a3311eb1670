//! What every call of the JSON API has (CONTRACT.md §A2): a route, an account, a body, fields of its answer.
//!
//! * [`route`] what a path and a method name · [`context`] one request, with what handlers ask of it · [`body`] what it brings
//! * [`refusal`] everything that is refused, with its words · [`texts`] what is said when it is not
//! * [`counter`] numbers that are given out once · [`failures`] who guessed wrong how often
//!
//! Must stay true: a request is authenticated before its body is asked for; every answer is JSON and every page may read it.

pub mod body;
pub mod context;
pub mod counter;
pub mod failures;
pub mod refusal;
pub mod route;
pub mod texts;

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

pub use self::context::RequestContext;
pub use self::refusal::Refusal;
use self::route::Route;
use super::{drive, drop, user};
use crate::link::decision::Decision;
use crate::link::meta::Meta;
use crate::mounts::Mounted;
use crate::surface::cloudbackend::Service;
use crate::surface::cloudbackend::settings::CloudBackend;
use crate::surface::cross_origin::CrossOrigin;

/// One request to its answer.
pub async fn handle(app: &Service, mounted: &Mounted, request: Request) -> Decision {
    let config = app.node.config();
    let cloud = config.surfaces.of::<CloudBackend>();
    let pages = cross_origin(cloud);
    let (mut decision, fields) = if request.method() == Method::OPTIONS {
        (Json(json!({})).into_response().into(), pages.preflight(request.headers()))
    } else {
        let fields = pages.fields(request.headers());
        let route = Route::of(request.uri().path(), request.method());
        let name = route.as_ref().ok().map(Route::declared);
        let decided = match route {
            Ok(route) => decide(app, mounted, route, request).await,
            Err(refusal) => Err(refusal),
        };
        let decision = decided.unwrap_or_else(|refusal| refusal.answer(cloud.messages).into());
        (if let Some(name) = name { decision.on_route(name) } else { decision }, fields)
    };
    decision.add_fields(&fields.unwrap_or_default());
    decision.add_fields(&safety());
    decision
}

async fn decide(app: &Service, mounted: &Mounted, route: Route, request: Request) -> Result<Decision, Refusal> {
    let mut context = RequestContext {
        app,
        config: app.node.config(),
        mounted,
        meta: *request.extensions().get::<Meta>().expect("the entry puts it there"),
        method: request.method().clone(),
        headers: request.headers().clone(),
        body: Value::Null,
    };
    if !route.is_open() {
        context.account()?;
    }
    context.body = match body::read(app, request).await {
        Ok(body) => body?,
        // A grant: the body comes with the next call.
        Err(decision) => return Ok(decision),
    };
    let is_fit = context.body.is_object() || (route.takes_array() && context.body.is_array());
    if !is_fit {
        return Err(Refusal::Shape);
    }
    match route {
        Route::User(route) => user::handle(&context, route).await,
        Route::Drive(route) => drive::handle(&context, route).await,
        Route::Drop(route) => drop::handle(&context, route).await,
    }
    .map(Decision::from)
}

/// A success.
pub fn told(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}

fn cross_origin(cloud: &CloudBackend) -> CrossOrigin<'_> {
    CrossOrigin {
        origins: &cloud.mount.cors_origins,
        methods: "DELETE, GET, OPTIONS, PATCH, POST, PUT",
        fields: Some("accept, authorization, content-type, user-agent, x-csrftoken, x-requested-with"),
        exposed: "",
        max_age_s: 86_400,
        credentials: false,
    }
}

/// Fields of every answer.
fn safety() -> HeaderMap {
    HeaderMap::from_iter([
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ])
}
