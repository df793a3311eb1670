//! Accounts by their number (CONTRACT.md §A3, "Not carried over"): one's own, and all of them for an administrator; to
//! anybody else there are none.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::fit::{self, EMAIL_TAKEN, Faults};
use super::{Account, session, settings};
use crate::audit;
use crate::core::SurfaceId;
use crate::node::Edit;
use crate::surface::cloudbackend::api::{Asked, Refusal, told};
use crate::surface::cloudbackend::{drive, drop};

/// `GET /user/`
pub fn list(asked: &Asked<'_>) -> Result<Response, Refusal> {
    check_admin(asked)?;
    let all = Account::all(asked.node());
    Ok(told(StatusCode::OK, all.iter().map(|account| account.told(asked.node(), asked.cloud())).collect()))
}

/// `GET /user/{id}/`
pub fn show(asked: &Asked<'_>, id: u64) -> Result<Response, Refusal> {
    Ok(told(StatusCode::OK, visible(asked, id)?.told(asked.node(), asked.cloud())))
}

/// `PUT` and `PATCH /user/{id}/`: what is absent stays.
pub async fn change(asked: &Asked<'_>, id: u64) -> Result<Response, Refusal> {
    let account = visible(asked, id)?;
    let mut faults = Faults::default();
    let display_name = asked
        .member("display_name")
        .and_then(|_| faults.sift("display_name", fit::display_name(&asked.body, &account.username)));
    let email = match asked.body.get("email") {
        None => None,
        Some(_) => faults.sift("email", fit::required(&asked.body, "email").and_then(fit::email)),
    };
    faults.check()?;
    settings::change(asked, id, display_name, email).await.map_err(|refusal| match refusal {
        Refusal::EmailTaken => taken(),
        other => other,
    })
}

/// `DELETE /user/{id}/`. In this order, so that one that was cut short is done again: nobody gets in any more; what the
/// account had goes; it goes itself.
pub async fn delete(asked: &Asked<'_>, id: u64) -> Result<Response, Refusal> {
    check_admin(asked)?;
    let node = asked.node();
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
    audit::act_on(SurfaceId::CloudBackend, &asked.account()?.username, "delete account", &account.username);
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn visible(asked: &Asked<'_>, id: u64) -> Result<Account, Refusal> {
    let caller = asked.account()?;
    if caller.id == id {
        return Ok(caller);
    }
    let account = Account::read(asked.node(), id).filter(|_| caller.is_admin(asked.cloud()));
    account.ok_or(Refusal::NotFound)
}

fn check_admin(asked: &Asked<'_>) -> Result<(), Refusal> {
    if asked.account()?.is_admin(asked.cloud()) { Ok(()) } else { Err(Refusal::Forbidden) }
}

/// On this route a taken address is a fault of its member.
fn taken() -> Refusal {
    let mut faults = Faults::default();
    faults.note("email", EMAIL_TAKEN);
    faults.check().err().unwrap_or(Refusal::EmailTaken)
}
