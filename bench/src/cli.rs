//! The command line: flags over a workload, and who the target is.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Parser, Subcommand};

use crate::bare::Sink;
use crate::figures::table::Options;
use crate::fleet::Launch;
use crate::machine;
use crate::peer::Peer;
use crate::peers::Matrix;
use crate::run::Run;
use crate::slo::Slo;
use crate::sweep::Over;
use crate::target::{Dialect, Target, Token};
use crate::units::{Bytes, MIB, Span};
use crate::workload::Workload;

/// Load tests for servers that take and give files: this one, any TUS server, and plain PUT and GET.
#[derive(Debug, Parser)]
#[command(name = "et-bench", version, about, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one workload: a preset or a YAML file
    Run(Box<RunArgs>),
    /// Find the knee: connections or rate are raised until more brings nothing more
    Sweep(Box<SweepArgs>),
    /// Start several servers here and put all of them through the same workloads: nginx, this one, any binary given
    Peers(PeersArgs),
    /// The table of figures: every goal beside what is measured here, against nginx and every other server given
    Figures(FiguresArgs),
    /// Two records side by side: ratios, and the bounds within which they are noise
    Compare { a: PathBuf, b: PathBuf },
    /// One page with plots about one or several records
    Html {
        #[arg(required = true, value_name = "RECORD")]
        records: Vec<PathBuf>,
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// List the presets
    Presets,
    /// The bare loop that `figures` holds servers against (started by it)
    #[command(hide = true)]
    Bare { port: u16, dir: PathBuf, sink: Sink },
    /// A worker of a run on another machine: orders on standard input (started by `--worker`)
    #[command(hide = true)]
    Worker,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub load: LoadArgs,
    /// Write the record here (schema: bench/src/record.rs)
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with plots here
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// What the run must keep, else the exit code is 3: p99=5ms, errors=0.1%, rate=1000, throughput=1GiB, cpu=0.13
    #[arg(long, value_name = "OBJECTIVE")]
    pub slo: Vec<Slo>,
    /// No lines while it runs
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct SweepArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub load: LoadArgs,
    /// What is raised
    #[arg(long, value_enum, default_value_t = Over::Connections)]
    pub over: Over,
    /// First value
    #[arg(long, default_value_t = 1.0)]
    pub first: f64,
    /// Largest value
    #[arg(long, default_value_t = 1024.0)]
    pub most: f64,
    /// What every step must keep to count, as for `run`
    #[arg(long, value_name = "OBJECTIVE")]
    pub slo: Vec<Slo>,
    /// Write the steps and the knee here (form: bench/src/sweep.rs)
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct PeersArgs {
    /// A server: NAME=BINARY for et, nginx, tusd, rustus, dufs, rclone, or NAME=DIALECT:PATH:COMMAND with {port} and {dir};
    /// the first one is the reference
    #[arg(long, required = true, value_name = "PEER")]
    pub peer: Vec<Peer>,
    /// Workloads: presets or files
    #[arg(long, value_delimiter = ',', default_value = "upload,download,small")]
    pub workloads: Vec<String>,
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,
    /// Servers store below it: the file system under test
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    pub dir: PathBuf,
    /// Write every record and a page per workload into this directory
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    #[arg(long, short)]
    pub duration: Option<Span>,
    #[arg(long)]
    pub warm_up: Option<Span>,
    /// Size of a file, in all workloads
    #[arg(long)]
    pub size: Option<Bytes>,
    /// Uploaded bytes that may lie at a server
    #[arg(long)]
    pub room: Option<Bytes>,
    /// Compare what is downloaded, and read back what was uploaded
    #[arg(long)]
    pub verify: bool,
    /// Threads of the load
    #[arg(long, default_value_t = 1)]
    pub threads: u32,
}

impl PeersArgs {
    pub fn matrix(&self) -> Result<Matrix> {
        let one = |name: &String| {
            let mut workload = Workload::named(name)?;
            put(&mut workload.duration, self.duration);
            put(&mut workload.warm_up, self.warm_up);
            put(&mut workload.room, self.room);
            workload.verify |= self.verify;
            workload.operations.iter_mut().for_each(|operation| put(&mut operation.size, self.size));
            anyhow::Ok(workload)
        };
        Ok(Matrix {
            peers: self.peer.clone(),
            workloads: self.workloads.iter().map(one).collect::<Result<_>>()?,
            rounds: self.rounds,
            dir: self.dir.clone(),
            threads: self.threads,
        })
    }
}

#[derive(Debug, Args)]
pub struct FiguresArgs {
    /// A server, as for `peers`; et and nginx must be among them
    #[arg(long, required = true, value_name = "PEER")]
    pub peer: Vec<Peer>,
    /// Servers store below it: the file system under test; several: uploads are measured on each
    #[arg(long, default_values_os_t = [std::env::temp_dir()])]
    pub dir: Vec<PathBuf>,
    /// Scenes to measure, the others stay as they are in the output [default: all]
    #[arg(long, value_delimiter = ',')]
    pub scenes: Vec<String>,
    /// figures.json, figures.html and the records of the last round go there
    #[arg(long, short, default_value = "figures", value_name = "DIR")]
    pub output: PathBuf,
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,
    #[arg(long, short, default_value = "4s")]
    pub duration: Span,
    #[arg(long, default_value = "1s")]
    pub warm_up: Span,
    /// Of the one file that `et upload` and `et download` move
    #[arg(long, default_value = "4GiB")]
    pub size: Bytes,
    /// Idle connections
    #[arg(long, default_value_t = 10_000)]
    pub idle: u32,
    /// Few connections, small files, short windows: whether everything runs, not how fast
    #[arg(long)]
    pub quick: bool,
}

impl FiguresArgs {
    pub fn options(&self) -> Options {
        let given = Options {
            peers: self.peer.clone(),
            dirs: self.dir.clone(),
            duration: self.duration,
            warm_up: self.warm_up,
            size: self.size,
            idle: self.idle,
            most: None,
        };
        if !self.quick {
            return given;
        }
        let (duration, warm_up) = (Span(Duration::from_millis(200)), Span::default());
        Options { duration, warm_up, size: Bytes(8 * MIB), idle: 20, most: Some(8), ..given }
    }
}

#[derive(Debug, Args)]
pub struct TargetArgs {
    /// Where it listens, with the path of its TUS endpoint or its files; several: connections are dealt out over them
    #[arg(long, required = true, value_name = "URL", env = "ET_BENCH_URL")]
    pub url: Vec<String>,
    /// What it speaks
    #[arg(long, value_enum, default_value_t = Dialect::Easytransfer)]
    pub dialect: Dialect,
    /// A file with the token for X-API-Token; without it ET_BENCH_TOKEN is used. No flag takes the token itself
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Local address to connect from, to choose the interface; several: in turn
    #[arg(long, value_name = "IP")]
    pub from: Vec<IpAddr>,
    /// Process of the server, when it runs here: its CPU and memory are recorded, its children's too; several: added up
    #[arg(long, value_name = "PID")]
    pub pid: Vec<u32>,
}

/// What may be said over the workload. Those about operations hold for all of them.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// Name of a preset (`et-bench presets`) or a YAML file
    pub workload: String,
    /// Connections that work, all workers together
    #[arg(long, short)]
    pub connections: Option<u32>,
    /// Connections that are held beside the load
    #[arg(long)]
    pub idle: Option<u32>,
    /// Open loop: operations per second, all workers together
    #[arg(long)]
    pub rate: Option<f64>,
    /// Length of the window
    #[arg(long, short)]
    pub duration: Option<Span>,
    #[arg(long)]
    pub warm_up: Option<Span>,
    /// Longest exchange
    #[arg(long)]
    pub timeout: Option<Span>,
    /// Of the content
    #[arg(long)]
    pub seed: Option<u64>,
    /// Compare what is downloaded, and read back what was uploaded
    #[arg(long)]
    pub verify: bool,
    /// Leave uploaded files at the target
    #[arg(long)]
    pub keep: bool,
    /// Uploaded bytes that may lie at the target
    #[arg(long)]
    pub room: Option<Bytes>,
    /// Size of a file
    #[arg(long)]
    pub size: Option<Bytes>,
    /// Bytes per PATCH or range
    #[arg(long)]
    pub part: Option<Bytes>,
    /// Connections that share a file
    #[arg(long)]
    pub parallel: Option<u32>,
    /// Files to download from
    #[arg(long)]
    pub files: Option<u32>,
    /// A new connection for every operation
    #[arg(long)]
    pub fresh: bool,
    /// Threads of each worker [default: one per CPU]
    #[arg(long)]
    pub threads: Option<u32>,
    /// Worker processes on this machine instead of threads in this process
    #[arg(long, conflicts_with = "worker")]
    pub workers: Option<u32>,
    /// Command that runs et-bench somewhere ("ssh client2 et-bench"); several: as many workers
    #[arg(long, value_name = "COMMAND")]
    pub worker: Vec<String>,
    /// What reports call this run [default: the workload's name]
    #[arg(long)]
    pub label: Option<String>,
    /// Commit of the server [default: of the checkout this runs in]
    #[arg(long)]
    pub commit: Option<String>,
}

impl LoadArgs {
    pub fn workload(&self) -> Result<Workload> {
        let mut workload = Workload::named(&self.workload)?;
        put(&mut workload.connections, self.connections);
        put(&mut workload.idle, self.idle);
        put(&mut workload.duration, self.duration);
        put(&mut workload.warm_up, self.warm_up);
        put(&mut workload.timeout, self.timeout);
        put(&mut workload.seed, self.seed);
        put(&mut workload.room, self.room);
        workload.rate = self.rate.or(workload.rate);
        workload.verify |= self.verify;
        workload.keep |= self.keep;
        for operation in &mut workload.operations {
            put(&mut operation.size, self.size);
            put(&mut operation.part, self.part);
            put(&mut operation.parallel, self.parallel);
            put(&mut operation.files, self.files);
            operation.fresh |= self.fresh;
        }
        Ok(workload)
    }

    fn launch(&self) -> Result<Launch> {
        if let Some(workers) = self.workers {
            ensure!((1..=MOST_WORKERS).contains(&workers), "--workers takes 1 to {MOST_WORKERS}");
            let program = std::env::current_exe().context("path of this program")?;
            let program = program.to_str().context("the path of this program is text")?.to_owned();
            return Ok(Launch::Commands(vec![vec![program]; workers as usize]));
        }
        if self.worker.is_empty() {
            return Ok(Launch::Here);
        }
        ensure!(self.worker.len() <= MOST_WORKERS as usize, "at most {MOST_WORKERS} workers");
        let words = |command: &String| command.split_whitespace().map(str::to_owned).collect();
        Ok(Launch::Commands(self.worker.iter().map(words).collect()))
    }

    pub fn run(&self, target: &TargetArgs) -> Result<Run> {
        let workload = self.workload()?;
        Ok(Run {
            target: target.target()?,
            launch: self.launch()?,
            threads: self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get() as u32)),
            pids: target.pid.clone(),
            label: self.label.clone().unwrap_or_else(|| workload.name.clone()),
            commit: self.commit.clone().or_else(machine::commit),
            workload,
        })
    }
}

/// Worker numbers are a byte of the file numbers.
const MOST_WORKERS: u32 = 255;

impl TargetArgs {
    fn target(&self) -> Result<Target> {
        let token = match &self.token_file {
            Some(path) => {
                Some(std::fs::read_to_string(path).with_context(|| format!("read the token in {}", path.display()))?)
            }
            None => std::env::var("ET_BENCH_TOKEN").ok(),
        };
        let token = token.as_deref().map(Token::new).transpose()?;
        Ok(Target::new(self.dialect, &self.url, self.from.clone(), token)?)
    }
}

fn put<T>(place: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *place = said;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_go_over_the_workload() {
        let line = "et-bench run small --url http://127.0.0.1:1 -c 7 -d 3s --rate 50 --size 8KiB --fresh --verify";
        let Command::Run(args) = Cli::try_parse_from(line.split(' ')).expect("parses").command else {
            panic!("it is a run")
        };
        let workload = args.load.workload().expect("a workload");
        assert_eq!((workload.connections, workload.rate, workload.verify), (7, Some(50.0), true));
        assert_eq!(workload.duration, "3s".parse().expect("a time"));
        assert_eq!((workload.operations[0].size, workload.operations[0].fresh), (Bytes(8192), true));
    }
}
