//! `et info`: what the server is and can do, and at which addresses.

use clap::Args;
use etransfer_client::{Candidate, Candidates, Direction};
use serde_json::{Value, json};

use crate::args::{OutputArgs, RemoteArgs};
use crate::home::Home;
use crate::printer::Printer;
use crate::{human, remote};

/// Arguments.
#[derive(Debug, Args)]
pub struct InfoArgs {
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Asks the server; needs no token.
pub fn run(args: &InfoArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output);
    let client = remote::client(&args.remote, &Home::of_user(), printer)?;
    let info = client.info()?;
    // The list needs a token, and older servers have none; the rest is worth showing without.
    let candidates = client.candidates(Direction::Upload).ok();
    if printer.is_json() {
        let mut json = serde_json::to_value(&info)?;
        json["candidates"] = candidates.iter().flat_map(candidates_json).collect();
        return Ok(printer.json(&json)?);
    }
    let limit = info.max_upload_size.map_or("none".to_owned(), human::size);
    let mut lines = vec![
        ("client", env!("CARGO_PKG_VERSION").to_owned()),
        ("server", client.address().to_string()),
        ("version", info.version.clone()),
        ("extensions", info.tus_extensions.join(" ")),
        ("file limit", limit),
    ];
    if let (Some(files), Some(bytes)) = (info.total_files, info.total_size) {
        lines.push(("holds", format!("{files} files, {}", human::size(bytes))));
    }
    if let Some(retention) = &info.default_retention {
        lines.push(("retention", retention.clone()));
    }
    if let Some(engine) = info.extra.get("engine").and_then(|engine| engine.as_str()) {
        lines.push(("engine", engine.to_owned()));
    }
    for (name, value) in lines {
        printer.data(format_args!("{name:<11} {}", human::visible(&value)))?;
    }
    for text in candidates.iter().flat_map(candidate_lines) {
        printer.data(format_args!("{:<11} {}", "endpoint", human::visible(&text)))?;
    }
    Ok(())
}

/// Address, NIC, speed, load, distance, and what it would be picked for.
fn candidate_lines(candidates: &Candidates) -> Vec<String> {
    let describe = |one: &Candidate| {
        let nic = one.endpoint.as_ref().map_or_else(
            || "configured".to_owned(),
            |endpoint| {
                let speed = if endpoint.speed_mbps > 0 { human::link_speed(endpoint.speed_mbps) } else { "?".into() };
                let (receives, sends) = (endpoint.load(Direction::Upload), endpoint.load(Direction::Download));
                format!("{}, {speed}, receives {receives}%, sends {sends}%", endpoint.interface)
            },
        );
        let picked: String = picked_for(candidates, one).map(|what| format!("; best for {what}")).collect();
        format!("{}  {nic}, {}{picked}", one.address, one.found)
    };
    candidates.list.iter().map(describe).collect()
}

fn candidates_json(candidates: &Candidates) -> Vec<Value> {
    let json = |one: &Candidate| {
        let best_for: Vec<&str> = picked_for(candidates, one).collect();
        json!({
            "url": one.address.to_string(), "endpoint": one.endpoint, "found": one.found.to_string(),
            "best_for": best_for,
        })
    };
    candidates.list.iter().map(json).collect()
}

fn picked_for(candidates: &Candidates, one: &Candidate) -> impl Iterator<Item = &'static str> {
    let is_best = |direction| candidates.best(direction).address == one.address;
    let upload = is_best(Direction::Upload).then_some("uploads");
    upload.into_iter().chain(is_best(Direction::Download).then_some("downloads"))
}
