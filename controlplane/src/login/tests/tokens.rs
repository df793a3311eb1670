//! ID tokens as no honest provider writes them (PROMISES.md §4 row "JWT").

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::id_token::{Expected, IdTokenFault, verify};
use super::super::keys::KeySet;
use super::signer::Signer;

const NOW_S: u64 = 1_800_000_000;

const EXPECTED: Expected<'_> = Expected {
    issuer: "https://id.example",
    client_id: "node",
    nonce: "n0nce",
    algorithms: &[Algorithm::EdDSA, Algorithm::RS256],
    now_s: NOW_S,
};

fn claims() -> Value {
    json!({"iss": "https://id.example", "aud": "node", "sub": "ada", "nonce": "n0nce", "exp": NOW_S + 300, "iat": NOW_S})
}

/// `base` with other fields; null takes a field away.
fn with(base: &Value, changes: &Value) -> Value {
    let mut fields = base.as_object().unwrap().clone();
    fields.extend(changes.as_object().unwrap().clone());
    fields.retain(|_, value| !value.is_null());
    Value::Object(fields)
}

fn keys(signers: &[&Signer]) -> KeySet {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    serde_json::from_value(json!({"keys": keys})).unwrap()
}

fn outcome(token: &str, keys: &KeySet) -> Result<(), IdTokenFault> {
    verify(token, keys, &EXPECTED).map(drop)
}

#[test]
fn section_6_1_a_good_token_is_believed() {
    let signer = Signer::new("one", 1);
    let keys = keys(&[&Signer::new("two", 2), &signer]);
    for changes in [
        json!({}),
        json!({"aud": ["node"], "azp": "node"}),
        // Providers that always name several; the token says that it was made for us.
        json!({"aud": ["node", "other"], "azp": "node"}),
        json!({"aud": ["other", "node"], "azp": "node"}),
        json!({"exp": NOW_S - 59, "iat": NOW_S + 59, "nbf": NOW_S + 59}),
        json!({"exp": NOW_S as f64 + 0.5}),
        // What stands in Casdoor's tokens beside the claims of the standard.
        json!({"address": [], "groups": ["lab"], "isAdmin": true, "id": "x", "score": 0, "properties": {}}),
    ] {
        let claims = with(&claims(), &changes);
        let token = signer.token(&signer.header(), &claims);
        assert_eq!(verify(&token, &keys, &EXPECTED), Ok(claims.as_object().unwrap().clone()));
    }
    let unnamed = with(&signer.header(), &json!({"kid": null}));
    assert_eq!(outcome(&signer.token(&unnamed, &claims()), &keys), Ok(()));
}

/// Keys, and a token for each algorithm, made with another library (Python's `cryptography`).
const SIGNED: &str = include_str!("signed.json");

fn signed() -> (Value, Map<String, Value>) {
    let mut signed: Value = serde_json::from_str(SIGNED).unwrap();
    let Value::Object(tokens) = signed["tokens"].take() else { panic!("tokens by algorithm") };
    (signed, tokens)
}

#[test]
fn every_algorithm_of_providers_is_verified() {
    let (published, tokens) = signed();
    let keys: KeySet = serde_json::from_value(published).unwrap();
    // ES512 is not among them: no provider signs with it by default.
    let names = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
    for name in names {
        let token = tokens[name].as_str().unwrap();
        let algorithms = &[name.parse::<Algorithm>().unwrap()];
        let expected = Expected { algorithms, ..EXPECTED };
        assert_eq!(verify(token, &keys, &expected).as_ref(), Ok(claims().as_object().unwrap()), "{name}");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        bytes[9] ^= 1;
        let other = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes));
        assert_eq!(verify(&other, &keys, &expected), Err(IdTokenFault::Signature), "{name}");
    }
    let all: Vec<Algorithm> = names.iter().map(|name| name.parse().unwrap()).collect();
    let expected = Expected { algorithms: &all, ..EXPECTED };
    assert_eq!(verify(tokens["ES512"].as_str().unwrap(), &keys, &expected), Err(IdTokenFault::Algorithm));
}

#[test]
fn a_key_signs_only_what_it_is_published_for() {
    let (published, tokens) = signed();
    for (name, index, changes, fault) in [
        ("RS256", 0, json!({"use": "enc"}), IdTokenFault::Signature),
        ("RS256", 0, json!({"alg": "RS512"}), IdTokenFault::Signature),
        ("RS256", 0, json!({"alg": "RSA-OAEP"}), IdTokenFault::Signature),
        ("RS256", 0, json!({"alg": "of the future"}), IdTokenFault::Signature),
        ("RS256", 0, json!({"kty": "oct", "k": "AAAA"}), IdTokenFault::Signature),
        ("RS256", 0, json!({"n": null}), IdTokenFault::Signature),
        ("ES256", 1, json!({"crv": "P-384"}), IdTokenFault::Signature),
        ("EdDSA", 4, json!({"crv": "P-256"}), IdTokenFault::Signature),
        ("EdDSA", 4, json!({"crv": "Ed448"}), IdTokenFault::Signature),
        // Not a key at all: left out.
        ("RS256", 0, json!({"kid": 7}), IdTokenFault::UnknownKey),
    ] {
        let mut published = published.clone();
        let key = &mut published["keys"][index];
        *key = with(key, &changes);
        let keys: KeySet = serde_json::from_value(published).unwrap();
        let algorithms = &[name.parse::<Algorithm>().unwrap()];
        let token = tokens[name].as_str().unwrap();
        assert_eq!(verify(token, &keys, &Expected { algorithms, ..EXPECTED }), Err(fault), "{name} {changes}");
    }
    for (name, index, changes) in
        [("RS256", 0, json!({"alg": "RS256", "use": null})), ("EdDSA", 4, json!({"use": "sig"}))]
    {
        let mut published = published.clone();
        let key = &mut published["keys"][index];
        *key = with(key, &changes);
        // Entries that are no keys do not spoil those that are.
        published["keys"].as_array_mut().unwrap().extend([json!(5), json!({"kty": "AKP"}), json!({})]);
        let keys: KeySet = serde_json::from_value(published).unwrap();
        let algorithms = &[name.parse::<Algorithm>().unwrap()];
        let token = tokens[name].as_str().unwrap();
        assert!(verify(token, &keys, &Expected { algorithms, ..EXPECTED }).is_ok(), "{name} {changes}");
    }
}

#[test]
fn several_audiences_without_azp_are_refused() {
    let signer = Signer::new("one", 1);
    let keys = keys(&[&signer]);
    for (changes, fault) in [
        (json!({"aud": ["node", "other"]}), "azp"),
        (json!({"aud": ["node", "other"], "azp": "other"}), "azp"),
        (json!({"aud": ["other"], "azp": "node"}), "aud"),
    ] {
        let token = signer.token(&signer.header(), &with(&claims(), &changes));
        assert_eq!(outcome(&token, &keys), Err(IdTokenFault::Claim(fault)), "{changes}");
    }
}

#[test]
fn section_4_claims_that_say_anything_else_are_refused() {
    let signer = Signer::new("one", 1);
    let keys = keys(&[&signer]);
    let wrong = [
        ("iss", vec![json!(null), json!(5), json!("https://id.example/"), json!("https://evil.example")]),
        ("aud", vec![json!(null), json!("other"), json!([]), json!(["other"]), json!(["node", 5]), json!({"node": 1})]),
        ("azp", vec![json!("other"), json!(5)]),
        ("nonce", vec![json!(null), json!(""), json!("n0nc"), json!("other"), json!(["n0nce"])]),
        ("sub", vec![json!(null), json!(""), json!(5)]),
        ("exp", vec![json!(null), json!("2099-01-01"), json!(-1), json!([]), json!(NOW_S - 60), json!(0)]),
        ("iat", vec![json!(null), json!("now"), json!(-1), json!(NOW_S + 61), json!(1e300)]),
        ("nbf", vec![json!("now"), json!(-1), json!(NOW_S + 61), json!({})]),
    ];
    for (name, values) in wrong {
        for value in values {
            let claims = with(&claims(), &json!({ name: value }));
            let token = signer.token(&signer.header(), &claims);
            assert_eq!(outcome(&token, &keys), Err(IdTokenFault::Claim(name)), "{claims}");
        }
    }
}

#[test]
fn section_4_headers_that_choose_their_own_rules_are_refused() {
    let (signer, other) = (Signer::new("one", 1), Signer::new("one", 9));
    let keys = keys(&[&signer]);
    for (changes, fault) in [
        (json!({"alg": "none"}), IdTokenFault::Algorithm),
        (json!({"alg": "None"}), IdTokenFault::Algorithm),
        (json!({"alg": null}), IdTokenFault::Algorithm),
        (json!({"alg": "HS256"}), IdTokenFault::Algorithm),
        (json!({"alg": "ES256"}), IdTokenFault::Algorithm),
        (json!({"alg": ["EdDSA"]}), IdTokenFault::Algorithm),
        // Announced, but not what this key signs with.
        (json!({"alg": "RS256"}), IdTokenFault::Signature),
        (json!({"kid": "two"}), IdTokenFault::UnknownKey),
        (json!({"kid": "../one"}), IdTokenFault::UnknownKey),
        (json!({"kid": 1}), IdTokenFault::Header("kid that is no text")),
        (json!({"jku": "https://evil.example/keys"}), IdTokenFault::Header("jku")),
        (json!({"x5u": "https://evil.example/cert"}), IdTokenFault::Header("x5u")),
        (json!({"jwk": other.jwk()}), IdTokenFault::Header("jwk")),
        (json!({"x5c": []}), IdTokenFault::Header("x5c")),
        (json!({"crit": ["exp"]}), IdTokenFault::Header("crit")),
    ] {
        let header = with(&signer.header(), &changes);
        assert_eq!(outcome(&signer.token(&header, &claims()), &keys), Err(fault), "{header}");
    }
    let forged = other.token(&other.header(), &claims());
    assert_eq!(outcome(&forged, &keys), Err(IdTokenFault::Signature));
    let unnamed = with(&other.header(), &json!({"kid": null}));
    assert_eq!(outcome(&other.token(&unnamed, &claims()), &keys), Err(IdTokenFault::UnknownKey));
}

#[test]
fn section_4_what_is_no_token_is_refused() {
    let signer = Signer::new("one", 1);
    let keys = keys(&[&signer]);
    let good = signer.token(&signer.header(), &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let list = URL_SAFE_NO_PAD.encode("[]");
    let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), parts[1]);
    for (token, fault) in [
        (String::new(), IdTokenFault::Malformed),
        ("a.b".to_owned(), IdTokenFault::Malformed),
        (format!("{good}.x"), IdTokenFault::Malformed),
        (format!("{}.{}", parts[0], parts[1]), IdTokenFault::Malformed),
        (format!("{}=.{}.{}", parts[0], parts[1], parts[2]), IdTokenFault::Malformed),
        (format!("{list}.{}.{}", parts[1], parts[2]), IdTokenFault::Malformed),
        (format!("{}.{list}.{}", parts[0], parts[2]), IdTokenFault::Signature),
        (format!("{}.{}.", parts[0], parts[1]), IdTokenFault::Signature),
        (unsigned, IdTokenFault::Algorithm),
        (format!("{good}{}", "A".repeat(8 << 10)), IdTokenFault::TooLong),
    ] {
        assert_eq!(outcome(&token, &keys), Err(fault), "{token}");
    }
    assert_eq!(outcome(&good, &KeySet::default()), Err(IdTokenFault::UnknownKey));
}

proptest! {
    #[test]
    fn no_change_of_a_byte_is_believed(at: prop::sample::Index, to in prop::char::range('!', '~')) {
        let signer = Signer::new("one", 1);
        let good = signer.token(&signer.header(), &claims());
        let mut bytes = good.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = to as u8;
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(outcome(&changed, &keys(&[&signer])).is_ok(), changed == good);
    }
}
