//! A decision: an ordinary answer, or a grant. Handlers return either; the grant travels through the layers as an
//! extension, so that each may add its fields, and becomes JSON at the very end ([`seal`]).

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use etransfer_contract::Grant;
use etransfer_contract::grant::{Act, Ahead, Holder, Ticket};
use etransfer_contract::line::{GRANT_MEDIA_TYPE, NEXT, VERSION};
use etransfer_contract::step::{Step, What};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::node::Node;

/// What a handler decided.
#[derive(Debug)]
pub enum Decision {
    /// Relay this.
    Answer(Response),
    /// Do this.
    Grant(Box<Grant>),
}

/// The grant inside a response, until it is sealed.
#[derive(Debug, Clone)]
struct Sealed(Box<Grant>);

/// A grant for what the client asks next, until it is sealed.
#[derive(Debug, Clone)]
struct Foreseen(Box<Ahead>);

/// Adds the grant for the client's next request to an answer.
pub fn foresee(response: &mut Response, ahead: Ahead) {
    response.extensions_mut().insert(Foreseen(Box::new(ahead)));
}

impl Decision {
    /// Permission for one request.
    pub fn grant(node: &Node, act: Act) -> Self {
        Self::cached(node, node.ticket(), 0, act)
    }

    /// One step; its outcome comes back with the memo. `ticket`: what space was reserved under, or a new one.
    pub fn step(node: &Node, ticket: Ticket, memo: impl Into<String>, what: What) -> Self {
        Self::cached(node, ticket, 0, Act::Step(Step { memo: memo.into(), what }))
    }

    /// Permission that equal requests may reuse for `cache_ms`.
    pub fn cached(node: &Node, ticket: Ticket, cache_ms: u64, act: Act) -> Self {
        Self::Grant(Box::new(Self::permission(node, ticket, cache_ms, act)))
    }

    /// The grant alone.
    pub fn permission(node: &Node, ticket: Ticket, cache_ms: u64, act: Act) -> Grant {
        Grant { version: VERSION, ticket, epoch: node.epoch(), cache_ms, headers: Vec::new(), holder: None, act }
    }
}

impl IntoResponse for Decision {
    fn into_response(self) -> Response {
        match self {
            Self::Answer(response) => response,
            Self::Grant(grant) => {
                let mut response = StatusCode::OK.into_response();
                response.extensions_mut().insert(Sealed(grant));
                response
            }
        }
    }
}

impl From<Response> for Decision {
    fn from(response: Response) -> Self {
        Self::Answer(response)
    }
}

/// Adds fields to whatever the client will get: to the response, or to every reply under the grant.
pub fn add_fields(response: &mut Response, fields: &HeaderMap) {
    let under = |grant: &mut Grant| {
        for (name, value) in fields {
            if let Ok(value) = value.to_str() {
                grant.headers.push((spelling(name), value.to_owned()));
            }
        }
    };
    if let Some(Foreseen(ahead)) = response.extensions_mut().get_mut() {
        under(&mut ahead.grant);
    }
    match response.extensions_mut().get_mut::<Sealed>() {
        Some(Sealed(grant)) => under(grant),
        None => {
            for (name, value) in fields {
                response.headers_mut().append(name, value.clone());
            }
        }
    }
}

/// Whether the response is a grant.
pub fn is_grant(response: &Response) -> bool {
    response.extensions().get::<Sealed>().is_some()
}

/// The grant, and the one for later, are counted among the requests of this holder.
pub fn count_among(response: &mut Response, holder: impl FnOnce() -> Option<Holder>) {
    let extensions = response.extensions_mut();
    if extensions.get::<Sealed>().is_none() && extensions.get::<Foreseen>().is_none() {
        return;
    }
    let holder = holder();
    if let Some(Foreseen(ahead)) = extensions.get_mut() {
        ahead.grant.holder.clone_from(&holder);
    }
    if let Some(Sealed(grant)) = extensions.get_mut() {
        grant.holder = holder;
    }
}

/// Writes the grant, if there is one, into the body; one for later into a field.
pub fn seal(mut response: Response) -> Response {
    if let Some(Foreseen(ahead)) = response.extensions_mut().remove() {
        let json = serde_json::to_string(&ahead).expect("a grant has only string keys, so it is always JSON");
        // A name that is no ASCII can not stand in a field: then the data plane asks, as ever.
        if let Ok(value) = HeaderValue::try_from(json) {
            response.headers_mut().insert(NEXT, value);
        }
    }
    let Some(Sealed(grant)) = response.extensions_mut().remove::<Sealed>() else { return response };
    let json = serde_json::to_vec(&grant).expect("a grant has only string keys, so it is always JSON");
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(GRANT_MEDIA_TYPE));
    *response.body_mut() = Body::from(json);
    response
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
