//! Where the request under way comes from: known to everything that is done for it, without being handed through. Whom
//! failures count against, what the audit log tells, and whose transfers are counted together stand here and nowhere else.

use std::cell::RefCell;
use std::net::IpAddr;

use crate::core::SurfaceId;

tokio::task_local! {
    static ORIGIN: Origin;
    static HOLDER: RefCell<Option<String>>;
}

/// Of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The client's address, behind a trusted proxy the one that tells; `None`: the request did not come over the
    /// network.
    pub address: Option<IpAddr>,
    /// Which dialect it speaks.
    pub surface: SurfaceId,
}

/// Does something for a request from `origin`.
pub async fn within<F: Future>(origin: Origin, work: F) -> F::Output {
    ORIGIN.scope(origin, HOLDER.scope(RefCell::default(), work)).await
}

/// Of the request under way; `None`: the node does it by itself.
pub fn now() -> Option<Origin> {
    ORIGIN.try_with(|origin| *origin).ok()
}

/// The request under way brought a credential that counts; `holder` says whose it is, and is the same in every run.
pub fn entered(holder: impl Into<String>) {
    let _nobody_asked = HOLDER.try_with(|entered| *entered.borrow_mut() = Some(holder.into()));
}

/// Whose transfers the request under way is counted among: those of who [`entered`], else of its client's address.
pub fn holder() -> Option<String> {
    let entered = HOLDER.try_with(|entered| entered.borrow().clone()).ok().flatten();
    entered.or_else(|| client().map(|address| format!("address:{address}")))
}

/// Whom the request under way counts against: an IPv6 client by its /64.
pub fn client() -> Option<IpAddr> {
    now()?.address.map(crate::core::network::network)
}
