//! What is shown while a run goes on: the live view on a terminal, a line per second in a pipe, or nothing.

#[cfg(feature = "live")]
mod live;

use std::io::Write as _;

use anyhow::Result;

use crate::record::Second;
use crate::units::{bytes, digits, nanoseconds};
use crate::workload::Workload;

/// Where the seconds go.
pub enum View {
    Silent,
    /// Standard error.
    Lines,
    #[cfg(feature = "live")]
    Live(Box<live::Live>),
}

impl View {
    /// The live view where it was built in and standard output is a terminal; else lines.
    pub fn of_terminal() -> Result<Self> {
        #[cfg(feature = "live")]
        if std::io::IsTerminal::is_terminal(&std::io::stdout()) {
            return Ok(Self::Live(Box::new(live::Live::take_terminal()?)));
        }
        Ok(Self::Lines)
    }

    /// A run begins: what it is called, where it goes, and what it does.
    #[cfg_attr(not(feature = "live"), expect(unused_variables, reason = "only the live view shows the label"))]
    pub fn begin(&mut self, label: &str, url: &str, workload: &Workload) -> Result<()> {
        match self {
            Self::Silent => {}
            Self::Lines => {
                let Workload { name, warm_up, duration, .. } = workload;
                say(&format!("{name} against {url}: {warm_up} of warm-up, then {duration}"));
            }
            #[cfg(feature = "live")]
            Self::Live(live) => live.begin(label, url, workload)?,
        }
        Ok(())
    }

    pub fn second(&mut self, second: &Second) -> Result<()> {
        match self {
            Self::Silent => {}
            Self::Lines => say(&line(second)),
            #[cfg(feature = "live")]
            Self::Live(live) => live.second(second)?,
        }
        Ok(())
    }

    /// An error when the user wants to stop.
    pub fn poll(&mut self) -> Result<()> {
        match self {
            Self::Silent | Self::Lines => Ok(()),
            #[cfg(feature = "live")]
            Self::Live(live) => live.poll(),
        }
    }
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
