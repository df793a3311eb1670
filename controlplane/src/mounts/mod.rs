//! Which surface a request belongs to (SURFACES.md §2), resolved before anything else looks at it: by its
//! listener, then its `Host`, then the longest prefix, then the first segments of what is at the root, else EasyTransfer.
//!
//! Must stay true: the raw path decides, segment by segment, as the client wrote it. Nothing is decoded, merged or
//! resolved, neither here nor in what a surface is given: `..`, `%2e`, `%2F` and `//` never lead from one surface into another.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::Config;
use crate::config::surfaces::Section;
use crate::config::surfaces::host::bare;
use crate::core::SurfaceId;

/// Where a request came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Whose it is.
    pub surface: SurfaceId,
    /// What the path began with, no longer part of the request: empty, or `/` and segments. Links begin with it.
    pub prefix: String,
    /// It came to the host that the dialect gives a meaning of its own (`SurfaceSettings::own_host`).
    pub is_own_host: bool,
}

/// Where every enabled surface is. Its settings are cold: they stay for the life of the node.
#[derive(Debug)]
pub struct Mounts {
    own_listeners: Vec<(SurfaceId, SocketAddr)>,
    /// The same with the ports that were taken, once the data plane told them.
    bound: ArcSwap<Vec<(SurfaceId, SocketAddr)>>,
    hosts: Vec<(String, SurfaceId)>,
    /// Hosts with a meaning of their own.
    own_hosts: Vec<(String, SurfaceId)>,
    /// Longest first.
    prefixes: Vec<(String, SurfaceId)>,
    roots: Vec<(Vec<String>, SurfaceId)>,
}

impl Mounts {
    /// As configured. The configuration was checked: nothing is there twice.
    pub fn of(config: &Config) -> Self {
        let surfaces = &config.surfaces;
        let on_main = || surfaces.enabled().filter_map(|section| Some((section, section.mount().on_main()?)));
        let mut prefixes: Vec<(String, SurfaceId)> = on_main()
            .filter(|(_, prefix)| !prefix.is_empty())
            .map(|(section, prefix)| (prefix.to_owned(), section.surface()))
            .collect();
        prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        let mut roots = Vec::new();
        for (section, _) in on_main().filter(|(_, prefix)| prefix.is_empty()) {
            let surface = section.surface();
            let owned = section.roots().iter().map(|start| start.iter().map(|&part| part.to_owned()).collect());
            roots.extend(owned.map(|start: Vec<String>| (start, surface)));
            roots.extend(section.own_root().map(|(_, root)| (vec![root.to_owned()], surface)));
        }
        let hosts = |section: &dyn Section| {
            let surface = section.surface();
            section.mount().hosts.iter().map(|host| (bare(host), surface)).collect::<Vec<_>>()
        };
        let own_listeners = surfaces.own_listeners();
        Self {
            bound: ArcSwap::from_pointee(own_listeners.clone()),
            own_listeners,
            hosts: surfaces.enabled().flat_map(hosts).collect(),
            own_hosts: surfaces
                .enabled()
                .filter_map(|section| Some((section.own_host()?, section.surface())))
                .collect(),
            prefixes,
            roots,
        }
    }

    /// The data plane tells where it listens, in the order of the configuration.
    pub fn hear(&self, bound: &[String]) {
        let told = self.own_listeners.iter().zip(bound);
        let told: Option<Vec<_>> = told.map(|((surface, _), text)| Some((*surface, text.parse().ok()?))).collect();
        if let Some(told) = told.filter(|told| told.len() == self.own_listeners.len())
            && told != **self.bound.load()
        {
            self.bound.store(Arc::new(told));
        }
    }

    /// Whose a request is that came to `listener`, for `host`, with this raw path; and the path as that surface knows it.
    pub fn resolve<'p>(&self, listener: Option<SocketAddr>, host: Option<&str>, path: &'p str) -> (Mounted, &'p str) {
        let whole = |surface, is_own_host| (Mounted { surface, prefix: String::new(), is_own_host }, path);
        if let Some(surface) = listener.and_then(|listener| self.alone_on(listener)) {
            return whole(surface, false);
        }
        if let Some(host) = host.map(bare).filter(|host| !host.is_empty()) {
            let of = |hosts: &[(String, SurfaceId)]| {
                hosts.iter().find(|(name, _)| *name == host).map(|(_, surface)| *surface)
            };
            if let Some(surface) = of(&self.own_hosts) {
                return whole(surface, true);
            }
            if let Some(surface) = of(&self.hosts) {
                return whole(surface, false);
            }
        }
        for (prefix, surface) in &self.prefixes {
            match path.strip_prefix(prefix.as_str()) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                    let mounted = Mounted { surface: *surface, prefix: prefix.clone(), is_own_host: false };
                    return (mounted, if rest.is_empty() { "/" } else { rest });
                }
                Some(_) | None => {}
            }
        }
        let owner = self.roots.iter().find(|(start, _)| starts_with(path, start));
        whole(owner.map_or(SurfaceId::MAIN, |(_, surface)| *surface), false)
    }

    /// The surface that has a listener for itself; a connection's own address may stand for a listener on every address.
    fn alone_on(&self, listener: SocketAddr) -> Option<SurfaceId> {
        let bound = self.bound.load();
        let is_it = |own: SocketAddr| {
            let any = own.ip().is_unspecified() && own.is_ipv4() == listener.is_ipv4();
            own.port() == listener.port() && (any || own.ip() == listener.ip())
        };
        bound.iter().find(|(_, own)| is_it(*own)).map(|(surface, _)| *surface)
    }
}

/// Whether the path begins with these segments; no segments: whether it is `/`.
fn starts_with(path: &str, start: &[String]) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    if start.is_empty() {
        return rest.is_empty();
    }
    let mut segments = rest.split('/');
    start.iter().all(|part| segments.next() == Some(part))
}

#[cfg(test)]
mod tests;
