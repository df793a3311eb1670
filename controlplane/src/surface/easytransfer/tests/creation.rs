//! TUS.md §A1, §A2, §A5, §A7; CONTRACT.md §2.1, §2.2.

use super::*;

#[tokio::test]
async fn t_opt_options_tell_what_works_without_a_credential_or_a_version() {
    let node = Node::new(|config| config.server.max_upload_size = Some(Size(5)));
    for path in ["/tus", "/tus/nothing"] {
        let answer = node.ask_as("OPTIONS", path, &[("tus-resumable", "9.9.9")], "none").await;
        assert_eq!((answer.status, answer.field("tus-version"), answer.field("tus-max-size")), (204, "1.0.0", "5"));
        assert!(answer.field("tus-extension").contains("concatenation,parallel-writes"));
        assert!(answer.field("tus-checksum-algorithm").starts_with("sha1,sha256,md5"));
    }
    let node = Node::new(|config| config.parallel_writes = false);
    let answer = node.ask_as("OPTIONS", "/tus", &[], "none").await;
    assert!(!answer.field("tus-extension").contains("parallel-writes") && answer.field("tus-max-size").is_empty());
}

#[tokio::test]
async fn t_cre_2_a_created_upload_answers_head_at_once() {
    let node = Node::new(|_| {});
    let metadata = "filename dGVzdC50eHQ=,filetype dGV4dC9wbGFpbg==,retention dHRs,retention_ttl MzYwMA==";
    let fields = [("upload-length", "5"), ("upload-metadata", metadata), ("content-length", "0")];
    let answer = node.ask("POST", "/tus?token=x", &fields, "0").await;
    assert_eq!((answer.status, answer.field("upload-offset")), (201, "0"));
    assert!(answer.field("upload-expires").ends_with("GMT"));
    assert_eq!(answer.field("tus-resumable"), "1.0.0");
    let location = answer.field("location");
    assert!(location.starts_with("http://files.test:8765/tus/") && !location.contains('?'));
    let path = location.strip_prefix("http://files.test:8765").unwrap();
    let grant = node.ask("HEAD", path, &[], "none").await.grant();
    assert_eq!(header(&grant, "Tus-Resumable"), Some("1.0.0"));
    let Act::State(state) = grant.act else { panic!() };
    assert_eq!((state.length, state.expires_after_s), (Some(5), Some(86400)));
    assert!(state.fields.contains(&("Upload-Metadata".to_owned(), metadata.to_owned())));
    let info = node.json(&path.replace("/tus/", "/api/files/")).await;
    assert_eq!((&info["filename"], &info["mime_type"]), (&json!("test.txt"), &json!("text/plain")));
    assert_eq!((&info["metadata"]["retention"], &info["metadata"]["retention_ttl"]), (&json!("ttl"), &json!(3600)));
}

#[tokio::test]
async fn creation_is_refused_with_the_right_status_and_without_a_location() {
    let node = Node::new(|config| {
        config.server.max_upload_size = Some(Size(100));
        config.storage.max_storage_size = Some(Size(50));
        config.reject_impossible = true;
    });
    for (id, fields, status) in [
        ("T-CRE-3", &[][..], 400),
        ("T-CRE-4", &[("upload-length", "1"), ("upload-defer-length", "1")], 400),
        ("T-CRE-5", &[("upload-length", "101")], 413),
        ("T-CRE-5", &[("upload-length", "9223372036854775808")], 400),
        ("T-CRE-5", &[("upload-length", "-1")], 400),
        ("CONTRACT.md §4", &[("upload-length", "51")], 413),
        ("T-VER-2", &[("upload-length", "x"), ("tus-resumable", "0.2.2")], 412),
        ("CONTRACT.md §2.2", &[("upload-length", "1"), ("upload-metadata", "filetype YQ==")], 400),
        ("CONTRACT.md §3", &[("upload-length", "1"), ("upload-metadata", "filename YQ==,retention dHRs")], 400),
        ("T-META-2", &[("upload-length", "1"), ("upload-metadata", "filename YQ==,filename Yg==")], 400),
        ("T-HDR-3", &[("upload-length", "1"), ("upload-length", "1")], 400),
    ] {
        let answer = node.ask("POST", "/tus", fields, "0").await;
        assert_eq!(answer.status, status, "{id} {fields:?} {}", answer.text());
        assert!(answer.field("location").is_empty() && answer.field("tus-resumable") == "1.0.0");
        assert_eq!(answer.field("tus-version") == "1.0.0", status == 412);
    }
    assert_eq!(node.json("/api/files").await["total"], 0);
}

#[tokio::test]
async fn t_cre_6_a_zero_length_upload_is_complete_at_creation() {
    let node = Node::new(|_| {});
    let (id, path) = node.create("0", &[]).await;
    let info = node.json(&format!("/api/files/{id}")).await;
    assert_eq!((&info["status"], &info["expires_at"]), (&json!("complete"), &json!(null)));
    let serve = node.ask("GET", &format!("/api/files/{id}/download"), &[], "none").await.serve();
    assert_eq!((serve.length, serve.complete), (Some(0), true));
    let Act::State(state) = node.ask("HEAD", &path, &[], "none").await.grant().act else { panic!() };
    assert_eq!((state.length, state.expires_after_s), (Some(0), None));
}

#[tokio::test]
async fn t_cwu_a_creation_with_bytes_is_a_grant_whose_record_exists() {
    let node = Node::new(|_| {});
    let fields = [("upload-length", "5"), ("content-type", TUS)];
    let grant = node.ask("POST", "/tus", &fields, "5").await.grant();
    assert_eq!(grant.cache_ms, 0);
    let Act::Append(append) = grant.act else { panic!() };
    let created = append.created.clone().unwrap();
    assert!(created[0].0 == "Location" && created[0].1.ends_with(&append.object.to_string()));
    assert_eq!(node.json("/api/files").await["total"], 1);
    node.tell(vec![Fact::Discarded { object: append.object }]).await;
    assert_eq!(node.json("/api/files").await["total"], 0, "T-CWU-4: a refused creation never was");
    assert_eq!(node.ask("POST", "/tus", &fields, "6").await.status, 400, "T-CWU-4: longer than the upload");
    let ignored = node.ask("POST", "/tus", &[("upload-length", "5"), ("content-type", "text/plain")], "5").await;
    assert_eq!(ignored.status, 201, "another type: the body is ignored");
    let checksum = [fields[0], fields[1], ("upload-checksum", "nope YQ==")];
    assert_eq!(node.ask("POST", "/tus", &checksum, "5").await.status, 400, "T-SUM-2");
}

#[tokio::test]
async fn t_cre_9_open_uploads_are_bounded() {
    let node = Node::new(|config| config.uploads.open_max = 1);
    node.create("5", &[]).await;
    let answer = node.ask("POST", "/tus", &[("upload-length", "5")], "0").await;
    assert_eq!((answer.status, answer.field("retry-after")), (429, "60"));
}

#[tokio::test]
async fn b7_one_credential_at_its_limit_stops_no_other() {
    let node = Node::new(|config| {
        config.auth.tokens.push(Secret::new("other"));
        (config.uploads.open_per_principal, config.uploads.records_per_principal) = (2, 3);
    });
    let ask = async |token: &str, length: &str| {
        let fields = [("x-api-token", token), ("upload-length", length)];
        let answer = node.ask_as("POST", "/tus", &fields, "0").await;
        (answer.status, answer.text())
    };
    for length in ["5", "5"] {
        assert_eq!(ask("secret", length).await.0, 201);
    }
    let (status, reason) = ask("secret", "5").await;
    assert!(status == 429 && reason.contains("2 unfinished uploads"), "{reason}");
    assert_eq!(ask("secret", "0").await.0, 201, "an empty file opens nothing");
    let (status, reason) = ask("secret", "0").await;
    assert!(status == 429 && reason.contains("3 files and uploads"), "{reason}");
    assert_eq!(ask("other", "5").await.0, 201);
}

#[tokio::test]
async fn t_ovr_the_override_is_the_method_and_only_on_post() {
    let node = Node::new(|_| {});
    let (_, path) = node.create("5", &[]).await;
    let fields = [("x-http-method-override", "PATCH"), ("content-type", TUS), ("upload-offset", "0")];
    node.ask("POST", &path, &fields, "5").await.append();
    assert_eq!(node.ask("GET", &path, &[("x-http-method-override", "DELETE")], "none").await.status, 400);
    assert_eq!(node.ask("POST", &path, &[("x-http-method-override", "GET")], "none").await.status, 400);
    let gone = node.ask("POST", &path, &[("x-http-method-override", "DELETE")], "none").await;
    assert!(matches!(gone.grant().act, Act::Remove(_)));
}

#[tokio::test]
async fn c13_a_trailing_slash_changes_nothing() {
    let node = Node::new(|_| {});
    let answer = node.ask("POST", "/tus/?a=b", &[("upload-length", "1")], "0").await;
    assert_eq!(answer.status, 201);
    assert!(answer.field("location").starts_with("http://files.test:8765/tus/"), "{}", answer.field("location"));
    assert_eq!(
        node.ask("OPTIONS", "/tus/", &[], "none").await.field("tus-resumable"),
        node.ask("OPTIONS", "/tus", &[], "none").await.field("tus-resumable")
    );
    let [with, without] = [node.ask("GET", "/tus/", &[], "none").await, node.ask("GET", "/tus", &[], "none").await];
    assert_eq!((with.status, with.field("allow")), (405, without.field("allow")));
    assert_eq!(node.ask_as("POST", "/tus/", &[("upload-length", "1")], "0").await.status, 401);
}

#[tokio::test]
async fn c13_the_check_of_a_load_balancer_is_answered() {
    let node = Node::new(|_| {});
    let answer = node.ask_as("OPTIONS", "/", &[], "none").await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(node.ask_as("GET", "/", &[], "none").await.status, 404);
    assert_eq!(node.ask_as("OPTIONS", "/x", &[], "none").await.status, 404);
}

#[tokio::test]
async fn section_3_a_token_policy_is_the_default_of_its_uploads() {
    use crate::core::{Policy, TokenPolicy};
    let node = Node::new(|config| {
        let policy = TokenPolicy { policy: Policy::DownloadOnce, ttl: None };
        config.retention.token_policies.insert(Secret::new("secret"), policy);
    });
    let (id, _) = node.create("1", &[]).await;
    assert_eq!(node.json(&format!("/api/files/{id}")).await["metadata"]["retention"], "download_once");
}

#[tokio::test]
async fn a_creation_grants_the_patch_that_follows_where_nothing_is_counted_down() {
    let node = Node::new(|_| {});
    let length = [("upload-length", "5"), ("origin", "http://a.test")];
    let answer = node.ask("POST", "/tus", &length, "none").await;
    let ahead: PrefetchedGrant = serde_json::from_str(answer.field(link::NEXT)).unwrap();
    let path = answer.field("location").strip_prefix("http://files.test:8765").unwrap();
    assert_eq!((ahead.method.as_str(), ahead.target.as_str()), ("PATCH", path));
    let fields = [("upload-offset", "0"), ("content-type", TUS), ("origin", "http://a.test")];
    let asked = node.ask("PATCH", path, &fields, "5").await.grant();
    assert_eq!((&ahead.grant.act, &ahead.grant.headers), (&asked.act, &asked.headers));
    assert!(ahead.grant.cache_ms > 0);

    let empty = node.ask("POST", "/tus", &[("upload-length", "0")], "none").await;
    assert_eq!(empty.field(link::NEXT), "", "it is complete");
    let node = Node::new(|config| config.storage.max_storage_size = Some(Size(50)));
    assert_eq!(node.ask("POST", "/tus", &length, "none").await.field(link::NEXT), "", "space is reserved per body");
}
