//! `POST /drop/create/` (CONTRACT.md §A6).

use std::collections::BTreeSet;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::code;
use super::refusal::Refusal;
use super::share::Share;
use crate::node::{Edit, Node};
use crate::surface::cloudbackend::api::body::{boolean, integer};
use crate::surface::cloudbackend::api::counter::Counter;
use crate::surface::cloudbackend::api::texts::Text;
use crate::surface::cloudbackend::api::{self, RequestContext, told};
use crate::surface::cloudbackend::drive;
use crate::surface::cloudbackend::settings::CloudBackend;
use crate::surface::cloudbackend::user::Account;
use crate::surface::password::Purpose;

/// Numbers shares.
const COUNTER: &str = "drop";
/// Drawing a code that is taken is as good as impossible, at the usual length.
const DRAWS_MAX: usize = 8;
const PASSWORD_CHARS_MAX: usize = 255;
const DAY_MS: u64 = 86_400_000;

/// What a share is asked to be.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    days: u64,
    code: Option<&'a str>,
    require_login: bool,
    count_max: u64,
    password: Option<&'a str>,
}

/// A share of files of one's own.
pub async fn create(context: &RequestContext<'_>) -> Result<Response, api::Refusal> {
    let (node, cloud, user) = (context.node(), context.cloud(), context.account()?.id);
    let files = files(context.member("files"), cloud.share_max_files)?;
    if files.iter().any(|id| drive::record(node, user, *id).is_none()) {
        return Err(Refusal::ForeignFiles.into());
    }
    let wanted = Wanted::read(&context.body, cloud)?;
    let phc = match wanted.password {
        Some(password) => Some(context.app.passwords.hash(Purpose::Share, password).await?),
        None => None,
    };
    let _account = Account::lock(node, user).await;
    // Of an account that went while this waited nothing is left behind.
    context.account()?;
    let now_ms = context.now_ms();
    let mut share = Share {
        id: 0,
        user,
        code: String::new(),
        files,
        created_ms: now_ms,
        expire_days: wanted.days,
        ends_ms: now_ms.saturating_add(wanted.days.saturating_mul(DAY_MS)),
        require_login: wanted.require_login,
        has_password: phc.is_some(),
        count: 0,
        count_max: wanted.count_max,
    };
    match wanted.code {
        Some(code) => add(node, &mut share, code, phc.as_deref()).await?,
        None => add_drawn(node, &mut share, cloud.share_generated_code_length, phc.as_deref()).await?,
    }
    let body = json!({"drop": share.told(now_ms), "message": context.say(Text::ShareMade)});
    Ok(told(StatusCode::CREATED, body))
}

async fn add_drawn(node: &Node, share: &mut Share, chars: usize, phc: Option<&str>) -> Result<(), api::Refusal> {
    for _ in 0..DRAWS_MAX {
        match add(node, share, &code::draw(chars), phc).await {
            Err(api::Refusal::Drop(Refusal::CodeTaken)) => {}
            added => return added,
        }
    }
    Err(Refusal::CodeTaken.into())
}

async fn add(node: &Node, share: &mut Share, code: &str, phc: Option<&str>) -> Result<(), api::Refusal> {
    let _code = Share::lock_code(node, code).await;
    if Share::by_code(node, code).is_some_and(|other| !other.is_expired(node.clock.now_ms())) {
        return Err(Refusal::CodeTaken.into());
    }
    let mut counter = Counter::lock(node, COUNTER).await;
    share.id = counter.take();
    code.clone_into(&mut share.code);
    node.edit(counter.write(share.create(phc, Edit::default()))).await?;
    Ok(())
}

impl<'a> Wanted<'a> {
    fn read(body: &'a Value, cloud: &CloudBackend) -> Result<Self, Refusal> {
        let member = |name| body.get(name).filter(|value: &&Value| !value.is_null());
        let text = |name, refusal: Refusal| match member(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(refusal),
        };
        let number = |name, refusal| match member(name) {
            None => Ok(None),
            Some(value) => integer(value).and_then(|number| u64::try_from(number).ok()).map(Some).ok_or(refusal),
        };
        let days = number("expire_days", Refusal::UnfitDays)?;
        let days = days.or_else(|| cloud.share_expire_days.first().copied()).unwrap_or(1);
        let code = text("code", Refusal::UnfitCode)?;
        let count_max = number("max_download_count", Refusal::UnfitCount)?.unwrap_or(1);
        let password = text("password", Refusal::UnfitPassword)?;
        let require_login = member("require_login").map_or(Some(false), boolean).ok_or(Refusal::UnfitLogin)?;
        if !cloud.share_expire_days.contains(&days) {
            return Err(Refusal::UnfitDays);
        }
        if code.is_some_and(|code| !code::is_fit(code, cloud.share_max_code_length)) {
            return Err(Refusal::UnfitCode);
        }
        if !(1..=cloud.share_max_download_count).contains(&count_max) {
            return Err(Refusal::UnfitCount);
        }
        if password.is_some_and(|password| password.chars().count() > PASSWORD_CHARS_MAX) {
            return Err(Refusal::UnfitPassword);
        }
        Ok(Self { days, code, require_login, count_max, password })
    }
}

/// Each file once, in the order of their numbers.
fn files(member: Option<&Value>, max: usize) -> Result<Vec<u64>, Refusal> {
    let list = member.and_then(Value::as_array).filter(|list| !list.is_empty()).ok_or(Refusal::NoFiles)?;
    let id = |value: &Value| integer(value).and_then(|id| u64::try_from(id).ok());
    let ids: Option<BTreeSet<u64>> = list.iter().map(id).collect();
    let ids = ids.ok_or(Refusal::ForeignFiles)?;
    if ids.len() > max { Err(Refusal::TooManyFiles) } else { Ok(ids.into_iter().collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a6_what_a_share_may_be() {
        let config = Config::defaults();
        let read = |body: &Value| match Wanted::read(body, config.surfaces.of::<CloudBackend>()) {
            Ok(wanted) => Ok((wanted.days, wanted.code.map(str::to_owned), wanted.require_login, wanted.count_max)),
            Err(refusal) => Err(refusal),
        };
        let usual = Ok((1, None, false, 1));
        for (body, told) in [
            (json!({}), usual.clone()),
            (json!({"expire_days": null, "code": "", "password": ""}), usual),
            (
                json!({"expire_days": "7", "code": "Ab1", "require_login": true, "max_download_count": 1_000_000}),
                Ok((7, Some("Ab1".into()), true, 1_000_000)),
            ),
            (json!({"expire_days": 5}), Err(Refusal::UnfitDays)),
            (json!({"expire_days": 0}), Err(Refusal::UnfitDays)),
            (json!({"expire_days": -1}), Err(Refusal::UnfitDays)),
            (json!({"expire_days": "abc"}), Err(Refusal::UnfitDays)),
            (json!({"expire_days": 1.5}), Err(Refusal::UnfitDays)),
            (json!({"expire_days": [1]}), Err(Refusal::UnfitDays)),
            (json!({"code": "12345678901"}), Err(Refusal::UnfitCode)),
            (json!({"code": "a b"}), Err(Refusal::UnfitCode)),
            (json!({"code": 7}), Err(Refusal::UnfitCode)),
            (json!({"max_download_count": 0}), Err(Refusal::UnfitCount)),
            (json!({"max_download_count": 1_000_001}), Err(Refusal::UnfitCount)),
            (json!({"max_download_count": "many"}), Err(Refusal::UnfitCount)),
            (json!({"require_login": "maybe"}), Err(Refusal::UnfitLogin)),
            (json!({"password": "p".repeat(256)}), Err(Refusal::UnfitPassword)),
            (json!({"password": 1234}), Err(Refusal::UnfitPassword)),
        ] {
            assert_eq!(read(&body), told, "{body}");
        }
    }

    #[test]
    fn a6_lists_of_files() {
        for (list, told) in [
            (json!([3, 1, 3, "2"]), Ok(vec![1, 2, 3])),
            (json!([]), Err(Refusal::NoFiles)),
            (json!("1"), Err(Refusal::NoFiles)),
            (json!({"0": 1}), Err(Refusal::NoFiles)),
            (json!([1, "x"]), Err(Refusal::ForeignFiles)),
            (json!([-1]), Err(Refusal::ForeignFiles)),
            (json!([null]), Err(Refusal::ForeignFiles)),
            (json!([1, 2, 3, 4]), Err(Refusal::TooManyFiles)),
            (json!([1, 2, 3, 3]), Ok(vec![1, 2, 3])),
        ] {
            assert_eq!(files(Some(&list), 3), told, "{list}");
        }
        assert_eq!(files(None, 3), Err(Refusal::NoFiles));
    }
}
