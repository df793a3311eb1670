//! Clients that bring a code (CONTRACT.md §A6): `POST /drop/get-drop/`, and downloads of what is in a share.
//!
//! Must stay true: the checks come in the order of CONTRACT.md §A6; a count is taken, and the grant given, in one edit
//! under the share's lock, so no more get through than may.

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::share::{Share, Subject};
use crate::node::Edit;
use crate::surface::cloudbackend::api::failures::{Limit, Whose};
use crate::surface::cloudbackend::api::texts::Text;
use crate::surface::cloudbackend::api::{self, RequestContext, told};
use crate::surface::cloudbackend::drive;
use crate::surface::password::Purpose;

/// Wrong codes and passwords of an address.
const MINUTE: Duration = Duration::from_secs(60);
/// Wrong passwords of a share.
const HOUR: Duration = Duration::from_secs(3600);

/// `POST /drop/get-drop/`
pub async fn get(context: &RequestContext<'_>) -> Result<Response, api::Refusal> {
    let code = context.text("code").filter(|code| !code.is_empty()).ok_or(Refusal::NoCode)?;
    let (share, subject) = enter(context, code).await?;
    let share = count(context, &share, subject).await?;
    let files = share.files.iter().filter_map(|id| drive::record(context.node(), share.user, *id));
    let files: Vec<Value> = files.map(|file| file.told(share.user)).collect();
    let body = json!({"drop": share.told(context.now_ms()), "files": files, "message": context.say(Text::ShareFound)});
    Ok(told(StatusCode::OK, body))
}

/// The share with `code`, by which the client may download file `file`. Without a grant the access counts.
pub async fn may_download(context: &RequestContext<'_>, code: &str, file: u64) -> Result<u64, api::Refusal> {
    let (share, subject) = enter(context, code).await?;
    let item = drive::record(context.node(), share.user, file).filter(|_| share.files.contains(&file));
    if item.ok_or(Refusal::NotInShare)?.is_folder() {
        return Err(drive::Refusal::FolderDownload.into());
    }
    if !subject.is_some_and(|subject| share.is_granted(context.node(), subject)) {
        count(context, &share, subject).await?;
    }
    Ok(share.id)
}

/// Checks 2 to 6; who it is, if that can be told.
async fn enter(context: &RequestContext<'_>, code: &str) -> Result<(Share, Option<Subject>), api::Refusal> {
    let guess = Guess::begin(context, code)?;
    let Some(share) = Share::by_code(context.node(), code) else {
        guess.count_address();
        return Err(Refusal::Unknown.into());
    };
    if share.is_expired(context.now_ms()) {
        return Err(Refusal::Expired.into());
    }
    let account = context.maybe_account();
    if share.require_login && account.is_none() {
        return Err(Refusal::LoginNeeded.into());
    }
    if share.has_password {
        let password =
            context.text("password").filter(|password| !password.is_empty()).ok_or(Refusal::WrongPassword)?;
        let phc = share.password(context.node());
        let is_right = context.app.passwords.verify(Purpose::Share, password, phc.as_deref()).await?;
        // Of guesses made in parallel no more are judged than of those made one by one.
        guess.check()?;
        if !is_right {
            guess.count_both();
            return Err(Refusal::WrongPassword.into());
        }
    }
    let subject = match account {
        Some(account) => Some(Subject::Account(account.id)),
        None => context.client().map(Subject::Address),
    };
    Ok((share, subject))
}

/// CONTRACT.md §A6 check 7, and the count.
async fn count(context: &RequestContext<'_>, share: &Share, subject: Option<Subject>) -> Result<Share, api::Refusal> {
    let node = context.node();
    let _alone = Share::lock(node, share.id).await;
    let mut share = Share::read(node, share.id).ok_or(Refusal::Unknown)?;
    if share.is_exhausted() {
        return Err(Refusal::Exhausted.into());
    }
    let edit = share.count(subject, Edit::default());
    node.edit(edit).await?;
    Ok(share)
}

/// A code, and maybe a password, that a client tries.
struct Guess<'a> {
    context: &'a RequestContext<'a>,
    address: Option<Whose>,
    of_address: Limit,
    share: Whose,
    of_share: Limit,
}

impl<'a> Guess<'a> {
    fn begin(context: &'a RequestContext<'a>, code: &str) -> Result<Self, Refusal> {
        let cloud = context.cloud();
        let lock = Some(Duration::from_secs(cloud.share_lock_seconds));
        let is_locked = cloud.share_lock_seconds > 0;
        let guess = Self {
            context,
            address: context.client().map(Whose::Address),
            of_address: Limit { max: cloud.share_failures_per_minute, window: MINUTE, lock: None },
            share: Whose::Name(code.to_owned()),
            of_share: Limit {
                max: if is_locked { cloud.share_password_failures_per_hour } else { 0 },
                window: HOUR,
                lock,
            },
        };
        guess.check()?;
        Ok(guess)
    }

    fn check(&self) -> Result<(), Refusal> {
        let failures = &self.context.app.shares;
        let address = self.address.iter().map(|address| (address, self.of_address));
        address
            .chain([(&self.share, self.of_share)])
            .try_for_each(|(whose, limit)| failures.check(whose, limit).map_err(Refusal::TooMany))
    }

    fn count_address(&self) {
        if let Some(address) = &self.address {
            self.context.app.shares.count(address.clone(), self.of_address);
        }
    }

    /// The code is one: no memory is filled with others.
    fn count_both(&self) {
        self.count_address();
        self.context.app.shares.count(self.share.clone(), self.of_share);
    }
}
