//! Accounts by their number (CONTRACT.md §A3, "Not carried over"): one's own, and all of them for an administrator; to
//! anybody else there are none.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::fit::{self, EMAIL_TAKEN, Faults};
use super::{Account, session, settings};
use crate::audit;
use crate::core::SurfaceId;
use crate::node::Edit;
use crate::surface::cloudbackend::api::{Refusal, RequestContext, told};
use crate::surface::cloudbackend::{drive, drop};

/// `GET /user/`
pub fn list(context: &RequestContext<'_>) -> Result<Response, Refusal> {
    check_admin(context)?;
    let all = Account::all(context.node());
    Ok(told(StatusCode::OK, all.iter().map(|account| account.told(context.node(), context.cloud())).collect()))
}

/// `GET /user/{id}/`
pub fn show(context: &RequestContext<'_>, id: u64) -> Result<Response, Refusal> {
    Ok(told(StatusCode::OK, visible(context, id)?.told(context.node(), context.cloud())))
}

/// `PUT` and `PATCH /user/{id}/`: what is absent stays.
pub async fn change(context: &RequestContext<'_>, id: u64) -> Result<Response, Refusal> {
    let account = visible(context, id)?;
    let mut faults = Faults::default();
    let display_name = context
        .member("display_name")
        .and_then(|_| faults.sift("display_name", fit::display_name(&context.body, &account.username)));
    let email = match context.body.get("email") {
        None => None,
        Some(_) => faults.sift("email", fit::required(&context.body, "email").and_then(fit::email)),
    };
    faults.check()?;
    settings::change(context, id, display_name, email).await.map_err(|refusal| match refusal {
        Refusal::EmailTaken => taken(),
        other => other,
    })
}

/// `DELETE /user/{id}/`. In this order, so that one that was cut short is done again: no login works any more; what the
/// account had goes; it goes itself.
pub async fn delete(context: &RequestContext<'_>, id: u64) -> Result<Response, Refusal> {
    check_admin(context)?;
    let node = context.node();
    let _alone = Account::lock(node, id).await;
    let mut account = Account::read(node, id).ok_or(Refusal::NotFound)?;
    {
        let _no_sessions = session::lock(node, id).await;
        node.edit(session::end_all(node, id, account.set_active(false, Edit::default()))).await?;
    }
    node.revoke();
    drop::remove_all(node, id).await?;
    drive::remove_all(node, id).await?;
    node.edit(account.remove(Edit::default())).await?;
    audit::act_on(SurfaceId::CloudBackend, &context.account()?.username, "delete account", &account.username);
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn visible(context: &RequestContext<'_>, id: u64) -> Result<Account, Refusal> {
    let caller = context.account()?;
    if caller.id == id {
        return Ok(caller);
    }
    let account = Account::read(context.node(), id).filter(|_| caller.is_admin(context.cloud()));
    account.ok_or(Refusal::NotFound)
}

fn check_admin(context: &RequestContext<'_>) -> Result<(), Refusal> {
    if context.account()?.is_admin(context.cloud()) { Ok(()) } else { Err(Refusal::Forbidden) }
}

/// On this route a taken address is a fault of its member.
fn taken() -> Refusal {
    let mut faults = Faults::default();
    faults.note("email", EMAIL_TAKEN);
    faults.check().err().unwrap_or(Refusal::EmailTaken)
}
