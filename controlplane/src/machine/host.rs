//! How busy the machine is beside its NICs: processors and memory, looked at every few seconds. How full its disk is, the
//! data plane tells.

use std::sync::Arc;
use std::time::Duration;

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};
use tokio::sync::watch;

/// Between two looks; the processors' figure is the mean over it.
const PERIOD: Duration = Duration::from_secs(5);

/// What was seen last.
#[derive(Debug, Default)]
pub struct Host {
    usage: watch::Sender<Usage>,
}

/// At one moment; all 0 before the first one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Processors the machine has.
    pub cpus: usize,
    /// Of all of them together, 0 to 100.
    pub cpu_percent: f32,
    /// Bytes there are.
    pub memory: u64,
    /// Bytes that could be had.
    pub memory_available: u64,
}

impl Host {
    /// What was seen last.
    pub fn usage(&self) -> Usage {
        *self.usage.borrow()
    }

    /// Looks until the runtime ends.
    pub async fn follow(self: Arc<Self>) {
        let processors = CpuRefreshKind::nothing().with_usage();
        let kind = RefreshKind::nothing().with_cpu(processors).with_memory(MemoryRefreshKind::nothing().with_ram());
        let mut system = match System::new_with_specifics(kind) {
            Ok(system) => system,
            Err(error) => {
                tracing::warn!(%error, "how busy the machine is will not be known");
                return;
            }
        };
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            // It reads files: not on the runtime's own threads.
            let looked = tokio::task::spawn_blocking(move || {
                system.refresh_specifics(kind);
                system
            });
            let Ok(seen) = looked.await else { return };
            self.usage.send_replace(Usage {
                cpus: seen.cpus().len(),
                cpu_percent: seen.global_cpu_usage(),
                memory: seen.total_memory(),
                memory_available: seen.available_memory(),
            });
            system = seen;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_machine_has_processors_and_memory() {
        let host = Arc::new(Host::default());
        let mut seen = host.usage.subscribe();
        let following = tokio::spawn(Arc::clone(&host).follow());
        seen.changed().await.unwrap();
        let usage = host.usage();
        assert!(usage.cpus > 0 && (0.0..=100.0).contains(&usage.cpu_percent), "{usage:?}");
        assert!(usage.memory > 0 && (1..=usage.memory).contains(&usage.memory_available), "{usage:?}");
        following.abort();
    }
}
