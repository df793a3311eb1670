//! et-bench: load tests whose figures can be quoted. It composes; the pieces in reading order:
//!
//! ```text
//! cli ─► workload, target ─► run ─► fleet ─► work ─► load ─► record ─► report
//! ```
//!
//! *Absent on purpose:* it knows the server under test by its sockets and its pid alone; it links none of its code.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use cli::{Cli, Command, FiguresArgs, PeersArgs, RunArgs, SweepArgs};
use record::Record;
use report::{html, summary};
use sweep::{Over, Step, Sweep};
use view::View;

mod bare;
mod cli;
mod compare;
mod content;
mod figures;
mod fleet;
mod load;
mod machine;
mod nic;
mod peer;
mod peers;
mod placement;
mod record;
mod report;
mod run;
mod server_process;
mod slo;
mod sweep;
mod target;
mod units;
mod view;
mod window;
mod work;
mod workload;

/// Exit code of a run that missed an objective; 1 is a failed run, 2 a wrong command line.
const SLO_MISSED: u8 = 3;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Sweep(args) => sweep(&args),
        Command::Peers(args) => peers(&args),
        Command::Figures(args) => figures(&args),
        Command::Bare { port, dir, sink } => bare::serve(port, &dir, sink).map(|()| ExitCode::SUCCESS),
        Command::Compare { a, b } => compare(&a, &b),
        Command::Html { records, output } => page(&records, &output),
        Command::Presets => presets(),
        Command::Worker => work::work_on_pipes().map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "et-bench: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(args: &RunArgs) -> Result<ExitCode> {
    let run = args.load.run(&args.target)?;
    // The view ends with this statement: what follows is printed on a terminal that is a terminal again.
    let record = run.measure(&mut if args.quiet { View::Silent } else { View::of_terminal()? })?;
    if let Some(path) = &args.json {
        record.save(path)?;
    }
    if let Some(path) = &args.html {
        write_page(path, std::slice::from_ref(&record))?;
    }
    print(&summary::text(&record));
    let verdicts: Vec<slo::Verdict> = args.slo.iter().map(|slo| slo.judge(&record)).collect();
    verdicts.iter().for_each(|verdict| print(&format!("slo          {}\n", verdict.text)));
    Ok(match (is_sound(&record), verdicts.iter().all(|verdict| verdict.kept)) {
        (false, _) => ExitCode::FAILURE,
        (true, false) => ExitCode::from(SLO_MISSED),
        (true, true) => ExitCode::SUCCESS,
    })
}

/// A run whose bytes were wrong, or in which nothing succeeded, has failed.
fn is_sound(record: &Record) -> bool {
    let wrong = !record.verify.read_back.failures.is_empty() || record.window.failures.contains_key("wrong bytes");
    let nothing = !record.operations.is_empty() && record.window.completed == 0 && record.failed() > 0;
    !wrong && !nothing
}

fn sweep(args: &SweepArgs) -> Result<ExitCode> {
    let mut run = args.load.run(&args.target)?;
    let mut sweep = Sweep::new(args.over, args.first, args.most);
    while let Some(at) = sweep.next() {
        match args.over {
            Over::Connections => {
                run.workload.connections = (at as u32).max(1).next_multiple_of(run.workload.lane_width());
            }
            Over::Rate => run.workload.rate = Some(at),
        }
        let record = run.measure(&mut View::Silent)?;
        let step = Step::of(at, args.over, &record, &args.slo);
        print(&format!("{}\n", step.text()));
        sweep.add(step);
    }
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&sweep).context("write a sweep as JSON")?;
        std::fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))?;
    }
    let Some(knee) = &sweep.knee else {
        print("no knee: the first step was not sustained; lower --first\n");
        return Ok(ExitCode::from(SLO_MISSED));
    };
    print(&format!("knee {}\n", knee.text().trim_start()));
    Ok(ExitCode::SUCCESS)
}

fn peers(args: &PeersArgs) -> Result<ExitCode> {
    let matrix = args.matrix()?;
    if let Some(dir) = &args.output {
        std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    }
    let mut save = |round: u32, record: &Record| match &args.output {
        None => Ok(()),
        Some(dir) => record.save(&dir.join(format!("{}-{}-{}.json", record.workload.name, record.label, round + 1))),
    };
    let records = matrix.measure(&mut View::Lines, &mut save)?;
    if let Some(dir) = &args.output {
        for workload in &matrix.workloads {
            // One run of each: more would be too many lines in one plot.
            let mut shown: Vec<Record> = Vec::new();
            for record in records.iter().filter(|record| record.workload.name == workload.name) {
                if shown.iter().all(|other| other.label != record.label) {
                    shown.push(record.clone());
                }
            }
            write_page(&dir.join(format!("{}.html", workload.name)), &shown)?;
        }
    }
    print(&matrix.text(&records));
    Ok(if records.iter().all(is_sound) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn figures(args: &FiguresArgs) -> Result<ExitCode> {
    figures::isolate::enter()?;
    let say = |line: &str| {
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    };
    let file = figures::measure(&args.options(), &args.scenes, args.rounds, &args.output, &say)?;
    let path = args.output.join("figures.html");
    std::fs::write(&path, report::figures::page(&file, &args.output))
        .with_context(|| format!("write {}", path.display()))?;
    print(&file.markdown());
    Ok(ExitCode::SUCCESS)
}

fn compare(a: &Path, b: &Path) -> Result<ExitCode> {
    print(&compare::text(&Record::load(a)?, &Record::load(b)?));
    Ok(ExitCode::SUCCESS)
}

fn page(records: &[PathBuf], output: &Path) -> Result<ExitCode> {
    let records = records.iter().map(|path| Record::load(path)).collect::<Result<Vec<_>>>()?;
    write_page(output, &records)?;
    Ok(ExitCode::SUCCESS)
}

fn write_page(path: &Path, records: &[Record]) -> Result<()> {
    std::fs::write(path, html::page(records)).with_context(|| format!("write {}", path.display()))
}

fn presets() -> Result<ExitCode> {
    let lines = workload::PRESETS.map(|(name, what, _)| format!("{name:10} {what}\n"));
    print(&lines.concat());
    Ok(ExitCode::SUCCESS)
}

/// A reader that has gone away is a normal end.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
