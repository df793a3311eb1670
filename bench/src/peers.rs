//! Several servers through the same matrix of workloads in one go.
//!
//! Measured in rounds, every round has every peer once per workload, and each round begins with another peer; a ratio is
//! taken inside its round, and its median over the rounds is quoted. The server is kept on the first allowed CPU and the
//! load on the others, when there are two. Every window has a fresh process in a fresh directory.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::compare::median;
use crate::peer::Peer;
use crate::placement::Placement;
use crate::record::Record;
use crate::units::{bytes, digits, nanoseconds};
use crate::view::View;
use crate::window::Window;
use crate::workload::Workload;

/// What is measured.
pub struct Matrix {
    /// The first one is the reference of the ratios.
    pub peers: Vec<Peer>,
    pub workloads: Vec<Workload>,
    pub rounds: u32,
    /// Servers store below it: the file system under test.
    pub dir: PathBuf,
    pub threads: u32,
}

impl Matrix {
    /// Every record, in the order they were made; a peer whose dialect cannot do a workload is left out of it.
    pub fn measure(&self, view: &mut View, saw: &mut dyn FnMut(u32, &Record) -> Result<()>) -> Result<Vec<Record>> {
        ensure!(!self.peers.is_empty(), "no peer to measure; name some with --peer");
        let placement = Placement::apart()?;
        let mut records = Vec::new();
        for round in 0..self.rounds {
            for workload in &self.workloads {
                for turn in 0..self.peers.len() {
                    let peer = &self.peers[(turn + round as usize) % self.peers.len()];
                    if let Some(record) = self.one(peer, workload, &placement, view)? {
                        saw(round, &record)?;
                        records.push(record);
                    }
                }
            }
        }
        Ok(records)
    }

    fn one(&self, peer: &Peer, workload: &Workload, placement: &Placement, view: &mut View) -> Result<Option<Record>> {
        Window::open(peer, &self.dir, placement)?.measure(&peer.name, workload, self.threads, view)
    }

    /// A row per workload and peer: medians over the rounds, and of the ratios to the first peer.
    pub fn text(&self, records: &[Record]) -> String {
        let head = format!(
            "{:10} {:10} {:>10} {:>12} {:>10} {:>10} {:>10} | to {}: {:>8} {:>8} {:>8}\n",
            "workload",
            "server",
            "op/s",
            "bytes/s",
            "p50",
            "p99",
            "cpu s/GiB",
            self.peers[0].name,
            "op/s",
            "p99",
            "cpu"
        );
        let mut lines = vec![head];
        for workload in &self.workloads {
            let of = |peer: &Peer| -> Vec<&Record> {
                let mine = |record: &&Record| record.label == peer.name && record.workload.name == workload.name;
                records.iter().filter(mine).collect()
            };
            let reference = of(&self.peers[0]);
            for peer in &self.peers {
                let rows = of(peer);
                if !rows.is_empty() {
                    lines.push(row(&workload.name, &peer.name, &rows, &reference));
                }
            }
        }
        lines.concat()
    }
}

fn row(workload: &str, peer: &str, rows: &[&Record], reference: &[&Record]) -> String {
    let p50 = |record: &Record| record.latency().at(0.5).map(|value| value as f64);
    let p99 = |record: &Record| record.latency().at(0.99).map(|value| value as f64);
    let cpu = |record: &Record| record.server.as_ref()?.cpu_seconds_per_gib;
    let rate = |record: &Record| Some(record.operations_per_second());
    let show = |of: &dyn Fn(&Record) -> Option<f64>, show: &dyn Fn(f64) -> String| {
        median(rows.iter().filter_map(|record| of(record)).collect()).map_or_else(|| "-".into(), show)
    };
    let time = |value: f64| nanoseconds(value as u64);
    let ratio = |of: &dyn Fn(&Record) -> Option<f64>| {
        let pairs = rows.iter().zip(reference).filter_map(|(row, reference)| Some(of(row)? / of(reference)?));
        median(pairs.filter(|ratio| ratio.is_finite()).collect())
            .map_or_else(|| "-".into(), |ratio| format!("{ratio:.3}"))
    };
    format!(
        "{workload:10} {peer:10} {:>10} {:>12} {:>10} {:>10} {:>10} | {:>16} {:>8} {:>8}\n",
        show(&rate, &digits),
        show(&|record| Some(record.bytes_per_second()), &bytes),
        show(&p50, &time),
        show(&p99, &time),
        show(&cpu, &digits),
        ratio(&rate),
        ratio(&p99),
        ratio(&cpu),
    )
}
