//! How a handler gets a body: it asks for [`Attached`], and never learns that a decide comes without one. The extractor
//! answers such a decide with [`Act::Forward`]; the data plane sends the request again with the body.

use std::ops::Deref;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::IntoResponse;
use etransfer_contract::grant::Act;
use http_body_util::{BodyExt, Limited};

use super::refusal::Refused;
use crate::app::App;
use crate::bounds::ATTACHED_BYTES_MAX;
use crate::link::decision::Decision;
use crate::link::meta::{Call, Meta};

/// The whole body of the request.
pub struct Attached(pub Bytes);

impl<S: Deref<Target = App> + Sync> FromRequest<S> for Attached {
    type Rejection = Decision;

    async fn from_request(request: Request, app: &S) -> Result<Self, Decision> {
        let meta = *request.extensions().get::<Meta>().expect("the entry layer put it there");
        match meta.call {
            Call::Decide if !meta.body.is_empty() => {
                let act = Act::Forward { bytes_max: ATTACHED_BYTES_MAX as u64 };
                Err(Decision::grant(&app.node, act))
            }
            Call::Decide | Call::Attached | Call::Outcome | Call::Recheck | Call::Line | Call::Bare => {
                match Limited::new(request.into_body(), ATTACHED_BYTES_MAX).collect().await {
                    Ok(body) => Ok(Self(body.to_bytes())),
                    Err(_) => Err(Refused::new(413, "the body is larger than this route takes").into_response().into()),
                }
            }
        }
    }
}
