//! et-bench: load tests whose figures can be quoted. It composes; the pieces in reading order:
//!
//! ```text
//! cli ─► workload, target ─► run ─► fleet ─► work ─► load ─► record ─► report
//! ```
//!
//! *Absent on purpose:* it knows the server under test by its sockets and its pid alone; it links none of its code.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use cli::{Cli, Command, RunArgs};
use record::Record;
use report::summary;
use report::view::View;

mod cli;
mod content;
mod fleet;
mod load;
mod machine;
mod nic;
mod record;
mod report;
mod run;
mod server_process;
mod target;
mod units;
mod work;
mod workload;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => run(&args),
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
    let mut view = if args.quiet { View::Silent } else { View::Lines };
    let record = run.measure(&mut view)?;
    if let Some(path) = &args.json {
        record.save(path)?;
    }
    print(&summary::text(&record));
    Ok(verdict(&record))
}

/// A run whose bytes were wrong, or in which nothing succeeded, has failed.
fn verdict(record: &Record) -> ExitCode {
    let wrong = !record.verify.read_back.failures.is_empty() || record.window.failures.contains_key("wrong bytes");
    let nothing = !record.operations.is_empty() && record.window.completed == 0 && record.failed() > 0;
    if wrong || nothing { ExitCode::FAILURE } else { ExitCode::SUCCESS }
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
