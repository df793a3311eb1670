//! Decisions by surface, method, route and answer, and how long each took: a layer around the router of a surface, or
//! around the whole of one.
//!
//! Must stay true (PROMISES.md P22): a label holds the route as it was declared (`/tus/{id}`), never the path that was
//! asked for.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Metrics;
use crate::core::SurfaceId;
use crate::line::decision::is_grant;

/// Upper bounds in seconds: a decision from memory takes the first ones, one that waits for a disk or a database the last.
const BOUNDS_S: [f64; 12] = [0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
/// The route of a path that does not exist.
const UNKNOWN: &str = "unknown";

/// What the layers count.
#[derive(Debug)]
pub struct Decisions {
    answers: Family<Answered, Counter>,
    took: Family<Asked, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    surface: &'static str,
    method: &'static str,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    #[prometheus(flatten)]
    asked: Asked,
    answer: &'static str,
}

impl Decisions {
    /// Counts from 0, told by `registry`.
    pub fn registered(registry: &mut Registry) -> Self {
        let decisions =
            Self { answers: Family::default(), took: Family::new_with_constructor(|| Histogram::new(BOUNDS_S)) };
        let help = "Decisions of the control plane by route and answer: a grant, or a status class";
        registry.register("decisions", help, decisions.answers.clone());
        let help = "How long decisions of the control plane take, by route";
        registry.register_with_unit("decision", help, Unit::Seconds, decisions.took.clone());
        decisions
    }

    fn count(&self, asked: Asked, since: Instant, response: &Response) {
        self.took.get_or_create(&asked).observe(since.elapsed().as_secs_f64());
        self.answers.get_or_create(&Answered { asked, answer: answer(response) }).inc();
    }
}

/// The layer; its state names the surface.
pub async fn observe(
    State((metrics, surface)): State<(Arc<Metrics>, SurfaceId)>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or(UNKNOWN, MatchedPath::as_str).to_owned();
    let asked = Asked { surface: surface.name(), method: name(request.method()), route };
    let since = Instant::now();
    let response = next.run(request).await;
    metrics.decisions.count(asked, since, &response);
    response
}

/// The same for a surface that finds its way without a router. The route is what the answer says ([`Route`]).
pub async fn follow<Answer>(
    (metrics, surface): (&Metrics, SurfaceId),
    request: Request,
    handler: impl FnOnce(Request) -> Answer,
) -> Response
where
    Answer: Future<Output = Response>,
{
    let (since, method) = (Instant::now(), name(request.method()));
    let response = handler(request).await;
    let route = response.extensions().get().map_or(UNKNOWN, |Route(route)| route).to_owned();
    metrics.decisions.count(Asked { surface: surface.name(), method, route }, since, &response);
    response
}

/// Which route answered, as it is declared; an extension of the response.
#[derive(Debug, Clone, Copy)]
pub struct Route(pub &'static str);

fn answer(response: &Response) -> &'static str {
    match response.status().as_u16() {
        _ if is_grant(response) => "grant",
        0..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500.. => "5xx",
    }
}

/// Clients may make methods up: a label has a bound.
fn name(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}
