//! Who a device is (CONTRACT.md §2): logging in, and the tokens that come of it.
//!
//! Must stay true: an unknown device and a wrong password are told apart by nothing, time included; a token counts for its
//! `sub` alone, whether or not the device is in the configuration, unless that says it is disabled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::response::IntoResponse;
use etransfer_contract::step::{Form, FormFields, StepReport, What};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::refusal::Refusal;
use crate::audit;
use crate::authority::origin;
use crate::catalogue::Owner;
use crate::core::SurfaceId;
use crate::core::query::Query;
use crate::link::decision::Decision;
use crate::node::Account;
use crate::surface::attached::Attached;
use crate::surface::jwt;
use crate::surface::multipart::BodyType;
use crate::surface::password::{Busy, Passwords, Purpose};
use crate::surface::reported;
use crate::surface::secure_file_transfer::Service;
use crate::surface::secure_file_transfer::settings::{Device, DeviceSecret, SecureFileTransfer};

const DEVICE_BYTES_MAX: usize = 128;
/// Largest field of a login.
const FIELD_BYTES_MAX: u64 = 4 << 10;

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
}

/// Hashes of the passwords that stand in the configuration as they are, by their SHA-256: made once, at load.
#[derive(Default)]
pub struct Hashes(Mutex<HashMap<[u8; 32], Arc<OnceCell<String>>>>);

impl Hashes {
    async fn of(&self, secret: &str, passwords: &Passwords) -> Result<String, Busy> {
        let key = Sha256::digest(secret).into();
        let cell = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
        cell.get_or_try_init(|| passwords.hash(Purpose::Login, secret)).await.cloned()
    }

    /// Makes what is missing, so that the first login of a device takes no longer than any other; forgets the rest.
    pub async fn follow(&self, config: &SecureFileTransfer, passwords: &Passwords) {
        let plain = |device: &Device| match &device.secret {
            DeviceSecret::Plain(secret) => Some(secret.clone()),
            DeviceSecret::Hash(_) => None,
        };
        let secrets: Vec<_> = config.devices.iter().filter_map(plain).collect();
        let keys: Vec<[u8; 32]> = secrets.iter().map(|secret| Sha256::digest(secret.expose()).into()).collect();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| keys.contains(key));
        for secret in &secrets {
            if self.of(secret.expose(), passwords).await.is_err() {
                // The next login makes it then.
                return;
            }
        }
    }
}

/// `POST /auth/token`
pub async fn login(app: &Service, request: Request) -> Result<Decision, Refusal> {
    let headers = request.headers().clone();
    let fields = match fields(app, &headers, request).await {
        Ok(fields) => fields?,
        Err(grant) => return Ok(grant),
    };
    let field = |name: &str| fields.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    if let Some(other) = field("grant_type").filter(|grant| *grant != "password") {
        return Err(Refusal::OtherGrantType(other.to_owned()));
    }
    let said = |name| field(name).filter(|text| !text.is_empty());
    let (Some(name), Some(password)) = (said("username"), said("password")) else {
        let missing = ["username", "password"].into_iter().filter(|name| said(name).is_none());
        return Err(Refusal::MissingFields(missing.collect()));
    };
    let config = app.node.config();
    let config = config.surfaces.of::<SecureFileTransfer>();
    let guesses = &app.authority.guesses;
    // A name no device can have is counted against the address alone.
    let device = is_device_id(name).then(|| guesses.principal(name));
    let guess = format!("{name}\n{password}");
    guesses.admit_at(device, &guess)?;
    let is_right = is_right(app, config, name, password).await.map_err(|Busy| Refusal::Busy { retry_after: 1 })?;
    // Of guesses made in parallel no more are answered than of those made one by one.
    guesses.admit_at(device, &guess)?;
    if !is_right {
        let is_known = config.devices.iter().any(|device| device.device_id == name);
        app.denials.note_login(Some(name).filter(|_| is_known));
        guesses.wrong_at(device, &guess)?;
        return Err(Refusal::WrongLogin);
    }
    guesses.right(&guess);
    audit::act(SurfaceId::SecureFileTransfer, name, "sign in");
    let exp = app.node.clock.now_ms() / 1000 + config.access_token_expire_minutes * 60;
    let token = jwt::sign(config.secret_key.expose().as_bytes(), &Claims { sub: name.to_owned(), exp });
    Ok(Json(json!({"access_token": token, "token_type": "bearer"})).into_response().into())
}

async fn is_right(app: &Service, config: &SecureFileTransfer, name: &str, password: &str) -> Result<bool, Busy> {
    let device = config.devices.iter().find(|device| device.device_id == name && !device.disabled);
    let hash = match device.map(|device| &device.secret) {
        Some(DeviceSecret::Hash(hash)) => Some(hash.expose().to_owned()),
        Some(DeviceSecret::Plain(secret)) => Some(app.hashes.of(secret.expose(), &app.passwords).await?),
        None => None,
    };
    app.passwords.verify(Purpose::Login, password, hash.as_deref()).await
}

type Fields = Vec<(String, String)>;

/// The fields of a login, urlencoded or as a form; `Err`: ask for them.
async fn fields(app: &Service, headers: &HeaderMap, request: Request) -> Result<Result<Fields, Refusal>, Decision> {
    let boundary = match BodyType::of(headers) {
        BodyType::FormWithoutBoundary => return Ok(Err(Refusal::Unreadable)),
        BodyType::Plain => {
            let Attached(body) = Attached::from_request(request, app).await?;
            let kind = headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            let is_form = kind.trim_start().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded");
            let text = std::str::from_utf8(&body).unwrap_or_default();
            return Ok(Ok(if is_form { Query::parse(text).into_pairs() } else { Vec::new() }));
        }
        BodyType::Form(boundary) => boundary,
    };
    let reported::Reported(outcome) = reported::Reported::from_request(request, app).await?;
    let form = Form {
        boundary,
        content_names: Vec::new(),
        or_plain: false,
        field_bytes_max: FIELD_BYTES_MAX,
        fields_bytes_max: 8 * FIELD_BYTES_MAX,
    };
    match outcome.map(|outcome| outcome.report) {
        None => {
            let what = What::FormFields(FormFields { form: Some(form), prefix_bytes: 0 });
            Err(Decision::step(&app.node, app.node.ticket(), "", what))
        }
        Some(StepReport::FormFields(told)) => Ok(Ok(told.fields)),
        Some(_) => Ok(Err(Refusal::Unreadable)),
    }
}

/// The device whose token a request brings (CONTRACT.md §2.2).
pub fn authenticate(app: &Service, headers: &HeaderMap) -> Result<String, Refusal> {
    let token = bearer(headers)?;
    let config = app.node.config();
    let config = config.surfaces.of::<SecureFileTransfer>();
    let Some(claims) = jwt::verify::<Claims>(config.secret_key.expose().as_bytes(), token.trim()) else {
        app.authority.guesses.wrong(token)?;
        return Err(Refusal::BadToken);
    };
    let device = enabled(config, claims)?;
    origin::entered(format!("device:{device}"));
    Ok(device)
}

/// The device of a request that was let in: its token may have expired since, but it is not disabled.
pub fn still(app: &Service, headers: &HeaderMap) -> Result<String, Refusal> {
    let config = app.node.config();
    let config = config.surfaces.of::<SecureFileTransfer>();
    let claims = jwt::verify_begun(config.secret_key.expose().as_bytes(), bearer(headers)?.trim());
    enabled(config, claims.ok_or(Refusal::BadToken)?)
}

fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return Err(Refusal::NotAuthenticated) };
    let text = field.to_str().unwrap_or_default();
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token) } else { Err(Refusal::NotAuthenticated) }
}

fn enabled(config: &SecureFileTransfer, claims: Claims) -> Result<String, Refusal> {
    let is_disabled = config.devices.iter().any(|device| device.device_id == claims.sub && device.disabled);
    if is_disabled || !is_device_id(&claims.sub) { Err(Refusal::BadToken) } else { Ok(claims.sub) }
}

fn is_device_id(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
    (1..=DEVICE_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_letter)
}

/// Whose bytes a device's are.
pub fn owner(device: &str) -> Owner {
    Owner::Member(SurfaceId::SecureFileTransfer, device.to_owned())
}

/// The account its bytes are put on.
pub fn account(app: &Service, device: &str) -> Account {
    let config = app.node.config();
    let devices = &config.surfaces.of::<SecureFileTransfer>().devices;
    let quota = devices.iter().find(|other| other.device_id == device).and_then(|device| device.quota);
    Account { owner: owner(device), max: quota.map(|size| size.0) }
}

#[cfg(test)]
mod tests {
    use super::is_device_id;

    #[test]
    fn section_2_2_ids_of_devices() {
        let long = "d".repeat(128);
        for (text, is_id) in [
            ("device1", true),
            ("A.b_c@d-0", true),
            (long.as_str(), true),
            ("", false),
            ("a/b", false),
            ("a b", false),
            ("é", false),
        ] {
            assert_eq!(is_device_id(text), is_id, "{text}");
        }
        assert!(!is_device_id(&"d".repeat(129)));
    }
}
