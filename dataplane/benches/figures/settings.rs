//! What one run measures, and with what.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use rustix::thread::{CpuSet, sched_getaffinity};

pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Upload,
    Download,
    Small,
    Idle,
}

const CASES: [(&str, Case); 4] =
    [("upload", Case::Upload), ("download", Case::Download), ("small", Case::Small), ("idle", Case::Idle)];

#[derive(Debug, Clone)]
pub struct Settings {
    cases: Vec<Case>,
    pub runs: usize,
    /// Everything is made, and removed, below this directory: the file system under test.
    pub dir: PathBuf,
    pub json: Option<PathBuf>,
    /// The `et` under test.
    pub et: Option<PathBuf>,
    pub files: usize,
    pub file_bytes: u64,
    pub patch_bytes: u64,
    pub small_connections: usize,
    pub small_seconds: f64,
    pub idle_connections: usize,
    pub touch: bool,
    /// Rows to run; empty: all.
    rows: Vec<String>,
    pub server_cpu: usize,
    pub load_cpu: usize,
}

impl Settings {
    /// `None`: not started by `cargo bench`, and nothing asked for (`cargo test --all-targets` runs benches too).
    pub fn parse(args: &[String]) -> Result<Option<Self>> {
        let mut settings = Self::default();
        let (mut by_cargo, mut args) = (false, args.iter());
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--bench" => by_cargo = true,
                "--runs" => settings.runs = value()?.parse()?,
                "--dir" => settings.dir = value()?.into(),
                "--json" => settings.json = Some(value()?.into()),
                "--files" => settings.files = value()?.parse()?,
                "--gib" => settings.file_bytes = value()?.parse::<u64>()? * GIB,
                "--idle" => settings.idle_connections = value()?.parse()?,
                "--seconds" => settings.small_seconds = value()?.parse()?,
                "--rows" => settings.rows = value()?.split(',').map(str::to_owned).collect(),
                "--skip-touch" => settings.touch = false,
                name => match CASES.iter().find(|(case, _)| *case == name) {
                    Some((_, case)) => settings.cases.push(*case),
                    None => bail!("{name} is neither a case nor an option; see benches/figures/main.rs"),
                },
            }
        }
        Ok((by_cargo || !settings.cases.is_empty()).then_some(settings))
    }

    pub fn wants(&self, case: Case) -> bool {
        self.cases.is_empty() || self.cases.contains(&case)
    }

    pub fn wants_row(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|wanted| wanted == row)
    }

    /// Server on the first CPU of the allowed mask, load on the second.
    pub fn on_allowed_cpus(mut self) -> Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cpus = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
        (self.server_cpu, self.load_cpu) = match (cpus.next(), cpus.next()) {
            (Some(server), Some(load)) => (server, load),
            _ => bail!("two CPUs are needed: one for the server, one for the load"),
        };
        Ok(self)
    }

    /// A fresh directory below [`Self::dir`], removed on drop.
    pub fn scratch(&self, name: &str) -> Result<tempfile::TempDir> {
        let dir = tempfile::Builder::new().prefix(&format!("figures-{name}-")).tempdir_in(&self.dir);
        dir.with_context(|| format!("make a directory below {}", self.dir.display()))
    }

    pub fn total_bytes(&self) -> u64 {
        self.files as u64 * self.file_bytes
    }
}

impl Default for Settings {
    fn default() -> Self {
        let et = std::env::var_os("ET_BIN").map(PathBuf::from).filter(|path| Path::exists(path));
        Self {
            cases: Vec::new(),
            runs: 5,
            dir: std::env::temp_dir(),
            json: None,
            et,
            files: 8,
            file_bytes: GIB,
            patch_bytes: 64 * MIB,
            small_connections: 32,
            small_seconds: 4.0,
            idle_connections: 5_000,
            touch: true,
            rows: Vec::new(),
            server_cpu: 0,
            load_cpu: 1,
        }
    }
}
