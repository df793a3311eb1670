//! CONTRACT.md §1.2, §3, §4, §6.2, §6.3, §8.6: what belongs to whom, and who may do what.

use super::*;
use crate::catalogue::Owner;
use crate::core::SurfaceId;
use crate::core::{Policy, UserCheck};
use crate::quota::{Quota, RoleQuotas};

fn quotas(user: Quota) -> RoleQuotas {
    RoleQuotas([("user".to_owned(), user)].into())
}

async fn inventory(node: &Node) {
    node.tell(vec![Fact::Inventory { objects: vec![], last: true }]).await;
}

impl Node {
    /// As the holder of one credential, in the carrier both generations use for it.
    async fn be(&self, token: &str, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        let fields: Vec<(&str, &str)> = [("x-api-token", token)].iter().chain(fields).copied().collect();
        self.ask_as(method, path, &fields, body).await
    }

    async fn create_as(&self, token: &str, length: &str, fields: &[(&str, &str)]) -> Answer {
        let fields: Vec<(&str, &str)> = [("upload-length", length)].iter().chain(fields).copied().collect();
        self.be(token, "POST", "/tus", &fields, "0").await
    }
}

fn id_of(created: &Answer) -> (ObjectId, String) {
    assert_eq!(created.status, 201, "{}", created.text());
    let path = created.field("location").strip_prefix("http://files.test:8765").unwrap().to_owned();
    (path.strip_prefix("/tus/").unwrap().parse().unwrap(), path)
}

#[tokio::test]
async fn section_6_3_a_person_reaches_only_what_is_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::with_people(dir.path(), |_| {});
    let (ann, ann_id) = node.sign_in("ann", false).await;
    let (bob, _) = node.sign_in("bob", false).await;
    let (chief, _) = node.sign_in("chief", true).await;
    let (id, tus) = id_of(&node.create_as(&ann, "5", &[]).await);
    let (nobodys, _) = node.create("5", &[]).await;
    node.complete(id, 5).await;
    node.complete(nobodys, 5).await;
    let file = format!("/api/files/{id}");
    let other = format!("/api/files/{nobodys}");
    let patch = [("content-type", TUS), ("upload-offset", "0")];
    for (who, token, sees, sees_other) in [
        ("ann", ann.as_str(), true, false),
        ("bob", &bob, false, false),
        ("chief", &chief, true, true),
        ("token", "secret", true, true),
    ] {
        for (method, path, fields, body, sees) in [
            ("GET", file.clone(), &[][..], "none", sees),
            ("GET", format!("{file}/download"), &[], "none", sees),
            ("GET", format!("{file}/info/download"), &[], "none", sees),
            ("HEAD", tus.clone(), &[], "none", sees),
            ("PATCH", tus.clone(), &patch, "1", sees),
            ("GET", other.clone(), &[], "none", sees_other),
        ] {
            let answer = node.be(token, method, &path, fields, body).await;
            assert_eq!(answer.status != 404, sees, "{who} {method} {path}: {}", answer.status);
        }
        let list = node.be(token, "GET", "/api/files", &[], "none").await;
        let list: Value = serde_json::from_slice(&list.body).unwrap();
        let expected = usize::from(sees) + usize::from(sees_other);
        assert_eq!(
            (list["total"].as_u64(), list["files"].as_array().unwrap().len()),
            (Some(expected as u64), expected),
            "{who}"
        );
    }
    for (method, path) in [("DELETE", file.clone()), ("DELETE", tus.clone())] {
        assert_eq!(node.be(&bob, method, &path, &[], "none").await.status, 404, "{method}");
    }
    assert_eq!(node.app.node.used_by(&Owner::Person(ann_id)), 5);
    node.be(&ann, "DELETE", &file, &[], "none").await.grant();
    assert_eq!(node.app.node.used_by(&Owner::Person(ann_id)), 0, "credited once, and at once");
}

#[tokio::test]
async fn section_6_3_another_persons_partials_are_no_parts() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::with_people(dir.path(), |_| {});
    inventory(&node).await;
    let (ann, _) = node.sign_in("ann", false).await;
    let (bob, _) = node.sign_in("bob", false).await;
    let (id, path) = id_of(&node.create_as(&ann, "5", &[("upload-concat", "partial")]).await);
    node.complete(id, 5).await;
    let concat = format!("final;{path}");
    let all = |token: &str| {
        let (node, concat, token) = (&node, &concat, token.to_owned());
        async move { node.be(&token, "POST", "/tus", &[("upload-concat", concat)], "0").await }
    };
    assert_eq!(all(&bob).await.status, 400);
    assert!(matches!(all(&ann).await.grant().act, Act::Concat(_)));
}

#[tokio::test]
async fn section_1_2_carriers_of_a_session() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::with_people(dir.path(), |_| {});
    let (ann, _) = node.sign_in("ann", false).await;
    let bearer = format!("Bearer {ann}");
    for (fields, status) in [
        (&[("x-api-token", ann.as_str())][..], 200),
        (&[("authorization", &bearer)], 200),
        (&[("x-session-token", &ann)], 200),
        (&[("x-api-token", &ann), ("authorization", &bearer)], 200),
        (&[("x-api-token", "wrong"), ("authorization", &bearer)], 200),
        // CONTRACT.md §1.2: a static token wins, and then no person is signed in.
        (&[("x-api-token", "secret"), ("authorization", &bearer)], 401),
        (&[("x-session-token", "secret")], 401),
        (&[("x-api-token", "wrong")], 401),
    ] {
        assert_eq!(node.ask_as("GET", "/api/users/me", fields, "none").await.status, status, "{fields:?}");
    }
    let (id, _) = id_of(&node.create_as(&ann, "0", &[]).await);
    let link = format!("/api/files/{id}/download?token={ann}");
    node.ask_as("GET", &link, &[], "none").await.serve();
    assert_eq!(node.ask_as("HEAD", &link, &[], "none").await.status, 401);
    assert_eq!(node.ask_as("GET", &format!("/api/files?token={ann}"), &[], "none").await.status, 401);
    let verdict = node.send("POST", "/api/auth/verify", "", json!({"token": ann})).await;
    let verdict: Value = serde_json::from_slice(&verdict.body).unwrap();
    assert!(verdict["valid"] == true && verdict["expires_at"].is_string(), "CONTRACT.md §5.7: {verdict}");
}

#[tokio::test]
async fn section_1_3_a_session_counts_on_an_open_node_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::with_people(dir.path(), |config| config.auth.enabled = false);
    node.app.authority = Arc::new(Authority::open(node.app.people.clone()));
    node.routes = Routes::of(&node.app);
    let (ann, ann_id) = node.sign_in("ann", false).await;
    let owner = |id: ObjectId| match node.app.node.look(SurfaceId::EasyTransfer, id) {
        crate::node::Look::There(entry) => entry.record.owner,
        _ => panic!("{id} is not there"),
    };
    let (hers, _) = id_of(&node.create_as(&ann, "5", &[]).await);
    let (nobodys, _) = id_of(&node.create_as("no session", "5", &[]).await);
    assert_eq!((owner(hers), owner(nobodys)), (Some(Owner::Person(ann_id)), None));
    for (token, total) in [("no session", 2), (ann.as_str(), 1)] {
        let list = node.be(token, "GET", "/api/files", &[], "none").await;
        let list: Value = serde_json::from_slice(&list.body).unwrap();
        assert_eq!(list["total"], total, "{token}");
    }
}

#[tokio::test]
async fn section_4_a_persons_limits() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Quota { max_storage_size: Some(10), max_upload_size: Some(20), ..Quota::default() };
    let node = Node::with_people(dir.path(), |config| config.user_system.role_quotas = quotas(limits));
    inventory(&node).await;
    let (ann, ann_id) = node.sign_in("ann", false).await;
    assert_eq!(node.create_as(&ann, "21", &[]).await.status, 413, "above the largest file");
    let never = node.create_as(&ann, "11", &[]).await;
    assert_eq!((never.status, never.field("location"), never.field("x-user-storage-max")), (507, "", "10"));
    let (id, path) = id_of(&node.create_as(&ann, "8", &[]).await);
    let (_, second) = id_of(&node.create_as(&ann, "8", &[]).await);
    let grant = node.be(&ann, "PATCH", &path, &[("content-type", TUS), ("upload-offset", "0")], "8").await.grant();
    let full = node.be(&ann, "PATCH", &second, &[("content-type", TUS), ("upload-offset", "0")], "8").await;
    for (name, value) in [
        ("upload-offset", "0"),
        ("retry-after", "10"),
        ("x-user-storage-used", "8"),
        ("x-user-storage-max", "10"),
        ("x-storage-max", ""),
    ] {
        assert_eq!((full.status, full.field(name)), (507, value), "{name}");
    }
    let by_token = node.patch(&second, "0", "8").await;
    assert_eq!(by_token.status, 507, "whichever client brings the bytes, they are the owner's");
    node.tell(vec![Fact::Completed(presence(id, 8, 8)), Fact::Settled { ticket: grant.ticket, stored: 8 }]).await;
    assert_eq!(node.app.node.used_by(&Owner::Person(ann_id)), 8);
    let mine: Value =
        serde_json::from_slice(&node.be(&ann, "GET", "/api/users/me/quota", &[], "none").await.body).unwrap();
    assert_eq!(mine["storage_used"], 8);
    assert_eq!((&mine["usage_percent"], &mine["is_over_quota"]), (&json!(80.0), &json!(false)));
    node.be(&ann, "DELETE", &format!("/api/files/{id}"), &[], "none").await.grant();
    node.tell(vec![Fact::Removed { object: id }]).await;
    node.be(&ann, "PATCH", &second, &[("content-type", TUS), ("upload-offset", "0")], "8").await.append();
    let (_, free) = node.create("100", &[]).await;
    node.patch(&free, "0", "100").await.append();
}

#[tokio::test]
async fn section_17_8_the_check_at_creation_is_switchable() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Quota { max_storage_size: Some(10), ..Quota::default() };
    let node = Node::with_people(dir.path(), |config| {
        config.user_system.role_quotas = quotas(limits);
        config.user_check = UserCheck::Create;
    });
    inventory(&node).await;
    let (ann, _) = node.sign_in("ann", false).await;
    let (id, _) = id_of(&node.create_as(&ann, "8", &[]).await);
    node.complete(id, 8).await;
    let refused = node.create_as(&ann, "3", &[]).await;
    assert_eq!((refused.status, refused.field("x-user-storage-used")), (507, "8"));
    id_of(&node.create_as(&ann, "2", &[]).await);
}

#[tokio::test]
async fn section_8_6_permanent_may_be_forbidden_to_users() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::with_people(dir.path(), |config| config.retention.allow_permanent = false);
    let (ann, _) = node.sign_in("ann", false).await;
    let (chief, _) = node.sign_in("chief", true).await;
    let permanent = [("upload-metadata", "filename YQ==,retention cGVybWFuZW50")];
    let once = [("upload-metadata", "filename YQ==,retention ZG93bmxvYWRfb25jZQ==")];
    for (token, fields, status) in
        [(ann.as_str(), &permanent, 403), (&ann, &once, 201), (&chief, &permanent, 201), ("secret", &permanent, 201)]
    {
        assert_eq!(node.create_as(token, "5", fields).await.status, status, "{fields:?}");
    }
    assert_eq!(node.create_as(&ann, "5", &[]).await.status, 403, "also when it is only the default");
    assert_eq!(node.json("/api/info").await["retention_policies"], json!(["download_once", "ttl"]));
}

#[tokio::test]
async fn section_3_a_role_may_name_a_retention() {
    let dir = tempfile::tempdir().unwrap();
    let role = Quota { default_retention: Some(Policy::Ttl), default_retention_ttl: Some(60), ..Quota::default() };
    let node = Node::with_people(dir.path(), |config| config.user_system.role_quotas = quotas(role));
    let (ann, _) = node.sign_in("ann", false).await;
    let (id, _) = id_of(&node.create_as(&ann, "5", &[]).await);
    let file = node.json(&format!("/api/files/{id}")).await;
    assert_eq!((&file["metadata"]["retention"], &file["metadata"]["retention_ttl"]), (&json!("ttl"), &json!(60)));
    let (id, _) = node.create("5", &[]).await;
    assert_eq!(
        node.json(&format!("/api/files/{id}")).await["metadata"]["retention"],
        "permanent",
        "a token has no role"
    );
}

#[tokio::test]
async fn section_6_3_administration_table() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::with_people(dir.path(), |config| {
        config.auth.tokens.push(Secret::new("keeper"));
        config.auth.admin_tokens = vec![Secret::new("keeper")];
    });
    let (ann, ann_id) = node.sign_in("ann", false).await;
    let (chief, _) = node.sign_in("chief", true).await;
    let name = json!({"name": "readers", "max_storage_size": 5});
    let routes: Vec<(&str, String, Value, u16)> = vec![
        ("GET", "/api/users".into(), Value::Null, 200),
        ("PUT", format!("/api/users/{ann_id}/role?role=guest"), Value::Null, 200),
        ("PUT", format!("/api/users/{ann_id}/role?role=king"), Value::Null, 400),
        ("PUT", format!("/api/users/{ann_id}/role"), Value::Null, 422),
        ("PUT", "/api/users/999/role?role=user".into(), Value::Null, 404),
        ("PUT", format!("/api/users/{ann_id}/active?active=yes"), Value::Null, 200),
        ("PUT", format!("/api/users/{ann_id}/active?active=perhaps"), Value::Null, 422),
        ("PUT", "/api/users/999/active?active=true".into(), Value::Null, 404),
        ("POST", "/api/groups".into(), json!({"description": "no name"}), 422),
        ("POST", "/api/groups".into(), json!({"name": "x", "max_storage_size": -1}), 422),
        ("PUT", "/api/groups/999/quota".into(), name.clone(), 404),
        ("POST", format!("/api/groups/999/members/{ann_id}"), Value::Null, 404),
        ("DELETE", format!("/api/groups/999/members/{ann_id}"), Value::Null, 200),
        ("DELETE", "/api/groups/999".into(), Value::Null, 200),
        ("POST", "/api/admin/recalculate-storage".into(), Value::Null, 200),
    ];
    for (method, path, body, status) in &routes {
        for (who, token, expected) in [
            ("chief", chief.as_str(), *status),
            ("keeper", "keeper", *status),
            ("ann", &ann, 403),
            ("token", "secret", 401),
            ("stranger", "wrong", 401),
        ] {
            let answer = node.send(method, path, token, body.clone()).await;
            assert_eq!(answer.status, expected, "{who} {method} {path}: {}", answer.text());
        }
    }
    let created = node.send("POST", "/api/groups", &chief, name.clone()).await;
    let created: Value = serde_json::from_slice(&created.body).unwrap();
    let group = created["group"]["id"].as_i64().unwrap();
    assert_eq!(
        (&created["group"]["quota"]["max_storage_size"], &created["group"]["member_count"]),
        (&json!(5), &json!(0))
    );
    assert_eq!(node.send("POST", "/api/groups", &chief, name.clone()).await.status, 409);
    assert_eq!(
        node.send("POST", &format!("/api/groups/{group}/members/{ann_id}"), &chief, Value::Null).await.status,
        200
    );
    let groups: Value = serde_json::from_slice(&node.be(&ann, "GET", "/api/groups", &[], "none").await.body).unwrap();
    assert_eq!(groups["groups"][0]["member_count"], 1, "any user may look");
    let me: Value = serde_json::from_slice(&node.be(&ann, "GET", "/api/users/me", &[], "none").await.body).unwrap();
    for (key, value) in [
        ("username", json!("ann")),
        ("role", json!("guest")),
        ("groups", json!(["readers"])),
        ("is_admin", json!(false)),
        ("email", Value::Null),
    ] {
        assert_eq!(me[key], value, "{key}");
    }
    assert_eq!(
        me["effective_quota"]["max_storage_size"],
        json!(1 << 30),
        "the guest's, more generous than the group's"
    );
    let out = node.send("PUT", &format!("/api/users/{ann_id}/active?active=false"), &chief, Value::Null).await;
    assert_eq!(out.status, 200);
    assert_eq!(node.be(&ann, "GET", "/api/users/me", &[], "none").await.status, 401, "disabling ends every session");
}

#[tokio::test]
async fn section_1_4_an_id_in_a_path_that_is_no_number_is_422() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::with_people(dir.path(), |_| {});
    let (ann, _) = node.sign_in("ann", false).await;
    let (chief, chief_id) = node.sign_in("chief", true).await;
    for (method, path, name, input) in [
        ("PUT", "/api/users/x/role?role=user".to_owned(), "id", "x"),
        ("PUT", "/api/users/1.5/active?active=true".into(), "id", "1.5"),
        ("PUT", "/api/groups/99999999999999999999/quota".into(), "id", "99999999999999999999"),
        ("DELETE", "/api/groups/%20".into(), "id", " "),
        ("POST", "/api/groups/x/members/y".into(), "id", "x"),
        ("POST", format!("/api/groups/{chief_id}/members/y"), "user", "y"),
        ("DELETE", format!("/api/groups/{chief_id}/members/y"), "user", "y"),
    ] {
        let answer = node.send(method, &path, &chief, json!({"name": "readers"})).await;
        assert_eq!(answer.status, 422, "{method} {path}: {}", answer.text());
        let refusal: Value = serde_json::from_slice(&answer.body).unwrap();
        let detail = &refusal["detail"][0];
        assert_eq!((&detail["loc"], &detail["input"]), (&json!(["path", name]), &json!(input)), "{refusal}");
        assert!(detail["type"].is_string() && detail["msg"].is_string(), "{refusal}");
        let status = node.send(method, &path, &ann, json!({"name": "readers"})).await.status;
        assert_eq!(status, 403, "{method} {path}: rights come first");
    }
}

#[tokio::test]
async fn section_6_without_the_user_system_its_routes_are_404() {
    let node = Node::new(|config| config.auth.admin_tokens = vec![Secret::new("secret")]);
    for path in ["/api/users", "/api/groups"] {
        assert_eq!(node.ask("GET", path, &[], "none").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn p15_without_the_user_database_sessions_are_503_and_tokens_work() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("users.db")).unwrap();
    let node = Node::with_people(dir.path(), |_| {});
    let away = node.be("not-a-token", "GET", "/api/files", &[], "none").await;
    assert_eq!((away.status, away.field("retry-after")), (503, "2"));
    assert_eq!(node.json("/api/files").await["total"], 0);
    assert_eq!(node.json("/api/health").await["status"], "healthy");
}

#[tokio::test]
async fn a_grant_to_a_person_lives_a_second_and_ends_when_rights_change() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::with_people(dir.path(), |_| {});
    let (ann, ann_id) = node.sign_in("ann", false).await;
    let (_, path) = id_of(&node.create_as(&ann, "5", &[]).await);
    let head = node.be(&ann, "HEAD", &path, &[], "none").await.grant();
    assert!(head.cache_ms <= 1000 && head.cache_ms > 0, "{}", head.cache_ms);
    let before = node.orders().await.epoch;
    node.app.people.as_ref().unwrap().set_active(ann_id, true).await.unwrap();
    let (chief, _) = node.sign_in("chief", true).await;
    node.send("PUT", &format!("/api/users/{ann_id}/role?role=guest"), &chief, Value::Null).await;
    assert!(node.orders().await.epoch > before);
}
