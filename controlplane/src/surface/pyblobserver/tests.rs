//! What takes too long to happen to a running server: files that expire, and counts while the catalogue is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use etransfer_contract::link;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::file::{self, Detail};
use super::{Service, downloads, upkeep};
use crate::app::App;
use crate::authority::Authority;
use crate::catalogue::{Backend, Change, Commit, Snapshot, WriteError};
use crate::config::Config;
use crate::config::surfaces::Credential;
use crate::core::Secret;
use crate::core::SurfaceId;
use crate::node::{Edit, Node};
use crate::server::entry::Routes;
use crate::server::entry::handle;
use crate::surface::Surface;
use crate::surface::pyblobserver::settings::AllowedUser;
use crate::surface::pyblobserver::settings::PyBlobServer;

const DAY_MS: u64 = 24 * 3_600_000;

fn config() -> Config {
    let mut config = Config::defaults();
    config.surfaces.of_mut::<PyBlobServer>().mount.enabled = true;
    let preset = |user: &str| Some(Credential::Plain(Secret::new(format!("the-token-of-{user}"))));
    config.surfaces.of_mut::<PyBlobServer>().allowed_users =
        ["ann", "bob"].map(|user| AllowedUser { user: user.into(), preset: preset(user) }).into();
    config
}

fn app() -> (Service, watch::Sender<bool>) {
    let (app, stop) = App::for_tests(config(), Authority::open(None));
    (Service::of(&app), stop)
}

/// A file, uploaded and perhaps downloaded this many days ago.
async fn keep(node: &Node, user: &str, place: &str, uploaded: u64, downloaded: Option<u64>) {
    let before = |days: u64| node.clock.now_ms() - days * DAY_MS - 60_000;
    let mut record = file::record(node.new_id(), place.to_owned(), user, String::new(), before(uploaded));
    record.length = Some(5);
    record.completed_ms = Some(before(uploaded));
    record.detail = Detail { last_download_ms: downloaded.map(before), ..Detail::default() }.to_value();
    node.edit(Edit::default().put(record)).await.unwrap();
}

async fn ask(app: &Service, method: &str, target: &str, user: &str) -> Value {
    let request = Request::builder()
        .method(method)
        .uri(format!("/blob{target}"))
        .header("host", "files.test")
        .header("authorization", format!("Bearer the-token-of-{user}"))
        .header(link::CALL, "decide")
        .header(link::PEER, "192.0.2.7:4000")
        .header(link::BODY, "none");
    let surfaces: [Box<dyn Surface>; 1] = [Box::new(app.clone())];
    let routes = Routes { line: Router::new(), surfaces: Arc::new(surfaces) };
    let response = handle(app, &routes, request.body(Body::empty()).unwrap()).await;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

async fn places(app: &Service, user: &str) -> Vec<String> {
    let listed = ask(app, "GET", "/list", user).await;
    let mut places: Vec<String> =
        listed.as_array().unwrap().iter().map(|file| file["file_id"].as_str().unwrap().to_owned()).collect();
    places.sort();
    places
}

#[tokio::test]
async fn case_17_only_what_was_not_downloaded_in_time_expires() {
    let (app, _stop) = app();
    for (place, uploaded, downloaded) in
        [("aaaa", 91, None), ("bbbb", 89, None), ("cccc", 400, Some(89)), ("dddd", 400, Some(91)), ("eeee", 90, None)]
    {
        keep(&app.node, "ann", place, uploaded, downloaded).await;
    }
    keep(&app.node, "bob", "ffff", 91, None).await;
    // Counted a moment ago and not written down: it is in time all the same.
    keep(&app.node, "ann", "gggg", 91, None).await;
    ask(&app, "GET", "/s/gggg", "ann").await;
    let told = ask(&app, "DELETE", "/delete_all?confirm=yes&function=expired", "ann").await;
    assert_eq!(told, json!({"message": "All files not been download for 90 days are deleted"}));
    assert_eq!(places(&app, "ann").await, ["bbbb", "cccc", "gggg"]);
    assert_eq!(places(&app, "bob").await, ["ffff"], "of the caller alone");
}

#[tokio::test]
async fn section_5_what_expired_goes_by_itself_unless_that_is_switched_off() {
    let (app, _stop) = app();
    keep(&app.node, "ann", "aaaa", 91, None).await;
    keep(&app.node, "ann", "bbbb", 1, None).await;
    keep(&app.node, "bob", "cccc", 91, Some(2)).await;
    let mut off = config();
    off.surfaces.of_mut::<PyBlobServer>().auto_cleanup = false;
    app.node.reconfigure(off);
    upkeep::sweep(&app).await.unwrap();
    assert_eq!(places(&app, "ann").await, ["aaaa", "bbbb"]);
    app.node.reconfigure(config());
    upkeep::sweep(&app).await.unwrap();
    assert_eq!(
        (places(&app, "ann").await, places(&app, "bob").await),
        (vec!["bbbb".to_owned()], vec!["cccc".to_owned()])
    );
}

/// A catalogue that can be away.
#[derive(Default)]
struct Away(AtomicBool);

impl Backend for Arc<Away> {
    fn write(&self, _: Vec<Change>) -> Commit {
        let (tell, told) = tokio::sync::oneshot::channel();
        let reason = WriteError { reason: "away".into(), is_full: false };
        let _ = tell.send(if self.0.load(Ordering::SeqCst) { Err(reason) } else { Ok(()) });
        Commit::Waiting(told)
    }
}

#[tokio::test]
async fn section_4_2_counts_wait_for_a_catalogue_that_is_away() {
    let away = Arc::new(Away::default());
    let (mut app, _stop) = App::for_tests(config(), Authority::open(None));
    app.node = Arc::new(Node::new(
        Arc::new(config()),
        Snapshot { backend: Box::new(Arc::clone(&away)), ..Snapshot::of_memory() },
    ));
    let app = Service::of(&app);
    keep(&app.node, "ann", "aaaa", 1, None).await;
    let kept = || Detail::of(&app.node.by_place(SurfaceId::PyBlobServer, "aaaa").unwrap().record).downloads;
    let told = async || ask(&app, "GET", "/s/aaaa?output=json", "ann").await["download_times"].clone();
    away.0.store(true, Ordering::SeqCst);
    ask(&app, "GET", "/s/aaaa", "ann").await;
    assert!(app.flush().await.is_err());
    assert_eq!((kept(), told().await), (0, json!(1)));
    away.0.store(false, Ordering::SeqCst);
    ask(&app, "GET", "/s/aaaa", "ann").await;
    assert_eq!((kept(), told().await), (0, json!(2)));
    app.flush().await.unwrap();
    assert_eq!((kept(), told().await), (2, json!(2)));
    assert_eq!(app.downloads.of_user("ann"), None, "nothing is left in memory");
    assert_eq!(ask(&app, "GET", "/user/ann", "ann").await["total_download_byte"], 10);
    assert!(downloads::FLUSH.as_millis() <= 1_000);
}
