//! Finds the knee by itself: where more connections bring no more operations, or the highest rate that is still sustained.
//!
//! * `connections` (closed loop): doubled until two doublings in a row gain under 5 %. The knee is the fewest connections
//!   with 95 % of the best throughput.
//! * `rate` (open loop): doubled until it is not sustained, then the gap is halved (by ratio) until it is under 10 %. The
//!   knee is the highest sustained rate. Sustained: nothing failed or was missed, every objective kept, 97 % of the
//!   arrivals done inside the window.

use serde::{Deserialize, Serialize};

use crate::record::Record;
use crate::slo::Slo;
use crate::units::{bytes, digits, nanoseconds};

const GAIN_MIN: f64 = 1.05;
const KNEE_SHARE: f64 = 0.95;
const GAP_MIN: f64 = 1.1;
const DONE_MIN: f64 = 0.97;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    Connections,
    Rate,
}

/// One run of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Connections, or operations per second.
    pub at: f64,
    pub operations_per_second: f64,
    pub bytes_per_second: f64,
    pub p50_ns: Option<u64>,
    pub p99_ns: Option<u64>,
    pub failed: u64,
    pub missed: u64,
    pub sustained: bool,
}

/// What `--json` of a sweep writes; the knee is absent when even the first step was not sustained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    pub over: Over,
    pub from: f64,
    pub to: f64,
    pub steps: Vec<Step>,
    pub knee: Option<Step>,
}

impl Step {
    pub fn of(at: f64, over: Over, record: &Record, slos: &[Slo]) -> Self {
        let latency = record.latency();
        let kept = slos.iter().all(|slo| slo.judge(record).kept);
        let done = over == Over::Connections || record.operations_per_second() >= DONE_MIN * at;
        Self {
            at,
            operations_per_second: record.operations_per_second(),
            bytes_per_second: record.bytes_per_second(),
            p50_ns: latency.at(0.5),
            p99_ns: latency.at(0.99),
            failed: record.failed(),
            missed: record.window.missed,
            sustained: kept && done && record.failed() == 0 && record.window.missed == 0,
        }
    }

    pub fn text(&self) -> String {
        let time = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), nanoseconds);
        format!(
            "{:>10}  {:>8} op/s  {:>10}/s  p50 {:>8}  p99 {:>8}  {}",
            digits(self.at),
            digits(self.operations_per_second),
            bytes(self.bytes_per_second),
            time(self.p50_ns),
            time(self.p99_ns),
            if self.sustained { "sustained" } else { "NOT sustained" }
        )
    }
}

impl Sweep {
    pub fn new(over: Over, from: f64, to: f64) -> Self {
        Self { over, from, to, steps: Vec::new(), knee: None }
    }

    /// What to try next; `None`: the knee is known.
    pub fn next(&self) -> Option<f64> {
        let Some(last) = self.steps.last() else { return Some(self.from) };
        let doubled = (last.at < self.to).then(|| (last.at * 2.0).min(self.to));
        match self.over {
            Over::Connections => doubled.filter(|_| last.sustained && !self.is_flat()),
            Over::Rate => match (self.highest_sustained(), self.lowest_refused()) {
                (Some(_), None) => doubled,
                (Some(low), Some(high)) if high / low > GAP_MIN => Some((low * high).sqrt()),
                _ => None,
            },
        }
    }

    /// The last two doublings gained next to nothing.
    fn is_flat(&self) -> bool {
        let [.., a, b, c] = &self.steps[..] else { return false };
        let gained = |from: &Step, to: &Step| to.operations_per_second >= from.operations_per_second * GAIN_MIN;
        !gained(a, b) && !gained(b, c)
    }

    fn highest_sustained(&self) -> Option<f64> {
        self.steps.iter().filter(|step| step.sustained).map(|step| step.at).max_by(f64::total_cmp)
    }

    fn lowest_refused(&self) -> Option<f64> {
        self.steps.iter().filter(|step| !step.sustained).map(|step| step.at).min_by(f64::total_cmp)
    }

    /// Takes the result of what `next` said.
    pub fn add(&mut self, step: Step) {
        self.steps.push(step);
        let sustained = || self.steps.iter().filter(|step| step.sustained);
        let by_throughput = |a: &&Step, b: &&Step| a.operations_per_second.total_cmp(&b.operations_per_second);
        let knee = match self.over {
            Over::Rate => sustained().max_by(|a, b| a.at.total_cmp(&b.at)),
            Over::Connections => sustained().max_by(by_throughput).and_then(|best| {
                sustained().find(|step| step.operations_per_second >= best.operations_per_second * KNEE_SHARE)
            }),
        };
        self.knee = knee.cloned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(over: Over, from: f64, to: f64, server: impl Fn(f64) -> (f64, bool)) -> Sweep {
        let mut sweep = Sweep::new(over, from, to);
        while let Some(at) = sweep.next() {
            let (operations_per_second, sustained) = server(at);
            let (p50_ns, p99_ns) = (Some(1), Some(2));
            let (bytes_per_second, failed, missed) = (0.0, 0, 0);
            sweep.add(Step { at, operations_per_second, bytes_per_second, p50_ns, p99_ns, failed, missed, sustained });
            assert!(sweep.steps.len() < 50, "it ends");
        }
        sweep
    }

    #[test]
    fn the_fewest_connections_that_fill_the_server() {
        // 100 operations per second and connection, up to 1,600.
        let found = sweep(Over::Connections, 1.0, 1024.0, |at| ((at * 100.0).min(1_600.0), true));
        assert_eq!(found.knee.as_ref().map(|step| step.at), Some(16.0));
        assert_eq!(found.steps.last().map(|step| step.at), Some(64.0), "two flat doublings are enough");
    }

    #[test]
    fn an_objective_ends_the_sweep() {
        let found = sweep(Over::Connections, 1.0, 1024.0, |at| (at * 100.0, at <= 8.0));
        assert_eq!(found.knee.map(|step| step.at), Some(8.0));
        assert_eq!(found.steps.last().map(|step| step.at), Some(16.0));
    }

    #[test]
    fn the_bound_is_tried_and_not_passed() {
        let found = sweep(Over::Connections, 1.0, 100.0, |at| (at, true));
        assert_eq!(found.knee.map(|step| step.at), Some(100.0));
        let found = sweep(Over::Rate, 100.0, 1_000.0, |at| (at, true));
        assert_eq!(found.knee.map(|step| step.at), Some(1_000.0));
    }

    #[test]
    fn the_highest_rate_within_a_tenth() {
        for limit in [150.0, 777.0, 12_345.0] {
            let found = sweep(Over::Rate, 100.0, 1e6, |at| (at.min(limit), at <= limit));
            let knee = found.knee.expect("found").at;
            assert!(knee <= limit && knee * GAP_MIN >= limit, "{knee} for {limit}");
        }
        assert_eq!(sweep(Over::Rate, 100.0, 1e6, |_| (0.0, false)).knee, None);
    }
}
