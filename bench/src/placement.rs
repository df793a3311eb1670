//! Which CPUs a measured server has, and which the load.

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// CPUs of one window.
#[derive(Debug, Clone)]
pub struct Placement {
    /// As `taskset -c` takes them; `None`: the server's threads go where the load's go.
    pub server: Option<String>,
    load: CpuSet,
    /// CPUs of the load.
    pub load_cpus: usize,
}

impl Placement {
    /// The server on the first CPU this process may use, the load on the others; both on the only one when there is one.
    pub fn apart() -> Result<Self> {
        let allowed = allowed()?;
        match allowed.split_first() {
            Some((server, load)) if !load.is_empty() => Ok(Self::new(Some(server.to_string()), load)),
            _ => Ok(Self::new(None, &allowed)),
        }
    }

    /// The server and the load on the first two CPUs, both of them on both.
    pub fn together() -> Result<Self> {
        let allowed = allowed()?;
        let two = &allowed[..allowed.len().min(2)];
        let list = two.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        Ok(Self::new(Some(list), two))
    }

    fn new(server: Option<String>, load: &[usize]) -> Self {
        let mut set = CpuSet::new();
        load.iter().for_each(|cpu| set.set(*cpu));
        Self { server, load: set, load_cpus: load.len() }
    }

    /// Keeps the calling thread, and those it starts from now on, on the load's CPUs.
    pub fn take_load(&self) -> Result<()> {
        sched_setaffinity(None, &self.load).context("keep the load on its CPUs")
    }
}

fn allowed() -> Result<Vec<usize>> {
    let allowed = sched_getaffinity(None).context("read the allowed CPUs")?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect())
}
