//! What a run must keep, as flags: `--slo p99=5ms --slo errors=0`. A missed one sets the exit code.
//!
//! | written | kept when |
//! |---|---|
//! | `p50=2ms`, `p99.9=20ms`, `max=1s` | the percentile is at most that |
//! | `errors=0`, `errors=0.1%` | at most this many operations failed or were missed, or that share of all |
//! | `rate=1000` | at least this many operations per second |
//! | `throughput=1GiB` | at least this many file bytes per second |
//! | `cpu=0.13` | at most this many CPU seconds of the server per GiB |
//!
//! `small:p99=5ms` looks at the operation `small` alone (percentiles only). What was not measured is not kept.

use std::fmt;
use std::str::FromStr;

use crate::record::Record;
use crate::units::{Bytes, Span, bytes, digits, nanoseconds};

/// One objective.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    text: String,
    operation: Option<String>,
    bound: Bound,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    /// Quantile, and nanoseconds at most.
    Latency(f64, u64),
    Errors(u64),
    ErrorShare(f64),
    Rate(f64),
    Throughput(u64),
    CpuPerGib(f64),
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no objective: write p99=5ms, errors=0, errors=0.1%, rate=1000, throughput=1GiB or cpu=0.13")]
pub struct NotAnSlo(String);

/// An objective after a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub kept: bool,
    /// The objective and what was measured.
    pub text: String,
}

impl FromStr for Slo {
    type Err = NotAnSlo;

    fn from_str(text: &str) -> Result<Self, NotAnSlo> {
        let parse = || {
            let (name, value) = text.split_once('=')?;
            let (operation, name) = match name.split_once(':') {
                Some((operation, name)) => (Some(operation.to_owned()), name),
                None => (None, name),
            };
            let bound = Bound::parse(name, value)?;
            let about_all = !matches!(bound, Bound::Latency(..));
            (operation.is_none() || !about_all).then(|| Self { text: text.to_owned(), operation, bound })
        };
        parse().ok_or_else(|| NotAnSlo(text.to_owned()))
    }
}

impl Bound {
    fn parse(name: &str, value: &str) -> Option<Self> {
        let positive = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        Some(match (name, value.strip_suffix('%')) {
            ("errors", Some(percent)) => Self::ErrorShare(positive(percent)? / 100.0),
            ("errors", None) => Self::Errors(value.parse().ok()?),
            ("rate", None) => Self::Rate(positive(value)?),
            ("throughput", None) => Self::Throughput(value.parse::<Bytes>().ok()?.0),
            ("cpu", None) => Self::CpuPerGib(positive(value)?),
            (quantile, None) => {
                let time = value.parse::<Span>().ok()?.0;
                Self::Latency(parse_quantile(quantile)?, u64::try_from(time.as_nanos()).ok()?)
            }
            _ => return None,
        })
    }
}

fn parse_quantile(text: &str) -> Option<f64> {
    if text == "max" {
        return Some(1.0);
    }
    let percent = text.strip_prefix('p')?.parse::<f64>().ok()?;
    // Rounded, so that p99.9 is 0.999 and not a little more.
    (0.0..=100.0).contains(&percent).then_some((percent * 1e6).round() / 1e8)
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Slo {
    /// Whether `record` keeps it.
    pub fn judge(&self, record: &Record) -> Verdict {
        let errors = record.failed() + record.window.missed;
        let (kept, measured) = match self.bound {
            Bound::Latency(quantile, most) => {
                let found = self.latency(record).and_then(|latency| latency.at(quantile));
                (found.is_some_and(|found| found <= most), found.map_or_else(|| "not measured".into(), nanoseconds))
            }
            Bound::Errors(most) => (errors <= most, errors.to_string()),
            Bound::ErrorShare(most) => {
                let all = record.window.completed + errors;
                let share = errors as f64 / all.max(1) as f64;
                (all > 0 && share <= most, format!("{} %", digits(share * 100.0)))
            }
            Bound::Rate(least) => {
                let rate = record.operations_per_second();
                (rate >= least, format!("{}/s", digits(rate)))
            }
            Bound::Throughput(least) => {
                let throughput = record.bytes_per_second();
                (throughput >= least as f64, format!("{}/s", bytes(throughput)))
            }
            Bound::CpuPerGib(most) => {
                let cost = record.server.as_ref().and_then(|server| server.cpu_seconds_per_gib);
                (cost.is_some_and(|cost| cost <= most), cost.map_or_else(|| "not measured (--pid)".into(), digits))
            }
        };
        let verdict = if kept { "kept" } else { "MISSED" };
        Verdict { kept, text: format!("{self}: {measured} ({verdict})") }
    }

    fn latency(&self, record: &Record) -> Option<crate::load::latency::Latency> {
        match &self.operation {
            None => Some(record.latency()),
            Some(name) => {
                let found = record.operations.iter().find(|operation| operation.name == *name)?;
                Some(found.latency.clone())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::sample;

    #[test]
    fn objectives_are_read() {
        for (text, expected) in [
            ("p99=5ms", Some(Bound::Latency(0.99, 5_000_000))),
            ("p50=250us", Some(Bound::Latency(0.5, 250_000))),
            ("p99.9=1s", Some(Bound::Latency(0.999, 1_000_000_000))),
            ("max=1m", Some(Bound::Latency(1.0, 60_000_000_000))),
            ("put:p99=5ms", Some(Bound::Latency(0.99, 5_000_000))),
            ("errors=0", Some(Bound::Errors(0))),
            ("errors=0.5%", Some(Bound::ErrorShare(0.005))),
            ("rate=1000", Some(Bound::Rate(1000.0))),
            ("throughput=1GiB", Some(Bound::Throughput(1 << 30))),
            ("cpu=0.13", Some(Bound::CpuPerGib(0.13))),
            ("put:errors=0", None),
            ("p101=5ms", None),
            ("p99=5%", None),
            ("p99", None),
            ("p99=", None),
            ("errors=-1", None),
            ("rate=NaN", None),
            ("q99=5ms", None),
            ("", None),
        ] {
            let read = text.parse::<Slo>();
            assert_eq!(read.as_ref().ok().map(|slo| slo.bound), expected, "{text:?}");
        }
    }

    #[test]
    fn a_record_keeps_or_misses_them() {
        let mut record = sample("a", &[100, 100], 5);
        record.window.failures = [("status 503".to_owned(), 2)].into();
        for (text, kept) in [
            ("p99=6ms", true),
            ("p99=4ms", false),
            ("small:p99=6ms", true),
            ("other:p99=6ms", false),
            ("errors=2", true),
            ("errors=1", false),
            ("errors=1%", true),
            ("errors=0.9%", false),
            ("rate=100", true),
            ("rate=101", false),
            ("throughput=400KiB", true),
            ("throughput=401KiB", false),
            ("cpu=10000", true),
            ("cpu=0.1", false),
        ] {
            let verdict = text.parse::<Slo>().expect(text).judge(&record);
            assert_eq!(verdict.kept, kept, "{verdict:?}");
        }
        record.server = None;
        assert!(!"cpu=10000".parse::<Slo>().expect("an objective").judge(&record).kept, "not measured is not kept");
    }
}
