//! Uploads that are not continued, and what is remembered of finished and cancelled ones (CONTRACT.md §1).

use std::time::Duration;

use super::store;
use crate::core::SurfaceId;
use crate::surface::stream_upload::Service;
use crate::surface::stream_upload::settings::StreamUpload;

/// How often it is looked whether it is time.
const TICK: Duration = Duration::from_secs(1);

/// Runs for the life of the node.
pub async fn run(app: Service) {
    let (mut waited, mut stopping) = (Duration::ZERO, app.stopping.clone());
    loop {
        let interval = app.node.config().surfaces.of::<StreamUpload>().cleanup_interval_seconds.max(1);
        if waited >= Duration::from_secs(interval) {
            waited = Duration::ZERO;
            // PROMISES.md P11: right after a step of the clock nothing is over.
            if app.node.clock.agrees() {
                once(&app).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => waited += TICK,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

async fn once(app: &Service) {
    let config = app.node.config();
    let settings = config.surfaces.of::<StreamUpload>();
    for key in store::keys(&app.node) {
        let is_over = |state: &store::State| state.is_over(settings, app.node.clock.now_ms());
        let Ok(Some(_)) = store::read_any(&app.node, &key).map(|state| state.filter(is_over)) else { continue };
        let _alone = app.node.locks.lock(SurfaceId::StreamUpload, &key).await;
        let Ok(Some(state)) = store::read_any(&app.node, &key).map(|state| state.filter(is_over)) else { continue };
        let Ok(edit) = store::change(&app.node, &key, Some(&state), None) else { continue };
        if let Err(error) = app.node.edit(edit).await {
            tracing::error!(%error, "remove an upload that is over");
        }
    }
}
