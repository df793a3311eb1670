//! What is shown while a run goes on, on standard error: a line per second, or nothing.

use std::io::Write as _;

use anyhow::Result;

use crate::record::Second;
use crate::run::Run;
use crate::units::{bytes, digits, nanoseconds};

/// Where the seconds go.
pub enum View {
    Silent,
    Lines,
}

impl View {
    pub fn begin(&mut self, run: &Run) {
        if let Self::Lines = self {
            let (name, url) = (&run.workload.name, run.target.url());
            let (warm_up, duration) = (run.workload.warm_up, run.workload.duration);
            say(&format!("{name} against {url}: {warm_up} of warm-up, then {duration}"));
        }
    }

    pub fn second(&mut self, second: &Second) {
        if let Self::Lines = self {
            say(&line(second));
        }
    }

    /// Looks at the keyboard, where there is one.
    pub fn poll(&mut self) -> Result<()> {
        Ok(())
    }

    pub fn end(&mut self) {}
}

/// A reader that has gone away (`2>&1 | head`) is no reason to stop measuring.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// One second in one line.
pub fn line(second: &Second) -> String {
    let per_second = |value: u64| value as f64 / second.length_seconds;
    let time = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), nanoseconds);
    let mut line = format!(
        "{:>4} s  {:>8} op/s  up {:>10}/s  down {:>10}/s  p50 {:>8}  p99 {:>8}  failed {}",
        second.second + 1,
        digits(per_second(second.completed)),
        bytes(per_second(second.sent_bytes)),
        bytes(per_second(second.received_bytes)),
        time(second.p50_ns),
        time(second.p99_ns),
        second.failed,
    );
    if let Some(server) = second.server {
        let cpu = server.cpu_seconds / second.length_seconds * 100.0;
        line += &format!("  server {cpu:.0} % cpu, {}", bytes(server.resident_bytes as f64));
    }
    line
}
