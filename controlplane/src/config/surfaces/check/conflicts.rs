//! Two surfaces in one place (SURFACES.md §4, 1 to 5). Every line names both, and what they quarrel about.

use std::net::SocketAddr;

use super::{Report, path};
use crate::catalogue::SurfaceId;
use crate::config::Config;
use crate::config::surfaces::host::bare;
use crate::config::surfaces::{Mount, Surfaces, roots};

/// First segments that belong to the node itself.
const RESERVED: [&str; 5] = ["static", "docs", "redoc", "openapi.json", "metrics"];

/// Checks places whose `path` is sound: one that cannot be read is no place.
pub fn check(config: &Config, is_sound: &dyn Fn(&str) -> bool, report: &mut Report<'_>) {
    let surfaces = &config.surfaces;
    let enabled: Vec<(SurfaceId, &Mount)> = surfaces.mounts().into_iter().filter(|(_, mount)| mount.enabled).collect();
    let on_main: Vec<(SurfaceId, &str)> = enabled
        .iter()
        .filter(|(surface, _)| is_sound(&path(*surface, "prefix")))
        .filter_map(|(surface, mount)| Some((*surface, mount.on_main()?)))
        .collect();
    check_roots(&on_main, report);
    check_prefixes(&on_main, report);
    if surfaces.cloudbackend.mount.enabled && is_sound(&path(SurfaceId::CloudBackend, "bucket")) {
        check_bucket(surfaces, &on_main, report);
    }
    check_hosts(surfaces, &enabled, report);
    check_listeners(config, &enabled, report);
}

/// 1: pairs that cannot share a root.
fn check_roots(on_main: &[(SurfaceId, &str)], report: &mut Report<'_>) {
    let is_root = |surface| on_main.contains(&(surface, ""));
    let mut refuse = |surface, other: SurfaceId, disputed: &str| {
        let expected = format!("a prefix: without one it is beside {}, which has {disputed} too", other.name());
        report.tell(path(surface, "prefix"), expected);
    };
    if is_root(SurfaceId::SecureFileTransfer) {
        refuse(SurfaceId::SecureFileTransfer, SurfaceId::EasyTransfer, "\"/api/files\"");
    }
    if is_root(SurfaceId::PyBlobServer) && is_root(SurfaceId::CloudBackend) {
        refuse(SurfaceId::PyBlobServer, SurfaceId::CloudBackend, "\"/user/{x}\"");
    }
}

/// 2 and 3: prefixes against each other, and against what is at the root.
fn check_prefixes(on_main: &[(SurfaceId, &str)], report: &mut Report<'_>) {
    let prefixes: Vec<_> = on_main.iter().filter(|(_, prefix)| !prefix.is_empty()).collect();
    for (index, (surface, prefix)) in prefixes.iter().enumerate() {
        for (other, others) in &prefixes[..index] {
            if is_within(prefix, others) || is_within(others, prefix) {
                let expected = format!("a prefix apart from that of {}: {prefix:?} and {others:?}", other.name());
                report.tell(path(*surface, "prefix"), expected);
            }
        }
        if let Some(owner) = owner_of(first_segment(prefix), *surface, on_main) {
            let expected = format!("another first segment: {} has that of {prefix:?}", owner.name());
            report.tell(path(*surface, "prefix"), expected);
        }
    }
}

/// 3, for the bucket: at the root it is a first segment like any other, and nowhere one of its own surface's.
fn check_bucket(surfaces: &Surfaces, on_main: &[(SurfaceId, &str)], report: &mut Report<'_>) {
    let bucket = surfaces.cloudbackend.bucket.as_str();
    let cloud = SurfaceId::CloudBackend;
    let own = roots::owned(cloud).iter().any(|owned| owned.first() == Some(&bucket)).then_some(cloud);
    let at_root = on_main.contains(&(cloud, ""));
    let prefixed = on_main.iter().find(|(_, prefix)| !prefix.is_empty() && first_segment(prefix) == bucket);
    let prefixed = prefixed.map(|(surface, _)| *surface);
    let owner = own.or_else(|| at_root.then(|| prefixed.or_else(|| owner_of(bucket, cloud, on_main))).flatten());
    if let Some(owner) = owner {
        let expected = format!("another name for cloudbackend's bucket: {} has {bucket:?}", owner.name());
        report.tell(path(cloud, "bucket"), expected);
    }
}

/// Whoever at the root, `but` for one, has this first segment.
fn owner_of(segment: &str, but: SurfaceId, on_main: &[(SurfaceId, &str)]) -> Option<SurfaceId> {
    let owns = |surface: &SurfaceId| roots::owned(*surface).iter().any(|owned| owned.first() == Some(&segment));
    if RESERVED.contains(&segment) || owns(&SurfaceId::EasyTransfer) {
        return Some(SurfaceId::EasyTransfer);
    }
    let at_root = on_main.iter().filter(|(surface, prefix)| *surface != but && prefix.is_empty());
    at_root.map(|(surface, _)| *surface).find(owns)
}

/// 4: names in `Host`, the bucket's among them.
fn check_hosts(surfaces: &Surfaces, enabled: &[(SurfaceId, &Mount)], report: &mut Report<'_>) {
    let mut taken: Vec<(String, SurfaceId)> = Vec::new();
    let cloud = &surfaces.cloudbackend;
    taken.extend(cloud.bucket_host().filter(|_| cloud.mount.enabled).map(|host| (host, SurfaceId::CloudBackend)));
    for (surface, mount) in enabled {
        for host in mount.hosts.iter().map(|host| bare(host)) {
            if let Some((_, other)) = taken.iter().find(|(name, _)| *name == host) {
                let expected = format!("names of its own: {} has {host:?} too", other.name());
                report.tell(path(*surface, "hosts"), expected);
            } else {
                taken.push((host, *surface));
            }
        }
    }
}

/// 5: listeners, the node's among them.
fn check_listeners(config: &Config, enabled: &[(SurfaceId, &Mount)], report: &mut Report<'_>) {
    let main = config.addresses().into_iter().map(|address| (address, SurfaceId::EasyTransfer));
    let mut taken: Vec<(SocketAddr, SurfaceId)> = main.collect();
    for (surface, mount) in enabled {
        for address in &mount.listen {
            if let Some((_, other)) = taken.iter().find(|(other, _)| overlap(*other, *address)) {
                let expected = format!("addresses of its own: {} listens on \"{address}\" too", other.name());
                report.tell(path(*surface, "listen"), expected);
            } else {
                taken.push((*address, *surface));
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
