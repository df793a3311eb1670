//! One page about one or several runs: plots, figures, where and how they were made. It loads nothing: styles and drawings
//! are in it, there is no script.

use std::fmt::Write as _;

use super::chart::{Axis, Scale, Series, escape, svg};
use super::summary;
use crate::load::latency::Latency;
use crate::record::{Record, Second};
use crate::units::{bytes, digits, nanoseconds};

pub(super) const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 78rem; margin: 2rem auto; padding: 0 1rem; }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(30rem, 1fr)); gap: 1.5rem; }
figure { margin: 0; } figcaption { font-weight: 600; } svg { width: 100%; height: auto; }
svg text { font-size: 11px; fill: currentColor; } .grid { stroke: currentColor; stroke-opacity: .15; }
.legend span { margin-right: 1rem; } .legend i { display: inline-block; width: .8em; height: .8em; margin-right: .3em; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top; }
pre { overflow-x: auto; }
";

const SECONDS: Axis = Axis { name: "seconds", scale: Scale::Linear, show: |value| digits_short(value) };
const BYTES: Axis = Axis { name: "bytes per second", scale: Scale::Binary, show: bytes };
const TIME: Axis = Axis { name: "latency", scale: Scale::Log, show: |value| nanoseconds(value as u64) };

/// The page. Several runs share every plot, a line each.
pub fn page(records: &[Record]) -> String {
    let title = records.iter().map(|record| record.label.as_str()).collect::<Vec<_>>().join(", ");
    let title = escape(&format!("et-bench: {title}"));
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style>\
         </head><body><h1>{title}</h1>"
    );
    for record in records {
        write!(page, "<h2>{}</h2><pre>{}</pre>", escape(&record.label), escape(&summary::text(record)))
            .expect("text grows");
    }
    page.push_str("<main>");
    for chart in charts(records) {
        page.push_str(&chart);
    }
    page.push_str("</main>");
    for record in records {
        page.push_str(&facts(record));
    }
    page + "</body></html>\n"
}

pub(super) fn charts(records: &[Record]) -> [String; 8] {
    let operations = Axis { name: "operations per second", scale: Scale::Linear, show: digits };
    let share = Axis { name: "share of operations", scale: Scale::Linear, show: |value| format!("{value:.1}") };
    // 1 / (1 - quantile): 10 is p90, 100 is p99.
    let tail = Axis { name: "percentile", scale: Scale::Log, show: percentile };
    let cpus = Axis { name: "CPUs busy", scale: Scale::Linear, show: digits };
    let memory = Axis { name: "resident bytes", scale: Scale::Binary, show: bytes };
    [
        svg(
            "Throughput",
            &SECONDS,
            &BYTES,
            &over_time(
                records,
                &[
                    ("up", |second| Some(second.sent_bytes as f64 / second.length_seconds)),
                    ("down", |second| Some(second.received_bytes as f64 / second.length_seconds)),
                ],
            ),
        ),
        svg(
            "Operations",
            &SECONDS,
            &operations,
            &over_time(
                records,
                &[
                    ("done", |second| Some(second.completed as f64 / second.length_seconds)),
                    ("failed", |second| (second.failed > 0).then(|| second.failed as f64 / second.length_seconds)),
                ],
            ),
        ),
        svg(
            "Latency over time",
            &SECONDS,
            &TIME,
            &over_time(
                records,
                &[
                    ("p50", |second| second.p50_ns.map(|value| value as f64)),
                    ("p99", |second| second.p99_ns.map(|value| value as f64)),
                    ("max", |second| second.max_ns.map(|value| value as f64)),
                ],
            ),
        ),
        svg("Latency by percentile", &tail, &TIME, &by_operation(records, tail_points)),
        svg("Cumulative distribution of latency", &TIME, &share, &by_operation(records, share_points)),
        svg("Network interfaces", &SECONDS, &BYTES, &interfaces(records)),
        svg(
            "Server: CPU",
            &SECONDS,
            &cpus,
            &over_time(
                records,
                &[("", |second| second.server.map(|server| server.cpu_seconds / second.length_seconds))],
            ),
        ),
        svg(
            "Server: memory",
            &SECONDS,
            &memory,
            &over_time(records, &[("", |second| second.server.map(|server| server.resident_bytes as f64))]),
        ),
    ]
}

/// The record's label in front, when there are several.
fn named(records: &[Record], record: &Record, name: &str) -> String {
    if records.len() == 1 { name.to_owned() } else { format!("{} {name}", record.label).trim_end().to_owned() }
}

type Figure = (&'static str, fn(&Second) -> Option<f64>);

fn over_time(records: &[Record], figures: &[Figure]) -> Vec<Series> {
    let mut all = Vec::new();
    for record in records {
        for (name, figure) in figures {
            let points = record.seconds.iter().filter_map(|second| Some((end_of(second), figure(second)?)));
            all.push(Series { name: named(records, record, name), points: points.collect() });
        }
    }
    all.retain(|series| !series.points.is_empty());
    all
}

fn end_of(second: &Second) -> f64 {
    f64::from(second.second) + second.length_seconds
}

fn interfaces(records: &[Record]) -> Vec<Series> {
    let mut all = Vec::new();
    for record in records {
        let mut names: Vec<&String> = record.seconds.iter().flat_map(|second| second.nics.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let rate = |pick: fn(&crate::nic::NicBytes) -> u64| {
                let at = |second: &Second| pick(&second.nics.get(name).copied().unwrap_or_default()) as f64;
                record.seconds.iter().map(|second| (end_of(second), at(second) / second.length_seconds)).collect()
            };
            let series = |name: &str, points| Series { name: named(records, record, name), points };
            all.push(series(&format!("{name} sent"), rate(|bytes| bytes.sent)));
            all.push(series(&format!("{name} received"), rate(|bytes| bytes.received)));
        }
    }
    all
}

fn by_operation(records: &[Record], points: fn(&Latency) -> Vec<(f64, f64)>) -> Vec<Series> {
    let one = |record: &Record| -> Vec<Series> {
        let operations = record.operations.iter();
        operations
            .map(|operation| Series {
                name: named(records, record, &operation.name),
                points: points(&operation.latency),
            })
            .collect()
    };
    let mut all: Vec<Series> = records.iter().flat_map(one).collect();
    all.retain(|series| !series.points.is_empty());
    all
}

/// Up to the last operation but one: beyond it a percentile is the maximum.
fn tail_points(latency: &Latency) -> Vec<(f64, f64)> {
    let steps = (0..=60).map(|step| 10_f64.powf(f64::from(step) / 10.0));
    let known = steps.take_while(|tail| *tail <= latency.count() as f64);
    known.filter_map(|tail| Some((tail, latency.at(1.0 - 1.0 / tail)? as f64))).collect()
}

fn share_points(latency: &Latency) -> Vec<(f64, f64)> {
    let (all, mut seen) = (latency.count() as f64, 0);
    let each = latency.slots().map(|(value, count)| {
        seen += count;
        (value as f64, seen as f64 / all)
    });
    each.collect()
}

fn percentile(tail: f64) -> String {
    match 100.0 * (1.0 - 1.0 / tail) {
        low if low < 0.5 => "p0".into(),
        value => format!("p{}", (value * 1e4).round() / 1e4),
    }
}

fn digits_short(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { digits(value) }
}

/// Machine, kernel, commit, flags: what a figure is worth nothing without.
fn facts(record: &Record) -> String {
    let machine = &record.machine;
    let workload = serde_json::to_string_pretty(&record.workload).expect("a workload is JSON");
    let rows = [
        ("target", format!("{} ({:?})", record.target.url, record.target.dialect)),
        ("commit", record.commit.clone().unwrap_or_else(|| "unknown".into())),
        ("began", record.began.clone()),
        ("command", record.command.join(" ")),
        ("machine", format!("{}, {} CPUs, {}", machine.cpu, machine.cpus, bytes(machine.memory_bytes as f64))),
        ("kernel", format!("{}, {}", machine.kernel, machine.congestion_control)),
    ];
    let rows: Vec<String> =
        rows.iter().map(|(name, value)| format!("<tr><th>{name}</th><td>{}</td></tr>", escape(value))).collect();
    format!(
        "<h2>How {} was made</h2><table>{}</table>{}<details><summary>Workload</summary><pre>{}</pre></details>",
        escape(&record.label),
        rows.concat(),
        connections(record),
        escape(&workload)
    )
}

/// The split over connections.
fn connections(record: &Record) -> String {
    let mut rows = String::new();
    for one in &record.connections {
        let local = escape(one.local.as_deref().unwrap_or("closed"));
        let (sent, received) = (bytes(one.sent as f64), bytes(one.received as f64));
        write!(
            rows,
            "<tr><td>{local}</td><td>{}</td><td>{}</td><td>{sent}</td><td>{received}</td><td>{}</td></tr>",
            escape(&one.remote),
            one.exchanges,
            one.opened
        )
        .expect("text grows");
    }
    format!(
        "<details><summary>Connections ({})</summary><table><tr><th>local</th><th>remote</th><th>exchanges</th>\
         <th>sent</th><th>received</th><th>opened</th></tr>{rows}</table></details>",
        record.connections.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::sample;

    #[test]
    fn the_page_loads_nothing() {
        let mut record = sample("a", &[100, 120, 90], 5);
        record.label = "<script src=\"https://elsewhere/x.js\">".into();
        record.command.push("\"><img src=http://elsewhere>".into());
        for page in [page(&[record.clone()]), page(&[record, sample("b", &[1], 1)])] {
            for load in ["<script", "<link", "<img", "<iframe", "@import", "url(", " src=\"", " href="] {
                assert!(!page.contains(load), "{load} in the page");
            }
            assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        }
    }

    #[test]
    fn every_plot_is_there_and_knows_its_runs() {
        let page = page(&[sample("first", &[100, 120, 90], 5), sample("second", &[50, 60, 70], 9)]);
        assert_eq!(page.matches("<svg").count(), 8, "throughput, operations, 3 × latency, interfaces, CPU, memory");
        for word in ["first p99", "second p99", "eth0 sent", "p99.9", "0123456789ab", "Linux", "first small"] {
            assert!(page.contains(word), "{word}");
        }
    }

    #[test]
    fn percentiles_are_named_as_people_say_them() {
        for (tail, name) in [(1.0, "p0"), (10.0, "p90"), (100.0, "p99"), (1000.0, "p99.9"), (100_000.0, "p99.999")] {
            assert_eq!(percentile(tail), name);
        }
    }
}
