//! The numbers of `/metrics`, in OpenMetrics text with the prefix `et_`.
//!
//! * [`cores`] what the data plane told, a second ago or two · [`decisions`] a layer around each surface
//! * [`node`] what is read at the moment of asking · [`page`] how that is written
//!
//! Must stay true (PROMISES.md P16, P22): labels are bounded (cores, interfaces, addresses of this machine, declared
//! routes, words of ours), and none ever holds a token, a name that a user gave, or an id.

pub mod cores;
pub mod decisions;
mod node;
mod page;

use std::fmt::Error;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::machine::traffic::Traffic;
use crate::node::Node;
use cores::Cores;
use decisions::Decisions;
use page::Page;

/// Media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every number of the control plane, and what it heard from the data plane.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// From the data plane.
    pub cores: Arc<Cores>,
    /// Counted by the surfaces.
    pub decisions: Decisions,
    sweeps: Counter,
    swept: Counter,
    reloads: Family<[(&'static str, &'static str); 1], Counter>,
}

/// Read at the moment of asking.
struct Moment {
    node: Arc<Node>,
    traffic: Arc<Traffic>,
    cores: Arc<Cores>,
}

impl Metrics {
    /// Numbers of this node on this machine.
    pub fn new(node: Arc<Node>, traffic: Arc<Traffic>) -> Self {
        let mut registry = Registry::with_prefix("et");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", version);
        let (sweeps, swept, reloads) = (Counter::default(), Counter::default(), Family::default());
        registry.register("sweeps", "Sweeps for what has expired", sweeps.clone());
        registry.register("swept", "Files and uploads that sweeps sent away", swept.clone());
        registry.register("reloads", "Attempts to take up a changed configuration", reloads.clone());
        let decisions = Decisions::registered(&mut registry);
        let cores = Arc::<Cores>::default();
        registry.register_collector(Box::new(Moment { node, traffic, cores: Arc::clone(&cores) }));
        Self { registry, cores, decisions, sweeps, swept, reloads }
    }

    /// A sweep removed this many.
    pub fn count_sweep(&self, cleaned: usize) {
        self.sweeps.inc();
        self.swept.inc_by(cleaned as u64);
    }

    /// The configuration was read again.
    pub fn count_reload(&self, is_ok: bool) {
        self.reloads.get_or_create(&[("result", if is_ok { "ok" } else { "failed" })]).inc();
    }

    /// Everything, as Prometheus reads it.
    pub fn text(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("a string takes every text");
        out
    }
}

impl Collector for Moment {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut page = Page(encoder);
        node::storage(&mut page, &self.node)?;
        node::catalogue(&mut page, &self.node.catalogue())?;
        node::data_plane(&mut page, &self.node, self.cores.are_there(self.node.plane().cores))?;
        node::network(&mut page, &self.traffic.interfaces())?;
        self.cores.encode(&mut page)
    }
}

impl std::fmt::Debug for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Moment").finish_non_exhaustive()
    }
}
