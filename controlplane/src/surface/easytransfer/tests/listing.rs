//! CONTRACT.md §2.6, §2.7, §5.

use super::*;
use crate::catalogue::tests::record;
use crate::catalogue::{Owner, Record};
use crate::core::SurfaceId;

#[tokio::test]
async fn section_2_6_newest_change_first_in_pages() {
    let node = Node::new(|_| {});
    let mut ids = Vec::new();
    for number in 0..5u64 {
        let (id, _) = node.create("5", &[]).await;
        let at = crate::clock::Clock::default().now_ms() + 1000 * (5 - number);
        let complete = number % 2 == 0;
        let told = Presence { at_unix_ms: at, ..presence(id, if complete { 5 } else { 2 }, 5) };
        node.tell(vec![if complete { Fact::Completed(told) } else { Fact::Progress(told) }]).await;
        ids.push(id.to_string());
    }
    let names = |list: &Value| -> Vec<String> {
        list["files"].as_array().unwrap().iter().map(|file| file["file_id"].as_str().unwrap().to_owned()).collect()
    };
    let all = node.json("/api/files").await;
    assert_eq!((names(&all), &all["total"], &all["page_size"]), (ids.clone(), &json!(5), &json!(20)));
    let page = node.json("/api/files?page=2&page_size=2&unknown=1").await;
    assert_eq!((names(&page), &page["total"]), (ids[2..4].to_vec(), &json!(5)));
    assert_eq!(names(&node.json("/api/files?page=9").await), Vec::<String>::new());
    for (query, total) in [
        ("include_partial=false", 3),
        ("include_partial=0", 3),
        ("status=partial", 2),
        ("status=complete", 3),
        ("per_page=1000", 5),
    ] {
        assert_eq!(node.json(&format!("/api/files?{query}")).await["total"], total, "{query}");
    }
    for query in ["page=0", "page_size=0", "page_size=101", "page=x", "per_page=1001", "include_partial=maybe"] {
        let answer = node.ask("GET", &format!("/api/files?{query}"), &[], "none").await;
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status, &body["detail"][0]["loc"][0]), (422, &json!("query")), "{query}");
    }
}

#[tokio::test]
async fn what_is_of_another_surface_is_told_only_when_all_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::with_people(dir.path(), |config| config.uploads.expiration = std::time::Duration::ZERO);
    node.tell(vec![Fact::Inventory { objects: vec![], last: true }]).await;
    let (ann, ann_id) = node.sign_in("ann", false).await;
    let other = |byte: u8, owner| Record {
        owner,
        surface: SurfaceId::PyBlobServer,
        key: format!("blob/{byte}"),
        length: Some(3),
        ..record(ObjectId::from_bytes([byte; 16]), 5)
    };
    let (hers, members) = (Owner::Person(ann_id), Owner::Member(SurfaceId::PyBlobServer, "bob".into()));
    for record in [other(1, Some(hers.clone())), other(2, Some(members.clone())), other(3, None)] {
        node.app.node.create(record).await.unwrap();
    }
    node.tell([1, 2].map(|byte| Fact::Completed(presence(ObjectId::from_bytes([byte; 16]), 3, 3))).to_vec()).await;
    let surfaces = |list: &Value| -> Vec<String> {
        let name = |file: &Value| file["surface"].as_str().unwrap_or("none").to_owned();
        list["files"].as_array().unwrap().iter().map(name).collect()
    };
    let (own, all) = (node.json("/api/files").await, node.json("/api/files?surfaces=all").await);
    assert_eq!((&own["total"], surfaces(&all)), (&json!(0), vec!["pyblobserver".to_owned(); 3]));
    assert!(all["files"].as_array().unwrap().iter().all(|file| file["metadata"]["download_count"].is_null()));
    let as_ann = [("x-session-token", ann.as_str())];
    let mine = node.ask_as("GET", "/api/files?surfaces=all", &as_ann, "none").await;
    let mine: Value = serde_json::from_slice(&mine.body).unwrap();
    assert_eq!((&mine["total"], &mine["files"][0]["file_id"]), (&json!(1), &json!("01".repeat(16))));
    for (method, path) in [("GET", "/api/files/{}"), ("DELETE", "/api/files/{}"), ("GET", "/api/files/{}/download")] {
        let path = path.replace("{}", &"01".repeat(16));
        assert_eq!(node.ask(method, &path, &[], "none").await.status, 404, "{method} {path}");
    }
    let path = format!("/tus/{}", "03".repeat(16));
    assert_eq!(node.patch(&path, "0", "3").await.status, 404, "and no upload of it is continued");
    assert_eq!(node.ask("GET", "/api/files?surfaces=some", &[], "none").await.status, 422);
    assert_eq!((node.json("/api/storage").await["used"].as_u64(), node.app.node.used_without_owner()), (Some(6), 0));
    assert_eq!((node.app.node.used_by(&hers), node.app.node.used_by(&members)), (3, 3));
    assert_eq!(node.app.node.used_by_all(), std::collections::HashMap::from([(ann_id, 3)]), "people only");
    assert_eq!(node.app.node.sweep().0, 0, "an upload that is not continued is for its dialect to end");
    node.tell(vec![Fact::Removed { object: ObjectId::from_bytes([3; 16]) }]).await;
    assert_eq!(node.json("/api/files?surfaces=all").await["total"], 3, "as is one without bytes");
}

#[tokio::test]
async fn section_2_7_delete_words_its_own_answer() {
    let node = Node::new(|_| {});
    let (id, _) = node.create("5", &[]).await;
    let path = format!("/api/files/{id}");
    let Act::Remove(remove) = node.ask("DELETE", &path, &[], "none").await.grant().act else { panic!() };
    let body: Value = serde_json::from_str(&remove.body).unwrap();
    assert_eq!((remove.status, body), (200, json!({"status": "deleted", "file_id": id.to_string()})));
    assert_eq!(node.ask("DELETE", &path, &[], "none").await.status, 404);
}

#[tokio::test]
async fn section_2_7_cleanup_counts_what_it_sends_away() {
    let node = Node::new(|config| config.uploads.expiration = std::time::Duration::ZERO);
    node.tell(vec![Fact::Inventory { objects: vec![], last: true }]).await;
    let (id, _) = node.create("5", &[]).await;
    let sweep = || async {
        let answer = node.ask("POST", "/api/files/cleanup", &[], "none").await;
        serde_json::from_slice::<Value>(&answer.body).unwrap()
    };
    assert_eq!(sweep().await, json!({"status": "ok", "cleaned": 1}));
    assert_eq!(sweep().await, json!({"status": "ok", "cleaned": 0}), "ordered already");
    assert_eq!(node.removals().await, [id]);
}

#[tokio::test]
async fn section_2_7_one_sweep_runs_at_a_time() {
    let node = Node::new(|_| {});
    let sweep = || node.ask("POST", "/api/files/cleanup", &[], "none");
    let once = |asked: std::pin::Pin<&mut _>| {
        let answer: std::task::Poll<Answer> =
            Future::poll(asked, &mut std::task::Context::from_waker(std::task::Waker::noop()));
        answer.is_ready()
    };
    assert!(once(std::pin::pin!(sweep()).as_mut()), "alone it ends at once");
    let running = node.app.sweeping.lock().await;
    let mut second = std::pin::pin!(sweep());
    assert!(!once(second.as_mut()), "it waits for the one that runs");
    drop(running);
    assert_eq!(second.await.status, 200);
}

#[tokio::test]
async fn section_5_facts_count_each_byte_once() {
    let node = Node::new(|config| config.storage.max_storage_size = Some(Size(10)));
    node.orders().await;
    let (complete, _) = node.create("5", &[]).await;
    node.complete(complete, 5).await;
    let (partial, _) = node.create("9", &[]).await;
    node.tell(vec![Fact::Progress(presence(partial, 2, 9))]).await;
    let info = node.json("/api/info").await;
    assert_eq!((&info["total_files"], &info["total_size"], &info["engine"]), (&json!(1), &json!(7), &json!("ring")));
    let extensions = info["tus_extensions"].as_array().unwrap();
    assert!(extensions.contains(&json!("parallel-writes")) && extensions.contains(&json!("checksum")));
    let storage = node.json("/api/storage").await;
    for (key, value) in [
        ("used", json!(7)),
        ("max", json!(10)),
        ("available", json!(3)),
        ("usage_percent", json!(70.0)),
        ("is_full", json!(false)),
        ("files_count", json!(1)),
        ("uploads_count", json!(1)),
        ("used_formatted", json!("7.0 B")),
    ] {
        assert_eq!(storage[key], value, "{key}");
    }
    let endpoints = node.json("/api/endpoints").await;
    assert_eq!((&endpoints["server_port"], &endpoints["total_endpoints"]), (&json!(8765), &json!(1)));
    assert_eq!(endpoints["best_for_upload"], "http://192.0.2.1:8765");
    let stats = node.json("/api/stats").await;
    assert_eq!(stats["files"], json!({"completed": 1, "in_progress": 1, "total_size": 5, "uploading_size": 2}));
    assert!(node.json("/api/traffic").await["total"]["upload_rate_formatted"].is_string());
}
