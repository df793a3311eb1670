//! The table of figures as one page that loads nothing: goals and verdicts first, then every scene with its windows and plots.

use std::fmt::Write as _;
use std::path::Path;

use super::chart::escape;
use super::html::{STYLE, charts};
use crate::figures::figure::Verdict;
use crate::figures::file::{Facts, File, Row};
use crate::units::bytes;

/// Of the plots a record has, those that tell servers apart: throughput, latency by percentile, CPU.
const PLOTS: [usize; 3] = [0, 3, 6];

/// The page; plots are of the records that lie in `output`.
pub fn page(file: &File, output: &Path) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>et-bench figures</title><style>{STYLE}\
         .missed {{ font-weight: 700; color: #d55e00; }} .met {{ color: #009e73; }}</style></head><body>\
         <h1>et-bench figures</h1>"
    );
    let mut facts: Vec<&Facts> = Vec::new();
    for row in &file.rows {
        if !facts.contains(&&row.facts) {
            facts.push(&row.facts);
        }
    }
    facts.iter().for_each(|facts| page.push_str(&made(facts)));
    page.push_str("<table><tr><th>figure</th><th>goal</th><th>measured</th><th>met?</th></tr>");
    for figure in file.rows.iter().flat_map(|row| &row.figures) {
        let class = match figure.verdict {
            Verdict::Met => "met",
            Verdict::Missed => "missed",
            Verdict::Undecided | Verdict::NoGoal | Verdict::NotMeasured => "",
        };
        let cells = [figure.what.clone(), figure.goal_text(), figure.value_text()];
        let cells: Vec<String> = cells.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
        let verdict = escape(figure.verdict.text());
        write!(page, "<tr>{}<td class=\"{class}\">{verdict}</td></tr>", cells.concat()).expect("text grows");
    }
    page.push_str("</table>");
    for row in &file.rows {
        page.push_str(&scene(row, output));
    }
    page + "</body></html>\n"
}

/// Machine, kernel, commit, flags.
fn made(facts: &Facts) -> String {
    let machine = &facts.machine;
    let commit = facts.commit.as_deref().unwrap_or("unknown");
    let text = format!(
        "{}, {} CPUs, {}; {}, {}; commit {commit}; {} rounds of windows of {} s: {}",
        machine.cpu,
        machine.cpus,
        bytes(machine.memory_bytes as f64),
        machine.kernel,
        machine.congestion_control,
        facts.rounds,
        facts.window_seconds,
        facts.command.join(" ")
    );
    format!("<p>{}</p>", escape(&text))
}

fn scene(row: &Row, output: &Path) -> String {
    let metrics = row.metrics();
    let mut text = format!("<h2>{}</h2><p>{} ({})</p><table><tr><th></th>", row.scene, escape(&row.how), row.measured);
    metrics.iter().for_each(|metric| write!(text, "<th>{}</th>", escape(metric.name())).expect("text grows"));
    text.push_str("</tr>");
    for entrant in &row.entrants {
        write!(text, "<tr><td>{}</td>", escape(entrant)).expect("text grows");
        for metric in &metrics {
            let cell = row.median(entrant, *metric).map_or_else(|| "-".into(), |value| metric.show(value));
            write!(text, "<td>{}</td>", escape(&cell)).expect("text grows");
        }
        text.push_str("</tr>");
    }
    text.push_str("</table>");
    row.notes.iter().for_each(|note| write!(text, "<p>{}</p>", escape(note)).expect("text grows"));
    let charts = charts(&File::records(output, row));
    let chosen = PLOTS.map(|at| charts[at].as_str()).concat();
    write!(text, "<main>{chosen}</main>").expect("text grows");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::file::{record_path, tests::row};
    use crate::record::tests::sample;

    #[test]
    fn the_page_has_verdicts_and_plots_and_loads_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        sample("et", &[100, 120, 90], 5).save(&record_path(dir.path(), "a", "et")).expect("written");
        let mut file = File::load_or_new(dir.path()).expect("a new one");
        let names = ["a".to_owned(), "b".to_owned()];
        file.put(row("a", 0.25), &names);
        file.put(row("b", 0.5), &names);
        let page = page(&file, dir.path());
        assert_eq!(page.matches("<svg").count(), 3, "one of the rows has a record");
        assert!(page.contains("<td class=\"missed\">NO</td>") && page.contains("<td class=\"met\">yes</td>"), "{page}");
        for load in ["<script", "<link", "<img", "@import", "url(", " src=", " href="] {
            assert!(!page.contains(load), "{load} in the page");
        }
    }
}
