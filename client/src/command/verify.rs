//! `et server verify`: reads every stored byte of a stopped node and compares it with the checksum that was recorded when
//! it came (PROMISES.md P19), and lists what a start could not place: damaged objects, files in the quarantine,
//! removals that are due. Changes nothing but what a start of the node would.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use etransfer_contract::fact::Presence;
use etransfer_controlplane::config::Config;
use etransfer_controlplane::core::StateBackend;
use etransfer_controlplane::offline::Offline;
use etransfer_dataplane::store::{Condemned, Quarantined, Store, StoreOptions, Verified};

/// Objects asked for at once.
const PAGE: usize = 1000;

/// Tells every damaged object on stdout; exit 1 when there is one.
///
/// `set_aside`: objects that the catalogue knows nothing of go to the quarantine.
pub fn run(config: &Config, set_aside: bool) -> anyhow::Result<ExitCode> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = StoreOptions::new(config.storage_path(), cores);
    let (store, _) = Store::open(options).context("open the storage directory of a stopped node")?;
    let mut out = std::io::stdout().lock();
    let (mut objects, mut bytes, mut damaged, mut unknown) = (0u64, 0u64, 0u64, 0u64);
    let mut after = None;
    loop {
        let page = store.inventory(after, PAGE);
        for id in page.iter().map(|presence| presence.object) {
            let Some(Verified { good, damaged: bad, unknown: unchecked }) = store.verify(id) else { continue };
            objects += 1;
            bytes += good;
            unknown += unchecked.iter().map(|span| span.len()).sum::<u64>();
            damaged += u64::from(!bad.is_empty());
            for span in bad {
                writeln!(out, "{id} damaged in bytes {}-{}", span.start(), span.end() - 1)?;
            }
        }
        after = page.last().map(|presence| presence.object);
        if page.len() < PAGE {
            break;
        }
    }
    let catalogue = open_catalogue(config, set_aside)?;
    if set_aside && catalogue.as_ref().is_some_and(|catalogue| !catalogue.is_trusted()) {
        anyhow::bail!(
            "the catalogue is new, or older than it was: put the right one back before anything is set aside"
        );
    }
    for Presence { object, received, .. } in catalogue.iter().flat_map(|catalogue| unclaimed(&store, catalogue)) {
        write!(out, "{object} has {received} bytes and no record in the catalogue")?;
        if set_aside {
            store.set_aside(object).with_context(|| format!("set {object} aside"))?;
        }
        writeln!(out, "{}", if set_aside { "; it is in quarantine/ now" } else { "; it is kept, and not served" })?;
    }
    for (id, what) in store.damaged() {
        writeln!(out, "{id} is not served: {what}")?;
    }
    for id in store.strays() {
        writeln!(out, "{id} has a file, no record names it, and it cannot be moved to quarantine/")?;
    }
    for id in store.condemned().iter().map(Condemned::id) {
        writeln!(out, "{id} was removed, and its file is still there; the node unlinks it when it runs")?;
    }
    let aside = store.quarantined().context("read the quarantine")?;
    for Quarantined { object, at_unix_ms, bytes } in &aside {
        let at = jiff::Timestamp::from_millisecond(i64::try_from(*at_unix_ms)?)?.strftime("%FT%TZ").to_string();
        writeln!(out, "{object} is in quarantine/ since {at}, {bytes} bytes")?;
    }
    store.close().context("close the storage directory")?;
    writeln!(
        out,
        "{objects} objects, {bytes} bytes as they came, {unknown} without a checksum, {damaged} objects damaged"
    )?;
    Ok(if damaged == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The catalogue, when it is a file that is there: what it does not know is told. `is_needed`: any other is opened as well, or
/// why it cannot be is the outcome.
fn open_catalogue(config: &Config, is_needed: bool) -> anyhow::Result<Option<Offline>> {
    let is_file = config.state == StateBackend::File && config.state_path().join("catalogue.redb").exists();
    if is_needed || is_file { Ok(Some(Offline::open(config).context("open the catalogue")?)) } else { Ok(None) }
}

/// Objects that the catalogue knows nothing of, and whose removal is not decided.
fn unclaimed(store: &Store, catalogue: &Offline) -> Vec<Presence> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = store.inventory(after, PAGE);
        after = page.last().map(|presence| presence.object);
        let is_last = page.len() < PAGE;
        let is_unclaimed = |id| !catalogue.knows(id) && !catalogue.is_leaving(id) && !store.is_removed(id);
        found.extend(page.into_iter().filter(|presence| is_unclaimed(presence.object)));
        if is_last {
            return found;
        }
    }
}
