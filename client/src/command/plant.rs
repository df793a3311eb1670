//! `et server plant`, hidden: fills the storage of a stopped node with many small files, in the formats of the node itself, so
//! that a large store can be measured without uploading it.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use etransfer_contract::ObjectId;
use etransfer_controlplane::catalogue::{Kind, Record};
use etransfer_controlplane::clock::wall_ms;
use etransfer_controlplane::config::Config;
use etransfer_controlplane::core::{Policy, SurfaceId};
use etransfer_controlplane::offline::Offline;
use etransfer_controlplane::retention::policy::Keep;
use etransfer_dataplane::store::{Store, StoreOptions};

/// Records in one write of the catalogue.
const BATCH: u64 = 4096;

/// How many, how large.
#[derive(Debug, Args)]
pub struct PlantArgs {
    /// Number of files
    #[arg(long, value_name = "N")]
    objects: u64,
    /// Bytes of each
    #[arg(long, value_name = "BYTES", default_value_t = 1)]
    bytes: usize,
}

/// Tells how many there are on stdout.
pub fn run(config: &Config, args: &PlantArgs) -> anyhow::Result<ExitCode> {
    let mut catalogue = Offline::open(config).context("open the catalogue of a stopped node")?;
    let (store, _) = Store::open(StoreOptions::new(config.storage_path(), 1)).context("open the storage directory")?;
    let content = vec![b'x'; args.bytes];
    let started_ms = wall_ms();
    let mut records = Vec::new();
    for number in 0..args.objects {
        let record =
            record(ObjectId::from_bytes(fastrand::u128(..).to_be_bytes()), number, args.bytes as u64, started_ms);
        store.plant(record.id, &content).with_context(|| format!("write object {}", record.id))?;
        records.push(record);
        if records.len() as u64 == BATCH || number + 1 == args.objects {
            catalogue.add_all(std::mem::take(&mut records)).context("write the catalogue")?;
        }
    }
    store.keep_planted().context("record the objects")?;
    store.close().context("close the storage directory")?;
    writeln!(std::io::stdout().lock(), "{} files of {} bytes", args.objects, args.bytes)?;
    Ok(ExitCode::SUCCESS)
}

/// As an upload leaves it.
fn record(id: ObjectId, number: u64, length: u64, started_ms: u64) -> Record {
    let filename = format!("planted-{number}.bin");
    let at = started_ms.saturating_sub(number);
    Record {
        id,
        created_ms: at,
        metadata: Some(format!("filename {}", STANDARD.encode(&filename))),
        filename,
        mime: None,
        checksum: String::new(),
        length: Some(length),
        keep: Keep { policy: Policy::Permanent, ttl_s: None },
        kind: Kind::File,
        completed_ms: Some(at),
        download_count: 0,
        once: Default::default(),
        idempotency_key: None,
        owner: None,
        maker: String::new(),
        surface: SurfaceId::EasyTransfer,
        key: String::new(),
        detail: serde_json::Value::Null,
    }
}
