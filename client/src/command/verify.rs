//! `et server verify`: reads every stored byte of a stopped node and compares it with the checksum that was recorded when
//! it came (reliability.md P19), and lists what a start could not place: damaged objects, files in the quarantine, removals
//! that are due. Changes nothing but what a start of the node would.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use etransfer_controlplane::config::Config;
use etransfer_dataplane::store::{Condemned, Quarantined, Store, StoreOptions, Verified};

/// Objects asked for at once.
const PAGE: usize = 1000;

/// Tells every damaged object on stdout; exit 1 when there is one.
pub fn run(config: &Config) -> anyhow::Result<ExitCode> {
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
