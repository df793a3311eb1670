//! Uploads that are not continued (CONTRACT.md §7), looked for every `cleanup_interval_seconds`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::name::Name;
use super::refusal::Refusal;
use super::{Job, store};
use crate::core::SurfaceId;
use crate::node::Edit;
use crate::surface::secure_file_transfer::Service;
use crate::surface::secure_file_transfer::settings::SecureFileTransfer;

const SURFACE: SurfaceId = SurfaceId::SecureFileTransfer;
/// How often it is looked whether the settings changed.
const TICK: Duration = Duration::from_secs(1);

/// Runs for the life of the node.
pub async fn run(app: Service) {
    let (mut waited, mut stopping) = (Duration::ZERO, app.stopping.clone());
    let mut known = None;
    loop {
        let config = app.node.config();
        let config = config.surfaces.of::<SecureFileTransfer>();
        if known.as_ref() != Some(&config.devices) {
            app.hashes.follow(config, &app.passwords).await;
            known = Some(config.devices.clone());
        }
        if waited >= Duration::from_secs(config.cleanup_interval_seconds.max(1)) {
            waited = Duration::ZERO;
            // PROMISES.md P11: right after a step of the clock nothing has gone stale.
            if app.node.clock.agrees() {
                once(&app, config).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => waited += TICK,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

async fn once(app: &Service, config: &SecureFileTransfer) {
    for key in store::keys(&app.node) {
        if let Err(refusal) = tidy(app, config, &key).await {
            tracing::error!(?refusal, "tidy up a stale upload");
        }
    }
    let before = app.node.clock.now_ms().saturating_sub(config.stale_upload_timeout_seconds.saturating_mul(1000));
    let waiting = app.node.records_under(SURFACE, store::WAITING);
    let stale = waiting.iter().map(|entry| &entry.record).filter(|record| record.created_ms < before);
    let edit = stale.fold(Edit::default(), |edit, record| edit.delete(record.id));
    if let Err(error) = app.node.edit(edit).await {
        tracing::error!(%error, "remove bytes that are no longer asked for");
    }
}

/// One name.
async fn tidy(app: &Service, config: &SecureFileTransfer, key: &str) -> Result<(), Refusal> {
    let now = app.node.clock.now_ms();
    let is_over = |since_ms: u64, seconds: u64| since_ms.saturating_add(seconds.saturating_mul(1000)) <= now;
    let is_stale = |name: &Name| {
        name.upload.as_ref().is_some_and(|upload| is_over(upload.last_ms, config.stale_upload_timeout_seconds))
    };
    let keep_s = config.partial_retention_seconds;
    let is_old_rest = |name: &Name| {
        name.file.as_ref().is_some_and(|file| keep_s > 0 && file.is_partial && is_over(file.modified_ms, keep_s))
    };
    let seen = store::read(app, key)?;
    if !is_stale(&seen) && !is_old_rest(&seen) {
        return Ok(());
    }
    let Some(job) = Job::of_key(key) else { return Err(Refusal::Internal) };
    let rest = Job { name: format!("{}.partial", job.name), device: job.device.clone() };
    let rest_key = rest.key();
    // In the order of the keys: this one is the start of the other.
    let _alone = app.node.locks.lock(SURFACE, key).await;
    let _rest_alone = app.node.locks.lock(SURFACE, &rest_key).await;
    let before = store::read(app, key)?;
    let mut after = (*before).clone();
    if is_old_rest(&before) {
        after.file = None;
    }
    let stale = if is_stale(&before) { after.upload.take() } else { None };
    // A file of this name stays, and what was to replace it goes.
    let Some(upload) = stale.filter(|_| after.file.is_none()) else {
        return Ok(app.node.edit(store::change(key, &before, &after)).await?);
    };
    let rest_before = store::read(app, &rest_key)?;
    let rest_after = Name { file: Some(upload.into_partial(app.node.new_id(), now)), upload: None };
    let moved = rest_after.objects();
    let edit = store::change_and_keep(Edit::default(), key, &before, &after, &moved);
    let edit = store::change_and_keep(edit, &rest_key, &rest_before, &rest_after, &BTreeSet::new());
    Ok(app.node.edit(edit).await?)
}
