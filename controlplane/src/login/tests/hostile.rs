//! Providers that lie, stall, send us elsewhere or change under way.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::super::{Begun, Fault, IdTokenFault, ProfileFault, Proof, ProviderError, Step};
use super::fake::{DISCOVERY, Fake, Reply};
use super::signer::Signer;
use super::{REDIRECT, SECRET, plain, provider, until};

fn away(step: Step, fault: Fault) -> ProviderError {
    ProviderError::Away { step, fault }
}

#[tokio::test]
async fn section_5_documents_are_bounded_in_size_and_time_and_never_redirect() {
    let signer = Signer::new("one", 1);
    let elsewhere = Fake::honest(&[&signer]).await;
    let discoveries = [
        (Reply::Big, Fault::TooLarge),
        (Reply::Redirect(format!("{}{DISCOVERY}", elsewhere.issuer)), Fault::Redirects(307)),
        (Reply::Json(500, json!({})), Fault::Status(500)),
        (Reply::Json(200, json!("no object")), Fault::Unreadable),
        (Reply::Json(200, elsewhere.document()), Fault::OtherIssuer { announced: elsewhere.issuer.clone() }),
        (Reply::Hang, Fault::Slow),
    ];
    let exchanges = [
        (Reply::Redirect(format!("{}/token", elsewhere.issuer)), Fault::Redirects(307)),
        (Reply::Json(503, json!({})), Fault::Status(503)),
        (Reply::Big, Fault::TooLarge),
        (Reply::Hang, Fault::Slow),
    ];
    // At once, because a stalled answer takes its whole time.
    let mut rows = JoinSet::new();
    for (reply, fault) in discoveries {
        rows.spawn(async move {
            let fake = Fake::empty().await;
            fake.set(DISCOVERY, reply);
            (provider(&fake.issuer).endpoints().await.unwrap_err(), away(Step::Discovery, fault))
        });
    }
    for (reply, fault) in exchanges {
        rows.spawn(async move {
            let fake = Fake::honest(&[]).await;
            (fake.login_answered(reply).await, away(Step::Exchange, fault))
        });
    }
    while let Some(row) = rows.join_next().await {
        let (error, expected) = row.unwrap();
        assert_eq!(error, expected);
    }
    // A redirected exchange would have carried the client secret there.
    assert!(elsewhere.seen("/token").is_empty() && elsewhere.seen(DISCOVERY).is_empty());
}

#[tokio::test]
async fn configured_endpoints_of_plain_oauth_2_need_no_document() {
    let fake = Fake::empty().await;
    let at = |path: &str| format!("{}{path}", fake.issuer);
    fake.set("/token", Reply::Json(200, json!({"access_token": "canary-access"})));
    fake.set("/me", Reply::Json(200, json!({"id": 7, "name": "Ada"})));
    let provider = plain(&fake.issuer, [&at("/authorize"), &at("/token"), &at("/me")]);
    let begun = provider.begin(REDIRECT).await.unwrap();
    assert!(begun.authorize_url.starts_with(&at("/authorize?")));
    let person = provider.finish(&begun.proof, REDIRECT, "code").await.unwrap();
    assert_eq!((person.subject.as_str(), person.username.as_str()), ("7", "Ada"));
    assert_eq!(fake.seen("/me")[0].authorization, "Bearer canary-access");
    assert!(fake.seen(DISCOVERY).is_empty());
}

#[tokio::test]
async fn section_6_1_one_discovery_is_under_way_and_a_failed_one_is_not_repeated_at_once() {
    let fake = Fake::empty().await;
    fake.set(DISCOVERY, Reply::Json(500, json!({})));
    let failing = Arc::new(provider(&fake.issuer));
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let provider = Arc::clone(&failing);
        calls.spawn(async move { provider.endpoints().await.is_err_and(|error| error.is_away()) });
    }
    assert!(calls.join_all().await.into_iter().all(|is_away| is_away));
    assert_eq!(fake.seen(DISCOVERY).len(), 1);

    fake.set(DISCOVERY, Reply::Json(200, fake.document()));
    until("it is asked again", || async { failing.endpoints().await.ok() }).await;
    assert!(failing.begin(REDIRECT).await.is_ok());
    assert_eq!(fake.seen(DISCOVERY).len(), 2);
}

#[tokio::test]
async fn section_4_an_id_token_is_required_and_must_be_this_logins() {
    let (signer, thief) = (Signer::new("one", 1), Signer::new("one", 9));
    let fake = Fake::honest(&[&signer]).await;
    let provider = provider(&fake.issuer);
    let signed = |claims: Value| Value::from(signer.token(&signer.header(), &claims));
    let changed = |mut claims: Value, name: &str, value: Value| {
        claims[name] = value;
        signed(claims)
    };
    assert!(fake.login_with(&provider, signed).await.is_ok());
    let stale = {
        let begun = provider.begin(REDIRECT).await.unwrap();
        signed(fake.claims(&begun))
    };
    let unsigned = json!({"alg": "none"});
    for (fault, outcome) in [
        (IdTokenFault::Missing, fake.login_with(&provider, |_| Value::Null).await),
        (IdTokenFault::Claim("nonce"), fake.login_with(&provider, |_| stale).await),
        (IdTokenFault::Claim("aud"), fake.login_with(&provider, |c| changed(c, "aud", json!("other"))).await),
        (IdTokenFault::Claim("iss"), fake.login_with(&provider, |c| changed(c, "iss", json!("https://e"))).await),
        (IdTokenFault::Claim("exp"), fake.login_with(&provider, |c| changed(c, "exp", json!(1_000_000))).await),
        (IdTokenFault::Algorithm, fake.login_with(&provider, |c| signer.token(&unsigned, &c).into()).await),
        (IdTokenFault::Signature, fake.login(&provider, &thief).await),
    ] {
        assert_eq!(outcome, Err(ProviderError::IdToken(fault)));
    }
}

#[tokio::test]
async fn section_5_keys_may_rotate_but_unknown_ones_are_asked_for_once_in_thirty_seconds() {
    let (old, new, next) = (Signer::new("old", 1), Signer::new("new", 2), Signer::new("next", 3));
    let fake = Fake::honest(&[&old]).await;
    let provider = provider(&fake.issuer);
    assert!(fake.login(&provider, &old).await.is_ok() && fake.login(&provider, &old).await.is_ok());
    assert_eq!(fake.seen("/jwks").len(), 1);

    fake.set_keys(&[&new]);
    assert!(fake.login(&provider, &new).await.is_ok());
    assert_eq!(fake.login(&provider, &old).await, Err(ProviderError::IdToken(IdTokenFault::UnknownKey)));
    fake.set_keys(&[&next]);
    for _ in 0..3 {
        assert_eq!(fake.login(&provider, &next).await, Err(ProviderError::IdToken(IdTokenFault::UnknownKey)));
    }
    assert_eq!(fake.seen("/jwks").len(), 2);
}

#[tokio::test]
async fn section_6_1_userinfo_is_about_the_person_of_the_id_token() {
    let signer = Signer::new("one", 1);
    let fake = Fake::honest(&[&signer]).await;
    let provider = provider(&fake.issuer);
    for (reply, error) in [
        (Reply::Json(200, json!({"sub": "eve"})), ProviderError::OtherSubject),
        (Reply::Json(200, json!({"name": "ada"})), ProviderError::OtherSubject),
        (Reply::Json(401, json!({})), ProviderError::UserInfoRefused(401)),
        (Reply::Json(200, json!([])), away(Step::UserInfo, Fault::Unreadable)),
        (Reply::Json(502, json!({})), away(Step::UserInfo, Fault::Status(502))),
        (Reply::Redirect(fake.issuer.clone()), away(Step::UserInfo, Fault::Redirects(307))),
    ] {
        fake.set("/me", reply);
        assert_eq!(fake.login(&provider, &signer).await, Err(error));
    }
    // What only the ID token says counts too; where both speak, userinfo does.
    fake.set("/me", Reply::Json(200, json!({"sub": "ada", "name": "Ada", "email": null})));
    let token = |mut claims: Value| {
        claims["name"] = json!("old");
        claims["email"] = json!("ada@example.org");
        claims["groups"] = json!(["lab"]);
        claims["address"] = json!([]);
        signer.token(&signer.header(), &claims).into()
    };
    let profile = fake.login_with(&provider, token).await.unwrap();
    assert_eq!((profile.username.as_str(), profile.email.as_deref()), ("Ada", Some("ada@example.org")));
    assert_eq!(profile.groups, ["lab"]);
    assert_eq!(fake.seen("/me").last().unwrap().authorization, "Bearer canary-access");
}

#[tokio::test]
async fn section_6_1_without_a_discovery_document_the_fixed_paths_are_used() {
    let fake = Fake::empty().await;
    let provider = provider(&fake.issuer);
    let facts = provider.facts().await.unwrap();
    assert_eq!(facts.authorize_url, format!("{}/login/oauth/authorize", fake.issuer));
    assert_eq!((facts.issuer, facts.end_session_url), (fake.issuer.clone(), None));

    let begun = provider.begin(REDIRECT).await.unwrap();
    let token = "/api/login/oauth/access_token";
    fake.set(token, Reply::Json(200, json!({"access_token": "canary-access"})));
    fake.set("/api/userinfo", Reply::Json(200, json!({"id": "7", "name": "ada", "groups": [{"name": "lab"}]})));
    let profile = provider.finish(&begun.proof, REDIRECT, "c0de").await.unwrap();
    assert_eq!((profile.subject.as_str(), profile.username.as_str(), profile.groups), ("7", "ada", vec!["lab".into()]));

    let seen = fake.seen(token).remove(0);
    let form: HashMap<_, _> = form_urlencoded::parse(seen.body.as_bytes()).into_owned().collect();
    assert_eq!(seen.authorization, "");
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("client_id", "node"),
        ("client_secret", SECRET),
        ("code", "c0de"),
        ("redirect_uri", REDIRECT),
        ("code_verifier", begun.proof.verifier.expose()),
    ] {
        assert_eq!(form.get(name).map(String::as_str), Some(value), "{name}");
    }

    fake.set("/api/userinfo", Reply::Json(200, json!({"name": "unknown"})));
    let unknown = provider.finish(&begun.proof, REDIRECT, "c0de").await;
    assert_eq!(unknown, Err(ProviderError::Profile(ProfileFault::NoSubject)));
}

#[tokio::test]
async fn section_6_1_the_authorize_url_asks_for_code_state_nonce_and_s256() {
    let fake = Fake::honest(&[]).await;
    let provider = provider(&fake.issuer);
    let (begun, other) = (provider.begin(REDIRECT).await.unwrap(), provider.begin(REDIRECT).await.unwrap());
    let url = reqwest::Url::parse(&begun.authorize_url).unwrap();
    let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
    let verifier = begun.proof.verifier.expose();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    for (name, value) in [
        ("client_id", "node"),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "openid profile email"),
        ("state", begun.state.expose()),
        ("nonce", begun.proof.nonce.expose()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(query.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(verifier.len() >= 43 && begun.state.expose().len() == 43 && !begun.authorize_url.contains(verifier));
    assert!(begun.state != other.state && begun.proof.nonce != other.proof.nonce);
    assert!(begun.proof.verifier != other.proof.verifier);
}

#[tokio::test]
async fn section_6_1_a_provider_that_takes_the_secret_elsewhere_is_asked_again() {
    let signer = Signer::new("one", 1);
    let fake = Fake::honest(&[&signer]).await;
    let mut document = fake.document();
    document["token_endpoint_auth_methods_supported"] = json!(["client_secret_basic", "client_secret_post"]);
    fake.set(DISCOVERY, Reply::Json(200, document));
    let provider = provider(&fake.issuer);
    let begun = provider.begin(REDIRECT).await.unwrap();
    let token = signer.token(&signer.header(), &fake.claims(&begun));
    let refusal = Reply::Json(401, json!({"error": "invalid_client"}));
    let tokens = Reply::Json(200, json!({"access_token": "canary-access", "id_token": token}));
    fake.set("/token", Reply::Then(vec![refusal, tokens]));
    assert!(provider.finish(&begun.proof, REDIRECT, "code").await.is_ok());
    let [post, basic] = &fake.seen("/token")[..] else { panic!("two requests") };
    assert!(post.authorization.is_empty() && post.body.contains("client_secret="));
    assert!(basic.authorization.starts_with("Basic ") && !basic.body.contains("client_secret="));
}

#[tokio::test]
async fn section_5_a_refusal_shows_its_code_and_nothing_a_provider_writes_or_we_hide() {
    let fake = Fake::honest(&[]).await;
    for (status, body, reason) in [
        (400, json!({"error": "invalid_grant", "error_description": "canary"}), "invalid_grant"),
        // Casdoor and GitHub refuse with 200.
        (200, json!({"error": "bad_verification_code"}), "bad_verification_code"),
        (400, json!({"error": "<script>canary"}), "status 400"),
        (403, json!({"error": ["canary"]}), "status 403"),
        (200, json!({"access_token": 5}), "status 200"),
        (404, json!("canary"), "status 404"),
    ] {
        let error = fake.login_answered(Reply::Json(status, body.clone())).await;
        assert_eq!(error, ProviderError::CodeRefused { reason: reason.into() }, "{body}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
    let provider = provider(&fake.issuer);
    let begun = provider.begin(REDIRECT).await.unwrap();
    let printed = format!("{provider:?} {begun:?} {:?}", begun.proof);
    let Begun { state, proof: Proof { nonce, verifier }, .. } = &begun;
    for secret in [SECRET, state.expose(), nonce.expose(), verifier.expose()] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
