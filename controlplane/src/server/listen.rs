//! Accepting on the control link: one HTTP/1.1 connection per task, names spelled as people write them (`Location`), and an end
//! that lets open calls finish. Next: [`super::entry`].

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::entry::{Routes, handle};
use crate::app::App;
use crate::socket;

/// How long open calls may take to end after a stop.
const STOP_WAIT: Duration = Duration::from_secs(5);
/// Pause after an accept that failed: descriptors may come back.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Serves until the stop, and then until the last call is answered, or a little longer.
pub async fn serve(listener: UnixListener, app: App, routes: Routes) {
    let routes = Arc::new(routes);
    let mut stopping = app.stopping.clone();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if !socket::is_own_peer(&stream) => {
                    tracing::warn!("another user's program connected to the control link and was sent away");
                }
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, app.clone(), Arc::clone(&routes)));
                }
                Err(error) => {
                    tracing::warn!(%error, "accept on the control link");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stopping) => break,
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_WAIT, all).await.is_err() {
        tracing::warn!("calls of the data plane were still open at the end");
    }
}

async fn connection(stream: UnixStream, app: App, routes: Arc<Routes>) {
    let mut stopping = app.stopping.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (app, routes) = (app.clone(), Arc::clone(&routes));
        async move { Ok::<_, Infallible>(handle(&app, &routes, request.map(Body::new)).await) }
    });
    let mut http = http1::Builder::new();
    let served = http.title_case_headers(true).serve_connection(TokioIo::new(stream), service);
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stopped(&mut stopping) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        // The data plane went away in the middle of a call: it asks again.
        tracing::debug!(%error, "a connection of the control link ended");
    }
}

/// Until the stop. The sender lives as long as `Running`; its end is a stop too.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
