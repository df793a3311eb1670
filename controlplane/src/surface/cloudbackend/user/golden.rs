//! Documents of accounts and sessions, claims of tokens, and what the operator's command says, as ever.

use etransfer_tests::examples;

use super::console::{Command, Listed};
use super::token::{Claims, Kind};
use super::{Account, COUNTER, session};
use crate::app::App;
use crate::authority::Authority;
use crate::config::Config;
use crate::core::SurfaceId;
use crate::golden::{NAME, TIME, check_json, check_json_text, documents, golden, put_documents};
use crate::node::Edit;
use crate::surface::cloudbackend::api::counter::Counter;
use crate::surface::cloudbackend::settings::CloudBackend;

/// What names a session, and the rest of a token's id.
const RANDOM: [&str; 3] = ["0123456789abcdef", "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"];

fn account(id: u64, username: &str, email: &str) -> Account {
    Account {
        id,
        username: username.into(),
        display_name: NAME.into(),
        email: email.into(),
        is_active: true,
        quota: 300,
        created_ms: TIME,
        generation: 0,
    }
}

#[tokio::test]
async fn documents_of_accounts_are_stored_as_ever() {
    let (app, _stop) = App::for_tests(Config::defaults(), Authority::open(None));
    let node = &app.node;
    let mut counter = Counter::lock(node, COUNTER).await;
    let (mut one, mut other) =
        (account(counter.take(), "alice", "alice@example.org"), account(counter.take(), "bob", "b@example.org"));
    let edit = other.create("phc 2", one.create("phc 1", counter.write(Edit::default())));
    drop(counter);
    node.edit(edit).await.unwrap();
    let edit = one.set_password("phc 3", one.clone().set_email("a@example.org", Edit::default()));
    one.email = "a@example.org".into();
    node.edit(other.set_active(false, one.write(edit))).await.unwrap();
    let mut golden = golden("surface/cloudbackend", "accounts.txt", "Documents of accounts.");
    put_documents(&mut golden, node, SurfaceId::CloudBackend);
    let node = crate::golden::node(documents(&golden.check(), SurfaceId::CloudBackend));
    assert_eq!(Account::all(&node), [one.clone(), other.clone()]);
    assert_eq!(Account::by_name(&node, "alice"), Some(one.clone()));
    assert_eq!(
        (Account::id_by_email(&node, &one.email), Account::id_by_email(&node, "alice@example.org")),
        (Some(1), None)
    );
    assert_eq!(
        (Account::password(&node, 1), Account::password(&node, 2)),
        (Some("phc 3".into()), Some("phc 2".into()))
    );
    assert_eq!(Counter::lock(&node, COUNTER).await.take(), 3);
    let older = r#"{"id":1,"username":"a","display_name":"a","email":"","is_active":true,"quota":1,"created_ms":2}"#;
    assert_eq!(serde_json::from_str::<Account>(older).unwrap().generation, 0);
}

#[tokio::test]
async fn documents_of_sessions_are_stored_as_ever() {
    let (app, _stop) = App::for_tests(Config::defaults(), Authority::open(None));
    let (session, _tokens) = session::begin(app.node.config().surfaces.of::<CloudBackend>(), 7, TIME);
    app.node.edit(session.write(Edit::default())).await.unwrap();
    let documents_there = app.node.docs_under(SurfaceId::CloudBackend, "");
    let [(key, text)] = documents_there.as_slice() else { panic!("one document") };
    let kept: serde_json::Value = serde_json::from_slice(text).unwrap();
    let name = key.rsplit('/').next().unwrap();
    let rest = |token: &str| kept["pairs"][0][token].as_str().unwrap()[name.len()..].to_owned();
    let random = [name.to_owned(), rest("access"), rest("refresh")];
    let fixed = |text: &str| {
        random.iter().zip(RANDOM).fold(text.to_owned(), |text, (random, fixed)| text.replace(random, fixed))
    };
    let mut golden =
        golden("surface/cloudbackend", "sessions.txt", "Documents of sessions; what is random is replaced.");
    golden.text(&format!("document {}", fixed(key)), &fixed(str::from_utf8(text).unwrap()));
    let node = crate::golden::node(documents(&golden.check(), SurfaceId::CloudBackend));
    let claims = |user_id| Claims {
        token_type: Kind::Access,
        exp: TIME / 1000 + 3600,
        iat: TIME / 1000,
        jti: format!("{}{}", RANDOM[0], RANDOM[1]),
        user_id,
    };
    assert!(session::is_open(&node, &claims(7)) && !session::is_open(&node, &claims(8)));
    let kinds = examples!(Kind:
        Kind::Access => { "access": Kind::Access },
        Kind::Refresh => { "refresh": Kind::Refresh },
    );
    let all: Vec<_> = kinds.into_iter().map(|(name, token_type)| (name, Claims { token_type, ..claims(7) })).collect();
    check_json(crate::golden::golden("surface/cloudbackend", "claims.txt", "Claims of tokens."), &all);
}

#[test]
fn what_the_operator_says_is_as_ever() {
    let add = Command::Add {
        username: "alice".into(),
        display_name: NAME.into(),
        email: "a@example.org".into(),
        password: "in clear".into(),
    };
    let commands = examples!(Command:
        Command::Add { .. } => { "add": add },
        Command::List => { "list": Command::List },
        Command::Disable(_) => { "disable": Command::Disable("alice".into()) },
        Command::Enable(_) => { "enable": Command::Enable("alice".into()) },
        Command::SetPassword { .. } => {
            "set password": Command::SetPassword { username: "alice".into(), password: "in clear".into() },
        },
    );
    let about = "What `et server user` says to a node, POST /line/cloudbackend/accounts.";
    check_json_text(golden("surface/cloudbackend", "console.txt", about), &commands);
    let listed = Listed {
        id: 1,
        username: "alice".into(),
        email: "a@example.org".into(),
        is_active: true,
        is_admin: false,
        quota: 300,
        used: 20,
    };
    check_json_text(
        golden("surface/cloudbackend", "listed.txt", "An account, as the operator hears of it."),
        &[("account", listed)],
    );
}
