//! What holds on every database.

use std::collections::BTreeSet;

use super::super::sql::{Dialect, Value};
use super::super::stamp::stamp;
use super::super::{People, PeopleError, Profile, Role, token};
use super::places::{Place, profile};
use crate::clock::wall_ms;
use crate::quota::Quota;

const DAY_MS: u64 = 24 * 3_600_000;

fn limit(bytes: u64) -> Quota {
    Quota { max_storage_size: Some(bytes), ..Quota::default() }
}

fn names(user: &super::super::User) -> Vec<&str> {
    user.groups.iter().map(|group| group.name.as_str()).collect()
}

pub async fn section_6_1_the_first_login_makes_a_user_and_later_ones_refresh_it(place: &Place) {
    let people = place.people();
    let first = Profile {
        display_name: Some("Ann Ä. O'Neil".into()),
        email: Some("ann@example.org".into()),
        avatar_url: Some("https://example.org/a.png".into()),
        ..profile("ann", &[])
    };
    let made = people.sign_in(&first).await.unwrap();
    let user = made.session.user.clone();
    assert_eq!((user.subject.as_str(), user.username.as_str(), user.role), ("ann", "ann-name", Role::User));
    assert_eq!(
        (&user.display_name, &user.email, &user.avatar_url),
        (&first.display_name, &first.email, &first.avatar_url)
    );
    assert_eq!((user.is_active, user.is_admin, user.is_administrator(), user.storage_used), (true, false, false, 0));
    let week = made.session.expires_ms.abs_diff(wall_ms() + 7 * DAY_MS);
    assert!(week < 60_000, "valid for 7 days, {week} ms off");
    let seen = people.session(made.token.expose()).await.unwrap().unwrap();
    assert_eq!(seen, made.session);

    people.set_storage_used(user.id, 77).await.unwrap();
    let second = Profile { username: "ann2".into(), is_admin: true, ..profile("ann", &[]) };
    let again = people.sign_in(&second).await.unwrap().session.user;
    assert_eq!((again.id, again.username.as_str(), again.display_name.as_deref()), (user.id, "ann2", None));
    assert_eq!((again.role, again.is_admin, again.is_administrator()), (Role::User, true, true), "not the role");
    assert_eq!(again.storage_used, 77);
    assert!(people.session(made.token.expose()).await.unwrap().is_some(), "a second login ends no session");

    let boss = people.sign_in(&Profile { is_admin: true, ..profile("boss", &[]) }).await.unwrap().session.user;
    assert_eq!(boss.role, Role::Admin);
    people.set_role(boss.id, Role::Guest).await.unwrap();
    let boss = people.sign_in(&profile("boss", &[])).await.unwrap().session.user;
    assert_eq!((boss.role, boss.is_admin), (Role::Guest, false));

    let all = people.users().await.unwrap();
    assert_eq!(all.iter().map(|user| user.id).collect::<Vec<_>>(), [boss.id, user.id], "newest first");
    assert_eq!(people.count_users().await, Ok(2));
    assert_eq!(people.user(boss.id).await.unwrap(), Some(boss));
    assert_eq!(people.user(-1).await, Ok(None));
    let subject = "\0".into();
    let told = people.sign_in(&Profile { subject, ..Profile::default() }).await.unwrap_err();
    assert!(matches!(told, PeopleError::Unfit { field: "subject", .. }));
    assert_ne!(people.sign_in(&profile("ANN", &[])).await.unwrap().session.user.id, user.id, "a subject is exact");
}

pub async fn section_6_1_groups_are_those_the_provider_names(place: &Place) {
    let people = place.people();
    let staff = people.create_group("staff", "", Some(&limit(5))).await.unwrap();
    let ann = people.sign_in(&profile("ann", &["staff", "new", "new"])).await.unwrap().session.user;
    assert_eq!(names(&ann), ["new", "staff"]);
    assert_eq!(ann.groups[0].quota, None, "a group a login brings along has no quota");
    assert_eq!(ann.groups[1].quota.as_ref().unwrap().max_storage_size, Some(5));
    let own = people.create_group("own", "", None).await.unwrap();
    people.add_member(own.id, ann.id).await.unwrap();
    let ann = people.sign_in(&profile("ann", &["new", "third"])).await.unwrap().session.user;
    assert_eq!(names(&ann), ["new", "third"], "replaced, also what an administrator added");
    let groups = people.groups().await.unwrap();
    let counts: Vec<_> = groups.iter().map(|group| (group.name.as_str(), group.member_count)).collect();
    assert_eq!(counts, [("new", 1), ("own", 0), ("staff", 0), ("third", 1)]);
    assert_eq!(groups[2].id, staff.id, "a group without members stays");
    assert_eq!(names(&people.sign_in(&profile("ann", &[])).await.unwrap().session.user), [""; 0]);
}

pub async fn section_6_3_disabling_removes_all_sessions(place: &Place) {
    let people = place.people();
    let one = people.sign_in(&profile("ann", &["staff"])).await.unwrap();
    let two = people.sign_in(&profile("ann", &[])).await.unwrap();
    let bob = people.sign_in(&profile("bob", &[])).await.unwrap();
    let id = one.session.user.id;
    people.set_active(id, false).await.unwrap();
    for token in [&one.token, &two.token] {
        assert_eq!(people.session(token.expose()).await, Ok(None));
    }
    assert!(people.session(bob.token.expose()).await.unwrap().is_some());
    let refused = people.sign_in(&profile("ann", &["other"])).await;
    assert_eq!(refused.map(|made| made.session), Err(PeopleError::Inactive));
    let ann = people.user(id).await.unwrap().unwrap();
    assert_eq!((ann.is_active, names(&ann)), (false, vec![]), "a refused login changes nothing");
    people.set_active(id, true).await.unwrap();
    assert_eq!(people.session(one.token.expose()).await, Ok(None), "a removed session stays removed");
    people.sign_in(&profile("ann", &[])).await.unwrap();
    assert_eq!(people.set_active(-1, true).await, Err(PeopleError::UnknownUser));
    assert_eq!(people.set_role(-1, Role::User).await, Err(PeopleError::UnknownUser));
    assert_eq!(people.set_storage_used(-1, 5).await, Ok(()));
    people.set_storage_used(id, u64::MAX).await.unwrap();
    assert_eq!(people.user(id).await.unwrap().unwrap().storage_used, i64::MAX as u64);
}

pub async fn section_6_3_groups_are_made_changed_and_removed(place: &Place) {
    let people = place.people();
    let staff = people.create_group("staff", "all of us — 😀", Some(&limit(5))).await.unwrap();
    assert_eq!((staff.name.as_str(), staff.description.as_str(), staff.member_count), ("staff", "all of us — 😀", 0));
    assert_eq!(staff.quota.as_ref().unwrap().max_storage_size, Some(5));
    assert_eq!(people.create_group("staff", "", None).await, Err(PeopleError::Taken));
    people.create_group("Staff", "", None).await.unwrap();
    let told = people.create_group("", "", None).await;
    assert_eq!(told, Err(PeopleError::Unfit { field: "name", max: 255 }));
    people.create_group(&"ä".repeat(255), "", None).await.unwrap();

    let user = people.sign_in(&profile("ann", &[])).await.unwrap().session.user.id;
    for _ in 0..2 {
        people.add_member(staff.id, user).await.unwrap();
    }
    assert_eq!(people.add_member(staff.id, -1).await, Err(PeopleError::UnknownUser));
    assert_eq!(people.add_member(-1, user).await, Err(PeopleError::UnknownGroup));
    let changed = people.set_group_quota(staff.id, &limit(6)).await.unwrap();
    assert_eq!((changed.member_count, changed.quota.unwrap().max_storage_size), (1, Some(6)));
    assert_eq!(people.set_group_quota(-1, &limit(6)).await, Err(PeopleError::UnknownGroup));
    let ann = people.user(user).await.unwrap().unwrap();
    assert_eq!(ann.groups[0].quota.as_ref().unwrap().max_storage_size, Some(6));

    for _ in 0..2 {
        people.remove_member(staff.id, user).await.unwrap();
    }
    assert_eq!(names(&people.user(user).await.unwrap().unwrap()), [""; 0]);
    people.add_member(staff.id, user).await.unwrap();
    for _ in 0..2 {
        people.delete_group(staff.id).await.unwrap();
    }
    assert_eq!(names(&people.user(user).await.unwrap().unwrap()), [""; 0]);
    assert_eq!(place.number("SELECT COUNT(*) FROM user_groups").await, 0);
    assert_eq!(people.groups().await.unwrap().len(), 2);
}

/// The original's tables: no foreign keys, no key on the memberships, not the late column, nothing may be NULL.
async fn originals_tables(place: &Place) {
    let (id, time, yes) = match place.other.dialect() {
        Dialect::Sqlite => ("INTEGER NOT NULL PRIMARY KEY", "DATETIME", "1"),
        Dialect::MySql => ("INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY", "DATETIME(6)", "1"),
        Dialect::Postgres => ("BIGSERIAL PRIMARY KEY", "TIMESTAMP", "TRUE"),
    };
    for statement in [
        format!(
            "CREATE TABLE users (id {id}, oidc_sub VARCHAR(255) NOT NULL UNIQUE, username VARCHAR(255) NOT NULL, \
             display_name VARCHAR(255) NOT NULL, email VARCHAR(255) NOT NULL, avatar_url TEXT NOT NULL, \
             role VARCHAR(32) NOT NULL, is_active BOOLEAN NOT NULL DEFAULT {yes}, is_admin BOOLEAN NOT NULL, \
             storage_used BIGINT NOT NULL, created_at {time} NOT NULL, updated_at {time} NOT NULL)"
        ),
        format!(
            "CREATE TABLE \"groups\" (id {id}, name VARCHAR(255) NOT NULL UNIQUE, description TEXT NOT NULL, \
             quota_json TEXT NOT NULL DEFAULT ('{{}}'), created_at {time} NOT NULL)"
        ),
        "CREATE TABLE user_groups (user_id INTEGER NOT NULL, group_id INTEGER NOT NULL)".into(),
        format!(
            "CREATE TABLE sessions (token VARCHAR(255) NOT NULL PRIMARY KEY, user_id INTEGER NOT NULL, \
             created_at {time} NOT NULL, expires_at {time} NOT NULL)"
        ),
        format!(
            "CREATE TABLE pending_logins (state VARCHAR(255) NOT NULL PRIMARY KEY, created_at {time} NOT NULL, \
             session_token VARCHAR(255), completed BOOLEAN NOT NULL, redirect_uri VARCHAR(255))"
        ),
    ] {
        place.run(&statement).await;
    }
}

/// A user as another program writes it.
async fn other_user(place: &Place, subject: &str, columns: &str) {
    place
        .run(&format!(
            "INSERT INTO users (oidc_sub, username, display_name, email, avatar_url, role, is_active, is_admin, \
             storage_used, created_at, updated_at) VALUES ('{subject}', 'Other', '', '', '', {columns}, \
             '2026-01-02 03:04:05.000006', '2026-01-02 03:04:05.000006')"
        ))
        .await;
}

/// A session as another program writes it: its token in clear.
async fn other_session(place: &Place, token: &str, subject: &str, expires: &str) {
    place
        .run(&format!(
            "INSERT INTO sessions (token, user_id, created_at, expires_at) \
             SELECT '{token}', id, '2026-01-02 03:04:05.000006', '{expires}' FROM users WHERE oidc_sub = '{subject}'"
        ))
        .await;
}

async fn other_member(place: &Place, subject: &str, group: &str) {
    place
        .run(&format!(
            "INSERT INTO user_groups (user_id, group_id) SELECT u.id, g.id FROM users u, \"groups\" g \
             WHERE u.oidc_sub = '{subject}' AND g.name = '{group}'"
        ))
        .await;
}

pub async fn section_10_the_originals_database_is_used_as_it_is(place: &Place) {
    originals_tables(place).await;
    other_user(place, "old", "'admin', TRUE, FALSE, 4294967296").await;
    let quota = Value::Text(r#"{"max_storage_size": 5, "unknown": 1}"#);
    let statement = r#"INSERT INTO "groups" (name, description, quota_json, created_at) VALUES ('old', '', ?, ?)"#;
    place.run_with(statement, &[quota, Value::Moment(0)]).await;
    for _ in 0..2 {
        other_member(place, "old", "old").await;
    }
    let until = stamp(wall_ms() + DAY_MS);
    other_session(place, "plain-token", "old", &until).await;

    let people = place.people();
    let session = people.session("plain-token").await.unwrap().unwrap();
    let user = &session.user;
    assert_eq!(stamp(session.expires_ms)[..22], until[..22]);
    assert_eq!((user.role, user.is_admin, user.is_administrator()), (Role::Admin, false, true));
    assert_eq!((user.storage_used, user.display_name.as_deref(), user.email.as_deref()), (4_294_967_296, None, None));
    assert_eq!(user.groups[0].quota, Some(limit(5)));
    assert_eq!(people.groups().await.unwrap()[0].member_count, 1, "a membership written twice is one member");

    let again = people.sign_in(&profile("old", &["old", "new"])).await.unwrap();
    assert_eq!((again.session.user.id, again.session.user.role), (user.id, Role::Admin));
    assert!(people.session(again.token.expose()).await.unwrap().is_some());
    people.sign_in(&profile("young", &["old"])).await.unwrap();
    // The original's tables compare without regard to case on MariaDB; a subject or a token is still what it is.
    assert_eq!(people.session("PLAIN-TOKEN").await, Ok(None));
    match people.sign_in(&profile("OLD", &[])).await {
        Ok(made) => assert_ne!(made.session.user.id, user.id),
        Err(error) => assert_eq!((error, place.other.dialect()), (PeopleError::Taken, Dialect::MySql)),
    }
    people.prune(wall_ms()).await.unwrap();
    // The original's own statement, without the late column.
    place
        .run(
            "INSERT INTO pending_logins (state, created_at, session_token, completed, redirect_uri) \
             VALUES ('s', '2026-01-02 03:04:05', NULL, FALSE, NULL)",
        )
        .await;
    assert_eq!(place.number("SELECT COUNT(*) FROM pending_logins WHERE authorize_url IS NULL").await, 1);
}

pub async fn section_10_missing_tables_and_the_late_column_are_made(place: &Place) {
    let people = place.people();
    people.sign_in(&profile("ann", &["staff"])).await.unwrap();
    let other = place.people();
    assert_eq!(other.count_users().await, Ok(1), "a second node takes the tables as they are");
    place
        .run(
            "INSERT INTO pending_logins (state, created_at, session_token, completed, redirect_uri, authorize_url) \
             VALUES ('s', '2026-01-02 03:04:05', 't', TRUE, 'u', 'v')",
        )
        .await;
    // A writer that knows nothing but names.
    place
        .run(
            "INSERT INTO users (oidc_sub, username, created_at, updated_at) \
             VALUES ('bob', 'b', '2026-01-02 03:04:05', '2026-01-02 03:04:05')",
        )
        .await;
    let users = people.users().await.unwrap();
    let bob = &users[1];
    assert_eq!((bob.role, bob.is_active, bob.is_admin, bob.storage_used), (Role::User, true, false, 0));
    let times = "SELECT COUNT(*) FROM users WHERE CAST(created_at AS CHAR(26)) LIKE '____-__-__ __:__:__%'";
    assert_eq!(place.number(times).await, 2);
    if let Some(limited) = place.limited().await {
        limited.sign_in(&profile("cid", &["staff"])).await.expect("who may not create tables needs to create none");
    }
}

pub async fn section_15_22_rows_of_other_programs_count_at_once(place: &Place) {
    let people = place.people();
    assert_eq!(people.session("plain").await, Ok(None));
    other_user(place, "guest", "'guest', TRUE, TRUE, 7").await;
    let (later, over) = (stamp(wall_ms() + DAY_MS), stamp(wall_ms() - 1000));
    other_session(place, "plain", "guest", &later).await;
    other_session(place, "over", "guest", &over).await;
    let user = people.session("plain").await.unwrap().unwrap().user;
    assert_eq!((user.role, user.is_admin, user.storage_used, names(&user)), (Role::Guest, true, 7, vec![]));
    assert_eq!(people.session("over").await, Ok(None));
    assert_eq!(people.session("PLAIN").await, Ok(None));

    people.create_group("staff", "", None).await.unwrap();
    other_member(place, "guest", "staff").await;
    assert_eq!(names(&people.session("plain").await.unwrap().unwrap().user), ["staff"]);
    place.run("UPDATE users SET role = 'wizard', is_active = FALSE").await;
    assert_eq!(people.session("plain").await, Ok(None));
    place.run("UPDATE users SET is_active = TRUE").await;
    let user = people.session("plain").await.unwrap().unwrap().user;
    assert_eq!(user.role, Role::Guest, "an unknown role has the least rights");
    // A second handle has connections of its own.
    place.people().sign_out("plain").await.unwrap();
    assert_eq!(people.session("plain").await, Ok(None));
}

pub async fn sessions_end_and_are_swept(place: &Place) {
    let people = place.people();
    let out = people.sign_in(&profile("ann", &[])).await.unwrap().token;
    let kept = people.sign_in(&profile("ann", &[])).await.unwrap().token;
    for _ in 0..2 {
        people.sign_out(out.expose()).await.unwrap();
    }
    assert_eq!(people.session(out.expose()).await, Ok(None));
    assert!(people.session(kept.expose()).await.unwrap().is_some());
    other_session(place, "over", "ann", &stamp(wall_ms() - 1)).await;
    for (state, minutes) in [("new", 9), ("old", 11)] {
        let created = stamp(wall_ms() - minutes * 60_000);
        let values = format!("'{state}', '{created}', NULL, FALSE, NULL");
        let into = "pending_logins (state, created_at, session_token, completed, redirect_uri)";
        place.run(&format!("INSERT INTO {into} VALUES ({values})")).await;
    }
    people.prune(wall_ms()).await.unwrap();
    assert_eq!(place.number("SELECT COUNT(*) FROM sessions").await, 1);
    assert_eq!(place.number("SELECT COUNT(*) FROM pending_logins WHERE state = 'new'").await, 1);
    assert_eq!(place.number("SELECT COUNT(*) FROM pending_logins").await, 1);
    people.prune(wall_ms() + 8 * DAY_MS).await.unwrap();
    assert_eq!(people.session(kept.expose()).await, Ok(None));
}

pub async fn a_digest_that_was_read_opens_nothing(place: &Place) {
    let people = place.people();
    let made = people.sign_in(&profile("ann", &[])).await.unwrap();
    let stored = place.run("SELECT token FROM sessions").await[0].text("token").unwrap();
    assert_eq!(stored, token::digest(made.token.expose()), "the table does not hold the token");
    let long = "x".repeat(300);
    for presented in [stored.as_str(), "sha256:", "", "a\0b", "ä", "a b", "' OR 1=1 --", "%", &long] {
        assert_eq!(people.session(presented).await, Ok(None), "{presented}");
        people.sign_out(presented).await.unwrap();
    }
    assert!(people.session(made.token.expose()).await.unwrap().is_some());
}

/// What all of sixteen calls at once came to.
async fn sixteen<T, F>(people: &People, call: impl Fn(People, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T, PeopleError>> + Send + 'static,
{
    let calls: Vec<_> = (0..16).map(|index| tokio::spawn(call(people.clone(), index))).collect();
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.unwrap().unwrap());
    }
    results
}

pub async fn sixteen_first_logins_at_once_are_one_user(place: &Place) {
    let people = place.people();
    let made = sixteen(&people, |people, _| async move { people.sign_in(&profile("ann", &["b", "a"])).await }).await;
    let ids: BTreeSet<i64> = made.iter().map(|made| made.session.user.id).collect();
    assert_eq!((ids.len(), people.count_users().await), (1, Ok(1)));
    for made in &made {
        assert_eq!(names(&made.session.user), ["a", "b"]);
        assert!(people.session(made.token.expose()).await.unwrap().is_some());
    }
    assert_eq!(place.number("SELECT COUNT(*) FROM user_groups").await, 2);
}

pub async fn sixteen_at_once_in_the_same_new_groups(place: &Place) {
    let people = place.people();
    let made = sixteen(&people, |people, index| async move {
        let groups = if index % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
        people.sign_in(&profile(&format!("user{index}"), &groups)).await
    })
    .await;
    let groups = people.groups().await.unwrap();
    let counts: Vec<_> = groups.iter().map(|group| (group.name.as_str(), group.member_count)).collect();
    assert_eq!(counts, [("a", 16), ("b", 16)]);

    let (group, user) = (people.create_group("c", "", None).await.unwrap().id, made[0].session.user.id);
    sixteen(&people, |people, _| async move { people.add_member(group, user).await }).await;
    assert_eq!(place.number(&format!("SELECT COUNT(*) FROM user_groups WHERE group_id = {group}")).await, 1);
    let ids: Vec<i64> = made.iter().map(|made| made.session.user.id).collect();
    sixteen(&people, move |people, index| {
        let id = ids[index];
        async move { people.add_member(group, id).await }
    })
    .await;
    assert_eq!(people.groups().await.unwrap()[2].member_count, 16);
    // Leaving and removing at once: the group is gone and so are its memberships.
    sixteen(&people, |people, index| async move {
        if index == 7 { people.delete_group(group).await } else { people.remove_member(group, user).await }
    })
    .await;
    assert_eq!(place.number(&format!("SELECT COUNT(*) FROM user_groups WHERE group_id = {group}")).await, 0);
}

pub async fn p15_an_emptied_database_gets_its_tables_back(place: &Place) {
    let people = place.people();
    let token = people.sign_in(&profile("ann", &[])).await.unwrap().token;
    for table in ["user_groups", "sessions", "pending_logins", "users", "\"groups\""] {
        place.run(&format!("DROP TABLE {table}")).await;
    }
    let told = people.session(token.expose()).await;
    assert!(matches!(told, Err(PeopleError::Away { .. })), "{told:?}");
    assert_eq!(people.session(token.expose()).await, Ok(None));
    people.sign_in(&profile("ann", &[])).await.unwrap();
    assert_eq!(people.count_users().await, Ok(1));
}

pub async fn p22_secrets_are_not_told(place: &Place) {
    let people = place.people();
    let made = people.sign_in(&profile("ann", &[])).await.unwrap();
    let mut told = format!("{people:?} {made:?} {:?}", made.session);
    // Errors of each kind, with the secrets at hand where they arise.
    let mut wrong = place.database.clone();
    wrong.name = "there_is_no_such_database".into();
    wrong.path = Some("/nowhere/users.db".into());
    let nowhere = People::open(&wrong, &place.path).session(made.token.expose()).await.unwrap_err();
    assert!(matches!(nowhere, PeopleError::Away { .. }), "{nowhere}");
    wrong.password = crate::core::Password(crate::core::Secret::new("canary-wrong"));
    let refused = People::open(&wrong, &place.path).sign_in(&profile("ann", &[])).await.unwrap_err();
    assert!(matches!(refused, PeopleError::Away { .. }), "{refused}");
    place.run("DROP TABLE sessions").await;
    let broken = people.session(made.token.expose()).await.unwrap_err();
    for error in [nowhere, refused, broken] {
        told.push_str(&format!(" {error} {error:?}"));
    }
    let password = place.database.password.0.expose();
    for secret in [made.token.expose(), "canary", "sha256:", "://"] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    assert!(password.is_empty() || !told.contains(password), "{told}");
}
