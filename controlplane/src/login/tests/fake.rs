//! A provider that answers what a test tells it to.

use std::collections::HashMap;
use std::future;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::super::{Begun, Profile, Provider, ProviderError};
use super::signer::Signer;
use super::{CLIENT, REDIRECT, provider};

/// One answer, again and again.
#[derive(Debug, Clone)]
pub enum Reply {
    Json(u16, Value),
    Redirect(String),
    /// Never.
    Hang,
    /// More than a MiB, of JSON whitespace.
    Big,
    /// What is left of a list; its last one again and again.
    Then(Vec<Reply>),
}

/// A request that came: its `Authorization` field and its body.
#[derive(Debug, Clone)]
pub struct Seen {
    pub authorization: String,
    pub body: String,
}

#[derive(Default)]
struct Script {
    replies: HashMap<String, Reply>,
    seen: HashMap<String, Vec<Seen>>,
}

pub struct Fake {
    pub issuer: String,
    script: Arc<Mutex<Script>>,
}

impl Fake {
    /// Answers 404 to everything.
    pub async fn empty() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script::default()));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { issuer, script }
    }

    /// An honest provider with the keys of `signers`.
    pub async fn honest(signers: &[&Signer]) -> Self {
        let fake = Self::empty().await;
        fake.set(DISCOVERY, Reply::Json(200, fake.document()));
        fake.set_keys(signers);
        fake.set("/me", Reply::Json(200, json!({"sub": "ada", "groups": ["lab"]})));
        fake
    }

    pub fn document(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "userinfo_endpoint": at("/me"),
            "jwks_uri": at("/jwks"),
            "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        })
    }

    pub fn set(&self, path: &str, reply: Reply) {
        self.script.lock().unwrap().replies.insert(path.to_owned(), reply);
    }

    pub fn set_keys(&self, signers: &[&Signer]) {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
        self.set("/jwks", Reply::Json(200, json!({ "keys": keys })));
    }

    /// Requests to `path` so far.
    pub fn seen(&self, path: &str) -> Vec<Seen> {
        self.script.lock().unwrap().seen.get(path).cloned().unwrap_or_default()
    }

    /// The claims of a good ID token for this login.
    pub fn claims(&self, begun: &Begun) -> Value {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let nonce = begun.proof.nonce.expose();
        json!({"iss": self.issuer, "aud": CLIENT, "sub": "ada", "nonce": nonce, "exp": now_s + 300, "iat": now_s})
    }

    /// A login whose code brings the ID token that `token` makes of this login's good claims.
    pub async fn login_with(
        &self,
        provider: &Provider,
        token: impl FnOnce(Value) -> Value,
    ) -> Result<Profile, ProviderError> {
        let begun = provider.begin(REDIRECT).await?;
        let token = token(self.claims(&begun));
        self.set("/token", Reply::Json(200, json!({"access_token": "canary-access", "id_token": token})));
        provider.finish(&begun.proof, REDIRECT, "code").await
    }

    /// A login with a good ID token of `signer`.
    pub async fn login(&self, provider: &Provider, signer: &Signer) -> Result<Profile, ProviderError> {
        self.login_with(provider, |claims| signer.token(&signer.header(), &claims).into()).await
    }

    /// A login whose code brings this answer.
    pub async fn login_answered(&self, reply: Reply) -> ProviderError {
        let provider = provider(&self.issuer);
        let begun = provider.begin(REDIRECT).await.unwrap();
        self.set("/token", reply);
        provider.finish(&begun.proof, REDIRECT, "code").await.unwrap_err()
    }
}

pub const DISCOVERY: &str = "/.well-known/openid-configuration";

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let field = request.headers().get(header::AUTHORIZATION);
    let authorization = field.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let reply = {
        let mut script = script.lock().unwrap();
        script.seen.entry(path.clone()).or_default().push(Seen { authorization, body });
        match script.replies.get_mut(&path) {
            Some(Reply::Then(replies)) if replies.len() > 1 => replies.remove(0),
            Some(Reply::Then(replies)) => replies[0].clone(),
            Some(reply) => reply.clone(),
            None => return StatusCode::NOT_FOUND.into_response(),
        }
    };
    match reply {
        Reply::Json(status, value) => (StatusCode::from_u16(status).unwrap(), axum::Json(value)).into_response(),
        Reply::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
        Reply::Hang => future::pending().await,
        Reply::Big => Body::from(" ".repeat((1 << 20) + 1)).into_response(),
        Reply::Then(_) => unreachable!("lists do not nest"),
    }
}
