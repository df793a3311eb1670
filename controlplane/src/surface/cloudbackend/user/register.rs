//! A new account (CONTRACT.md §A3): by `POST /user/register/` where the configuration lets anybody, or by the operator
//! ([`console`](super::console)).

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::Account;
use super::fit::{self, EMAIL_TAKEN, Faults, NAME_TAKEN};
use super::session::{self, Tokens};
use crate::audit;
use crate::core::SurfaceId;
use crate::node::{Edit, Node};
use crate::surface::cloudbackend::api::counter::Counter;
use crate::surface::cloudbackend::api::{Refusal, RequestContext, told};
use crate::surface::cloudbackend::settings::CloudBackend;
use crate::surface::password::Passwords;
use crate::surface::password::Purpose;

/// Who wants to become one; each member fits.
#[derive(Debug)]
pub struct Applicant {
    /// Its name.
    pub username: String,
    /// What people read.
    pub display_name: String,
    /// Its address, the domain in lower case; empty: the operator gave none.
    pub email: String,
}

/// `POST /user/register/`
pub async fn register(context: &RequestContext<'_>) -> Result<Response, Refusal> {
    if !context.cloud().registration {
        return Err(Refusal::Forbidden);
    }
    let (attempts, client) = (&context.app.registrations, context.client());
    if let Some(seconds) = attempts.wait_s(client) {
        return Err(Refusal::TooManyLogins(seconds));
    }
    attempts.count(client);
    let mut faults = Faults::default();
    let username = faults.sift("username", fit::required(&context.body, "username").and_then(fit::username));
    let password = faults.sift("password", fit::required(&context.body, "password").and_then(fit::password));
    let email = faults.sift("email", fit::required(&context.body, "email").and_then(fit::email));
    let display_name = faults.sift("display_name", fit::display_name(&context.body, username.unwrap_or_default()));
    // An administrator's name is made by the operator alone; to anybody else it is as good as taken.
    if username.is_some_and(|username| context.cloud().names_admin(username)) {
        faults.note("username", NAME_TAKEN);
    }
    note_taken(context.node(), username, email.as_deref(), &mut faults);
    faults.check()?;
    let (Some(username), Some(password), Some(email), Some(display_name)) = (username, password, email, display_name)
    else {
        tracing::error!("a member that does not fit was not noted");
        return Err(Refusal::Failed);
    };
    let applicant = Applicant { username: username.to_owned(), display_name, email };
    let (node, cloud) = (context.node(), context.cloud());
    let mut tokens = None;
    let with_session = |account: &Account, edit| {
        let (session, first) = session::begin(cloud, account.id, account.created_ms);
        tokens = Some(first);
        session.write(edit)
    };
    let account =
        create(node, cloud, &context.app.passwords, (applicant, password, Purpose::Registration), with_session).await?;
    audit::act(SurfaceId::CloudBackend, &account.username, "register");
    let user = account.told(node, cloud);
    let mut body = user.clone();
    body["user"] = user;
    if let Some(Tokens { access, refresh }) = tokens {
        body["access"] = json!(access);
        body["refresh"] = json!(refresh);
    }
    Ok(told(StatusCode::CREATED, body))
}

/// Adds the account, and what `also` adds to the edit. `Err`: another request was faster.
pub async fn create(
    node: &Node,
    cloud: &CloudBackend,
    passwords: &Passwords,
    (applicant, password, purpose): (Applicant, &str, Purpose),
    also: impl FnOnce(&Account, Edit) -> Edit,
) -> Result<Account, Refusal> {
    let phc = passwords.hash(purpose, password).await?;
    let mut counter = Counter::lock(node, super::COUNTER).await;
    let mut faults = Faults::default();
    note_taken(node, Some(&applicant.username), Some(&applicant.email), &mut faults);
    faults.check()?;
    let Applicant { username, display_name, email } = applicant;
    let account = Account {
        id: counter.take(),
        username,
        display_name,
        email,
        is_active: true,
        quota: cloud.user_quota.0,
        created_ms: node.clock.now_ms(),
        generation: 0,
    };
    let edit = counter.write(account.create(&phc, Edit::default()));
    node.edit(also(&account, edit)).await?;
    Ok(account)
}

fn note_taken(node: &Node, username: Option<&str>, email: Option<&str>, faults: &mut Faults) {
    if username.is_some_and(|username| Account::is_name_taken(node, username)) {
        faults.note("username", NAME_TAKEN);
    }
    if email.is_some_and(|email| Account::id_by_email(node, email).is_some()) {
        faults.note("email", EMAIL_TAKEN);
    }
}
