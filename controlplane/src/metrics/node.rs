//! What the node, its catalogue and its machine are like at the moment of asking.

use std::fmt::Error;

use super::page::{Family, Page};
use crate::catalogue::Scope;
use crate::catalogue::health::BackendHealth;
use crate::machine::interface::Interface;
use crate::node::Node;

/// What is stored and promised.
pub fn storage(page: &mut Page<'_>, node: &Node) -> Result<(), Error> {
    let totals = node.totals(&Scope::EVERYTHING);
    page.gauge(Family::count("files", "Complete files"), totals.files as f64)?;
    page.gauge(Family::count("uploads", "Incomplete uploads"), totals.uploads as f64)?;
    let rows =
        [([("state", "complete")], totals.file_bytes as f64), ([("state", "incomplete")], totals.upload_bytes as f64)];
    page.gauges(Family::bytes("content_stored", "Content that is stored, of files and of uploads"), rows)?;
    page.gauge(Family::bytes("storage_used", "What counts against the limit of the node"), node.used() as f64)?;
    let (objects, bytes) = node.unclaimed();
    let family =
        Family::count("unclaimed_objects", "Objects on disk that the catalogue knows nothing of; they are kept");
    page.gauge(family, objects as f64)?;
    page.gauge(Family::bytes("unclaimed", "Bytes of objects that the catalogue knows nothing of"), bytes as f64)?;
    page.gauge(Family::bytes("storage_promised", "What grants may still store"), node.promised() as f64)?;
    match node.config().storage.max_storage_size {
        Some(max) => {
            page.gauge(Family::bytes("storage_limit", "The limit of the node, when there is one"), max.0 as f64)
        }
        None => Ok(()),
    }
}

/// How the catalogue is written.
pub fn catalogue(page: &mut Page<'_>, health: &BackendHealth) -> Result<(), Error> {
    let family = Family::count("catalogue_failing", "1: the last write of the catalogue failed");
    page.gauge(family, flag(health.is_failing))?;
    page.counter(Family::count("catalogue_failures", "Writes of the catalogue that failed"), health.failures)?;
    page.histogram(Family::seconds("catalogue_commit", "How long writes of the catalogue take"), &health.commits)
}

/// The data plane as a whole.
pub fn data_plane(page: &mut Page<'_>, node: &Node, is_there: bool) -> Result<(), Error> {
    let plane = node.plane();
    page.gauge(Family::count("data_plane_up", "1: every core of the data plane was heard lately"), flag(is_there))?;
    let family = Family::count("data_plane_degraded", "1: the data plane no longer trusts its disk");
    page.gauge(family, flag(plane.degraded.is_some()))?;
    let family = Family::count("damaged_objects", "Objects whose files are not what was recorded; they are not served");
    page.gauge(family, plane.damaged as f64)?;
    let family = Family::count("quarantined_files", "Files that no record named at a start, waiting in quarantine/");
    page.gauge(family, plane.quarantined as f64)?;
    let help = "Removed objects whose files could not be unlinked yet; their bytes still count";
    page.gauge(Family::count("removals_due", help), plane.removals_due as f64)?;
    let family = Family::count("data_plane_cores", "Cores at work, by engine");
    page.gauges(family, [([("engine", plane.engine)], plane.cores as f64)])?;
    let family = Family::bytes("disk_free", "Free on the file system of the objects, a second ago or two");
    page.gauge(family, plane.disk_free as f64)?;
    page.gauge(Family::bytes("disk_size", "Size of the file system of the objects"), plane.disk_size as f64)
}

/// The interfaces of the machine, used by this node or not.
pub fn network(page: &mut Page<'_>, interfaces: &[Interface]) -> Result<(), Error> {
    let label = |interface: &Interface| [("interface", interface.name.clone())];
    let counters = |value: fn(&Interface) -> u64| interfaces.iter().map(move |one| (label(one), value(one)));
    let gauges = |value: fn(&Interface) -> f64| interfaces.iter().map(move |one| (label(one), value(one)));
    let family = Family::bytes("interface_sent", "Sent by an interface since the machine started");
    page.counters(family, counters(|interface| interface.sent))?;
    let family = Family::bytes("interface_received", "Received by an interface since the machine started");
    page.counters(family, counters(|interface| interface.received))?;
    let family = Family::rate("interface_send", "What an interface sends at the moment");
    page.gauges(family, gauges(|interface| interface.send_rate))?;
    let family = Family::rate("interface_receive", "What an interface receives at the moment");
    page.gauges(family, gauges(|interface| interface.receive_rate))?;
    let family = Family::ratio("interface_send_load", "Share of the link's speed in use, sending");
    page.gauges(family, gauges(|interface| interface.send_load() / 100.0))?;
    let family = Family::ratio("interface_receive_load", "Share of the link's speed in use, receiving");
    page.gauges(family, gauges(|interface| interface.receive_load() / 100.0))?;
    let speed = |interface: &Interface| Some((label(interface), interface.speed_mbps? as f64 * 1e6 / 8.0));
    let family = Family::rate("interface_speed", "Speed of the link; left out when it is not known");
    page.gauges(family, interfaces.iter().filter_map(speed))
}

fn flag(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}
