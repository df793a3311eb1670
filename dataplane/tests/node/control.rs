//! A control plane that grants what the path asks for: `/append/<id>/<length>`, `/create/…`, `/serve/…`, `/state/…`, and
//! `/chunk/<id>/<length>/<start>/<end>`; every body at the rate that is set when it asks.
#![expect(clippy::disallowed_types, reason = "hyper's service may run anywhere")]

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use etransfer_contract::fact::Verdict;
use etransfer_contract::grant::{Act, Append, Rate, Serve, State};
use etransfer_contract::line::{self, CLAIM_PATH, COUNTERS_PATH, FACTS_PATH, GRANT_MEDIA_TYPE, ORDERS_PATH};
use etransfer_contract::order::{Orders, OrdersQuery};
use etransfer_contract::{Grant, Span};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;

/// How long a poll for orders is held.
const POLL: Duration = Duration::from_secs(1);
/// This run of the control plane.
const RUN: u64 = 1;

/// A control plane at work; it ends when dropped.
pub struct Control {
    rate: Arc<Mutex<Option<Rate>>>,
    socket: PathBuf,
    runtime: Option<Runtime>,
}

impl Control {
    /// Listens below `dir`.
    pub fn start(dir: &Path) -> Self {
        let socket = dir.join("line");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let rate = Arc::new(Mutex::new(None));
        let listener = {
            let _on_the_runtime = runtime.enter();
            UnixListener::bind(&socket).unwrap()
        };
        runtime.spawn(accept(listener, Arc::clone(&rate)));
        Self { rate, socket, runtime: Some(runtime) }
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The rate of the next grants.
    pub fn set_rate(&self, bytes_per_s: Option<u64>) {
        let rate = bytes_per_s.map(|bytes_per_s| Rate { key: "somebody".into(), bytes_per_s });
        *self.rate.lock().unwrap() = rate;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: UnixListener, rate: Arc<Mutex<Option<Rate>>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let rate = Arc::clone(&rate);
        let service = service_fn(move |request| answer(request, Arc::clone(&rate)));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    rate: Arc<Mutex<Option<Rate>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let answer = match path.as_str() {
        FACTS_PATH | COUNTERS_PATH => Response::builder().status(204).body(Full::default()),
        CLAIM_PATH => Response::builder().body(json(&Verdict { go: true })),
        ORDERS_PATH => {
            let query = request.into_body().collect().await.unwrap().to_bytes();
            let query: OrdersQuery = serde_json::from_slice(&query).unwrap();
            if query.control_run == RUN {
                tokio::time::sleep(POLL).await;
            }
            Response::builder().body(json(&Orders { control_run: RUN, epoch: 0, inventory: false, orders: Vec::new() }))
        }
        asked => {
            let rate = rate.lock().unwrap().clone();
            let grant = Grant {
                version: line::VERSION,
                ticket: 1,
                epoch: 0,
                cache_ms: 0,
                headers: vec![],
                act: act(asked, rate),
            };
            Response::builder().header("Content-Type", GRANT_MEDIA_TYPE).body(json(&grant))
        }
    };
    Ok(answer.unwrap())
}

fn json(value: &impl serde::Serialize) -> Full<Bytes> {
    Full::from(serde_json::to_vec(value).unwrap())
}

fn act(path: &str, rate: Option<Rate>) -> Act {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let object = parts[1].parse().unwrap();
    let number = |index: usize| parts[index].parse::<u64>().unwrap();
    let length = Some(number(2));
    match parts[0] {
        kind @ ("append" | "create") => Act::Append(Append {
            object,
            length,
            length_max: None,
            parallel: false,
            budget: None,
            expires_after_s: None,
            expires_unix_ms: None,
            completed: Vec::new(),
            created: (kind == "create").then(Vec::new),
            rate,
        }),
        kind @ ("serve" | "chunk") => Act::Serve(Serve {
            object,
            length,
            complete: false,
            etag: "\"etag\"".into(),
            fields: Vec::new(),
            chunk: (kind == "chunk").then(|| Span::new(number(3), number(4)).unwrap()),
            consumed: Vec::new(),
            receiver: String::new(),
            hold_last: false,
            exclusive: false,
            report: false,
            rate,
        }),
        "state" => Act::State(State {
            object,
            length,
            expires_after_s: None,
            expires_unix_ms: None,
            created_unix_ms: 0,
            fields: Vec::new(),
        }),
        other => panic!("nobody asked for {other}"),
    }
}
