//! `GET` and `POST /file/get-token/` (CONTRACT.md §A5): what a client needs to post a form to the bucket (CONTRACT.md
//! §B3, §B4). No space is reserved: whether it fits is asked again at the upload, and when it becomes a file.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::address::Address;
use super::declared::{Declared, UploadId};
use super::fields::{self, Fault};
use super::refusal::Refusal;
use super::store::Drive;
use crate::node::Edit;
use crate::surface::cloudbackend::api::texts::Text;
use crate::surface::cloudbackend::api::{self, RequestContext, told};
use crate::surface::cloudbackend::basis::Basis;
use crate::surface::cloudbackend::oss::policy::{self, Policy};
use crate::surface::cloudbackend::oss::signature::KeyPair;
use crate::surface::cloudbackend::user::Account;

/// A file may grow by this much after it was announced, or by a tenth.
const SLACK_MIN: u64 = 1 << 20;

/// A token for any file up to the configured size.
pub fn plain(context: &RequestContext<'_>) -> Result<Response, api::Refusal> {
    let account = context.account()?;
    let token = token(context, &account, context.cloud().max_file_size.0);
    Ok(told(StatusCode::OK, json!({"token": token, "message": context.say(Text::TokenMade)})))
}

/// A token for one file that is announced, with an upload id.
pub async fn announced(context: &RequestContext<'_>) -> Result<Response, api::Refusal> {
    let account = context.account()?;
    let (name, size) = (context.member("file_name"), context.member("file_size"));
    let is_there = |value: &&Value| !matches!(value, Value::Bool(false)) && value.as_u64() != Some(0) && *value != "";
    let (Some(name), Some(size)) = (name.filter(is_there), size.filter(is_there)) else {
        return Err(Refusal::NoNameOrSize.into());
    };
    let size = bytes(size).ok_or(Refusal::UnfitSize)?;
    let member = |name, value, read: fn(&Value) -> Result<String, Fault>| {
        read(value).map_err(|fault| Refusal::field(name, fault))
    };
    let drive = Drive::of(context.node(), account.id);
    let _alone = drive.lock().await;
    let declared = Declared {
        name: member("file_name", name, fields::text)?,
        size,
        content_type: match context.member("content_type").filter(|value| *value != "") {
            Some(value) => member("content_type", value, fields::text)?,
            None => "application/octet-stream".to_owned(),
        },
        ends_ms: context.now_ms().saturating_add(context.cloud().upload_id_seconds.saturating_mul(1000)),
    };
    if size == 0 {
        return Err(Refusal::NoNameOrSize.into());
    }
    if drive.used().saturating_add(size) > account.quota {
        return Err(Refusal::NoSpace.into());
    }
    let id = UploadId::draw(context.node(), account.id);
    context.node().edit(declared.put(context.node(), id, Edit::default())).await?;
    let mut token = token(context, &account, with_slack(size));
    token["declared_file_size"] = size.into();
    let body = json!({"token": token, "upload_id": id.to_string(), "message": context.say(Text::TokenMade)});
    Ok(told(StatusCode::OK, body))
}

fn token(context: &RequestContext<'_>, account: &Account, max: u64) -> Value {
    let (cloud, address) = (context.cloud(), Address::of_request(context));
    let (pair, prefix) = (KeyPair::of(cloud), account.prefix());
    let ends_ms = context.now_ms().saturating_add(cloud.policy_seconds.saturating_mul(1000));
    let policy = Policy::write(ends_ms, &cloud.bucket, &prefix, max, Basis::of_account(account));
    json!({
        "accessid": pair.id,
        "access_key_id": pair.id,
        "signature": pair.sign(policy.as_bytes()),
        "policy": policy,
        "expiration": policy::moment(ends_ms),
        "bucket": cloud.bucket,
        "endpoint": address.endpoint,
        "prefix": prefix,
        "host": address.host,
        "max_file_size": max,
    })
}

fn with_slack(size: u64) -> u64 {
    size.saturating_add(SLACK_MIN.max(size / 10))
}

/// A size; of a form it comes as text.
fn bytes(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok().filter(|_| !text.contains('+')),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a5_what_is_announced_may_grow_a_little() {
        for (size, max) in [
            (1, 1 + 1_048_576),
            (10_485_760, 10_485_760 + 1_048_576),
            (10_485_779, 10_485_779 + 1_048_577),
            (104_857_600, 115_343_360),
            (u64::MAX, u64::MAX),
        ] {
            assert_eq!(with_slack(size), max);
        }
    }

    #[test]
    fn a5_sizes_are_whole_numbers() {
        for (value, size) in [
            (json!(5), Some(5)),
            (json!(" 5 "), Some(5)),
            (json!("0"), Some(0)),
            (json!(-5), None),
            (json!("-5"), None),
            (json!("+5"), None),
            (json!(5.5), None),
            (json!("abc"), None),
            (json!(true), None),
            (json!([5]), None),
        ] {
            assert_eq!(bytes(&value), size, "{value}");
        }
    }
}
