//! What happens without being asked for: counts are written down, and what expired goes (CONTRACT.md §5).

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::delete::{is_expired, remove};
use super::downloads::FLUSH;
use super::file;
use super::tus::finished;
use crate::catalogue::WriteError;
use crate::core::SurfaceId;
use crate::surface::pyblobserver::Service;
use crate::surface::pyblobserver::settings::PyBlobServer;

/// How often what expired is looked for.
const SWEEP: Duration = Duration::from_secs(3600);

/// Until the runtime ends.
pub async fn run(app: Service) {
    let (mut flush, mut sweeps) = (interval(FLUSH), interval(SWEEP));
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_behind = false;
    loop {
        tokio::select! {
            _ = flush.tick() => {
                let flushed = app.flush().await;
                if let Err(error) = &flushed
                    && !is_behind
                {
                    tracing::warn!(%error, "write down downloads; they stay counted and are tried again");
                }
                is_behind = flushed.is_err();
            }
            _ = sweeps.tick() => {
                if let Err(error) = sweep(&app).await {
                    tracing::warn!(%error, "sweep away files that expired");
                }
            }
        }
    }
}

/// Removes what expired, of everybody.
pub(super) async fn sweep(app: &Service) -> Result<(), WriteError> {
    for user in finished::users(&app.node) {
        finished::count(app, &user).await?;
    }
    let config = app.node.config();
    let settings = config.surfaces.of::<PyBlobServer>();
    // PROMISES.md P11: right after a step of the clock nothing has expired.
    if !settings.mount.enabled || !settings.auto_cleanup || !app.node.clock.agrees() {
        return Ok(());
    }
    let (days, now) = (settings.expire_days, app.node.clock.now_ms());
    let files = app.node.records_under(SurfaceId::PyBlobServer, "");
    let users: BTreeSet<&str> =
        files.iter().filter(|entry| is_expired(entry, days, now)).map(|entry| file::user_of(&entry.record)).collect();
    for user in users {
        let removed = remove(app, user, |entry| is_expired(entry, days, now)).await?;
        tracing::info!(removed, "files of a user expired");
    }
    Ok(())
}
