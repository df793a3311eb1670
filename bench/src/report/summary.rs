//! A record as a few lines of text: what is printed when a run has ended.

use std::fmt::Write as _;

use crate::load::failure::Failures;
use crate::load::latency::Latency;
use crate::record::{CoordinatedOmission, Record};
use crate::units::{bytes, digits, nanoseconds};

/// Percentiles that are shown.
pub const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];

/// Several lines, each with its end.
pub fn text(record: &Record) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| writeln!(text, "{name:<12} {value}").expect("text grows");
    let (workload, window) = (&record.workload, &record.window);
    let mode = match record.coordinated_omission {
        CoordinatedOmission::Corrected => format!("open loop, {} op/s", digits(workload.rate.unwrap_or_default())),
        CoordinatedOmission::NotApplicable => "closed loop".into(),
    };
    line("workload", format!("{}, {} connections, {mode}, {} s", workload.name, workload.connections, window.seconds));
    let (sent, received) = (window.sent_bytes as f64, window.received_bytes as f64);
    line("operations", format!("{} ({}/s)", window.completed, digits(record.operations_per_second())));
    line("up", format!("{} ({}/s)", bytes(sent), bytes(sent / window.seconds)));
    line("down", format!("{} ({}/s)", bytes(received), bytes(received / window.seconds)));
    for operation in &record.operations {
        line(&operation.name, format!("{} done; {}", operation.completed, percentiles(&operation.latency)));
    }
    if let Some((slowest, median)) = slowest_and_median(record) {
        line("seconds", format!("median {} op/s, slowest {} op/s", digits(median), digits(slowest)));
    }
    if !window.failures.is_empty() {
        line("failed", kinds(&window.failures));
    }
    if window.missed > 0 {
        line("missed", format!("{} arrivals found no free connection: the rate is not sustained", window.missed));
    }
    if workload.verify {
        let (verify, back) = (&record.verify, &record.verify.read_back);
        line(
            "verified",
            format!(
                "{} as they came ({} s of the load's CPU); {} files read back, failed: {}",
                bytes(verify.compared_bytes as f64),
                digits(verify.compare_seconds),
                back.files,
                if back.failures.is_empty() { "none".into() } else { kinds(&back.failures) }
            ),
        );
    }
    if record.idle.held > 0 {
        let cost = record.bytes_per_idle_connection();
        let cost = cost.map_or_else(String::new, |cost| format!(", {} resident each", bytes(cost)));
        line("idle", format!("{} of {} still answer{cost}", record.idle.survivors, record.idle.held));
    }
    if let Some(server) = &record.server {
        let per_gib = server.cpu_seconds_per_gib.map_or_else(|| "-".into(), digits);
        let resident = bytes(server.resident_max_bytes as f64);
        line(
            "server",
            format!("{} s of CPU, {per_gib} s/GiB, {resident} resident at most", digits(server.cpu_seconds)),
        );
    }
    let generator = &record.generator;
    line("load", format!("{} s of CPU on {} threads", digits(generator.cpu_seconds), generator.threads));
    text
}

fn kinds(failures: &Failures) -> String {
    failures.iter().map(|(kind, count)| format!("{kind}: {count}")).collect::<Vec<_>>().join(", ")
}

/// `p50 1.2 ms  p90 …`
pub fn percentiles(latency: &Latency) -> String {
    let one = |(name, quantile): (&str, f64)| Some(format!("{name} {}", nanoseconds(latency.at(quantile)?)));
    QUANTILES.into_iter().filter_map(one).collect::<Vec<_>>().join("  ")
}

fn slowest_and_median(record: &Record) -> Option<(f64, f64)> {
    let mut rates: Vec<f64> =
        record.seconds.iter().map(|second| second.completed as f64 / second.length_seconds).collect();
    rates.sort_by(f64::total_cmp);
    Some((*rates.first()?, rates[rates.len() / 2]))
}
