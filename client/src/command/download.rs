//! `et download ID`: a file down, its path on stdout. Run again after any end, it continues.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use etransfer_client::download::{DownloadOptions, Downloader, Target};
use etransfer_client::text_of;

use crate::args::{OutputArgs, PlaceArgs, RemoteArgs, TransferArgs};
use crate::display::Display;
use crate::home::Home;
use crate::printer::Printer;
use crate::{human, interrupt, remote};

/// Arguments.
#[derive(Debug, Args)]
pub struct DownloadArgs {
    /// Id of the file, or the start of it
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// Replace what is there
    #[arg(long, short)]
    force: bool,
    /// Accepted for older scripts; nothing is cached
    #[arg(long, hide = true)]
    no_cache: bool,
    #[command(flatten)]
    transfer: TransferArgs,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Downloads one file.
pub fn run(args: &DownloadArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output);
    let home = Home::of_user();
    let client = args.transfer.bind(remote::client(&args.remote, &home, printer)?);
    let options = DownloadOptions {
        connections: args.transfer.connections,
        nics: args.transfer.nics,
        slice_bytes: args.transfer.slice_bytes.as_deref().map(human::parse_size).transpose()?,
        overwrite: args.force,
        patience: Duration::from_secs(args.transfer.patience),
        records: home.downloads(),
        ..DownloadOptions::default()
    };
    let cancel = interrupt::cancel_on_signal()?;
    let id = client.find(&args.id)?;
    let display = Arc::new(Display::new(printer, id.chars().take(8).collect()));
    let downloader = Downloader::new(client, options, display.clone());
    if args.place.output.as_deref().is_some_and(|output| output.as_os_str() == "-") {
        let streamed = downloader.download_stream(&id, &mut std::io::stdout().lock(), &cancel);
        display.finish();
        printer.note(format_args!("{}: {}", id, display.summary(streamed?.size, &[])));
        return Ok(());
    }
    let downloaded = downloader.download(&id, &target(&args.place), &cancel);
    display.finish();
    let done = downloaded?;
    let path = human::visible(&text_of(done.path.as_os_str()));
    if done.already {
        printer.note(format_args!("{path}: already downloaded, unchanged since"));
    } else {
        printer.note(format_args!("{path}: {}", display.summary(done.size, &done.shares)));
    }
    match printer.is_json() {
        true => {
            let path = text_of(done.path.as_os_str());
            let (already, shares) = (done.already, done.shares);
            printer.json(&serde_json::json!({
                "id": done.id, "path": path, "size": done.size, "already": already, "shares": shares,
            }))?;
        }
        false => printer.path(&done.path)?,
    }
    Ok(())
}

fn target(place: &PlaceArgs) -> Target {
    match (&place.output, &place.path) {
        (Some(output), _) => Target::from_path(output),
        (None, Some(directory)) => Target::Directory(directory.clone()),
        (None, None) => Target::Directory(PathBuf::new()),
    }
}
