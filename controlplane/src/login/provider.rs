//! The provider: what a login is begun with, and what comes of it (easytransfer/CONTRACT.md §6.1).
//!
//! Authorization code flow with PKCE (S256), state and nonce. A provider that is away makes logins fail with
//! [`ProviderError::is_away`]; nothing else depends on it, and no restart is needed when it comes back.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::claims::ProfileFault;
use super::discovery::{ClientAuth, Discovery, Endpoints, Identity};
use super::fetch::{Fault, Fetch, send};
use super::id_token::{self, Expected, IdTokenFault};
use super::keys::Keys;
use super::random;
use super::settings::{Settings, SettingsError};
use crate::core::Secret;
use crate::people::Profile;

/// One login provider.
#[derive(Debug)]
pub struct Provider {
    settings: Settings,
    fetch: Fetch,
    discovery: Discovery,
}

/// For `GET /api/users/login-info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// As the provider writes it.
    pub issuer: String,
    /// Without query.
    pub authorize_url: String,
    /// Where a browser signs out at the provider.
    pub end_session_url: Option<String>,
    /// This node at the provider.
    pub client_id: String,
    /// Scopes that are asked for.
    pub scope: String,
}

/// A login that was begun.
pub struct Begun {
    /// Where the browser goes.
    pub authorize_url: String,
    /// What it comes back with.
    pub state: Secret,
    /// What the login is finished with.
    pub proof: Proof,
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address holds state and nonce.
        f.debug_struct("Begun").finish_non_exhaustive()
    }
}

/// What only this node knows about a login: its nonce and its PKCE verifier.
#[derive(Debug, Clone)]
pub struct Proof {
    pub(super) nonce: Secret,
    pub(super) verifier: Secret,
}

/// What was asked of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its endpoints.
    Discovery,
    /// Its signing keys.
    Keys,
    /// Tokens for a code.
    Exchange,
    /// Claims for an access token.
    UserInfo,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discovery => "read its discovery document",
            Self::Keys => "read its keys",
            Self::Exchange => "exchange the code",
            Self::UserInfo => "read the person's claims",
        })
    }
}

/// Why a login did not get further. No variant holds a code, a token or a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProviderError {
    /// The provider gives no usable answer now (503).
    #[error("the login provider is away: {step}: {fault}; try again later")]
    Away {
        /// What was asked.
        step: Step,
        /// What came of it.
        #[source]
        fault: Fault,
    },
    /// The provider refuses the code, or us (400).
    #[error("the login provider refused the code: {reason}; start the login again")]
    CodeRefused {
        /// The error code of RFC 6749 §5.2, such as `invalid_grant` or `invalid_client`.
        reason: String,
    },
    /// The ID token is not believed (400).
    #[error("the login provider's ID token is not accepted: {0}")]
    IdToken(#[from] IdTokenFault),
    /// The provider refuses its own access token (400).
    #[error("the login provider refused to describe the person: status {0}")]
    UserInfoRefused(u16),
    /// The claims are another person's than the ID token (400).
    #[error("the login provider's claims are not about the person of the ID token")]
    OtherSubject,
    /// The claims describe no person (400).
    #[error(transparent)]
    Profile(#[from] ProfileFault),
}

impl ProviderError {
    /// Whether the same may work later: 503, where all else is 400.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}

fn away(step: Step) -> impl Fn(Fault) -> ProviderError {
    move |fault| ProviderError::Away { step, fault }
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    id_token: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Provider {
    /// Asks nothing of the provider yet.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let fetch = Fetch::new().map_err(|error| SettingsError::Client { reason: error.to_string() })?;
        let discovery = Discovery::of(settings.issuer.clone(), settings.endpoints.as_ref());
        Ok(Self { settings, fetch, discovery })
    }

    /// The settings it works with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What people may know about it; also while it is away.
    pub async fn facts(&self) -> Result<Facts, ProviderError> {
        let endpoints = self.for_browsers().await?;
        Ok(Facts {
            issuer: endpoints.issuer.clone(),
            authorize_url: endpoints.authorize.to_string(),
            end_session_url: endpoints.end_session.as_ref().map(Url::to_string),
            client_id: self.settings.client_id.clone(),
            scope: self.settings.scope.clone(),
        })
    }

    /// Begins a login that comes back to `redirect`; also while it is away.
    pub async fn begin(&self, redirect: &str) -> Result<Begun, ProviderError> {
        let endpoints = self.for_browsers().await?;
        let (state, nonce, verifier) = (random(), random(), random());
        // RFC 7636 §4.2, S256.
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let mut url = endpoints.authorize.clone();
        url.query_pairs_mut()
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("response_type", "code")
            .append_pair("scope", &self.settings.scope)
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(Begun {
            authorize_url: url.into(),
            state: Secret::new(state),
            proof: Proof { nonce: Secret::new(nonce), verifier: Secret::new(verifier) },
        })
    }

    /// Who came back with `code`; `redirect` is the one the login was begun with.
    pub async fn finish(&self, proof: &Proof, redirect: &str, code: &str) -> Result<Profile, ProviderError> {
        let endpoints = self.endpoints().await?;
        let tokens = self.exchange(&endpoints, proof, redirect, code).await?;
        let proven = match &endpoints.identity {
            Identity::IdToken { keys, algorithms } => {
                let token = tokens.id_token.as_deref().ok_or(IdTokenFault::Missing)?;
                Some(self.verified(token, keys, algorithms, &endpoints.issuer, proof).await?)
            }
            Identity::UserInfo => None,
        };
        let told = match &endpoints.user_info {
            Some(url) => Some(self.user_info(url, &tokens.access_token).await?),
            None => None,
        };
        Ok(Profile::from_claims(&joined(proven, told)?)?)
    }

    async fn for_browsers(&self) -> Result<Arc<Endpoints>, ProviderError> {
        self.discovery.for_browsers(&self.fetch).await.map_err(away(Step::Discovery))
    }

    pub(super) async fn endpoints(&self) -> Result<Arc<Endpoints>, ProviderError> {
        self.discovery.endpoints(&self.fetch).await.map_err(away(Step::Discovery))
    }

    /// A provider may take the client secret in one place only and announce two: a refusal of us, which uses up no code,
    /// is answered with the other.
    async fn exchange(
        &self,
        endpoints: &Endpoints,
        proof: &Proof,
        redirect: &str,
        code: &str,
    ) -> Result<Tokens, ProviderError> {
        let mut refusal = String::new();
        for auth in &endpoints.client_auth {
            match self.exchange_as(*auth, &endpoints.token, proof, redirect, code).await? {
                Ok(tokens) => return Ok(tokens),
                Err(reason) => refusal = reason,
            }
            if refusal != "invalid_client" {
                break;
            }
        }
        Err(ProviderError::CodeRefused { reason: refusal })
    }

    /// The inner error is the provider's refusal.
    async fn exchange_as(
        &self,
        auth: ClientAuth,
        url: &Url,
        proof: &Proof,
        redirect: &str,
        code: &str,
    ) -> Result<Result<Tokens, String>, ProviderError> {
        let (id, secret) = (self.settings.client_id.as_str(), self.settings.client_secret.expose());
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", proof.verifier.expose()),
        ];
        let mut request = self.fetch.post(url);
        match auth {
            ClientAuth::Post => form.extend([("client_id", id), ("client_secret", secret)]),
            // RFC 6749 §2.3.1: both are form-encoded first.
            ClientAuth::Basic => request = request.basic_auth(encoded(id), Some(encoded(secret))),
        }
        let answer = send(request.form(&form)).await.map_err(away(Step::Exchange))?;
        if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS {
            return Err(away(Step::Exchange)(Fault::Status(answer.status.as_u16())));
        }
        if answer.status.is_success()
            && let Ok(tokens) = answer.json()
        {
            return Ok(Ok(tokens));
        }
        // Some providers refuse with 200, so the body decides.
        let reason = answer.json().map_or_else(|_| String::new(), |Refusal { error }| error);
        Ok(Err(if is_error_code(&reason) { reason } else { format!("status {}", answer.status.as_u16()) }))
    }

    async fn verified(
        &self,
        token: &str,
        keys: &Keys,
        algorithms: &[Algorithm],
        issuer: &str,
        proof: &Proof,
    ) -> Result<Map<String, Value>, ProviderError> {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (client_id, nonce) = (self.settings.client_id.as_str(), proof.nonce.expose());
        let expected = Expected { issuer, client_id, nonce, algorithms, now_s };
        let known = keys.get(&self.fetch).await.map_err(away(Step::Keys))?;
        match id_token::verify(token, &known, &expected) {
            Err(IdTokenFault::UnknownKey) => {}
            verified => return Ok(verified?),
        }
        let newer = keys.newer_than(&known, &self.fetch).await.map_err(away(Step::Keys))?;
        let newer = newer.ok_or(IdTokenFault::UnknownKey)?;
        Ok(id_token::verify(token, &newer, &expected)?)
    }

    async fn user_info(&self, url: &Url, access_token: &str) -> Result<Map<String, Value>, ProviderError> {
        let answer = send(self.fetch.get(url).bearer_auth(access_token)).await.map_err(away(Step::UserInfo))?;
        if answer.status.is_client_error() {
            return Err(ProviderError::UserInfoRefused(answer.status.as_u16()));
        }
        answer.ok().map_err(away(Step::UserInfo))
    }
}

/// What userinfo says goes over what the ID token says, once both are about the same person.
fn joined(
    proven: Option<Map<String, Value>>,
    told: Option<Map<String, Value>>,
) -> Result<Map<String, Value>, ProviderError> {
    let Some(mut claims) = proven else { return Ok(told.unwrap_or_default()) };
    let Some(told) = told else { return Ok(claims) };
    if told.get("sub") != claims.get("sub") {
        return Err(ProviderError::OtherSubject);
    }
    claims.extend(told.into_iter().filter(|(_, value)| !value.is_null()));
    Ok(claims)
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Codes go to logs and pages; anything else a provider writes there does not.
pub fn is_error_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
