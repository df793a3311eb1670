//! One window of a comparison: a fresh process in a fresh directory takes one workload, and both are gone again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};

use crate::fleet::Launch;
use crate::peer::{Peer, Running};
use crate::placement::Placement;
use crate::record::Record;
use crate::run::Run;
use crate::target::Target;
use crate::view::View;
use crate::workload::Workload;

/// A started server with its directory.
pub struct Window<'a> {
    peer: &'a Peer,
    pub server: Running,
    // Behind the server: removed when nothing writes there any more.
    pub scratch: Scratch,
}

impl<'a> Window<'a> {
    /// Starts `peer` below `dir`, on its CPUs; the calling thread becomes the load's.
    pub fn open(peer: &'a Peer, dir: &Path, placement: &Placement) -> Result<Self> {
        let scratch = Scratch::below(dir, &peer.name)?;
        placement.take_load()?;
        let server = peer.start(&scratch.0, placement.server.as_deref())?;
        Ok(Self { peer, server, scratch })
    }

    /// `None`: the server's dialect cannot do the workload.
    pub fn measure(&self, label: &str, workload: &Workload, threads: u32, view: &mut View) -> Result<Option<Record>> {
        let target = Target::new(self.peer.dialect, std::slice::from_ref(&self.server.url), Vec::new(), None)?;
        if target.check(workload).is_err() {
            return Ok(None);
        }
        let run = Run {
            target,
            workload: workload.clone(),
            launch: Launch::Here,
            threads,
            pids: vec![self.server.pid()],
            label: label.to_owned(),
            commit: None,
        };
        let record = run.measure(view).with_context(|| format!("{} against {label}", workload.name))?;
        Ok(Some(record))
    }
}

impl Window<'_> {
    /// Ends the server; its files stay until the directory is dropped.
    pub fn close(self) -> Scratch {
        self.scratch
    }
}

/// A directory of one window, removed on drop.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn below(dir: &Path, name: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::path::absolute(dir)?.join(format!("et-bench-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
