//! Samples of all rounds, and what is said about them: medians per row, medians of ratios taken inside a round.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::isolate;
use super::settings::Settings;

/// What one window gave, by metric.
pub type Sample = BTreeMap<&'static str, f64>;

/// A promise of the issue: `row` against `reference`, in `metric`.
pub struct Target {
    pub case: &'static str,
    pub metric: &'static str,
    pub row: &'static str,
    /// `None`: the bound is absolute.
    pub reference: Option<&'static str>,
    pub bound: Bound,
}

#[derive(Debug, Clone, Copy)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

pub struct Report {
    facts: Value,
    /// (case, row) and its samples, one per round, in the order first seen.
    rows: Vec<(&'static str, &'static str, Vec<Sample>)>,
    targets: Vec<Target>,
    notes: Vec<String>,
}

impl Report {
    pub fn new(settings: &Settings) -> Self {
        let facts = json!({
            "date": output("date", &["-u", "+%Y-%m-%dT%H:%MZ"]),
            "commit": output("git", &["rev-parse", "--short", "HEAD"]),
            "kernel": output("uname", &["-r"]),
            "cpu": cpu_model(),
            "filesystem": output("stat", &["-f", "-c", "%T", &settings.dir.to_string_lossy()]),
            "congestion": isolate::congestion(),
            "rounds": settings.runs,
            "files": settings.files,
            "file_bytes": settings.file_bytes,
            "patch_bytes": settings.patch_bytes,
        });
        Self { facts, rows: Vec::new(), targets: Vec::new(), notes: Vec::new() }
    }

    pub fn add(&mut self, case: &'static str, row: &'static str, sample: Sample) {
        let line: Vec<String> = sample.iter().map(|(metric, value)| format!("{metric} {}", figure(*value))).collect();
        eprintln!("{case:9} {row:14} {}", line.join("  "));
        match self.rows.iter_mut().find(|known| (known.0, known.1) == (case, row)) {
            Some(known) => known.2.push(sample),
            None => self.rows.push((case, row, vec![sample])),
        }
    }

    pub fn target(&mut self, target: Target) {
        self.targets.push(target);
    }

    pub fn note(&mut self, text: String) {
        eprintln!("note: {text}");
        self.notes.push(text);
    }

    fn samples(&self, case: &str, row: &str) -> &[Sample] {
        self.rows.iter().find(|known| (known.0, known.1) == (case, row)).map_or(&[], |known| &known.2)
    }

    /// Median over the rounds of `row / reference`, or of `row` itself; `None` when one of them did not run.
    fn ratio(&self, target: &Target) -> Option<f64> {
        let rows = self.samples(target.case, target.row).iter();
        let Some(reference) = target.reference else {
            return median(rows.map(|row| row[target.metric]).collect());
        };
        let pairs = rows.zip(self.samples(target.case, reference));
        median(pairs.map(|(row, reference)| row[target.metric] / reference[target.metric]).collect())
    }

    pub fn print(&self) {
        println!("\n{}\n", self.facts);
        for (case, row, samples) in &self.rows {
            let line: Vec<String> =
                medians(samples).iter().map(|(metric, value)| format!("{metric} {}", figure(*value))).collect();
            println!("{case:9} {row:14} {}", line.join("  "));
        }
        println!();
        for target in &self.targets {
            let Some(ratio) = self.ratio(target) else { continue };
            let (kept, bound) = match target.bound {
                Bound::AtMost(bound) => (ratio <= bound, format!("at most {bound}")),
                Bound::AtLeast(bound) => (ratio >= bound, format!("at least {bound}")),
            };
            let verdict = if kept { "kept" } else { "MISSED" };
            let Target { case, row, reference, metric, .. } = target;
            let against = reference.map(|reference| format!(" / {reference}")).unwrap_or_default();
            println!("{case:9} {row}{against}, {metric}: {ratio:.3} ({bound}: {verdict})");
        }
        for note in &self.notes {
            println!("note: {note}");
        }
    }

    pub fn save(&self, path: Option<&Path>) -> Result<()> {
        let Some(path) = path else { return Ok(()) };
        let rows = self.rows.iter().map(
            |(case, row, samples)| json!({ "case": case, "row": row, "median": medians(samples), "samples": samples }),
        );
        let ratios = self.targets.iter().filter_map(|target| {
            let Target { case, row, reference, metric, .. } = target;
            Some(json!({ "case": case, "row": row, "reference": reference, "metric": metric, "median": self.ratio(target)? }))
        });
        let all = json!({
            "facts": self.facts,
            "rows": rows.collect::<Vec<_>>(),
            "ratios": ratios.collect::<Vec<_>>(),
            "notes": self.notes,
        });
        Ok(std::fs::write(path, format!("{all:#}\n"))?)
    }
}

fn medians(samples: &[Sample]) -> Sample {
    let metrics = samples.iter().flat_map(|sample| sample.keys().copied());
    let of = |metric| median(samples.iter().filter_map(|sample| sample.get(metric).copied()).collect());
    metrics.filter_map(|metric| Some((metric, of(metric)?))).collect()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        even if even % 2 == 0 => Some((values[middle - 1] + values[middle]) / 2.0),
        _ => Some(values[middle]),
    }
}

/// Three digits behind the point for small figures, none for large ones.
fn figure(value: f64) -> String {
    if value.abs() < 100.0 { format!("{value:.3}") } else { format!("{value:.0}") }
}

fn output(program: &str, args: &[&str]) -> String {
    let output = std::process::Command::new(program).args(args).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    line.map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned()).unwrap_or_default()
}
