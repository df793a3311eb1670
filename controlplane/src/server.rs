//! The control plane as a running thing: one Unix socket, one thread with its own runtime, and an end.
//!
//! Order at start, and what breaks if a line moves: lock (a second control plane would write the same catalogue) →
//! catalogue (nothing is answered before it is read) → token → socket (from here on the data plane may ask).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::{Mutex, watch};

use crate::authority::Authority;
use crate::authority::announce::Announcement;
use crate::authority::first_token::{self, FirstToken};
use crate::catalogue::file::{self, OpenError};
use crate::catalogue::{Beginning, Memory, redis};
use crate::config::{Backend, Config, Durability};
use crate::line::calls;
use crate::listen;
use crate::machine::traffic::Traffic;
use crate::node::Node;
use crate::socket::{self, SocketError};
use crate::surface::easytransfer;

/// How long the runtime may take to end.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// What every handler shares.
#[derive(Clone)]
pub struct App {
    /// The state.
    pub node: Arc<Node>,
    /// Who may come in.
    pub authority: Arc<Authority>,
    /// Interface counters.
    pub traffic: Arc<Traffic>,
    /// Wrong tokens per address.
    pub misses: Arc<Mutex<easytransfer::Misses>>,
    /// One sweep at a time.
    pub sweeping: Arc<Mutex<()>>,
    /// Tells the first token, once.
    pub announcement: Arc<Announcement>,
    /// Turns true once.
    pub stopping: watch::Receiver<bool>,
}

/// The control plane does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A directory or file of its own.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another node works on this storage directory.
    #[error("another control plane works on {0}; one node per storage directory")]
    Taken(PathBuf),
    /// The catalogue in its file.
    #[error(transparent)]
    Catalogue(#[from] OpenError),
    /// The catalogue in Redis.
    #[error(transparent)]
    Redis(#[from] redis::OpenError),
    /// The socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

/// A started control plane.
pub struct Running {
    stop: watch::Sender<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
    line: PathBuf,
}

impl Running {
    /// Its socket.
    pub fn line(&self) -> &std::path::Path {
        &self.line
    }

    /// Asks it to end; open calls are answered first.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for its end.
    pub fn join(mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the control plane's thread panicked");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts the control plane on a thread of its own. Everything that can refuse the start happens before this returns.
pub fn start(config: Arc<Config>) -> Result<Running, StartError> {
    let line = config.line_socket();
    let (app, stop, held) = prepare(config)?;
    let (listener, guard) = socket::bind(&line)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|source| StartError::Io { action: "start the runtime for", path: line.clone(), source })?;
    let thread = std::thread::Builder::new().name("control".into()).spawn({
        move || {
            let node = Arc::clone(&app.node);
            runtime.block_on(serve(app, listener));
            runtime.shutdown_timeout(STOP_WAIT);
            // The catalogue's writer ends before the lock is given up.
            drop((node, guard, held));
        }
    });
    let thread =
        thread.map_err(|source| StartError::Io { action: "start the thread for", path: line.clone(), source })?;
    Ok(Running { stop, thread: Some(thread), line })
}

/// The shared state, ready to answer; the lock of the state directory comes along.
fn prepare(config: Arc<Config>) -> Result<(App, watch::Sender<bool>, std::fs::File), StartError> {
    let state = config.state_path();
    let io = |action, path: &std::path::Path| {
        let path = path.to_owned();
        move |source| StartError::Io { action, path, source }
    };
    socket::make_private_dir(&state).map_err(io("make", &state))?;
    let held = socket::lock(&state.join("lock"))
        .map_err(io("lock", &state))?
        .ok_or_else(|| StartError::Taken(config.storage_path()))?;
    let beginning = open_catalogue(&config)?;
    let (authority, first) = authority(&config).map_err(io("keep the token in", &state))?;
    let (stop, stopping) = watch::channel(false);
    let app = App {
        node: Arc::new(Node::new(config, beginning)),
        authority: Arc::new(authority),
        traffic: Arc::new(Traffic::default()),
        misses: Arc::default(),
        sweeping: Arc::default(),
        announcement: Arc::new(Announcement::of(first)),
        stopping,
    };
    Ok((app, stop, held))
}

fn open_catalogue(config: &Config) -> Result<Beginning, StartError> {
    let beginning = match config.state {
        Backend::Memory => {
            tracing::warn!("state.backend is memory: every upload and file is forgotten at exit");
            let keeper = Box::new(Memory);
            Beginning { keeper, records: Vec::new(), kept: Default::default(), is_new_file: false }
        }
        Backend::File => {
            let sync = config.storage.durability != Durability::None;
            file::open(&config.state_path().join("catalogue.redb"), sync)?
        }
        Backend::Redis => redis::open(&config.redis_url, &config.state_path())?,
    };
    tracing::info!(backend = config.state.word(), records = beginning.records.len(), "the catalogue is open");
    Ok(beginning)
}

fn authority(config: &Config) -> std::io::Result<(Authority, Option<FirstToken>)> {
    let policies = &config.retention.token_policies;
    if !config.auth.enabled {
        if config.server.hosts.iter().any(|host| !host.0.is_loopback()) {
            tracing::warn!("auth.enabled is false: everybody who reaches this node may read and delete every file");
        }
        return Ok((Authority::open(), None));
    }
    if !config.auth.tokens.is_empty() {
        let strangers = policies.keys().filter(|token| !config.auth.tokens.contains(token)).count();
        if strangers > 0 {
            tracing::warn!(strangers, "retention.token_policies names tokens that auth.tokens does not");
        }
        return Ok((Authority::of_tokens(&config.auth.tokens, policies), None));
    }
    let first = first_token::load_or_make(&config.state_path())?;
    Ok((Authority::of_tokens(std::slice::from_ref(&first.token), policies), Some(first)))
}

async fn serve(app: App, listener: std::os::unix::net::UnixListener) {
    let listener = match tokio::net::UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "listen on the line");
            return;
        }
    };
    tokio::spawn(Arc::clone(&app.traffic).follow());
    tokio::spawn(sweep_for_ever(app.clone()));
    let routes = Routes::of(&app);
    listen::serve(listener, app, routes).await;
}

/// The two sets of paths; only the line's own calls reach the first.
#[derive(Clone)]
pub struct Routes {
    /// Facts, orders, claims.
    pub line: Router,
    /// What clients ask.
    pub surface: Router,
}

impl Routes {
    /// Everything the socket answers.
    pub fn of(app: &App) -> Self {
        Self {
            line: calls::router().with_state(app.clone()),
            surface: easytransfer::router(app).with_state(app.clone()),
        }
    }
}

async fn sweep_for_ever(app: App) {
    let mut tick = tokio::time::interval(app.node.config.retention.cleanup_interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let _alone = app.sweeping.lock().await;
        let (cleaned, commit) = app.node.sweep();
        if let Err(error) = commit.wait().await {
            tracing::error!(%error, "write down a sweep");
        }
        if cleaned > 0 {
            tracing::info!(cleaned, "swept");
        }
    }
}

impl App {
    /// A shared state over `config` that keeps nothing and serves no socket: for tests.
    #[cfg(test)]
    pub(crate) fn for_tests(config: Config, authority: Authority) -> (Self, watch::Sender<bool>) {
        let (stop, stopping) = watch::channel(false);
        let keeper = Box::new(Memory);
        let beginning = Beginning { keeper, records: Vec::new(), kept: Default::default(), is_new_file: false };
        let app = Self {
            node: Arc::new(Node::new(Arc::new(config), beginning)),
            authority: Arc::new(authority),
            traffic: Arc::new(Traffic::default()),
            misses: Arc::default(),
            sweeping: Arc::default(),
            announcement: Arc::new(Announcement::silent()),
            stopping,
        };
        (app, stop)
    }

    /// Where the data plane listens.
    pub fn bound(&self) -> Vec<SocketAddr> {
        let told: Vec<SocketAddr> = self.node.plane().addresses.iter().filter_map(|text| text.parse().ok()).collect();
        if told.is_empty() { self.node.config.addresses() } else { told }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.bound().first().map_or(self.node.config.server.port, SocketAddr::port)
    }
}

#[cfg(test)]
mod tests;
