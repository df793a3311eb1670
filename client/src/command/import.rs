//! `et server import`: takes over what a server of the original Python releases keeps (easytransfer/CONTRACT.md §10),
//! into a stopped node.
//!
//! Order, for each object: bytes to their place and synced → recorded in the journal → catalogue. The old names go last of
//! all, when everything is on disk; a run that was cut short is simply repeated.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use etransfer_controlplane::clock::wall_ms;
use etransfer_controlplane::config::Config;
use etransfer_controlplane::core::Secret;
use etransfer_controlplane::offline::Offline;
use etransfer_controlplane::original::{self, Found, LeftAlone, State};
use etransfer_dataplane::store::{AdoptError, Adopted, Foreign, Placing, Store, StoreOptions};

/// What to import, and how.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Storage directory of the original server, which must be stopped; it may be this node's own
    #[arg(value_name = "DIRECTORY")]
    from: PathBuf,
    /// Its records are in Redis, at this URL; put one with a password into ETRANSFER_IMPORT_REDIS_URL instead
    #[arg(long, value_name = "URL", env = "ETRANSFER_IMPORT_REDIS_URL", hide_env_values = true)]
    from_redis: Option<String>,
    /// Leave the original's files where they are: copies are made, which share their blocks on XFS and Btrfs
    #[arg(long)]
    keep: bool,
}

/// Exit 1 when something was left alone; each such object is a line on stderr.
pub fn run(config: &Config, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let state = args.from_redis.clone().map_or(State::File, |url| State::Redis(Secret::new(url)));
    let inventory = original::inventory(&args.from, &state, wall_ms())
        .with_context(|| format!("read what is in {}", args.from.display()))?;
    if inventory.found.is_empty() && inventory.left.is_empty() {
        bail!("nothing to import: there is no record of an upload or file; are its records in Redis (--from-redis)?");
    }
    let mut catalogue = Offline::open(config).context("open the catalogue of a stopped node")?;
    let (store, _) = Store::open(StoreOptions::new(config.storage_path(), 1)).context("open the storage directory")?;
    let (mut objects, mut bytes, mut before) = (0u64, 0u64, 0u64);
    let mut left = 0u64;
    let mut taken: Vec<PathBuf> = Vec::new();
    let mut errors = std::io::stderr().lock();
    for LeftAlone { id, why } in &inventory.left {
        if catalogue.knows(*id) && store.find(*id).is_some() {
            before += 1;
        } else {
            writeln!(errors, "{id}: {why}")?;
            left += 1;
        }
    }
    for found in inventory.found {
        let id = found.record.id;
        match adopt(&store, &found, args.keep) {
            Ok(Adopted::Now(size)) => (objects, bytes) = (objects + 1, bytes + size),
            Ok(Adopted::Before) => before += 1,
            Err(error @ (AdoptError::Removed | AdoptError::Differs | AdoptError::Source { .. })) => {
                writeln!(errors, "{id}: {error}")?;
                left += 1;
                continue;
            }
            Err(error @ AdoptError::Store(_)) => return Err(error).with_context(|| format!("import {id}")),
        }
        taken.extend(found.pieces.iter().map(|piece| piece.path.clone()));
        if !catalogue.knows(id) {
            catalogue.add(found.record).with_context(|| format!("write the record of {id}"))?;
        }
    }
    store.close().context("close the storage directory")?;
    if !args.keep {
        remove(taken)?;
    }
    writeln!(
        std::io::stdout().lock(),
        "{objects} objects with {bytes} bytes imported, {before} were here before, {left} left alone"
    )?;
    Ok(if left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn adopt(store: &Store, found: &Found, keep: bool) -> Result<Adopted, AdoptError> {
    let pieces: Vec<_> = found
        .pieces
        .iter()
        .map(|piece| Foreign { path: piece.path.clone(), from: piece.from, span: piece.span })
        .collect();
    let placing = if keep { Placing::Copy } else { Placing::Link };
    store.adopt(found.record.id, found.record.length.unwrap_or(0), &pieces, placing)
}

/// The old names, and the directories of chunks that are empty then.
fn remove(mut files: Vec<PathBuf>) -> anyhow::Result<()> {
    files.dedup();
    for file in files {
        std::fs::remove_file(&file).with_context(|| format!("remove {}, which is imported", file.display()))?;
        if let Some(parent) = file.parent().filter(|parent| !parent.ends_with("files") && !parent.ends_with("uploads"))
        {
            // Still holds other chunks: stays.
            let _ = std::fs::remove_dir(parent);
        }
    }
    Ok(())
}
