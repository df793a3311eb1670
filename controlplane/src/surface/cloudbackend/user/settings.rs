//! What an account changes about itself (CONTRACT.md §A3, Settings).

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::fit::{self, Faults};
use super::login::Guess;
use super::{Account, session};
use crate::audit;
use crate::bounds::PASSWORD_CHARS_MIN;
use crate::core::SurfaceId;
use crate::node::Edit;
use crate::surface::cloudbackend::api::counter::Counter;
use crate::surface::cloudbackend::api::texts::Text;
use crate::surface::cloudbackend::api::{Refusal, RequestContext, told};
use crate::surface::password::Purpose;

/// `POST …/change-password/`: every session ends.
pub async fn change_password(context: &RequestContext<'_>) -> Result<Response, Refusal> {
    let (node, account) = (context.node(), context.account()?);
    let old_password = context.text("old_password").unwrap_or_default();
    let guess = Guess::begin(context, &account.username, old_password)?;
    let old = Account::password(node, account.id);
    if !guess.judge(old_password, old.as_deref()).await? {
        return Err(Refusal::WrongOldPassword);
    }
    let is_fit = |text: &&str| !text.trim().is_empty() && text.chars().count() >= PASSWORD_CHARS_MIN;
    let new = context.text("new_password").filter(is_fit).ok_or(Refusal::UnfitPassword)?;
    let phc = context.app.passwords.hash(Purpose::Change, new).await?;
    let _alone = Account::lock(node, account.id).await;
    let _no_sessions = session::lock(node, account.id).await;
    if Account::password(node, account.id) != old {
        return Err(Refusal::WrongOldPassword);
    }
    let mut account = Account::read(node, account.id).ok_or(Refusal::NotFound)?;
    node.edit(session::end_all(node, account.id, account.set_password(&phc, Edit::default()))).await?;
    audit::act(SurfaceId::CloudBackend, &account.username, "change password");
    node.revoke();
    Ok(told(StatusCode::OK, json!({"status": context.say(Text::PasswordChanged)})))
}

/// `POST …/update-display-name/`
pub async fn update_display_name(context: &RequestContext<'_>) -> Result<Response, Refusal> {
    let account = context.account()?;
    let mut faults = Faults::default();
    let name = faults.sift("display_name", fit::display_name(&context.body, &account.username));
    faults.check()?;
    change(context, account.id, name, None).await
}

/// `POST …/update-email/`
pub async fn update_email(context: &RequestContext<'_>) -> Result<Response, Refusal> {
    let account = context.account()?;
    let text = context.text("email").filter(|text| !text.trim().is_empty()).ok_or(Refusal::NoEmail)?;
    let email = fit::email(text).map_err(|_words| Refusal::UnfitEmail)?;
    change(context, account.id, None, Some(email)).await
}

/// Writes what fits into an account and tells it.
pub async fn change(
    context: &RequestContext<'_>,
    id: u64,
    display_name: Option<String>,
    email: Option<String>,
) -> Result<Response, Refusal> {
    let node = context.node();
    let _alone = Account::lock(node, id).await;
    let mut account = Account::read(node, id).ok_or(Refusal::NotFound)?;
    if let Some(name) = display_name {
        account.display_name = name;
    }
    match email.filter(|email| *email != account.email) {
        None => node.edit(account.write(Edit::default())).await?,
        Some(email) => {
            let _addresses = Counter::lock(node, super::COUNTER).await;
            if Account::id_by_email(node, &email).is_some() {
                return Err(Refusal::EmailTaken);
            }
            let edit = account.set_email(&email, Edit::default());
            node.edit(edit).await?;
        }
    }
    let caller = context.account()?;
    audit::act_on(SurfaceId::CloudBackend, &caller.username, "change account", &account.username);
    Ok(told(StatusCode::OK, account.told(node, context.cloud())))
}
