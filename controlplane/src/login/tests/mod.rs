//! Logins from the first request to the profile: against a real provider (npm `oidc-provider`, see
//! `tests/clients/oidc_provider.mjs`), and against a scripted one for what no honest provider does.

mod browser;
mod fake;
mod hostile;
mod real;
mod signer;
mod tokens;

use std::future::Future;
use std::time::Duration;

use super::{Provider, Settings};
use crate::config::Oidc;
use crate::core::{Password, Secret};

const CLIENT: &str = "node";
/// With characters that a form and a header each write differently.
const SECRET: &str = "s3cret:&/+% canary";
/// Nothing listens there: the browser of these tests stops in front of it.
const REDIRECT: &str = "http://127.0.0.1:1/api/users/callback";

fn oidc(issuer: &str, secret: &str) -> Oidc {
    Oidc {
        issuer_url: issuer.to_owned(),
        client_id: CLIENT.to_owned(),
        client_secret: Password(Secret::new(secret)),
        callback_url: String::new(),
        scope: "openid profile email".to_owned(),
        authorize_url: String::new(),
        token_url: String::new(),
        userinfo_url: String::new(),
    }
}

fn with(oidc: &Oidc) -> Provider {
    let settings = Settings::read(oidc).expect("usable settings").expect("complete settings");
    Provider::new(settings).expect("a client for outgoing requests")
}

fn provider_with(issuer: &str, secret: &str) -> Provider {
    with(&oidc(issuer, secret))
}

/// With endpoints of the configuration.
fn plain(issuer: &str, [authorize, token, user_info]: [&str; 3]) -> Provider {
    with(&Oidc {
        authorize_url: authorize.to_owned(),
        token_url: token.to_owned(),
        userinfo_url: user_info.to_owned(),
        ..oidc(issuer, SECRET)
    })
}

fn provider(issuer: &str) -> Provider {
    provider_with(issuer, SECRET)
}

/// Repeats `attempt` until it gives something.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut attempt: impl FnMut() -> F) -> T {
    let trying = async {
        loop {
            if let Some(got) = attempt().await {
                return got;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), trying).await.unwrap_or_else(|_| panic!("not in 30 s: {what}"))
}
