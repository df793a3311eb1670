//! Taking up a changed configuration while the node runs (easytransfer/CONTRACT.md §7, §9.6): asked for by a request,
//! or noticed in the file.
//!
//! Order, and what breaks if a line moves: read → check as a whole (a broken file changes nothing) → tokens → settings →
//! end every grant given under the old ones.

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use tokio::sync::Mutex;

use crate::app::App;
use crate::authority::first_token;
use crate::authority::keys::Keys;
use crate::config::reload::{Reloaded, reload};
use crate::config::{Config, ConfigError, Sources};

/// Where the settings come from; one reload at a time.
#[derive(Debug)]
pub struct Reloading {
    sources: Sources,
    alone: Mutex<()>,
}

/// Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum NotReloaded {
    /// The file cannot be used; the text says where it is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The node's own token, needed because the list is empty now, cannot be kept.
    #[error("keep the node's own token: {0}")]
    Token(io::Error),
}

impl Reloading {
    /// Reads from `sources`.
    pub fn of(sources: Sources) -> Self {
        Self { sources, alone: Mutex::default() }
    }

    /// The configuration file, if there is one.
    pub fn file(&self) -> Option<&PathBuf> {
        self.sources.file.as_ref()
    }
}

impl App {
    /// Reads the configuration again and takes up its hot fields; `None`: there is no file to read.
    pub async fn reload(&self) -> Result<Option<Reloaded>, NotReloaded> {
        if self.reloading.file().is_none() {
            return Ok(None);
        }
        let reloaded = self.read_again().await;
        self.metrics.count_reload(reloaded.is_ok());
        reloaded.map(Some)
    }

    async fn read_again(&self) -> Result<Reloaded, NotReloaded> {
        let _alone = self.reloading.alone.lock().await;
        let sources = self.reloading.sources.clone();
        let running = self.node.config();
        let work = move || -> Result<(Reloaded, Keys), NotReloaded> {
            let loaded = sources.read()?;
            loaded.unknown.iter().for_each(|key| tracing::warn!(key, "unknown key, ignored"));
            let reloaded = reload(&running, loaded)?;
            let keys = keys(&reloaded.config).map_err(NotReloaded::Token)?;
            Ok((reloaded, keys))
        };
        let read = tokio::task::spawn_blocking(work).await;
        let (reloaded, keys) = read.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        if !reloaded.changes.is_empty() {
            self.authority.replace(keys);
            self.authority.guesses.obey(reloaded.config.auth.failures());
            self.node.reconfigure(reloaded.config.clone());
            let fields: Vec<&String> = reloaded.changes.keys().collect();
            tracing::info!(?fields, "the configuration was reloaded");
        }
        Ok(reloaded)
    }
}

fn keys(config: &Config) -> io::Result<Keys> {
    let first = first_token::needed(config)?;
    Ok(Keys::of(config, first.as_ref().map(|first| &first.token)))
}

/// Looks at the file's modification time until the runtime ends; does nothing unless `config_watch` is on.
pub async fn watch(app: App) {
    let config = app.node.config();
    let Some(file) = app.reloading.file().filter(|_| config.server.config_watch) else { return };
    let mut seen = modified(file).await;
    let mut tick = tokio::time::interval(config.server.config_watch_interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let now = modified(file).await;
        // A file that is away for a moment (an editor replaces it) is no change.
        if now.is_none() || now == seen {
            continue;
        }
        seen = now;
        if let Err(error) = app.reload().await {
            tracing::error!(%error, "the configuration file changed and cannot be used; the running settings stay");
        }
    }
}

/// Reads the configuration again at each SIGHUP, as daemons do.
pub async fn on_hang_up(app: App) {
    let mut hang_up = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        Ok(hang_up) => hang_up,
        Err(error) => return tracing::warn!(%error, "listen for SIGHUP; `et server reload` does the same"),
    };
    while hang_up.recv().await.is_some() {
        match app.reload().await {
            Ok(Some(_)) => {}
            Ok(None) => tracing::info!("SIGHUP: there is no configuration file to read"),
            Err(error) => {
                tracing::error!(%error, "SIGHUP: the configuration cannot be used; the running settings stay")
            }
        }
    }
}

async fn modified(file: &PathBuf) -> Option<SystemTime> {
    tokio::fs::metadata(file).await.ok()?.modified().ok()
}
