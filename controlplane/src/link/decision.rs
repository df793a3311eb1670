//! A decision: what a handler returns and the data plane receives. Either an answer to relay, which may bring the grant for the
//! client's next request, or a grant: a permission or a step.
//!
//! Must stay true: a decision becomes HTTP in [`Decision::into_wire`] and nowhere else. Between a handler and an axum router
//! around it, it travels as a response ([`Decision::carried`]).

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use etransfer_contract::Grant;
use etransfer_contract::grant::{Act, Holder, PrefetchedGrant, Ticket};
use etransfer_contract::link::{GRANT_MEDIA_TYPE, NEXT, VERSION};
use etransfer_contract::step::{Step, What};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::node::Node;

/// What a handler decided.
#[derive(Debug)]
pub struct Decision {
    outcome: Outcome,
    route: Option<Cow<'static, str>>,
}

#[derive(Debug)]
enum Outcome {
    /// The answer to relay, and the grant for the client's next request.
    Answer(Response, Option<Box<PrefetchedGrant>>),
    /// What the data plane may do.
    Grant(Box<Grant>),
}

/// A decision inside a response, between a handler and the router around it.
#[derive(Debug, Clone, Default)]
struct Carried {
    grant: Option<Box<Grant>>,
    next: Option<Box<PrefetchedGrant>>,
    route: Option<Cow<'static, str>>,
}

impl Decision {
    /// Permission for one request.
    pub fn grant(node: &Node, act: Act) -> Self {
        Self::cached(node, node.ticket(), 0, act)
    }

    /// One step; its outcome comes back with the memo. `ticket`: what space was reserved under, or a new one.
    pub fn step(node: &Node, ticket: Ticket, memo: impl Into<String>, what: What) -> Self {
        Self::cached(node, ticket, 0, Act::Step(Step { continuation: memo.into(), what }))
    }

    /// Permission that equal requests may reuse for `cache_ms`.
    pub fn cached(node: &Node, ticket: Ticket, cache_ms: u64, act: Act) -> Self {
        Self::permission(node, ticket, cache_ms, act).into()
    }

    /// The grant alone.
    pub fn permission(node: &Node, ticket: Ticket, cache_ms: u64, act: Act) -> Grant {
        Grant { version: VERSION, ticket, epoch: node.epoch(), cache_ms, headers: Vec::new(), holder: None, act }
    }

    /// Adds the grant for the client's next request to an answer.
    #[must_use]
    pub fn with_next(mut self, ahead: PrefetchedGrant) -> Self {
        if let Outcome::Answer(_, next) = &mut self.outcome {
            *next = Some(Box::new(ahead));
        }
        self
    }

    /// Names the route that decided, as it is declared; for the metrics.
    #[must_use]
    pub fn on_route(self, route: impl Into<Cow<'static, str>>) -> Self {
        Self { route: Some(route.into()), ..self }
    }

    /// The route that decided.
    pub fn route(&self) -> Option<&str> {
        self.route.as_deref()
    }

    /// The status of the answer; `None`: it is a grant.
    pub fn status(&self) -> Option<StatusCode> {
        match &self.outcome {
            Outcome::Answer(response, _) => Some(response.status()),
            Outcome::Grant(_) => None,
        }
    }

    /// Takes the body off an answer, as HEAD has none; `fields` come on top.
    pub fn empty(&mut self, fields: HeaderMap) {
        if let Outcome::Answer(response, _) = &mut self.outcome {
            *response.body_mut() = Body::empty();
            response.headers_mut().remove(CONTENT_LENGTH);
            response.headers_mut().extend(fields);
        }
    }

    /// Adds fields to whatever the client gets: to the answer, or to every reply under the grant.
    pub fn add_fields(&mut self, fields: &HeaderMap) {
        let under = |grant: &mut Grant| {
            for (name, value) in fields {
                if let Ok(value) = value.to_str() {
                    grant.headers.push((spelling(name), value.to_owned()));
                }
            }
        };
        match &mut self.outcome {
            Outcome::Answer(response, next) => {
                if let Some(ahead) = next {
                    under(&mut ahead.grant);
                }
                for (name, value) in fields {
                    response.headers_mut().append(name, value.clone());
                }
            }
            Outcome::Grant(grant) => under(grant),
        }
    }

    /// The grant, and the one for the next request, are counted among the requests of this holder.
    pub fn count_among(&mut self, holder: impl FnOnce() -> Option<Holder>) {
        match &mut self.outcome {
            Outcome::Answer(_, None) => {}
            Outcome::Answer(_, Some(ahead)) => ahead.grant.holder = holder(),
            Outcome::Grant(grant) => grant.holder = holder(),
        }
    }

    /// What goes over the link: a grant as JSON in the body, the one for the next request in a field.
    pub fn into_wire(self) -> Response {
        match self.outcome {
            Outcome::Answer(mut response, next) => {
                let json = next.map(|ahead| serde_json::to_string(&ahead).expect("a grant has only string keys"));
                // A name that is not ASCII cannot stand in a field: then the data plane asks.
                if let Some(value) = json.and_then(|json| HeaderValue::try_from(json).ok()) {
                    response.headers_mut().insert(NEXT, value);
                }
                response
            }
            Outcome::Grant(grant) => {
                let json = serde_json::to_vec(&grant).expect("a grant has only string keys");
                let mut response = Response::new(Body::from(json));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(GRANT_MEDIA_TYPE));
                response
            }
        }
    }

    /// The decision that a router brings: what a handler below it returned, or its own answer.
    pub fn carried(mut response: Response) -> Self {
        let Carried { grant, next, route } = response.extensions_mut().remove().unwrap_or_default();
        let outcome = match grant {
            Some(grant) => Outcome::Grant(grant),
            None => Outcome::Answer(response, next),
        };
        Self { outcome, route }
    }
}

impl IntoResponse for Decision {
    /// For a router; [`Decision::carried`] takes it out again.
    fn into_response(self) -> Response {
        let (mut response, grant, next) = match self.outcome {
            Outcome::Answer(response, next) => (response, None, next),
            Outcome::Grant(grant) => (Response::new(Body::empty()), Some(grant), None),
        };
        response.extensions_mut().insert(Carried { grant, next, route: self.route });
        response
    }
}

impl From<Response> for Decision {
    fn from(response: Response) -> Self {
        Self { outcome: Outcome::Answer(response, None), route: None }
    }
}

impl From<Grant> for Decision {
    fn from(grant: Grant) -> Self {
        Self { outcome: Outcome::Grant(Box::new(grant)), route: None }
    }
}

/// `tus-resumable` → `Tus-Resumable`: names compare without case, but people read them.
fn spelling(name: &HeaderName) -> String {
    let mut start = true;
    let letter = |letter: char| {
        let upper = std::mem::replace(&mut start, letter == '-');
        if upper { letter.to_ascii_uppercase() } else { letter }
    };
    name.as_str().chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_names_are_spelled_as_people_read_them() {
        assert_eq!(spelling(&HeaderName::from_static("tus-resumable")), "Tus-Resumable");
    }
}
