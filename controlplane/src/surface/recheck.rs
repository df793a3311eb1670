//! Whether a transfer under way may go on, and how fast: asked by the data plane when the epoch rose, and every few seconds.
//! Decides nothing new and changes nothing. One place for all dialects: each tells only who is asking.
//!
//! Must stay true: what is not known (people who cannot be asked) is no answer, and the transfer goes on; what is gone has
//! its own end, its removal cuts whom it must.

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use etransfer_contract::grant::{Rate, Recheck};
use http::{Method, StatusCode};

use super::Surface;
use crate::app::App;
use crate::mounts::Mounted;
use crate::node::Account;

/// What a dialect says of a request that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// It would be let in again.
    Holds {
        /// Its speed limit.
        rate: Option<Rate>,
        /// What its bytes count against, beside the node.
        account: Option<Account>,
    },
    /// Whose it was may do this no longer.
    Ended,
    /// It cannot be told now.
    Unknown,
}

impl Right {
    /// The right itself, without limits of its own.
    pub fn of(holds: bool) -> Self {
        if holds { Self::Holds { rate: None, account: None } } else { Self::Ended }
    }
}

/// Judges the request as if it came now.
pub async fn recheck(app: &App, surface: &dyn Surface, mounted: &Mounted, request: Request) -> Response {
    let stores = !matches!(*request.method(), Method::GET | Method::HEAD);
    let right = surface.recheck(mounted, request).await;
    match right {
        Right::Holds { rate, account } => {
            let full = stores && app.node.is_over_limit(account.as_ref());
            Json(Recheck { go: !full, rate, full }).into_response()
        }
        Right::Ended => Json(Recheck { go: false, rate: None, full: false }).into_response(),
        Right::Unknown => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
