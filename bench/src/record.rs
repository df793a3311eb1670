//! The record of a run: one JSON object, and this file is its schema. Its text form is kept stable: fields are added,
//! never renamed; [`SCHEMA`] goes up when a reader of the former number would be wrong.
//!
//! Units are in the names: `_bytes`, `_seconds`, `_ns`; a count has none. File bytes only: heads are not counted.
//!
//! * *window*: between the end of the warm-up and the end of the duration. Rates, `seconds`, CPU and bytes are of it.
//! * An operation's latency is counted when its (intended) start lies inside the window, also when it ends behind it.
//! * `whole_run` counts everything from the first request of the warm-up to the last answer of the drain; files prepared
//!   for downloads are not in it.
//!
//! ```json
//! { "schema": 1, "label": "et", "began": "2026-11-21T17:00:00Z", "command": ["et-bench", "run", "small"], "commit": "0123456789ab",
//!   "machine": {"cpu": "…", "cpus": 2, "memory_bytes": 0, "kernel": "Linux 6.1", "congestion_control": "cubic"},
//!   "target": {"url": "http://127.0.0.1:8765", "dialect": "easytransfer", "addresses": ["127.0.0.1:8765"]},
//!   "workload": {"name": "small", "operations": [{"name": "small", "action": "upload", "size": "4KiB"}], "connections": 32},
//!   "coordinated_omission": "not-applicable",
//!   "generator": {"workers": 1, "threads": 2, "cpu_seconds": 1.5},
//!   "window": {"seconds": 10.0, "completed": 1, "sent_bytes": 4096, "received_bytes": 0, "failures": {"status 503": 1}, "missed": 0},
//!   "operations": [{"name": "small", "completed": 1, "latency": [[1000000, 1]]}],
//!   "seconds": [{"second": 0, "length_seconds": 1.0, "completed": 1, "failed": 0, "sent_bytes": 4096, "received_bytes": 0,
//!                "p50_ns": 1000000, "p99_ns": 1000000, "max_ns": 1000000, "nics": {"lo": {"received": 9000, "sent": 9000}},
//!                "server": {"cpu_seconds": 0.5, "resident_bytes": 20000000}}],
//!   "whole_run": {"stored_bytes": 4096, "uploads": 1, "removed": 0, "opened": 32},
//!   "verify": {"compared_bytes": 0, "compare_seconds": 0.0, "read_back": {"files": 1, "bytes": 4096, "failures": {}, "seconds": 0.1}},
//!   "idle": {"held": 0, "survivors": 0},
//!   "server": {"pids": [1], "cpu_seconds": 5.0, "cpu_seconds_per_gib": 0.5, "resident_before_bytes": 1, "resident_ready_bytes": 2, "resident_max_bytes": 3},
//!   "connections": [{"local": "127.0.0.1:40000", "remote": "127.0.0.1:8765", "exchanges": 2, "sent": 4096, "received": 0, "opened": 1}] }
//! ```
//!
//! `latency` lists the non-empty slots of a histogram: nanoseconds and count. `connections` has the first
//! [`CONNECTIONS_MAX`]; `server` is null when no pid was given.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::load::failure::Failures;
use crate::load::latency::Latency;
use crate::load::slots::ConnectionFacts;
use crate::machine::Machine;
use crate::nic::Nics;
use crate::server_process::Usage;
use crate::target::Dialect;
use crate::units::GIB;
use crate::work::ReadBack;
use crate::workload::Workload;

/// Version of the form.
pub const SCHEMA: u32 = 1;
/// Connections that are listed one by one.
pub const CONNECTIONS_MAX: usize = 1_000;

/// One run, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub schema: u32,
    /// What reports call this run.
    pub label: String,
    /// Start of the load, RFC 3339.
    pub began: String,
    /// The command line. It never holds a token: there is no flag for one.
    pub command: Vec<String>,
    /// Of the checkout the command ran in, or what `--commit` said.
    pub commit: Option<String>,
    pub machine: Machine,
    pub target: TargetFacts,
    pub workload: Workload,
    pub coordinated_omission: CoordinatedOmission,
    pub generator: Generator,
    pub window: Window,
    pub operations: Vec<OperationResult>,
    pub seconds: Vec<Second>,
    pub whole_run: WholeRun,
    pub verify: Verify,
    pub idle: IdleResult,
    pub server: Option<Server>,
    pub connections: Vec<ConnectionFacts>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFacts {
    pub url: String,
    pub dialect: Dialect,
    pub addresses: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CoordinatedOmission {
    /// Open loop: latency is measured from the intended start.
    Corrected,
    /// Closed loop: there is no intended start. Percentiles say what busy clients saw, not what a crowd would have.
    NotApplicable,
}

/// The load's own side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    pub workers: u32,
    /// Of all workers.
    pub threads: u32,
    /// All workers, warm-up and drain included: near `threads` × time, the load was the limit.
    pub cpu_seconds: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window {
    pub seconds: f64,
    /// Operations that ended well inside the window.
    pub completed: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    /// Failed operations by kind, those of the drain included.
    pub failures: Failures,
    /// Arrivals of an open loop that never found a connection.
    pub missed: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperationResult {
    pub name: String,
    pub completed: u64,
    pub latency: Latency,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Second {
    pub second: u32,
    /// 1, but for the last one of a window that is no whole number of seconds.
    pub length_seconds: f64,
    pub completed: u64,
    pub failed: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    /// `None`: no operation ended.
    pub p50_ns: Option<u64>,
    pub p99_ns: Option<u64>,
    pub max_ns: Option<u64>,
    /// Bytes on the wire, of the machine that coordinates.
    pub nics: Nics,
    /// CPU within this second, and memory at its end.
    pub server: Option<Usage>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeRun {
    /// Uploaded file bytes that the server acknowledged.
    pub stored_bytes: u64,
    /// Uploads completed.
    pub uploads: u64,
    /// Uploads removed again to keep within `room`, before the end.
    pub removed: u64,
    /// Connections opened.
    pub opened: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Verify {
    /// Downloaded bytes compared as they came, and the load's time that took: the cost of verifying.
    pub compared_bytes: u64,
    pub compare_seconds: f64,
    pub read_back: ReadBack,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleResult {
    pub held: u64,
    /// Still answered at the end.
    pub survivors: u64,
}

/// The server's processes, when they are local.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    pub pids: Vec<u32>,
    /// Within the window.
    pub cpu_seconds: f64,
    /// Per GiB of file bytes moved in either direction; `None` when nothing moved.
    pub cpu_seconds_per_gib: Option<f64>,
    pub resident_before_bytes: u64,
    /// With the idle connections open, before the load.
    pub resident_ready_bytes: u64,
    pub resident_max_bytes: u64,
}

impl Record {
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let record: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} is no record of et-bench run --json", path.display()))?;
        let schema = record.schema;
        ensure!(schema == SCHEMA, "{} has schema {schema}; this et-bench reads {SCHEMA}", path.display());
        Ok(record)
    }

    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string(self).context("write a record as JSON")?;
        std::fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))
    }

    /// All operations together.
    pub fn latency(&self) -> Latency {
        let mut all = Latency::default();
        self.operations.iter().for_each(|operation| all.merge(&operation.latency));
        all
    }

    pub fn operations_per_second(&self) -> f64 {
        self.window.completed as f64 / self.window.seconds
    }

    /// File bytes per second in either direction.
    pub fn bytes_per_second(&self) -> f64 {
        self.moved_bytes() as f64 / self.window.seconds
    }

    pub fn moved_bytes(&self) -> u64 {
        self.window.sent_bytes + self.window.received_bytes
    }

    pub fn failed(&self) -> u64 {
        self.window.failures.values().sum()
    }

    /// Resident bytes that each idle connection added.
    pub fn bytes_per_idle_connection(&self) -> Option<f64> {
        let server = self.server.as_ref().filter(|_| self.idle.held > 0)?;
        let grown = server.resident_ready_bytes.saturating_sub(server.resident_before_bytes);
        Some(grown as f64 / self.idle.held as f64)
    }
}

/// CPU seconds per GiB, when something moved.
pub fn per_gib(cpu_seconds: f64, bytes: u64) -> Option<f64> {
    (bytes > 0).then(|| cpu_seconds / (bytes as f64 / GIB as f64))
}

#[cfg(test)]
pub mod tests {
    use std::time::Duration;

    use super::*;
    use crate::nic::NicBytes;

    /// A run whose every second has `completed` operations that take `milliseconds`.
    pub fn sample(label: &str, completed: &[u64], milliseconds: u64) -> Record {
        let mut latency = Latency::default();
        let total: u64 = completed.iter().sum();
        (0..total).for_each(|_| latency.record(Duration::from_millis(milliseconds)));
        let second = |(second, completed): (usize, &u64)| Second {
            second: second as u32,
            length_seconds: 1.0,
            completed: *completed,
            failed: 0,
            sent_bytes: completed * 4096,
            received_bytes: 0,
            p50_ns: Some(milliseconds * 1_000_000 + *completed),
            p99_ns: Some(milliseconds * 1_100_000 + *completed),
            max_ns: Some(milliseconds * 2_000_000),
            nics: [("eth0".to_owned(), NicBytes { received: 7, sent: completed * 4200 })].into(),
            server: Some(Usage { cpu_seconds: 0.5, resident_bytes: 20 << 20 }),
        };
        Record {
            schema: SCHEMA,
            label: label.into(),
            began: "2026-11-21T17:00:00Z".into(),
            command: vec!["et-bench".into(), "run".into(), "small".into()],
            commit: Some("0123456789ab".into()),
            machine: Machine::here(),
            target: TargetFacts {
                url: "http://127.0.0.1:8765".into(),
                dialect: Dialect::Easytransfer,
                addresses: vec!["127.0.0.1:8765".into()],
            },
            workload: Workload::named("small").expect("a preset"),
            coordinated_omission: CoordinatedOmission::NotApplicable,
            generator: Generator { workers: 1, threads: 2, cpu_seconds: 1.5 },
            window: Window {
                seconds: completed.len() as f64,
                completed: total,
                sent_bytes: total * 4096,
                received_bytes: 0,
                failures: Failures::new(),
                missed: 0,
            },
            operations: vec![OperationResult { name: "small".into(), completed: total, latency }],
            seconds: completed.iter().enumerate().map(second).collect(),
            whole_run: WholeRun { stored_bytes: total * 4096, uploads: total, removed: 0, opened: 32 },
            verify: Verify::default(),
            idle: IdleResult::default(),
            server: Some(Server {
                pids: vec![1],
                cpu_seconds: 5.0,
                cpu_seconds_per_gib: per_gib(5.0, total * 4096),
                resident_before_bytes: 1 << 20,
                resident_ready_bytes: 2 << 20,
                resident_max_bytes: 20 << 20,
            }),
            connections: Vec::new(),
        }
    }

    #[test]
    fn a_record_reads_back_as_it_was() {
        let record = sample("a", &[100, 110, 90], 5);
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.json");
        record.save(&path).expect("written");
        assert_eq!(Record::load(&path).expect("read"), record);
    }

    #[test]
    fn another_schema_is_refused_by_number() {
        let mut record = sample("a", &[1], 5);
        record.schema = 999;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.json");
        record.save(&path).expect("written");
        assert!(Record::load(&path).expect_err("refused").to_string().contains("999"));
    }

    /// The example at the top of this file has every field a record has, and it is a record.
    #[test]
    fn the_documented_schema_is_the_real_one() {
        let lines = include_str!("record.rs").lines().skip_while(|line| *line != "//! ```json").skip(1);
        let text: String =
            lines.take_while(|line| *line != "//! ```").map(|line| line.trim_start_matches("//!")).collect();
        let documented: serde_json::Value = serde_json::from_str(&text).expect("the example is JSON");
        serde_json::from_value::<Record>(documented.clone()).expect("the example is a record");
        let mut record = sample("a", &[1], 5);
        record.connections = serde_json::from_value(documented["connections"].clone()).expect("connections");
        let real = serde_json::to_value(record).expect("JSON");
        let names = |value: &serde_json::Value| -> Vec<String> {
            value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
        };
        assert_eq!(names(&documented), names(&real));
        for part in ["machine", "target", "generator", "window", "whole_run", "verify", "idle", "server"] {
            assert_eq!(names(&documented[part]), names(&real[part]), "{part}");
        }
        for list in ["operations", "seconds", "connections"] {
            assert_eq!(names(&documented[list][0]), names(&real[list][0]), "{list}");
        }
    }
}
