//! The real provider, started as a program of its own.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::super::{Arrival, Begun, Fault, Ids, Pending, PendingError, Profile, Proof, ProviderError, Step, page};
use super::browser::{Browser, Returned};
use super::{CLIENT, REDIRECT, SECRET, provider, provider_with, until};
use crate::core::Secret;
use crate::login::Provider;

struct Real {
    issuer: String,
    child: Child,
}

impl Real {
    async fn start(port: u16, auth: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/clients/oidc_provider.mjs");
        let mut command = Command::new("node");
        // From standard input, so that modules are looked up in the working directory.
        command.args(["--input-type=module", "-", "--client", CLIENT, "--secret", SECRET, "--redirect", REDIRECT]);
        command.args(["--port", &port.to_string(), "--auth", auth]).current_dir(installed().join("js"));
        command.stdin(File::open(script).unwrap()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("node (apt package nodejs)");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let issuer = lines.next_line().await.unwrap().expect("the provider's issuer; run ./.ci/clients first");
        Self { issuer, child }
    }

    async fn stop(mut self) -> u16 {
        self.child.kill().await.unwrap();
        reqwest::Url::parse(&self.issuer).unwrap().port().unwrap()
    }
}

/// Where `.ci/clients` put other people's programs.
fn installed() -> PathBuf {
    if let Some(path) = std::env::var_os("ET_CLIENTS") {
        return path.into();
    }
    let own = std::env::current_exe().unwrap();
    let clients = own.ancestors().nth(3).expect("target/<profile>/deps/<test>").join("clients");
    assert!(clients.join("stamp").exists(), "{} is not there: run ./.ci/clients first", clients.display());
    clients
}

/// The way from the authorize URL back to the node.
async fn returned(begun: &Begun, login: &str) -> Returned {
    let returned = Browser::new().sign_in(&begun.authorize_url, login).await;
    assert_eq!(returned.state, begun.state.expose());
    returned
}

/// A whole login.
async fn sign_in(provider: &Provider, login: &str) -> Result<Profile, ProviderError> {
    let begun = provider.begin(REDIRECT).await?;
    let Returned { code, .. } = returned(&begun, login).await;
    provider.finish(&begun.proof, REDIRECT, &code).await
}

fn ada() -> Profile {
    Profile {
        subject: "ada+lab+admins".into(),
        username: "ada".into(),
        display_name: Some("ada Example".into()),
        email: Some("ada@example.org".into()),
        avatar_url: Some("https://img.example.org/ada.png".into()),
        is_admin: true,
        groups: vec!["lab".into(), "admins".into()],
    }
}

#[tokio::test]
async fn section_6_1_a_browser_signs_in_and_groups_come_from_userinfo() {
    let real = Real::start(0, "client_secret_basic").await;
    let provider = provider(&real.issuer);
    let facts = provider.facts().await.unwrap();
    assert_eq!((facts.issuer, facts.authorize_url), (real.issuer.clone(), format!("{}/auth", real.issuer)));
    assert_eq!(facts.end_session_url, Some(format!("{}/session/end", real.issuer)));

    let mut pending = Pending::<()>::default();
    let begun = provider.begin(REDIRECT).await.unwrap();
    let authorize_url = begun.authorize_url.clone();
    let cookie = pending.start_browser(begun, REDIRECT.into(), Instant::now());
    let Returned { code, state } = Browser::new().sign_in(&authorize_url, "ada+lab+admins").await;
    let unknown = pending.arrive("another", Some(cookie.expose()), Instant::now());
    assert_eq!(unknown.unwrap_err(), PendingError::Unknown);
    let foreign = pending.arrive(&state, Some("another"), Instant::now());
    assert_eq!(foreign.unwrap_err(), PendingError::Foreign);
    let sent = match pending.arrive(&state, Some(cookie.expose()), Instant::now()) {
        Ok(Arrival::Browser(sent)) => sent,
        other => panic!("{other:?}"),
    };
    assert_eq!(provider.finish(&sent.proof, &sent.redirect, &code).await, Ok(ada()));
    let used = pending.arrive(&state, Some(cookie.expose()), Instant::now());
    assert_eq!(used.unwrap_err(), PendingError::Used);
}

#[tokio::test]
async fn section_6_1_a_command_line_gets_its_token_after_the_browser_confirmed() {
    let real = Real::start(0, "client_secret_post").await;
    let provider = provider(&real.issuer);
    let mut pending = Pending::default();
    let now = Instant::now();
    let begun = provider.begin(REDIRECT).await.unwrap();
    let Ids { poll, link } = pending.start_command_line(begun, REDIRECT.into(), now);
    let link = pending.link(&link, now).unwrap().to_owned();
    assert!(!link.contains(poll.expose()));
    let Returned { code, state } = Browser::new().sign_in(&link, "ada+lab+admins").await;
    let (login, sent) = match pending.arrive(&state, None, now) {
        Ok(Arrival::CommandLine(login, sent)) => (login, sent),
        other => panic!("{other:?}"),
    };
    let profile = provider.finish(&sent.proof, &sent.redirect, &code).await.unwrap();
    let question = pending.ask(login, profile, now).unwrap();
    let asked = page::confirm("ada", question.confirmation.expose());
    let value = asked.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(pending.collect(poll.expose(), now), Ok(None));
    let (login, profile) = pending.confirm(value, Some(question.cookie.expose()), now).unwrap();
    assert_eq!(profile, ada());
    pending.complete(login, "session", now).unwrap();
    assert_eq!(pending.collect(poll.expose(), now), Ok(Some("session")));
}

#[tokio::test]
async fn section_4_a_code_works_once_and_only_with_its_own_login() {
    let real = Real::start(0, "client_secret_basic").await;
    let provider = provider(&real.issuer);
    let refused = |reason: &str| Err(ProviderError::CodeRefused { reason: reason.into() });

    let begun = provider.begin(REDIRECT).await.unwrap();
    let code = returned(&begun, "ada").await.code;
    assert!(provider.finish(&begun.proof, REDIRECT, &code).await.is_ok());
    assert_eq!(provider.finish(&begun.proof, REDIRECT, &code).await, refused("invalid_grant"));
    assert_eq!(provider.finish(&begun.proof, REDIRECT, "invented").await, refused("invalid_grant"));

    let (begun, other) = (provider.begin(REDIRECT).await.unwrap(), provider.begin(REDIRECT).await.unwrap());
    let code = returned(&begun, "ada").await.code;
    assert_eq!(provider.finish(&other.proof, REDIRECT, &code).await, refused("invalid_grant"), "another verifier");

    let begun = provider.begin(REDIRECT).await.unwrap();
    let code = returned(&begun, "ada").await.code;
    let elsewhere = "http://127.0.0.1:1/elsewhere";
    assert_eq!(provider.finish(&begun.proof, elsewhere, &code).await, refused("invalid_grant"), "another redirect");

    let begun = provider.begin(REDIRECT).await.unwrap();
    let code = returned(&begun, "ada").await.code;
    let proof = Proof { nonce: Secret::new("another"), ..begun.proof };
    let faked = provider.finish(&proof, REDIRECT, &code).await.unwrap_err();
    assert_eq!(faked.to_string(), "the login provider's ID token is not accepted: its nonce is wrong");

    let stranger = provider_with(&real.issuer, "wrong");
    assert_eq!(sign_in(&stranger, "ada").await, refused("invalid_client"));
}

#[tokio::test]
async fn section_6_1_a_provider_that_is_down_at_start_is_found_without_a_restart() {
    // The port of a provider that was stopped: free, and refused until the next one.
    let real = Real::start(0, "client_secret_basic").await;
    let issuer = real.issuer.clone();
    let port = real.stop().await;
    let provider = provider(&issuer);
    let error = provider.endpoints().await.unwrap_err();
    assert!(matches!(&error, ProviderError::Away { step: Step::Discovery, fault: Fault::Unreachable { .. } }));
    assert!(error.is_away());
    // Meanwhile browsers are told the fixed paths.
    let told = provider.facts().await.unwrap();
    assert_eq!(
        (told.issuer.as_str(), told.authorize_url),
        (issuer.as_str(), format!("{issuer}/login/oauth/authorize"))
    );
    assert!(
        provider.begin(REDIRECT).await.unwrap().authorize_url.starts_with(&format!("{issuer}/login/oauth/authorize?"))
    );

    let _real = Real::start(port, "client_secret_basic").await;
    until("the provider is found", || async { provider.endpoints().await.ok() }).await;
    assert_eq!(sign_in(&provider, "ada+lab+admins").await, Ok(ada()));
}

#[tokio::test]
async fn section_6_1_a_provider_may_restart_with_new_keys_in_the_middle_of_a_login() {
    let real = Real::start(0, "client_secret_basic").await;
    let provider = provider(&real.issuer);
    assert!(sign_in(&provider, "ada").await.is_ok());

    let begun = provider.begin(REDIRECT).await.unwrap();
    let code = returned(&begun, "ada").await.code;
    let port = real.stop().await;
    let gone = provider.finish(&begun.proof, REDIRECT, &code).await.unwrap_err();
    assert!(matches!(gone, ProviderError::Away { step: Step::Exchange, .. }), "{gone}");

    let begun = provider.begin(REDIRECT).await.unwrap();
    let _real = Real::start(port, "client_secret_basic").await;
    let code = returned(&begun, "ada+lab+admins").await.code;
    assert_eq!(provider.finish(&begun.proof, REDIRECT, &code).await, Ok(ada()));
}
