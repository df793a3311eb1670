//! A figure of the table: what is computed from the windows of a scene, what it should be, and whether it is.
//!
//! Must stay true: a ratio is taken inside its round, and its median over the rounds is the figure; what could not be
//! measured is no figure, never zero.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::compare::median;
use crate::record::{Record, per_gib};
use crate::units::{bytes, digits, nanoseconds};

/// What a window says about its server or its load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    BytesPerSecond,
    OperationsPerSecond,
    /// Seconds of the server's CPU.
    CpuPerGib,
    /// Seconds of the server's CPU.
    CpuPerOperation,
    /// CPUs the server kept busy.
    ServerCpus,
    /// CPUs the load kept busy.
    LoadCpus,
    /// Nanoseconds.
    P50,
    /// Nanoseconds.
    P99,
    /// p99 / p50.
    Tail,
    /// Memory that the idle connections added.
    IdleBytes,
    IdleBytesEach,
}

/// What one window said.
pub type Sample = BTreeMap<Metric, f64>;

impl Metric {
    /// Heading and text form.
    pub fn name(self) -> &'static str {
        match self {
            Self::BytesPerSecond => "bytes/s",
            Self::OperationsPerSecond => "op/s",
            Self::CpuPerGib => "CPU s/GiB",
            Self::CpuPerOperation => "CPU/op",
            Self::ServerCpus => "server CPUs",
            Self::LoadCpus => "load CPUs",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::Tail => "p99 / p50",
            Self::IdleBytes => "idle memory",
            Self::IdleBytesEach => "each",
        }
    }

    /// A value for people.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::BytesPerSecond | Self::IdleBytes | Self::IdleBytesEach => bytes(value),
            Self::P50 | Self::P99 => nanoseconds(value as u64),
            Self::CpuPerOperation => nanoseconds((value * 1e9) as u64),
            Self::CpuPerGib => format!("{value:.3}"),
            Self::OperationsPerSecond | Self::ServerCpus | Self::LoadCpus | Self::Tail => digits(value),
        }
    }
}

/// What a record says.
pub fn sample(record: &Record) -> Sample {
    let (latency, server) = (record.latency(), record.server.as_ref());
    let time = |quantile| latency.at(quantile).map(|value| value as f64);
    let cpu = server.map(|server| server.cpu_seconds);
    let completed = record.window.completed as f64;
    let load_seconds = record.workload.warm_up.0.as_secs_f64() + record.window.seconds;
    let idle = server.filter(|_| record.idle.held > 0);
    let idle = idle.map(|server| server.resident_ready_bytes.saturating_sub(server.resident_before_bytes) as f64);
    let moved = record.moved_bytes();
    let values = [
        (Metric::BytesPerSecond, (moved > 0).then(|| record.bytes_per_second())),
        (Metric::OperationsPerSecond, (completed > 0.0).then(|| record.operations_per_second())),
        (Metric::CpuPerGib, cpu.and_then(|cpu| per_gib(cpu, moved))),
        (Metric::CpuPerOperation, cpu.filter(|_| completed > 0.0).map(|cpu| cpu / completed)),
        (Metric::ServerCpus, cpu.map(|cpu| cpu / record.window.seconds)),
        (Metric::LoadCpus, Some(record.generator.cpu_seconds / load_seconds)),
        (Metric::P50, time(0.5)),
        (Metric::P99, time(0.99)),
        (Metric::Tail, time(0.99).zip(time(0.5)).map(|(p99, p50)| p99 / p50)),
        (Metric::IdleBytes, idle),
        (Metric::IdleBytesEach, record.bytes_per_idle_connection()),
    ];
    values.into_iter().filter_map(|(metric, value)| Some((metric, value?))).collect()
}

/// How a figure comes from the windows of a round; windows are named.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Of(&'static str),
    /// The first to the best (largest) of the others.
    Ratio(&'static str, Vec<String>),
    /// The other way round: another one to this one.
    RatioTo(String, &'static str),
    /// Largest to smallest.
    Spread(Vec<&'static str>),
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// It is told, nothing is asked of it.
    None,
}

/// What became of a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Met,
    Missed,
    /// Missed, while the server had CPU to spare: the load or the disk was the limit.
    Undecided,
    /// There was no goal.
    #[serde(rename = "told")]
    NoGoal,
    /// A window is missing.
    NotMeasured,
}

/// A line of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    pub what: String,
    pub metric: Metric,
    pub value: Value,
    pub goal: Goal,
    /// Where the goal is only missed when the server was the limit: the window, and the CPUs it has there.
    pub limit: Option<(&'static str, f64)>,
}

/// A line of the table, filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    pub what: String,
    pub metric: Metric,
    pub is_ratio: bool,
    pub goal: Goal,
    /// Median of the rounds, the smallest and the largest of them.
    pub value: Option<[f64; 3]>,
    pub verdict: Verdict,
}

/// The samples of a scene by window; equal positions are of one round.
pub type Samples = BTreeMap<String, Vec<Option<Sample>>>;

impl Figure {
    pub fn measure(&self, samples: &Samples) -> Measured {
        let rounds = samples.values().map(Vec::len).max().unwrap_or(0);
        let values: Vec<f64> = (0..rounds).filter_map(|round| self.of_round(samples, round)).collect();
        let value = median(values.clone()).map(|middle| {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            [middle, least, values.iter().copied().fold(f64::NEG_INFINITY, f64::max)]
        });
        let is_ratio = !matches!(self.value, Value::Of(_));
        let verdict = self.judge(value.map(|[middle, ..]| middle), samples);
        Measured { what: self.what.clone(), metric: self.metric, is_ratio, goal: self.goal, value, verdict }
    }

    fn of_round(&self, samples: &Samples, round: usize) -> Option<f64> {
        let of = |name: &str| samples.get(name)?.get(round)?.as_ref()?.get(&self.metric).copied();
        let value = match &self.value {
            Value::Of(name) => of(name)?,
            Value::Ratio(name, others) => {
                let best = others.iter().filter_map(|other| of(other)).fold(f64::NAN, f64::max);
                of(name)? / best
            }
            Value::RatioTo(other, name) => of(other)? / of(name)?,
            Value::Spread(names) => {
                let all: Vec<f64> = names.iter().map(|name| of(name)).collect::<Option<_>>()?;
                all.iter().copied().fold(0.0, f64::max) / all.iter().copied().fold(f64::INFINITY, f64::min)
            }
        };
        value.is_finite().then_some(value)
    }

    fn judge(&self, value: Option<f64>, samples: &Samples) -> Verdict {
        let Some(value) = value else { return Verdict::NotMeasured };
        let met = match self.goal {
            Goal::AtLeast(bound) => value >= bound,
            Goal::AtMost(bound) => value <= bound,
            Goal::None => return Verdict::NoGoal,
        };
        let spare = self.limit.is_some_and(|(window, cpus)| {
            let rounds = samples.get(window).into_iter().flatten().flatten();
            let busy = rounds.filter_map(|sample| sample.get(&Metric::ServerCpus).copied()).collect();
            median(busy).is_some_and(|busy| busy < BUSY * cpus)
        });
        match (met, spare) {
            (true, _) => Verdict::Met,
            (false, true) => Verdict::Undecided,
            (false, false) => Verdict::Missed,
        }
    }
}

/// A server that uses less of its CPUs is not what limits a run.
const BUSY: f64 = 0.9;

impl Measured {
    /// `≥ 2.50`, or what the metric is written like.
    pub fn goal_text(&self) -> String {
        match self.goal {
            Goal::AtLeast(bound) => format!("≥ {}", self.show(bound)),
            Goal::AtMost(bound) => format!("≤ {}", self.show(bound)),
            Goal::None => "told".into(),
        }
    }

    /// The median, and between which values the rounds lay.
    pub fn value_text(&self) -> String {
        match self.value {
            None => "-".into(),
            Some([middle, least, most]) if least == most => self.show(middle),
            Some([middle, least, most]) => {
                format!("{} ({} … {})", self.show(middle), self.show(least), self.show(most))
            }
        }
    }

    fn show(&self, value: f64) -> String {
        if self.is_ratio { format!("{value:.2} ×") } else { self.metric.show(value) }
    }
}

impl Verdict {
    /// For the column "met?".
    pub fn text(self) -> &'static str {
        match self {
            Self::Met => "yes",
            Self::Missed => "NO",
            Self::Undecided => "undecided: the server had CPU to spare",
            Self::NoGoal => "",
            Self::NotMeasured => "not measured",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::sample as record;

    fn samples(windows: &[(&str, &[f64])]) -> Samples {
        let one = |value: &f64| Some(Sample::from([(Metric::CpuPerGib, *value), (Metric::ServerCpus, 0.5)]));
        windows.iter().map(|(name, values)| ((*name).to_owned(), values.iter().map(one).collect())).collect()
    }

    fn figure(value: Value, goal: Goal) -> Figure {
        Figure { what: "x".into(), metric: Metric::CpuPerGib, value, goal, limit: None }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn figures_are_medians_of_what_the_rounds_say() {
        // The second round was slow for everybody: ratios do not see it.
        let all = samples(&[("et", &[1.0, 10.0, 1.2]), ("a", &[2.0, 30.0, 3.0]), ("b", &[4.0, 20.0, 2.4])]);
        for (value, expected) in [
            (Value::Of("et"), Some([1.2, 1.0, 10.0])),
            (Value::Ratio("et", names(&["a"])), Some([0.4, 1.0 / 3.0, 0.5])),
            (Value::Ratio("et", names(&["a", "b", "absent"])), Some([1.0 / 3.0, 0.25, 0.4])),
            (Value::RatioTo("a".into(), "et"), Some([2.5, 2.0, 3.0])),
            (Value::Spread(vec!["et", "a", "b"]), Some([3.0, 2.5, 4.0])),
            (Value::Spread(vec!["et", "absent"]), None),
            (Value::Ratio("et", Vec::new()), None),
            (Value::RatioTo("absent".into(), "et"), None),
        ] {
            let measured = figure(value.clone(), Goal::None).measure(&all).value;
            let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9;
            let equal = match (&measured, &expected) {
                (Some(measured), Some(expected)) => measured.iter().zip(expected).all(close),
                (measured, expected) => measured == expected,
            };
            assert!(equal, "{value:?}: {measured:?}, not {expected:?}");
        }
    }

    #[test]
    fn a_round_without_a_window_is_left_out() {
        let mut all = samples(&[("et", &[1.0, 1.0, 1.0]), ("a", &[2.0, 3.0, 4.0])]);
        all.get_mut("et").expect("there")[1] = None;
        let measured = figure(Value::RatioTo("a".into(), "et"), Goal::AtLeast(2.5)).measure(&all);
        assert_eq!((measured.value, measured.verdict), (Some([3.0, 2.0, 4.0]), Verdict::Met));
    }

    #[test]
    fn goals_are_judged() {
        let all = samples(&[("et", &[1.0])]);
        for (goal, limit, expected) in [
            (Goal::AtLeast(1.0), None, Verdict::Met),
            (Goal::AtLeast(1.01), None, Verdict::Missed),
            (Goal::AtMost(1.0), None, Verdict::Met),
            (Goal::AtMost(0.99), None, Verdict::Missed),
            (Goal::None, None, Verdict::NoGoal),
            (Goal::AtLeast(2.0), Some(("et", 1.0)), Verdict::Undecided),
            (Goal::AtLeast(2.0), Some(("et", 0.5)), Verdict::Missed),
            (Goal::AtLeast(0.5), Some(("et", 1.0)), Verdict::Met),
        ] {
            let figure = Figure { limit, ..figure(Value::Of("et"), goal) };
            assert_eq!(figure.measure(&all).verdict, expected, "{goal:?} {limit:?}");
        }
        assert_eq!(figure(Value::Of("absent"), Goal::AtMost(1.0)).measure(&all).verdict, Verdict::NotMeasured);
    }

    #[test]
    fn a_record_says_what_it_can() {
        let said = sample(&record("a", &[100, 100], 5));
        assert_eq!(said[&Metric::OperationsPerSecond], 100.0);
        assert_eq!(said[&Metric::ServerCpus], 2.5, "5 s of CPU in 2 s");
        assert_eq!(said[&Metric::CpuPerOperation], 0.025);
        assert!(!said.contains_key(&Metric::IdleBytes), "no connection was idle");
    }

    #[test]
    fn figures_read_like_their_metric() {
        let all = samples(&[("et", &[0.125])]);
        let value = figure(Value::Of("et"), Goal::AtMost(0.13)).measure(&all);
        assert_eq!((value.goal_text().as_str(), value.value_text().as_str()), ("≤ 0.130", "0.125"));
        let ratio = figure(Value::Spread(vec!["et"]), Goal::AtMost(1.15)).measure(&all);
        assert_eq!((ratio.goal_text().as_str(), ratio.value_text().as_str()), ("≤ 1.15 ×", "1.00 ×"));
    }
}
