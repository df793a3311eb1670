//! Where the provider's endpoints are: asked when first needed, remembered for a while, asked again after a failure.
//!
//! A provider without a discovery document is used through the fixed paths of easytransfer/CONTRACT.md §6.1, as the
//! original does; it then proves nothing about a person but its answer to the access token. For that reason the absence
//! is believed for a minute only, and never once a document was seen: a provider that is half started must not switch
//! ID tokens off.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, AlgorithmFamily};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use url::Url;

use super::fetch::{Fault, Fetch, is_protected, send};
use super::keys::Keys;
use super::settings::Configured;

/// A document is read again after this, and its keys with it.
const FOUND_FOR: Duration = Duration::from_secs(3600);
/// The absence of a document is believed for this long.
const ABSENT_FOR: Duration = Duration::from_secs(60);
/// A failed discovery is not repeated before this.
const FAILED_FOR: Duration = Duration::from_secs(2);

/// How this node says who it is at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// In the form, as the original does.
    Post,
    /// In the `Authorization` field.
    Basic,
}

/// What the provider offers.
#[derive(Debug)]
pub struct Endpoints {
    /// As it stands in ID tokens.
    pub issuer: String,
    /// For browsers.
    pub authorize: Url,
    /// Code for tokens.
    pub token: Url,
    /// Access token for claims.
    pub user_info: Option<Url>,
    /// For browsers that sign out.
    pub end_session: Option<Url>,
    /// Never empty; the first to be tried stands first.
    pub client_auth: Vec<ClientAuth>,
    /// What proves who a person is.
    pub identity: Identity,
}

/// What proves who a person is.
#[derive(Debug)]
pub enum Identity {
    /// An ID token signed with one of these keys.
    IdToken {
        /// The provider's keys.
        keys: Keys,
        /// Asymmetric ones only.
        algorithms: Vec<Algorithm>,
    },
    /// The answer to the access token alone: no discovery document, no keys.
    UserInfo,
}

/// The parts of a discovery document that matter here.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    userinfo_endpoint: Option<Url>,
    end_session_endpoint: Option<Url>,
    jwks_uri: Url,
    #[serde(default)]
    id_token_signing_alg_values_supported: Vec<Value>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Endpoints {
    /// The paths of easytransfer/CONTRACT.md §6.1.
    fn fixed(issuer: &str) -> Result<Self, Fault> {
        let at = |path: &str| Url::parse(&format!("{issuer}{path}")).map_err(|_| Fault::Unprotected("issuer"));
        Ok(Self {
            issuer: issuer.to_owned(),
            authorize: at("/login/oauth/authorize")?,
            token: at("/api/login/oauth/access_token")?,
            user_info: Some(at("/api/userinfo")?),
            end_session: None,
            client_auth: vec![ClientAuth::Post],
            identity: Identity::UserInfo,
        })
    }

    /// Those of the configuration: plain OAuth 2, whose answer to the access token says who a person is.
    fn configured(issuer: &str, told: &Configured) -> Self {
        Self {
            issuer: issuer.to_owned(),
            authorize: told.authorize.clone(),
            token: told.token.clone(),
            user_info: Some(told.user_info.clone()),
            end_session: None,
            client_auth: vec![ClientAuth::Post, ClientAuth::Basic],
            identity: Identity::UserInfo,
        }
    }

    fn announced(document: Document, issuer: &str) -> Result<Self, Fault> {
        // A slash more or less at the end is the usual slip in a setting, and no other issuer.
        if document.issuer.trim_end_matches('/') != issuer {
            return Err(Fault::OtherIssuer { announced: document.issuer });
        }
        let named = [
            ("authorization_endpoint", Some(&document.authorization_endpoint)),
            ("token_endpoint", Some(&document.token_endpoint)),
            ("userinfo_endpoint", document.userinfo_endpoint.as_ref()),
            ("end_session_endpoint", document.end_session_endpoint.as_ref()),
            ("jwks_uri", Some(&document.jwks_uri)),
        ];
        if let Some((name, _)) = named.iter().find(|(_, url)| url.is_some_and(|url| !is_protected(url))) {
            return Err(Fault::Unprotected(name));
        }
        let client_auth = client_auth(document.token_endpoint_auth_methods_supported.as_deref());
        if client_auth.is_empty() {
            return Err(Fault::NoClientSecret);
        }
        let algorithms = algorithms(document.id_token_signing_alg_values_supported);
        Ok(Self {
            issuer: document.issuer,
            authorize: document.authorization_endpoint,
            token: document.token_endpoint,
            user_info: document.userinfo_endpoint,
            end_session: document.end_session_endpoint,
            client_auth,
            identity: Identity::IdToken { keys: Keys::at(document.jwks_uri), algorithms },
        })
    }
}

/// A document that does not say means Basic; many providers that do not say take both.
fn client_auth(supported: Option<&[String]>) -> Vec<ClientAuth> {
    let Some(supported) = supported else { return vec![ClientAuth::Basic, ClientAuth::Post] };
    let offers = |name: &str| supported.iter().any(|method| method == name);
    let mut methods = Vec::new();
    if offers("client_secret_post") {
        methods.push(ClientAuth::Post);
    }
    if offers("client_secret_basic") {
        methods.push(ClientAuth::Basic);
    }
    methods
}

/// `none` and the shared-secret algorithms prove nothing to us, announced or not.
fn algorithms(announced: Vec<Value>) -> Vec<Algorithm> {
    let known = announced.into_iter().filter_map(|name| serde_json::from_value(name).ok());
    let mut algorithms: Vec<Algorithm> =
        known.filter(|algorithm: &Algorithm| algorithm.family() != AlgorithmFamily::Hmac).collect();
    if algorithms.is_empty() {
        algorithms.push(Algorithm::RS256);
    }
    algorithms
}

/// What was found, and when.
#[derive(Debug, Default)]
struct Known {
    outcome: Option<(Instant, Result<Arc<Endpoints>, Fault>)>,
    /// A document was seen since this process started.
    was_documented: bool,
    /// What was found last.
    last: Option<Arc<Endpoints>>,
}

impl Known {
    fn at(&self, now: Instant) -> Option<Result<Arc<Endpoints>, Fault>> {
        let (since, outcome) = self.outcome.as_ref()?;
        let lasts = match outcome.as_ref().map(|endpoints| &endpoints.identity) {
            Ok(Identity::IdToken { .. }) => FOUND_FOR,
            Ok(Identity::UserInfo) => ABSENT_FOR,
            Err(_) => FAILED_FOR,
        };
        (now.duration_since(*since) < lasts).then(|| outcome.clone())
    }

    fn learn(&mut self, found: Result<Endpoints, Fault>, now: Instant) -> Result<Arc<Endpoints>, Fault> {
        let found = match found {
            Ok(Endpoints { identity: Identity::UserInfo, .. }) if self.was_documented => Err(Fault::DocumentGone),
            other => other.map(Arc::new),
        };
        self.was_documented |= found.as_ref().is_ok_and(|e| matches!(e.identity, Identity::IdToken { .. }));
        if let Ok(found) = &found {
            self.last = Some(Arc::clone(found));
        }
        self.outcome = Some((now, found.clone()));
        found
    }
}

/// Finds the endpoints of one issuer; at most one discovery is under way.
#[derive(Debug)]
pub struct Discovery {
    issuer: String,
    configured: Option<Arc<Endpoints>>,
    known: Mutex<Known>,
    turn: Semaphore,
}

impl Discovery {
    /// Asks nothing yet.
    pub fn of(issuer: String, configured: Option<&Configured>) -> Self {
        let configured = configured.map(|told| Arc::new(Endpoints::configured(&issuer, told)));
        Self { issuer, configured, known: Mutex::default(), turn: Semaphore::new(1) }
    }

    /// Where browsers are sent: the endpoints, and while the provider is away those that were known last, or the fixed
    /// ones (easytransfer/CONTRACT.md §6.1). No person is signed in through a guess: a login is finished with what the
    /// provider says.
    pub async fn for_browsers(&self, fetch: &Fetch) -> Result<Arc<Endpoints>, Fault> {
        match self.endpoints(fetch).await {
            Err(fault) if fault.is_absence() => {
                let last = self.known.lock().unwrap_or_else(PoisonError::into_inner).last.clone();
                last.map_or_else(|| Endpoints::fixed(&self.issuer).map(Arc::new), Ok)
            }
            found => found,
        }
    }

    /// The endpoints: what is known, or what the provider says now.
    pub async fn endpoints(&self, fetch: &Fetch) -> Result<Arc<Endpoints>, Fault> {
        if let Some(configured) = &self.configured {
            return Ok(Arc::clone(configured));
        }
        if let Some(known) = self.known(Instant::now()) {
            return known;
        }
        let _turn = self.turn.acquire().await.expect("this semaphore is never closed");
        // The holder of the previous turn has asked already.
        if let Some(known) = self.known(Instant::now()) {
            return known;
        }
        let found = self.ask(fetch).await;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).learn(found, Instant::now())
    }

    fn known(&self, now: Instant) -> Option<Result<Arc<Endpoints>, Fault>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).at(now)
    }

    async fn ask(&self, fetch: &Fetch) -> Result<Endpoints, Fault> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer);
        let url = Url::parse(&url).map_err(|_| Fault::Unprotected("issuer"))?;
        let answer = send(fetch.get(&url)).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Endpoints::fixed(&self.issuer);
        }
        Endpoints::announced(answer.ok()?, &self.issuer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://id.example";

    fn document() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example/authorize",
            "token_endpoint": "https://id.example/token",
            "userinfo_endpoint": "https://id.example/me",
            "jwks_uri": "https://keys.example/jwks",
        })
    }

    fn announced(changes: Value) -> Result<Endpoints, Fault> {
        let mut document = document();
        document.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        Endpoints::announced(serde_json::from_value(document).unwrap(), ISSUER)
    }

    #[test]
    fn section_6_1_a_document_is_taken_only_from_its_issuer_and_only_with_protected_addresses() {
        assert_eq!(announced(json!({})).unwrap().client_auth, [ClientAuth::Basic, ClientAuth::Post]);
        assert_eq!(announced(json!({"issuer": "https://id.example/"})).unwrap().issuer, "https://id.example/");
        for (changes, fault) in [
            (
                json!({"issuer": "https://evil.example"}),
                Fault::OtherIssuer { announced: "https://evil.example".into() },
            ),
            (json!({"token_endpoint": "http://id.example/token"}), Fault::Unprotected("token_endpoint")),
            (json!({"authorization_endpoint": "javascript:alert(1)"}), Fault::Unprotected("authorization_endpoint")),
            (json!({"jwks_uri": "file:///etc/passwd"}), Fault::Unprotected("jwks_uri")),
            (json!({"userinfo_endpoint": "http://10.0.0.1/me"}), Fault::Unprotected("userinfo_endpoint")),
            (json!({"end_session_endpoint": "http://id.example/out"}), Fault::Unprotected("end_session_endpoint")),
            (json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}), Fault::NoClientSecret),
        ] {
            assert_eq!(announced(changes.clone()).unwrap_err(), fault, "{changes}");
        }
    }

    #[test]
    fn section_4_only_asymmetric_algorithms_are_ever_accepted() {
        let rs256 = [Algorithm::RS256];
        assert_eq!(algorithms(vec!["none".into(), "HS256".into(), 5.into(), "ZZ".into()]), rs256);
        assert_eq!(algorithms(vec![]), rs256);
        assert_eq!(
            algorithms(vec!["EdDSA".into(), "HS512".into(), "ES256".into()]),
            [Algorithm::EdDSA, Algorithm::ES256]
        );
    }

    #[test]
    fn section_6_1_what_is_known_lasts_an_hour_a_minute_or_two_seconds() {
        let start = Instant::now();
        let ms = Duration::from_millis(1);
        for (found, lasts) in
            [(announced(json!({})), FOUND_FOR), (Endpoints::fixed(ISSUER), ABSENT_FOR), (Err(Fault::Slow), FAILED_FOR)]
        {
            let mut known = Known::default();
            assert!(known.at(start).is_none());
            let _ = known.learn(found, start);
            assert!(known.at(start + lasts - ms).is_some());
            assert!(known.at(start + lasts).is_none());
        }
    }

    #[test]
    fn section_5_a_document_once_seen_cannot_go_away() {
        let now = Instant::now();
        let mut known = Known::default();
        assert!(known.learn(Endpoints::fixed(ISSUER), now).is_ok());
        assert!(known.learn(announced(json!({})), now).is_ok());
        assert!(known.learn(Err(Fault::Slow), now).is_err());
        assert_eq!(known.learn(Endpoints::fixed(ISSUER), now).unwrap_err(), Fault::DocumentGone);
        assert!(known.learn(announced(json!({})), now).is_ok());
    }
}
