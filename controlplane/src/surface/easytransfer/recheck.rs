//! Whose a transfer under way is, and whether they still may ([`crate::surface::recheck`]).

use axum::extract::Request;
use etransfer_contract::ObjectId;
use http::Method;

use super::quota::{download_rate, upload_rate};
use crate::authority::{Denied, Presented};
use crate::core::SurfaceId;
use crate::link::meta::Meta;
use crate::node::Look;
use crate::surface::easytransfer::Service;
use crate::surface::recheck::Right;

/// Who asks, and whether they see the upload or file.
pub async fn right(app: &Service, request: Request) -> Right {
    let presented = Presented::of(request.method(), request.uri(), request.headers());
    let peer = request.extensions().get::<Meta>().and_then(|meta| meta.peer).map(|peer| peer.ip());
    let caller = match app.authority.judge(&presented, peer, &app.node.config().user_system.role_quotas).await {
        Ok(caller) => caller,
        Err(Denied::Unauthorized) => return Right::Ended,
        Err(_) => return Right::Unknown,
    };
    let rate = if request.method() == Method::GET { download_rate(&caller) } else { upload_rate(&caller) };
    let entry = match object_of(request.uri().path()).map(|id| app.node.look(SurfaceId::EasyTransfer, id)) {
        Some(Look::There(entry)) => entry,
        Some(_) | None => return Right::Holds { rate, account: None },
    };
    if !caller.sees(&entry.record) {
        return Right::Ended;
    }
    match app.account_of(entry.record.owner.as_ref(), &caller).await {
        Ok(account) => Right::Holds { rate, account },
        Err(_) => Right::Unknown,
    }
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
