//! `figures.json`: what was measured, with what, and what came of it; and the table as Markdown.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use super::figure::{Measured, Metric, Samples};
use super::scene::{Outcome, Scene};
use super::table::Options;
use crate::compare::median;
use crate::machine::{self, Machine};
use crate::record::Record;

/// Version of the form.
const SCHEMA: u32 = 1;

/// The whole table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct File {
    pub schema: u32,
    pub rows: Vec<Row>,
}

/// Where and how a row was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    pub machine: Machine,
    pub commit: Option<String>,
    pub command: Vec<String>,
    pub rounds: u32,
    pub window_seconds: f64,
}

/// A scene, measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub scene: String,
    pub how: String,
    /// End of its last window, RFC 3339.
    pub measured: String,
    pub facts: Facts,
    pub figures: Vec<Measured>,
    /// In the order they are named in the table.
    pub entrants: Vec<String>,
    pub samples: Samples,
    pub notes: Vec<String>,
}

impl Facts {
    pub fn here(options: &Options, rounds: u32) -> Self {
        Self {
            machine: Machine::here(),
            commit: machine::commit(),
            // The program's path is not reported.
            command: std::iter::once("et-bench".to_owned()).chain(std::env::args().skip(1)).collect(),
            rounds,
            window_seconds: options.duration.0.as_secs_f64(),
        }
    }
}

impl Row {
    pub fn of(scene: &Scene, outcome: Outcome, facts: Facts) -> Self {
        Self {
            scene: scene.name.clone(),
            how: scene.how.clone(),
            measured: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%MZ").to_string(),
            facts,
            figures: scene.figures.iter().map(|figure| figure.measure(&outcome.samples)).collect(),
            entrants: scene.entrants.iter().map(|entrant| entrant.name.clone()).collect(),
            samples: outcome.samples,
            notes: outcome.notes,
        }
    }

    /// Median of the rounds.
    pub fn median(&self, entrant: &str, metric: Metric) -> Option<f64> {
        let rounds = self.samples.get(entrant)?.iter().flatten();
        median(rounds.filter_map(|sample| sample.get(&metric).copied()).collect())
    }

    /// The metrics that any entrant has.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics: Vec<Metric> =
            self.samples.values().flatten().flatten().flat_map(|sample| sample.keys().copied()).collect();
        metrics.sort();
        metrics.dedup();
        metrics
    }
}

/// Where the record of an entrant's last round lies.
pub fn record_path(output: &Path, scene: &str, entrant: &str) -> PathBuf {
    output.join(format!("{scene}-{}.json", entrant.replace([' ', ','], "-")))
}

impl File {
    /// What is in the directory, which is made when it is not there.
    pub fn load_or_new(output: &Path) -> Result<Self> {
        std::fs::create_dir_all(output).with_context(|| format!("make {}", output.display()))?;
        let path = output.join("figures.json");
        if !path.exists() {
            return Ok(Self { schema: SCHEMA, rows: Vec::new() });
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let file: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} is no table of figures; name another --output", path.display()))?;
        ensure!(file.schema == SCHEMA, "{} has schema {}; name another --output", path.display(), file.schema);
        Ok(file)
    }

    /// Takes a row in, in the place of an older one; rows stand in the order of `names`.
    pub fn put(&mut self, row: Row, names: &[String]) {
        self.rows.retain(|old| old.scene != row.scene);
        self.rows.push(row);
        self.rows.sort_by_key(|row| names.iter().position(|name| *name == row.scene));
    }

    pub fn save(&self, output: &Path) -> Result<()> {
        let path = output.join("figures.json");
        let text = serde_json::to_string_pretty(self).context("write the table as JSON")?;
        std::fs::write(&path, text + "\n").with_context(|| format!("write {}", path.display()))
    }

    /// The records of a row that are there.
    pub fn records(output: &Path, row: &Row) -> Vec<Record> {
        let load = |entrant: &String| Record::load(&record_path(output, &row.scene, entrant)).ok();
        row.entrants.iter().filter_map(load).collect()
    }

    /// The table of goals, then what every server did.
    pub fn markdown(&self) -> String {
        let mut text = String::from("| figure | goal | measured | met? |\n|---|---|---|---|\n");
        for figure in self.rows.iter().flat_map(|row| &row.figures) {
            let (what, goal, value) = (&figure.what, figure.goal_text(), figure.value_text());
            writeln!(text, "| {what} | {goal} | {value} | {} |", figure.verdict.text()).expect("text grows");
        }
        for row in &self.rows {
            let metrics = row.metrics();
            let names: Vec<&str> = metrics.iter().map(|metric| metric.name()).collect();
            write!(text, "\n**{}**: {}.\n\n", row.scene, row.how).expect("text grows");
            writeln!(text, "| | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len())).expect("text grows");
            for entrant in &row.entrants {
                let cell =
                    |metric: &Metric| row.median(entrant, *metric).map_or("-".into(), |value| metric.show(value));
                let cells: Vec<String> = metrics.iter().map(cell).collect();
                writeln!(text, "| {entrant} | {} |", cells.join(" | ")).expect("text grows");
            }
            row.notes.iter().for_each(|note| writeln!(text, "\nNote: {note}").expect("text grows"));
        }
        text
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::figures::figure::{Figure, Goal, Sample, Value};

    /// A row with two entrants.
    pub fn row(scene: &str, nginx: f64) -> Row {
        let said = |cpu| vec![Some(Sample::from([(Metric::CpuPerGib, cpu)])), None];
        let samples = Samples::from([("et".to_owned(), said(0.125)), ("nginx".to_owned(), said(nginx))]);
        let value = Value::RatioTo("nginx".into(), "et");
        let figure =
            Figure { what: scene.into(), metric: Metric::CpuPerGib, value, goal: Goal::AtLeast(2.5), limit: None };
        Row {
            scene: scene.into(),
            how: "here".into(),
            measured: "2026-11-21T19:00Z".into(),
            facts: Facts {
                machine: Machine::here(),
                commit: None,
                command: vec!["et-bench".into()],
                rounds: 2,
                window_seconds: 4.0,
            },
            figures: vec![figure.measure(&samples)],
            entrants: vec!["et".into(), "nginx".into()],
            samples,
            notes: vec!["nginx: 1 × timeout".into()],
        }
    }

    #[test]
    fn a_row_takes_the_place_of_the_one_before() {
        let dir = tempfile::tempdir().expect("a directory");
        let names = ["a".to_owned(), "b".to_owned()];
        let mut file = File::load_or_new(dir.path()).expect("a new one");
        for (scene, nginx) in [("b", 0.25), ("a", 0.5), ("b", 0.375)] {
            file.put(row(scene, nginx), &names);
        }
        file.save(dir.path()).expect("written");
        let again = File::load_or_new(dir.path()).expect("read");
        assert_eq!(again, file);
        let said: Vec<_> =
            again.rows.iter().map(|row| (row.scene.as_str(), row.median("nginx", Metric::CpuPerGib))).collect();
        assert_eq!(said, [("a", Some(0.5)), ("b", Some(0.375))]);
    }

    #[test]
    fn the_table_says_goal_value_and_verdict() {
        let text = File { schema: SCHEMA, rows: vec![row("a", 0.25), row("b", 0.5)] }.markdown();
        for line in [
            "| a | ≥ 2.50 × | 2.00 × | NO |",
            "| b | ≥ 2.50 × | 4.00 × | yes |",
            "| et | 0.125 |",
            "Note: nginx: 1 × timeout",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }
}
