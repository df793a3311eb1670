//! Windows that are measured together, in turns, so that their figures may be compared.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::figure::{Figure, Metric, Sample, Samples, sample};
use crate::peer::Peer;
use crate::placement::Placement;
use crate::record::{Record, per_gib};
use crate::server_process::usage;
use crate::units::GIB;
use crate::view::View;
use crate::window::{Scratch, Window};
use crate::workload::Workload;

/// A group of rows of the table.
pub struct Scene {
    /// Names it on the command line and in files.
    pub name: String,
    /// How it is measured, a sentence or two.
    pub how: String,
    /// The file system under test.
    pub dir: PathBuf,
    /// What was written is removed after the last round only: for many small files, because ext4 is slow to make files
    /// where some were deleted in the last minutes (it looks at every such inode again), and that would be our doing.
    pub removes_late: bool,
    pub entrants: Vec<Entrant>,
    pub figures: Vec<Figure>,
}

/// One window of every round.
pub struct Entrant {
    pub name: String,
    pub peer: Peer,
    pub placement: Placement,
    pub load: Load,
}

/// What is done to a started server.
pub enum Load {
    Workload(Workload),
    /// The first is measured while the second goes on.
    Beside(Workload, Workload),
    /// Another program is timed from start to end.
    Program(Program),
}

/// A line for `sh -e`, which sees `$URL`, `$DIR` (fresh) and the variables given.
pub struct Program {
    /// Untimed, before.
    pub prepare: String,
    pub line: String,
    pub variables: Vec<(&'static str, String)>,
    /// File bytes that it moves.
    pub bytes: u64,
}

/// What a scene came to: samples by entrant and round, the records of the last round, and what went wrong.
#[derive(Default)]
pub struct Outcome {
    pub samples: Samples,
    pub records: Vec<Record>,
    pub notes: Vec<String>,
}

impl Scene {
    /// Every entrant once per round; each round begins with another one. `touch`: free memory, before every window.
    pub fn measure(&self, rounds: u32, touch: bool, say: &dyn Fn(&str)) -> Outcome {
        let (mut outcome, mut kept) = (Outcome::default(), Vec::new());
        for round in 0..rounds as usize {
            for turn in 0..self.entrants.len() {
                let entrant = &self.entrants[(turn + round) % self.entrants.len()];
                if touch {
                    touch_memory();
                }
                let (said, record) = match entrant.measure(self) {
                    Ok((said, record, scratch)) => {
                        kept.extend(Some(scratch).filter(|_| self.removes_late));
                        (said, record)
                    }
                    Err(error) => {
                        outcome.note(format!("{}: {error:#}", entrant.name));
                        (None, None)
                    }
                };
                let text = said.as_ref().map_or_else(|| "-".into(), line);
                say(&format!("{} {}/{rounds} {:16} {text}", self.name, round + 1, entrant.name));
                for (kind, count) in record.iter().flat_map(|record| &record.window.failures) {
                    outcome.note(format!("{}: {count} × {kind}", entrant.name));
                }
                outcome.samples.entry(entrant.name.clone()).or_default().push(said);
                if round + 1 == rounds as usize {
                    outcome.records.extend(record);
                }
            }
        }
        // By name, also when another one came first in the last round.
        let place = |record: &Record| self.entrants.iter().position(|entrant| entrant.name == record.label);
        outcome.records.sort_by_key(place);
        outcome
    }
}

impl Outcome {
    fn note(&mut self, text: String) {
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }
}

fn line(said: &Sample) -> String {
    said.iter()
        .map(|(metric, value)| format!("{} {}", metric.show(*value), metric.name()))
        .collect::<Vec<_>>()
        .join("  ")
}

impl Entrant {
    fn measure(&self, scene: &Scene) -> Result<(Option<Sample>, Option<Record>, Scratch)> {
        let window = Window::open(&self.peer, &scene.dir, &self.placement)?;
        let threads = self.placement.load_cpus as u32;
        let run = |workload: &Workload, threads| window.measure(&self.name, workload, threads, &mut View::Silent);
        let record = match &self.load {
            Load::Workload(workload) => run(workload, threads)?,
            Load::Beside(measured, beside) => std::thread::scope(|scope| {
                let other = scope.spawn(|| run(beside, 1));
                let record = run(measured, threads);
                other.join().expect("a run returns its errors").context("the load beside")?;
                record
            })?,
            Load::Program(program) => {
                let said = program.time(&window)?;
                return Ok((Some(said), None, window.close()));
            }
        };
        Ok((record.as_ref().map(sample), record, window.close()))
    }
}

impl Program {
    fn time(&self, window: &Window<'_>) -> Result<Sample> {
        self.run(&self.prepare, window)?;
        let before = usage(&[window.server.pid()])?;
        let start = Instant::now();
        self.run(&self.line, window)?;
        let seconds = start.elapsed().as_secs_f64();
        let cpu = usage(&[window.server.pid()])?.cpu_seconds - before.cpu_seconds;
        let mut said =
            Sample::from([(Metric::BytesPerSecond, self.bytes as f64 / seconds), (Metric::ServerCpus, cpu / seconds)]);
        // `dd` asks nothing of the server.
        said.extend(per_gib(cpu, self.bytes).filter(|cpu| *cpu > 0.0).map(|cpu| (Metric::CpuPerGib, cpu)));
        Ok(said)
    }

    fn run(&self, line: &str, window: &Window<'_>) -> Result<()> {
        let mut command = Command::new("sh");
        let dir = &window.scratch.0;
        command.args(["-ec", line]).current_dir(dir).env("HOME", dir).env("DIR", dir).env("URL", &window.server.url);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = command.stdin(Stdio::null()).output().context("start sh")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{line}: {}: {}", output.status, said.trim());
        Ok(())
    }
}

/// Virtual machines hand free memory back to their host: asked for here, it is there when the window wants it.
fn touch_memory() {
    const TOUCHED: u64 = GIB;
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0);
    if kib * 1024 > 2 * TOUCHED {
        std::hint::black_box(vec![1_u8; TOUCHED as usize]);
    }
}
