//! `et top`: what every NIC of the node receives and sends, as bars that move.
//!
//! Drawn with three escape codes instead of a terminal library: it is one table that is written over itself.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use console::Term;
use etransfer_client::{Client, Rates, Traffic, TrafficFeed};

use crate::args::{OutputArgs, RemoteArgs};
use crate::home::Home;
use crate::printer::Printer;
use crate::{human, remote};

/// Cells of a bar.
const BAR: usize = 20;
/// Between two tries to find a server that went away.
const AGAIN: Duration = Duration::from_secs(1);

/// Arguments.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Print one table and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs until q or Ctrl-C. A table on a terminal, a line a second elsewhere.
pub fn run(args: &TopArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output);
    let client = remote::client(&args.remote, &Home::of_user(), printer)?;
    if args.once {
        return show(&client.traffic()?, printer, table);
    }
    let mut feed = client.watch_traffic()?;
    if !printer.is_for_person() || printer.is_json() {
        loop {
            show(&next(&mut feed, &client, printer)?, printer, line)?;
        }
    }
    std::thread::spawn(end_on_q);
    let (term, mut drawn) = (Term::stdout(), 0);
    loop {
        let traffic = next(&mut feed, &client, printer)?;
        let (_, width) = term.size();
        let mut text = format!("{}\n{}   q ends", client.address(), table(&traffic));
        text = text.lines().map(|line| fit(line, usize::from(width)) + "\n").collect();
        term.clear_last_lines(drawn)?;
        term.write_str(&text)?;
        drawn = text.lines().count();
    }
}

/// The next second's; a server that went away is waited for.
fn next(feed: &mut TrafficFeed, client: &Client, printer: Printer) -> anyhow::Result<Traffic> {
    loop {
        match feed.wait_next() {
            Ok(traffic) => return Ok(traffic),
            Err(error) if error.is_transient() => printer.note(format_args!("{error}; trying again")),
            Err(error) => return Err(error.into()),
        }
        std::thread::sleep(AGAIN);
        if let Ok(new) = client.watch_traffic() {
            *feed = new;
        }
    }
}

/// The terminal is as it was before whenever a key has been read.
fn end_on_q() {
    loop {
        match Term::stdout().read_char() {
            Ok('q' | 'Q') => std::process::exit(0),
            Ok(_) => {}
            Err(_) => return, // no keyboard here; Ctrl-C still ends it
        }
    }
}

fn show(traffic: &Traffic, printer: Printer, text: fn(&Traffic) -> String) -> anyhow::Result<()> {
    match printer.is_json() {
        true => Ok(printer.json(traffic)?),
        false => Ok(printer.data(text(traffic).trim_end())?),
    }
}

/// A row per NIC, and one for all of them.
fn table(traffic: &Traffic) -> String {
    let mut text = format!("{:<12} {:>9}  {:<42}  {:<42}\n", "NIC", "SPEED", "RECEIVES", "SENDS");
    for nic in &traffic.interfaces {
        let speed = nic.speed_mbps.filter(|speed| *speed > 0);
        let cell = |rate, load| speed.map_or_else(|| bar(rate, None), |_| bar(rate, Some(load)));
        let (receives, sends) = (
            cell(nic.rates.download_rate, nic.download_load_percent),
            cell(nic.rates.upload_rate, nic.upload_load_percent),
        );
        let (name, speed) = (human::visible(&nic.name), speed.map_or_else(|| "?".to_owned(), human::link_speed));
        let _ = writeln!(text, "{name:<12} {speed:>9}  {receives:<42}  {sends}");
    }
    let Rates { upload_rate, download_rate } = traffic.total;
    let (receives, sends) = (bar(download_rate, None), bar(upload_rate, None));
    let _ = writeln!(text, "{:<12} {:>9}  {receives:<42}  {sends}", "all", "");
    text
}

/// Without a known speed a rate has no length.
fn bar(rate: f64, percent: Option<f64>) -> String {
    let rate = human::rate(rate.max(0.0) as u64, Duration::from_secs(1));
    match percent.map(|percent| percent.clamp(0.0, 100.0)) {
        None => format!("{:width$} {rate:>12}", "", width = BAR + 2),
        Some(percent) => {
            let full = (percent / 100.0 * BAR as f64).round() as usize;
            format!("[{:<BAR$}] {rate:>12} {percent:>3.0}%", "=".repeat(full))
        }
    }
}

/// One line where the output is no terminal.
fn line(traffic: &Traffic) -> String {
    let rates = |name: &str, rates: Rates| {
        let per_second = |rate: f64| human::rate(rate.max(0.0) as u64, Duration::from_secs(1));
        let (receives, sends) = (per_second(rates.download_rate), per_second(rates.upload_rate));
        format!("{} receives {receives} sends {sends}", human::visible(name))
    };
    let nics = traffic.interfaces.iter().map(|nic| rates(&nic.name, nic.rates));
    nics.chain([rates("all", traffic.total)]).collect::<Vec<_>>().join("; ")
}

/// A line that wrapped would not be written over.
fn fit(line: &str, width: usize) -> String {
    line.chars().take(width.saturating_sub(1)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_nic_has_its_row_and_a_bar_when_its_speed_is_known() {
        let traffic = json!({
            "interfaces": [
                {"name": "eth0", "speed_mbps": 10000, "upload_rate": 0.0, "download_rate": 655360000.0,
                 "upload_load_percent": 0.0, "download_load_percent": 50.0},
                {"name": "wlan0\u{1b}7", "speed_mbps": null, "upload_rate": 2048.0, "download_rate": 0.0},
            ],
            "total": {"upload_rate": 2048.0, "download_rate": 655360000.0},
        });
        let traffic: Traffic = serde_json::from_value(traffic).unwrap();
        let table = table(&traffic);
        let rows: Vec<&str> = table.lines().collect();
        assert_eq!(rows.len(), 4, "{table}");
        assert!(rows[1].contains("10 Gb/s  [==========          ]  625.0 MiB/s  50%"), "{table}");
        assert!(rows[2].contains("      ?") && !rows[2].contains(['[', '\u{1b}']), "{table}");
        let line = line(&traffic);
        assert!(line.starts_with("eth0 receives 625.0 MiB/s sends 0 B/s; ") && !line.contains('\n'), "{line}");
        assert_eq!(fit("abcdef", 4), "abc");
    }
}
