//! What the cores of the data plane count (contract crate, `counters`), as they told it last. A core tells each second,
//! so what it told is also the sign that it lives.

use std::collections::BTreeMap;
use std::fmt::Error;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use etransfer_contract::counters::{AddressBytes, CoreCounters, CountersReport, RequestKind, RequestOutcome};

use super::page::{Family, Page};

/// A core that says nothing for this long is away, or hangs.
const SILENT: Duration = Duration::from_secs(5);

/// The newest report of every core.
#[derive(Debug, Default)]
pub struct Cores(Mutex<CoreReports>);

#[derive(Debug, Default)]
struct CoreReports {
    run: u64,
    by_core: BTreeMap<usize, (Instant, CoreCounters)>,
}

impl Cores {
    /// Takes a report; those of an earlier run of the data plane are forgotten.
    pub fn hear(&self, report: CountersReport) {
        let mut told = self.lock();
        if told.run != report.run {
            *told = CoreReports { run: report.run, by_core: BTreeMap::new() };
        }
        told.by_core.insert(report.core, (Instant::now(), report.counters));
    }

    /// Content received and content sent by all cores, in bytes, since the data plane started.
    pub fn moved(&self) -> (u64, u64) {
        let told = self.lock();
        let all = told.by_core.values().flat_map(|(_, counters)| &counters.addresses);
        all.fold((0, 0), |(received, sent), bytes| (received + bytes.received, sent + bytes.sent))
    }

    /// Whether each of `cores` cores reported lately.
    pub fn are_there(&self, cores: usize) -> bool {
        let told = self.lock();
        let is_there = |core| told.by_core.get(&core).is_some_and(|(at, _)| at.elapsed() < SILENT);
        cores > 0 && (0..cores).all(is_there)
    }

    /// Writes every family.
    pub fn encode(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let cores: Vec<(String, CoreCounters)> =
            self.lock().by_core.iter().map(|(core, (_, counters))| (core.to_string(), counters.clone())).collect();
        connections(page, &cores)?;
        requests(page, &cores)?;
        content(page, &cores)?;
        let family = Family::bytes("journal", "Appended to the journal of a core");
        page.counters(family, each(&cores, |core| core.journal_bytes))?;
        let family = Family::count("journal_syncs", "Group commits made by a core");
        page.counters(family, each(&cores, |core| core.journal_syncs))?;
        let family = Family::seconds("first_byte", "Downloads: from the request to the first content sent");
        page.histograms(family, each(&cores, |core| core.first_byte.clone()))?;
        let family = Family::seconds("decide", "Decisions asked of the control plane, as a core sees them");
        page.histograms(family, each(&cores, |core| core.decide.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, CoreReports> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type OneLabel<'c> = [(&'static str, &'c str); 1];

/// One row per core.
fn each<'c, V>(
    cores: &'c [(String, CoreCounters)],
    value: impl Fn(&CoreCounters) -> V + 'c,
) -> impl Iterator<Item = (OneLabel<'c>, V)> {
    cores.iter().map(move |(core, counters)| ([("core", core.as_str())], value(counters)))
}

fn connections(page: &mut Page<'_>, cores: &[(String, CoreCounters)]) -> Result<(), Error> {
    let family = Family::count("connections_accepted", "Connections of clients");
    page.counters(family, each(cores, |core| core.accepted))?;
    let family = Family::count("connections_refused", "Connections of clients that were one too many");
    page.counters(family, each(cores, |core| core.crowded))?;
    let family = Family::count("connections_open", "Connections of clients that are open");
    page.gauges(family, each(cores, |core| core.accepted.saturating_sub(core.closed) as f64))
}

fn requests(page: &mut Page<'_>, cores: &[(String, CoreCounters)]) -> Result<(), Error> {
    let all = || RequestKind::ALL.into_iter().flat_map(|kind| RequestOutcome::ALL.map(|outcome| (kind, outcome)));
    let rows = cores.iter().flat_map(|(core, counters)| {
        let row = |(kind, outcome): (RequestKind, RequestOutcome)| {
            let labels = [("core", core.as_str()), ("kind", kind.name()), ("outcome", outcome.name())];
            (labels, counters.requests.of(kind, outcome))
        };
        all().map(row).filter(|(_, count)| *count > 0)
    });
    let family = Family::count("requests", "Requests by what they turned out to be, and how they ended");
    page.counters(family, rows)?;
    let rows = cores.iter().flat_map(|(core, counters)| {
        let row = |source: &'static str, count| ([("core", core.as_str()), ("source", source)], count);
        [
            row("cached", counters.cached),
            row("granted", counters.granted),
            row("answered", counters.answered),
            row("away", counters.undecided),
        ]
    });
    let help = "How requests came to their decision: a grant the core remembered, a new grant, an answer of the control \
                plane, or nobody to ask (503)"; // word: ok
    page.counters(Family::count("grants", help), rows)
}

fn content(page: &mut Page<'_>, cores: &[(String, CoreCounters)]) -> Result<(), Error> {
    let rows = |value: fn(&AddressBytes) -> u64| {
        cores.iter().flat_map(move |(core, counters)| {
            counters.addresses.iter().map(move |bytes| {
                let address = bytes.address.as_ref().map_or_else(|| "other".to_owned(), IpAddr::to_string);
                ([("core", core.clone()), ("address", address)], value(bytes))
            })
        })
    };
    let family = Family::bytes("content_received", "Content of uploads, by core and by the address it came to");
    page.counters(family, rows(|bytes| bytes.received))?;
    let family = Family::bytes("content_sent", "Content of downloads, by core and by the address it left from");
    page.counters(family, rows(|bytes| bytes.sent))
}
