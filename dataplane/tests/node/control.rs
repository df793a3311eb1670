//! A control plane that grants what the path asks for: `/append/<id>/<length>`, `/create/…`, `/serve/…`, `/state/…`, and
//! `/chunk/<id>/<length>/<start>/<end>`; every body at the rate that is set when it asks. `/defer/…` appends
//! to an upload whose length is not declared. `/concat/…` builds an upload
//! of the first object. What is sent to `/forward/…` comes back. `/steps` follows a script.
#![expect(clippy::disallowed_types, reason = "hyper's service may run anywhere")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use etransfer_contract::fact::{Fact, FactBatch, Verdict};
use etransfer_contract::grant::{self, Act, Append, Rate, Recheck, Serve, Ticket};
use etransfer_contract::link::{self, CLAIM_PATH, COUNTERS_PATH, FACTS_PATH, GRANT_MEDIA_TYPE, ORDERS_PATH};
use etransfer_contract::order::What as Ordered;
use etransfer_contract::order::{Order, Orders, OrdersQuery};
use etransfer_contract::step::{Outcome, Step, StepReport, What};
use etransfer_contract::{Grant, ObjectId, Span};
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

/// What a test sets and reads.
#[derive(Default)]
struct State {
    rate: Mutex<Option<Rate>>,
    script: Mutex<VecDeque<What>>,
    reports: Mutex<Vec<StepReport>>,
    facts: Mutex<Vec<Fact>>,
    orders: Mutex<Vec<Order>>,
    polls: Mutex<Vec<OrdersQuery>>,
    unheard: Mutex<Vec<Ticket>>,
    recheck: Mutex<Option<Recheck>>,
    epoch: AtomicU64,
    degraded: Mutex<Option<String>>,
}

/// A control plane at work; it ends when dropped.
pub struct Control {
    state: Arc<State>,
    socket: PathBuf,
    runtime: Option<Runtime>,
}

impl Control {
    /// Listens below `dir`.
    pub fn start(dir: &Path) -> Self {
        let socket = dir.join("line");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let state = Arc::<State>::default();
        let listener = {
            let _on_the_runtime = runtime.enter();
            UnixListener::bind(&socket).unwrap()
        };
        runtime.spawn(accept(listener, Arc::clone(&state)));
        Self { state, socket, runtime: Some(runtime) }
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What requests for `/steps` shall do, one after the other; then they are answered with 418.
    pub fn play(&self, script: Vec<What>) {
        *self.state.script.lock().unwrap() = script.into();
        self.state.reports.lock().unwrap().clear();
    }

    /// What came of the steps so far.
    pub fn reports(&self) -> Vec<StepReport> {
        self.state.reports.lock().unwrap().clone()
    }

    /// Every fact so far.
    pub fn facts(&self) -> Vec<Fact> {
        self.state.facts.lock().unwrap().clone()
    }

    /// Why the node does not trust its disk, as it said last.
    pub fn degraded(&self) -> Option<String> {
        self.state.degraded.lock().unwrap().clone()
    }

    /// Removals of these objects are ordered with the next answer, as one batch.
    pub fn order_removals(&self, objects: impl Iterator<Item = ObjectId>) {
        let what = |object| Ordered::Remove { object, unless_written_since_unix_ms: None };
        let all = objects.enumerate().map(|(at, object)| Order { sequence: at as u64 + 1, what: what(object) });
        *self.state.orders.lock().unwrap() = all.collect();
    }

    /// Every poll so far.
    pub fn polls(&self) -> Vec<OrdersQuery> {
        self.state.polls.lock().unwrap().clone()
    }

    /// Asks about promises with the next answer.
    pub fn ask_about(&self, tickets: &[Ticket]) {
        *self.state.unheard.lock().unwrap() = tickets.to_vec();
    }

    /// What bodies under way hear that ask whether they may go on; before it is set, nothing.
    pub fn recheck(&self, go: bool, full: bool) {
        *self.state.recheck.lock().unwrap() = Some(Recheck { go, rate: None, full });
    }

    /// The next poll hears of a later epoch than any grant's.
    pub fn raise_epoch(&self) {
        self.state.epoch.store(1, Ordering::SeqCst);
    }

    /// The rate of the next grants.
    pub fn set_rate(&self, bytes_per_s: Option<u64>) {
        let rate = bytes_per_s.map(|bytes_per_s| Rate { key: "holder".into(), bytes_per_s });
        *self.state.rate.lock().unwrap() = rate;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: UnixListener, state: Arc<State>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        let service = service_fn(move |request| answer(request, Arc::clone(&state)));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let answer = match path.as_str() {
        FACTS_PATH => {
            let batch = request.into_body().collect().await.unwrap().to_bytes();
            let batch: FactBatch = serde_json::from_slice(&batch).unwrap();
            state.facts.lock().unwrap().extend(batch.facts);
            Response::builder().status(204).body(Full::default())
        }
        "/steps" => {
            let is_outcome = request.headers().get(link::CALL).is_some_and(|call| call == "outcome");
            let body = request.into_body().collect().await.unwrap().to_bytes();
            if is_outcome {
                let outcome: Outcome = serde_json::from_slice(&body).unwrap();
                assert_eq!((outcome.version, outcome.continuation.as_str()), (link::VERSION, "memo"));
                state.reports.lock().unwrap().push(outcome.report);
            }
            match state.script.lock().unwrap().pop_front() {
                Some(what) => granted(Act::Step(Step { continuation: "memo".into(), what })),
                None => Response::builder().status(418).body(Full::from("the end")),
            }
        }
        COUNTERS_PATH => Response::builder().status(204).body(Full::default()),
        CLAIM_PATH => Response::builder().body(json(&Verdict { go: true, bound: false })),
        ORDERS_PATH => {
            let query = request.into_body().collect().await.unwrap().to_bytes();
            let query: OrdersQuery = serde_json::from_slice(&query).unwrap();
            *state.degraded.lock().unwrap() = query.node.degraded.clone();
            let (is_new, is_busy) = (query.control_run != RUN, query.busy);
            let orders = if is_busy { Vec::new() } else { std::mem::take(&mut *state.orders.lock().unwrap()) };
            state.polls.lock().unwrap().push(query);
            let unheard = std::mem::take(&mut *state.unheard.lock().unwrap());
            if !is_new && orders.is_empty() && unheard.is_empty() {
                tokio::time::sleep(if is_busy { POLL / 20 } else { POLL }).await;
            }
            Response::builder().body(json(&Orders {
                control_run: RUN,
                epoch: state.epoch.load(Ordering::SeqCst),
                inventory: false,
                first: Vec::new(),
                orders,
                unheard,
            }))
        }
        _ if request.headers().get(link::CALL).is_some_and(|call| call == "attached") => {
            let attached = request.into_body().collect().await.unwrap().to_bytes();
            Response::builder().body(Full::from(attached))
        }
        _ if request.headers().get(link::CALL).is_some_and(|call| call == "recheck") => {
            match &*state.recheck.lock().unwrap() {
                Some(recheck) => Response::builder().body(json(recheck)),
                None => Response::builder().status(503).body(Full::default()),
            }
        }
        asked => {
            let rate = state.rate.lock().unwrap().clone();
            granted(act(asked, rate))
        }
    };
    Ok(answer.unwrap())
}

fn granted(act: Act) -> hyper::http::Result<Response<Full<Bytes>>> {
    let grant = Grant { version: link::VERSION, ticket: 1, epoch: 0, cache_ms: 0, headers: vec![], holder: None, act };
    Response::builder().header("Content-Type", GRANT_MEDIA_TYPE).body(json(&grant))
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
        kind @ ("append" | "create" | "parallel" | "defer") => Act::Append(Append {
            object,
            length: length.filter(|_| kind != "defer"),
            length_max: None,
            parallel: kind == "parallel",
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
            modified_ms: None,
            judged: false,
            fields: Vec::new(),
            chunk: (kind == "chunk").then(|| Span::new(number(3), number(4)).unwrap()),
            consumed: Vec::new(),
            receiver: String::new(),
            hold_last: false,
            exclusive: false,
            report: false,
            counted: None,
            rate,
        }),
        "concat" => Act::Concat(grant::Concat {
            object,
            parts: vec![(ObjectId::from_bytes([1; 16]), number(2))],
            status: 201,
            fields: Vec::new(),
        }),
        "forward" => Act::Forward { bytes_max: number(2) },
        "state" => Act::State(grant::State {
            object,
            length,
            expires_after_s: None,
            expires_unix_ms: None,
            created_unix_ms: 0,
            fields: Vec::new(),
        }),
        other => panic!("an unknown route: {other}"),
    }
}
