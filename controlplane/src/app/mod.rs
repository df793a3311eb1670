//! The services of the node that every dialect shares. A dialect adds its own to them (`surface::<dialect>::Service`).

pub mod reloading;

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::{Mutex, watch};

use self::reloading::Reloading;
use crate::audit::Denials;
use crate::authority::Authority;
use crate::authority::announce::Announcement;
#[cfg(test)]
use crate::catalogue::Snapshot;
#[cfg(test)]
use crate::config::{Config, Sources};
use crate::login::Provider;
use crate::machine::advice::Advice;
use crate::machine::host::Host;
use crate::machine::proof::ProofKey;
use crate::machine::traffic::Traffic;
use crate::metrics::Metrics;
use crate::mounts::Mounts;
use crate::node::Node;
use crate::people::People;

/// What every handler shares. Each request clones it several times: that is one count.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl App {
    /// Over these services.
    pub fn of(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

/// What [`App`] is made of.
#[cfg_attr(test, derive(Clone))]
pub struct Parts {
    /// The state.
    pub node: Arc<Node>,
    /// Which surface a request is for.
    pub mounts: Arc<Mounts>,
    /// Who may come in.
    pub authority: Arc<Authority>,
    /// Where the settings come from, and reading them again.
    pub reloading: Arc<Reloading>,
    /// Interface counters.
    pub traffic: Arc<Traffic>,
    /// What `/metrics` tells.
    pub metrics: Arc<Metrics>,
    /// Processors and memory.
    pub host: Arc<Host>,
    /// Which address the next client is told.
    pub advice: Arc<Advice>,
    /// Which node this is ([`crate::machine::identity`]).
    pub identity: Arc<str>,
    /// Proves to clients that an address is one of this node.
    pub proof: Arc<ProofKey>,
    /// Users and groups, with `user_system.enabled`.
    pub people: Option<People>,
    /// The provider people sign in with, when one is configured.
    pub provider: Option<Arc<Provider>>,
    /// Refusals on their way to the audit log.
    pub denials: Arc<Denials>,
    /// One sweep at a time.
    pub sweeping: Arc<Mutex<()>>,
    /// Tells the first token, once.
    pub announcement: Arc<Announcement>,
    /// Turns true once.
    pub stopping: watch::Receiver<bool>,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

#[cfg(test)]
impl std::ops::DerefMut for App {
    fn deref_mut(&mut self) -> &mut Parts {
        Arc::make_mut(&mut self.0)
    }
}

impl App {
    /// A shared state over `config` that keeps nothing and serves no socket: for tests.
    #[cfg(test)]
    pub(crate) fn for_tests(config: Config, authority: Authority) -> (Self, watch::Sender<bool>) {
        Self::for_tests_from(config, authority, Snapshot::of_memory())
    }

    /// The same, over a catalogue.
    #[cfg(test)]
    pub(crate) fn for_tests_from(
        mut config: Config,
        authority: Authority,
        snapshot: Snapshot,
    ) -> (Self, watch::Sender<bool>) {
        let state = tempfile::tempdir().unwrap();
        config.surfaces.make_secrets(state.path()).unwrap();
        let mounts = Arc::new(Mounts::of(&config));
        let (stop, stopping) = watch::channel(false);
        let (node, traffic) = (Arc::new(Node::new(Arc::new(config), snapshot)), Arc::<Traffic>::default());
        let app = Parts {
            mounts,
            metrics: Arc::new(Metrics::new(Arc::clone(&node), Arc::clone(&traffic))),
            node,
            authority: Arc::new(authority),
            people: None,
            provider: None,
            reloading: Arc::new(Reloading::of(Sources::default())),
            traffic,
            identity: "0".repeat(32).into(),
            proof: Arc::new(ProofKey::load_or_make(state.path()).unwrap()),
            host: Arc::default(),
            advice: Arc::default(),
            denials: Arc::default(),
            sweeping: Arc::default(),
            announcement: Arc::new(Announcement::silent()),
            stopping,
        };
        (Self(Arc::new(app)), stop)
    }

    /// Where the data plane listens.
    pub fn bound(&self) -> Vec<SocketAddr> {
        let told: Vec<SocketAddr> = self.node.plane().addresses.iter().filter_map(|text| text.parse().ok()).collect();
        if told.is_empty() { self.node.config().addresses() } else { told }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.bound().first().map_or(self.node.config().server.port, SocketAddr::port)
    }
}
