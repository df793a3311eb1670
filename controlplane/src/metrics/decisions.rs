//! Decisions by surface, method, route and answer, and how long each took.
//!
//! Must stay true (PROMISES.md P22): a label holds the route as it was declared (`/tus/{id}`), never the path that was
//! asked for.

use std::time::Instant;

use axum::extract::Request;
use http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Metrics;
use crate::core::SurfaceId;
use crate::link::decision::Decision;

/// Upper bounds in seconds: a decision from memory takes the first ones, one that waits for a disk or a database the last.
const BOUNDS_S: [f64; 12] = [0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
/// The route of a path that does not exist.
const UNKNOWN: &str = "unknown";

/// What the layers count.
#[derive(Debug)]
pub struct Decisions {
    answers: Family<AnswerLabels, Counter>,
    took: Family<RouteLabels, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    surface: &'static str,
    method: &'static str,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    #[prometheus(flatten)]
    labels: RouteLabels,
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

    fn count(&self, labels: RouteLabels, since: Instant, decision: &Decision) {
        self.took.get_or_create(&labels).observe(since.elapsed().as_secs_f64());
        self.answers.get_or_create(&AnswerLabels { labels, answer: answer(decision) }).inc();
    }
}

/// Follows one decision of a dialect: how long it takes, which route decides ([`Decision::route`]), and what.
pub async fn follow<Deciding>(
    (metrics, surface): (&Metrics, SurfaceId),
    request: Request,
    handler: impl FnOnce(Request) -> Deciding,
) -> Decision
where
    Deciding: Future<Output = Decision>,
{
    let (since, method) = (Instant::now(), name(request.method()));
    let decision = handler(request).await;
    let route = decision.route().unwrap_or(UNKNOWN).to_owned();
    metrics.decisions.count(RouteLabels { surface: surface.name(), method, route }, since, &decision);
    decision
}

fn answer(decision: &Decision) -> &'static str {
    let Some(status) = decision.status() else { return "grant" };
    match status.as_u16() {
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
