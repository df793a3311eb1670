//! The control plane as a running thing: one Unix socket, one thread with its own runtime, and an end.
//!
//! Order at start, and what breaks if a line moves: lock (a second control plane would write the same catalogue) →
//! catalogue (nothing is answered before it is read) → token → socket (from here on the data plane may ask).

mod calls;
pub mod entry;
mod listen;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use etransfer_disk::Os;
use tokio::sync::watch;

use self::entry::Routes;
use crate::app::reloading::{self, Reloading};
use crate::app::{App, Parts};
use crate::authority::Authority;
use crate::authority::announce::Announcement;
use crate::authority::first_token::{self, FirstToken};
use crate::authority::keys::Keys;
use crate::bounds::{AUDIT_FOLD, EXPIRY_TICK};
use crate::catalogue::file::{self, OpenError};
use crate::catalogue::{Snapshot, redis};
use crate::config::{Config, Sources};
use crate::core::{Durability, StateBackend};
use crate::login::{Provider, Settings, SettingsError};
use crate::machine::identity;
use crate::machine::proof::ProofKey;
use crate::machine::traffic::Traffic;
use crate::metrics::Metrics;
use crate::mounts::Mounts;
use crate::node::{Node, epochs};
use crate::people::People;
use crate::socket::{self, SocketError};
use crate::surface::Surface;
use crate::usage;

/// How long the runtime may take to end.
const STOP_WAIT: Duration = Duration::from_secs(5);

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
    /// The login provider's settings.
    #[error(transparent)]
    Login(#[from] SettingsError),
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
pub fn start(config: Arc<Config>, sources: Sources) -> Result<Running, StartError> {
    let line = config.line_socket();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|source| StartError::Io { action: "start the runtime for", path: line.clone(), source })?;
    let (app, stop, held) = {
        // The pools of the stores belong to this runtime.
        let _inside = runtime.enter();
        prepare(config, sources)?
    };
    let (listener, guard) = socket::bind(&line)?;
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
fn prepare(config: Arc<Config>, sources: Sources) -> Result<(App, watch::Sender<bool>, std::fs::File), StartError> {
    let held = lock_state(&config)?;
    let snapshot = open_catalogue(&config)?;
    let people = config
        .user_system
        .enabled
        .then(|| People::open(&config.user_system.database, &config.storage_path().join("users.db")));
    let settings = if config.user_system.enabled { Settings::read(&config.user_system.oidc)? } else { None };
    let provider = settings.map(Provider::new).transpose()?.map(Arc::new);
    config.weak_tokens().iter().for_each(|weakness| tracing::warn!("{weakness}"));
    let (authority, first) = authority(&config, people.clone()).map_err(|source| StartError::Io {
        action: "keep the token in",
        path: config.state_path(),
        source,
    })?;
    authority.guesses.obey(config.auth.failures());
    let proof = ProofKey::load_or_make(&config.state_path()).map_err(|source| StartError::Io {
        action: "keep the proof key in",
        path: config.state_path(),
        source,
    })?;
    let identity = identity::load_or_make(&config.state_path()).map_err(|source| StartError::Io {
        action: "keep the identity in",
        path: config.state_path(),
        source,
    })?;
    let mut config = Arc::unwrap_or_clone(config);
    let state = config.state_path();
    config.surfaces.make_secrets(&state).map_err(|source| StartError::Io {
        action: "keep the secrets of the surfaces in",
        path: state,
        source,
    })?;
    let (stop, stopping) = watch::channel(false);
    let mounts = Arc::new(Mounts::of(&config));
    let state = config.state_path();
    let (node, traffic) = (Arc::new(Node::new(Arc::new(config), snapshot)), Arc::<Traffic>::default());
    match epochs::reserve(&Os, &state, node.clock.now_ms()) {
        Ok(first) => node.continue_above(first),
        Err(error) => tracing::warn!(%error, "read the epoch; it continues above what the data plane heard"),
    }
    let app = Parts {
        mounts,
        metrics: Arc::new(Metrics::new(Arc::clone(&node), Arc::clone(&traffic))),
        node,
        authority: Arc::new(authority),
        people,
        provider,
        reloading: Arc::new(Reloading::of(sources)),
        traffic,
        identity: identity.into(),
        proof: Arc::new(proof),
        host: Arc::default(),
        advice: Arc::default(),
        denials: Arc::default(),
        sweeping: Arc::default(),
        announcement: Arc::new(Announcement::of(first)),
        stopping,
    };
    Ok((App::of(app), stop, held))
}

/// Makes the state directory and keeps every other control plane out of it.
pub(crate) fn lock_state(config: &Config) -> Result<std::fs::File, StartError> {
    let state = config.state_path();
    let failed = |action| {
        let path = state.clone();
        move |source| StartError::Io { action, path, source }
    };
    socket::make_private_dir(&state).map_err(failed("make"))?;
    socket::lock(&state.join("lock")).map_err(failed("lock"))?.ok_or_else(|| StartError::Taken(config.storage_path()))
}

/// The catalogue that the configuration names.
pub(crate) fn open_catalogue(config: &Config) -> Result<Snapshot, StartError> {
    let snapshot = match config.state {
        StateBackend::Memory => {
            tracing::warn!("state.backend is memory: every upload and file is forgotten at exit");
            Snapshot::of_memory()
        }
        StateBackend::File => {
            let sync = config.storage.durability != Durability::None;
            file::open(&config.state_path().join("catalogue.redb"), sync)?
        }
        StateBackend::Redis => redis::open(&Os, &config.redis_url, &config.state_path())?,
    };
    tracing::info!(backend = config.state.word(), records = snapshot.records.len(), "the catalogue is open");
    Ok(snapshot)
}

fn authority(config: &Config, people: Option<People>) -> std::io::Result<(Authority, Option<FirstToken>)> {
    if !config.auth.enabled {
        if config.server.hosts.iter().any(|host| !host.0.is_loopback()) {
            tracing::warn!("auth.enabled is false: everybody who reaches this node may read and delete every file");
        }
        return Ok((Authority::open(people), None));
    }
    let strangers = config.retention.token_policies.keys().filter(|token| !config.auth.tokens.contains(token)).count();
    if strangers > 0 && !config.auth.tokens.is_empty() {
        tracing::warn!(strangers, "retention.token_policies names tokens that auth.tokens does not");
    }
    let first = first_token::needed(config)?;
    let keys = Keys::of(config, first.as_ref().map(|first| &first.token));
    Ok((Authority::of(keys, people), first))
}

async fn serve(app: App, listener: std::os::unix::net::UnixListener) {
    let listener = match tokio::net::UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "listen on the control link");
            return;
        }
    };
    tokio::spawn(Arc::clone(&app.traffic).follow(Arc::clone(&app.node)));
    tokio::spawn(Arc::clone(&app.host).follow());
    let routes = Routes::of(&app);
    tokio::spawn(sweep_for_ever(app.clone(), Arc::clone(&routes.surfaces)));
    tokio::spawn(tell_denials(app.clone()));
    tokio::spawn(record_expiry(app.clone()));
    tokio::spawn(reloading::watch(app.clone()));
    tokio::spawn(reloading::on_hang_up(app.clone()));
    if let Some(people) = app.people.clone() {
        tokio::spawn(usage::write_down(Arc::clone(&app.node), people));
    }
    for surface in routes.surfaces.iter() {
        surface.tasks().into_iter().for_each(|task| {
            tokio::spawn(task);
        });
    }
    listen::serve(listener, app, routes.clone()).await;
    for surface in routes.surfaces.iter() {
        surface.stop().await;
    }
}

/// The last refusals before it gets quiet are told within two minutes, and at the end.
async fn tell_denials(app: App) {
    let mut stopping = app.stopping.clone();
    let mut tick = tokio::time::interval(AUDIT_FOLD);
    loop {
        tokio::select! {
            _ = tick.tick() => app.denials.tell(),
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// Between two sweeps.
async fn record_expiry(app: App) {
    let mut tick = tokio::time::interval(EXPIRY_TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = app.node.record_expiry().wait().await {
            tracing::error!(%error, "write down what has expired");
        }
    }
}

async fn sweep_for_ever(app: App, surfaces: Arc<[Box<dyn Surface>]>) {
    let mut tick = tokio::time::interval(app.node.config().retention.cleanup_interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let _alone = app.sweeping.lock().await;
        for surface in surfaces.iter() {
            surface.sweep().await;
        }
        let (cleaned, commit) = app.node.sweep();
        app.metrics.count_sweep(cleaned);
        if let Err(error) = commit.wait().await {
            tracing::error!(%error, "write down a sweep");
        }
        if cleaned > 0 {
            tracing::info!(cleaned, "swept");
        }
        // PROMISES.md P11: right after a step of the clock no session has ended.
        if app.node.clock.agrees()
            && let Some(people) = &app.people
            && let Err(error) = people.prune(app.node.clock.now_ms()).await
        {
            tracing::warn!(%error, "sweep away sessions that ended");
        }
    }
}

#[cfg(test)]
mod tests;
