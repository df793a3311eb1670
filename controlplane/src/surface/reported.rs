//! How a handler hears what came of the step it asked for: it takes [`Reported`], which is empty when the request is new.

use axum::extract::{FromRequest, Request};
use axum::response::IntoResponse;
use etransfer_contract::link::VERSION;
use etransfer_contract::step::Outcome;
use http_body_util::{BodyExt, Limited};

use super::refusal::Refused;
use crate::bounds::OUTCOME_BYTES_MAX;
use crate::link::decision::Decision;
use crate::link::meta::{Call, Meta};

/// What came of the last step of this request; `None`: there was none.
#[derive(Debug)]
pub struct Reported(pub Option<Outcome>);

impl<S: Sync> FromRequest<S> for Reported {
    type Rejection = Decision;

    async fn from_request(request: Request, _: &S) -> Result<Self, Decision> {
        let meta = *request.extensions().get::<Meta>().expect("the entry layer put it there");
        if meta.call != Call::Outcome {
            return Ok(Self(None));
        }
        let refuse = |reason: &str| -> Decision {
            tracing::error!(reason, "an outcome cannot be read");
            Refused::new(500, "the planes of this server do not understand each other").into_response().into()
        };
        let body = Limited::new(request.into_body(), OUTCOME_BYTES_MAX).collect().await;
        let body = body.map_err(|error| refuse(&error.to_string()))?.to_bytes();
        match serde_json::from_slice::<Outcome>(&body) {
            Ok(outcome) if outcome.version == VERSION => Ok(Self(Some(outcome))),
            Ok(_) => Err(refuse("its version is another one")),
            Err(error) => Err(refuse(&error.to_string())),
        }
    }
}
