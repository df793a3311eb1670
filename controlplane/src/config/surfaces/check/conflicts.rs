//! Two surfaces in one place (SURFACES.md §4, 1 to 5). Every line names both, and what they quarrel about.

use std::net::SocketAddr;

use super::{Report, path};
use crate::config::Config;
use crate::config::surfaces::Section;
use crate::config::surfaces::host::bare;
use crate::core::SurfaceId;

/// First segments that belong to the node itself.
const RESERVED: [&str; 5] = ["static", "docs", "redoc", "openapi.json", "metrics"];
/// First segments of the dialect that is always at the root ([`SurfaceId::MAIN`]).
const MAIN: [&str; 4] = ["tus", "api", "l", "s"];

/// The dialects that are there, and those at the main listener with their prefixes.
struct Places<'c> {
    enabled: Vec<&'c dyn Section>,
    on_main: Vec<(&'c dyn Section, &'c str)>,
}

/// Checks places whose `path` is sound: one that cannot be read is no place.
pub fn check(config: &Config, is_sound: &dyn Fn(&str) -> bool, report: &mut Report<'_>) {
    let enabled: Vec<&dyn Section> = config.surfaces.enabled().collect();
    let on_main = enabled.iter().filter(|section| is_sound(&path(section.surface(), "prefix")));
    let on_main = on_main.filter_map(|section| Some((*section, section.mount().on_main()?))).collect();
    let places = Places { enabled, on_main };
    check_roots(&places, report);
    check_prefixes(&places, report);
    for section in &places.enabled {
        if let Some((key, root)) = section.own_root()
            && is_sound(&path(section.surface(), key))
        {
            check_own_root(*section, (key, root), &places, report);
        }
    }
    check_hosts(&places, report);
    check_listeners(config, &places, report);
}

/// 1: pairs that cannot share a root.
fn check_roots(places: &Places<'_>, report: &mut Report<'_>) {
    let at_root: Vec<&dyn Section> = places.at_root().collect();
    for section in &at_root {
        for (other, disputed) in section.clashes() {
            if *other == SurfaceId::MAIN || at_root.iter().any(|section| section.surface() == *other) {
                let expected = format!("a prefix: without one it is beside {}, which has {disputed} too", other.name());
                report.tell(path(section.surface(), "prefix"), expected);
            }
        }
    }
}

/// 2 and 3: prefixes against each other, and against what is at the root.
fn check_prefixes(places: &Places<'_>, report: &mut Report<'_>) {
    let prefixes: Vec<_> = places.on_main.iter().filter(|(_, prefix)| !prefix.is_empty()).collect();
    for (index, (section, prefix)) in prefixes.iter().enumerate() {
        let surface = section.surface();
        for (other, others) in &prefixes[..index] {
            if is_within(prefix, others) || is_within(others, prefix) {
                let other = other.surface().name();
                let expected = format!("a prefix apart from that of {other}: {prefix:?} and {others:?}");
                report.tell(path(surface, "prefix"), expected);
            }
        }
        if let Some(owner) = places.owner_of(first_segment(prefix), surface) {
            let expected = format!("another first segment: {} has that of {prefix:?}", owner.name());
            report.tell(path(surface, "prefix"), expected);
        }
    }
}

/// 3, for a first segment that is configured: at the root it is one like any other, and nowhere one of its dialect's.
fn check_own_root(section: &dyn Section, (key, root): (&str, &str), places: &Places<'_>, report: &mut Report<'_>) {
    let surface = section.surface();
    let own = owns(section, root).then_some(surface);
    let is_at_root = places.at_root().any(|section| section.surface() == surface);
    let prefixed = places.on_main.iter().find(|(_, prefix)| !prefix.is_empty() && first_segment(prefix) == root);
    let prefixed = prefixed.map(|(section, _)| section.surface());
    let owner = own.or_else(|| is_at_root.then(|| prefixed.or_else(|| places.owner_of(root, surface))).flatten());
    if let Some(owner) = owner {
        let expected = format!("another name for {}'s {key}: {} has {root:?}", surface.name(), owner.name());
        report.tell(path(surface, key), expected);
    }
}

impl Places<'_> {
    /// The dialects at the root, beside the one that always is.
    fn at_root(&self) -> impl Iterator<Item = &dyn Section> {
        self.on_main.iter().filter(|(_, prefix)| prefix.is_empty()).map(|(section, _)| *section)
    }

    /// The dialect at the root, `but` for one, that has this first segment.
    fn owner_of(&self, segment: &str, but: SurfaceId) -> Option<SurfaceId> {
        if RESERVED.contains(&segment) || MAIN.contains(&segment) {
            return Some(SurfaceId::MAIN);
        }
        let owner = self.at_root().find(|section| section.surface() != but && owns(*section, segment));
        owner.map(Section::surface)
    }
}

fn owns(section: &dyn Section, segment: &str) -> bool {
    section.roots().iter().any(|root| root.first() == Some(&segment))
}

/// 4: names in `Host`, those with a meaning of their own among them.
fn check_hosts(places: &Places<'_>, report: &mut Report<'_>) {
    let own = places.enabled.iter().filter_map(|section| Some((section.own_host()?, section.surface())));
    let mut taken: Vec<(String, SurfaceId)> = own.collect();
    for section in &places.enabled {
        for host in section.mount().hosts.iter().map(|host| bare(host)) {
            if let Some((_, other)) = taken.iter().find(|(name, _)| *name == host) {
                let expected = format!("names of its own: {} has {host:?} too", other.name());
                report.tell(path(section.surface(), "hosts"), expected);
            } else {
                taken.push((host, section.surface()));
            }
        }
    }
}

/// 5: listeners, the node's among them.
fn check_listeners(config: &Config, places: &Places<'_>, report: &mut Report<'_>) {
    let main = config.addresses().into_iter().map(|address| (address, SurfaceId::MAIN));
    let mut taken: Vec<(SocketAddr, SurfaceId)> = main.collect();
    for section in &places.enabled {
        for address in &section.mount().listen {
            if let Some((_, other)) = taken.iter().find(|(other, _)| overlap(*other, *address)) {
                let expected = format!("addresses of its own: {} listens on \"{address}\" too", other.name());
                report.tell(path(section.surface(), "listen"), expected);
            } else {
                taken.push((*address, section.surface()));
            }
        }
    }
}

/// Whether two listeners would get the same connections; a port 0 becomes a free one.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_ip = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && one.is_ipv4() == other.is_ipv4() && same_ip
}

/// Whether `inner` is `outer`, or below it.
fn is_within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn first_segment(prefix: &str) -> &str {
    prefix.split('/').nth(1).unwrap_or_default()
}
