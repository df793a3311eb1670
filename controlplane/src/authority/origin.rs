//! Where the request under way comes from: known to everything that is done for it, without being handed through. Whom
//! failures count against and what the audit log tells stand here and nowhere else.

use std::net::IpAddr;

use crate::catalogue::Surface;

tokio::task_local! {
    static ORIGIN: Origin;
}

/// Of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The client's address, behind a trusted proxy the one that tells; `None`: nobody's over the network.
    pub address: Option<IpAddr>,
    /// Which dialect it speaks.
    pub surface: Surface,
}

/// Does something for a request from `origin`.
pub async fn within<F: Future>(origin: Origin, work: F) -> F::Output {
    ORIGIN.scope(origin, work).await
}

/// Of the request under way; `None`: the node does it by itself.
pub fn now() -> Option<Origin> {
    ORIGIN.try_with(|origin| *origin).ok()
}

/// Whom the request under way counts against: an IPv6 client by its /64.
pub fn client() -> Option<IpAddr> {
    now()?.address.map(crate::surface::attempts::network)
}
