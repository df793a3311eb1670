//! Two runs side by side: ratios, and the bounds within which they are noise.
//!
//! Every second of a window is one sample. A ratio is that of the medians; its bounds hold 95 % of the ratios that come out
//! when the seconds of both runs are drawn again at random (bootstrap, seeded: the same files give the same bounds). They
//! know the noise inside the two runs, not the noise between runs: a machine that was slower that day is not in them.

use crate::record::{Record, Second, per_gib};
use crate::units::{bytes, digits, nanoseconds};

const DRAWS: usize = 2_000;
const SEED: u64 = 7;
/// Fewer seconds say nothing about noise.
const SAMPLES_MIN: usize = 3;
/// Shorter ends of a window are left out.
const SECOND_MIN: f64 = 0.5;

/// `b / a`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    pub ratio: f64,
    /// `None`: too few samples.
    pub bounds: Option<(f64, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Better,
    Worse,
    /// The bounds hold 1, or there are none.
    Noise,
}

impl Ratio {
    /// Of the medians; `None` when one of them is zero or missing.
    pub fn of(a: &[f64], b: &[f64]) -> Option<Self> {
        let ratio = quotient(a.to_vec(), b.to_vec())?;
        if a.len() < SAMPLES_MIN || b.len() < SAMPLES_MIN {
            return Some(Self { ratio, bounds: None });
        }
        let mut random = fastrand::Rng::with_seed(SEED);
        let mut draw = |from: &[f64]| (0..from.len()).map(|_| from[random.usize(0..from.len())]).collect();
        let mut ratios: Vec<f64> = (0..DRAWS).filter_map(|_| quotient(draw(a), draw(b))).collect();
        ratios.sort_by(f64::total_cmp);
        let at = |share: f64| ratios.get((ratios.len() as f64 * share) as usize).copied();
        Some(Self { ratio, bounds: at(0.025).zip(at(0.975)) })
    }

    pub fn verdict(&self, higher_is_better: bool) -> Verdict {
        match self.bounds {
            Some((low, _)) if low > 1.0 => pick(higher_is_better),
            Some((_, high)) if high < 1.0 => pick(!higher_is_better),
            _ => Verdict::Noise,
        }
    }
}

fn pick(better: bool) -> Verdict {
    if better { Verdict::Better } else { Verdict::Worse }
}

fn quotient(a: Vec<f64>, b: Vec<f64>) -> Option<f64> {
    let (a, b) = (median(a)?, median(b)?);
    (a > 0.0 && b > 0.0).then(|| b / a)
}

/// The middle; between two, their mean.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        even if even % 2 == 0 => Some((values[middle - 1] + values[middle]) / 2.0),
        _ => Some(values[middle]),
    }
}

/// A figure that every second has.
struct Metric {
    name: &'static str,
    higher_is_better: bool,
    of: fn(&Second) -> Option<f64>,
    show: fn(f64) -> String,
}

const METRICS: [Metric; 6] = [
    Metric {
        name: "operations/s",
        higher_is_better: true,
        of: |second| Some(second.completed as f64 / second.length_seconds),
        show: digits,
    },
    Metric {
        name: "bytes/s",
        higher_is_better: true,
        of: |second| Some((second.sent_bytes + second.received_bytes) as f64 / second.length_seconds),
        show: bytes,
    },
    Metric {
        name: "p50",
        higher_is_better: false,
        of: |second| second.p50_ns.map(|value| value as f64),
        show: |value| nanoseconds(value as u64),
    },
    Metric {
        name: "p99",
        higher_is_better: false,
        of: |second| second.p99_ns.map(|value| value as f64),
        show: |value| nanoseconds(value as u64),
    },
    Metric {
        name: "cpu s/GiB",
        higher_is_better: false,
        of: |second| per_gib(second.server?.cpu_seconds, second.sent_bytes + second.received_bytes),
        show: digits,
    },
    Metric {
        name: "resident",
        higher_is_better: false,
        of: |second| second.server.map(|server| server.resident_bytes as f64),
        show: bytes,
    },
];

/// A table of ratios, and what else differs.
pub fn text(a: &Record, b: &Record) -> String {
    let mut lines = vec![format!("A  {}", about(a)), format!("B  {}", about(b)), String::new()];
    lines.push(format!(
        "{:14} {:>12} {:>12} {:>8}  {:17} verdict on B",
        "median second", "A", "B", "B / A", "95 % of the noise"
    ));
    for metric in &METRICS {
        let samples = |record: &Record| -> Vec<f64> {
            let long = record.seconds.iter().filter(|second| second.length_seconds >= SECOND_MIN);
            long.filter_map(metric.of).collect()
        };
        let (a, b) = (samples(a), samples(b));
        let Some(ratio) = Ratio::of(&a, &b) else { continue };
        let bounds =
            ratio.bounds.map_or_else(|| "too few seconds".into(), |(low, high)| format!("{low:.3} .. {high:.3}"));
        let verdict = match ratio.verdict(metric.higher_is_better) {
            Verdict::Better => "better",
            Verdict::Worse => "WORSE",
            Verdict::Noise => "within noise",
        };
        let show = |values| median(values).map(metric.show).unwrap_or_default();
        lines.push(format!(
            "{:14} {:>12} {:>12} {:>8.3}  {bounds:17} {verdict}",
            metric.name,
            show(a),
            show(b),
            ratio.ratio
        ));
    }
    lines
        .extend([a, b].map(|record| {
            format!("failed, missed in {}: {}, {}", record.label, record.failed(), record.window.missed)
        }));
    lines.extend(
        differences(a, b).iter().map(|what| format!("note: {what} differs; the ratios may say more about that")),
    );
    lines.push(String::new());
    lines.join("\n")
}

fn about(record: &Record) -> String {
    let commit = record.commit.as_deref().unwrap_or("no commit");
    format!("{}: {} at {}, {commit}, {}", record.label, record.workload.name, record.target.url, record.began)
}

/// What should be equal when two runs are compared.
fn differences(a: &Record, b: &Record) -> Vec<&'static str> {
    let named = |record: &Record| {
        let mut workload = record.workload.clone();
        workload.name.clear();
        workload
    };
    [
        ("the workload", named(a) != named(b)),
        ("the machine", (&a.machine.cpu, a.machine.cpus) != (&b.machine.cpu, b.machine.cpus)),
        ("the kernel", a.machine.kernel != b.machine.kernel),
        ("congestion control", a.machine.congestion_control != b.machine.congestion_control),
        ("the number of workers", a.generator.workers != b.generator.workers),
    ]
    .into_iter()
    .filter_map(|(what, differs)| differs.then_some(what))
    .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::tests::sample;

    fn around(center: f64, noise: f64) -> Vec<f64> {
        (0..20).map(|step| center * (1.0 + noise * (f64::from(step % 5) - 2.0) / 2.0)).collect()
    }

    #[test]
    fn a_difference_beyond_the_noise_is_told_from_one_within_it() {
        for (name, a, b, higher_is_better, expected) in [
            ("twice as much", around(100.0, 0.05), around(200.0, 0.05), true, Verdict::Better),
            ("half as much", around(100.0, 0.05), around(50.0, 0.05), true, Verdict::Worse),
            ("half the time", around(100.0, 0.05), around(50.0, 0.05), false, Verdict::Better),
            ("the same", around(100.0, 0.05), around(100.0, 0.05), true, Verdict::Noise),
            ("a little more, very noisy", around(100.0, 0.8), around(103.0, 0.8), true, Verdict::Noise),
            ("a little more, hardly noisy", around(100.0, 0.001), around(103.0, 0.001), true, Verdict::Better),
            ("two seconds", vec![100.0; 2], vec![200.0; 2], true, Verdict::Noise),
        ] {
            let ratio = Ratio::of(&a, &b).expect(name);
            assert_eq!(ratio.verdict(higher_is_better), expected, "{name}: {ratio:?}");
        }
        assert_eq!(Ratio::of(&[], &[1.0]), None);
        assert_eq!(Ratio::of(&[0.0], &[1.0]), None, "nothing is no reference");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn the_bounds_hold_the_ratio_and_are_the_same_every_time(
            a in prop::collection::vec(1.0_f64..1e6, 3..30), b in prop::collection::vec(1.0_f64..1e6, 3..30),
        ) {
            let ratio = Ratio::of(&a, &b).expect("positive");
            let (low, high) = ratio.bounds.expect("enough samples");
            prop_assert!(low <= ratio.ratio && ratio.ratio <= high, "{:?}", ratio);
            prop_assert_eq!(Ratio::of(&a, &b), Some(ratio));
        }
    }

    #[test]
    fn the_table_names_ratios_and_differences() {
        let a = sample("old", &[100, 101, 99, 100], 5);
        let mut b = sample("new", &[200, 202, 198, 200], 5);
        b.machine.kernel = "Linux 99".into();
        let text = text(&a, &b);
        let line = text.lines().find(|line| line.starts_with("operations/s")).expect("a line");
        assert!(line.contains("2.000") && line.ends_with("better"), "{line}");
        assert!(text.contains("the kernel differs") && !text.contains("the machine differs"), "{text}");
    }
}
