//! Whether a transfer under way may go on, and how fast: asked by the data plane when the epoch rose. Decides nothing new
//! and changes nothing.

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use etransfer_contract::ObjectId;
use etransfer_contract::grant::Recheck;
use http::Method;

use super::quota::{download_rate, upload_rate};
use crate::authority::{Denied, Presented};
use crate::catalogue::Surface;
use crate::line::meta::Meta;
use crate::node::Look;
use crate::server::App;
use crate::surface::refusal::Refused;

/// Judges the request as if it came now. What is not known (people who cannot be asked) is no answer.
pub async fn recheck(app: &App, request: Request) -> Response {
    let presented = Presented::of(request.method(), request.uri(), request.headers());
    let peer = request.extensions().get::<Meta>().and_then(|meta| meta.peer).map(|peer| peer.ip());
    let caller = match app.authority.judge(&presented, peer, &app.node.config().user_system.role_quotas).await {
        Ok(caller) => caller,
        Err(Denied::Unauthorized) => return Json(Recheck { go: false, rate: None }).into_response(),
        Err(denied) => return Refused::from(denied).into_response(),
    };
    // What is gone has its own end: its removal cuts whom it must.
    let go = match object_of(request.uri().path()).map(|id| app.node.look(Surface::EasyTransfer, id)) {
        Some(Look::There(entry)) => caller.sees(&entry.record),
        Some(_) | None => true,
    };
    let rate = if request.method() == Method::GET { download_rate(&caller) } else { upload_rate(&caller) };
    Json(Recheck { go, rate }).into_response()
}

/// `/tus/{id}` and `/api/files/{id}/download`
fn object_of(path: &str) -> Option<ObjectId> {
    path.split('/').find_map(|segment| segment.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_of_a_path() {
        let id = "0123456789abcdef0123456789abcdef";
        for path in [format!("/tus/{id}"), format!("/api/files/{id}/download")] {
            assert_eq!(object_of(&path), id.parse().ok(), "{path}");
        }
        assert_eq!(object_of("/tus"), None);
    }
}
