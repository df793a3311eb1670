//! `et upload FILE...`: each file up, its id on stdout. Run again after any end, it continues.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use etransfer_client::upload::{UploadOptions, Uploaded, Uploader};
use etransfer_client::{Cancel, Client, Error, Retention, text_of};

use crate::args::{OutputArgs, RemoteArgs, TransferArgs};
use crate::display::Display;
use crate::exit::{CliError, code_for};
use crate::home::Home;
use crate::printer::{Printer, report};
use crate::{human, interrupt, remote};

/// Arguments.
#[derive(Debug, Args)]
pub struct UploadArgs {
    /// Files to upload; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Name on the server, for one file; its own name if not given, `stdin` for standard input
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// permanent, download_once or ttl; the server's default if not given
    #[arg(long, short, value_name = "POLICY")]
    retention: Option<String>,
    /// Seconds, for ttl
    #[arg(long, value_name = "SECONDS")]
    retention_ttl: Option<u64>,
    /// Wait while the server has no room (the default)
    #[arg(long, overrides_with = "no_wait_on_quota")]
    wait_on_quota: bool,
    /// End with 5 when the server has no room
    #[arg(long)]
    no_wait_on_quota: bool,
    #[command(flatten)]
    transfer: TransferArgs,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Uploads one after the other; one that fails does not stop the next, unless the server is the reason.
pub fn run(args: &UploadArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output);
    if args.name.is_some() && args.files.len() > 1 {
        return Err(CliError::OneName.into());
    }
    let home = Home::of_user();
    let options = options(args, &home)?;
    let client = args.transfer.bind(remote::client(&args.remote, &home, printer)?);
    let cancel = interrupt::cancel_on_signal()?;
    let mut failed = Vec::new();
    for file in &args.files {
        let Err(error) = upload(&client, &options, file, printer, &cancel) else { continue };
        if args.files.len() == 1 || concerns_all(&error) {
            return Err(error);
        }
        report(&error);
        failed.push(code_for(&error));
    }
    match failed.first() {
        None => Ok(()),
        Some(first) => Err(CliError::Some { failed: failed.len(), all: args.files.len(), first: *first }.into()),
    }
}

fn upload(
    client: &Client,
    options: &UploadOptions,
    file: &Path,
    printer: Printer,
    cancel: &Cancel,
) -> anyhow::Result<()> {
    let is_stdin = file.as_os_str() == "-";
    let own_name = if is_stdin { "stdin".to_owned() } else { text_of(file.file_name().unwrap_or(file.as_os_str())) };
    let label = human::visible(options.name.as_deref().unwrap_or(&own_name));
    let display = Arc::new(Display::new(printer, label.clone()));
    let uploader = Uploader::new(client.clone(), options.clone(), display.clone());
    let uploaded = match is_stdin {
        true => uploader.upload_stream(std::io::stdin().lock(), &own_name, cancel),
        false => uploader.upload(file, cancel),
    };
    display.finish();
    let Uploaded { id, name, size, shares } = uploaded?;
    printer.note(format_args!("{label}: {}", display.summary(size, &shares)));
    match printer.is_json() {
        true => printer.json(&serde_json::json!({ "id": id, "name": name, "size": size, "shares": shares }))?,
        false => printer.data(id)?,
    }
    Ok(())
}

fn options(args: &UploadArgs, home: &Home) -> anyhow::Result<UploadOptions> {
    Ok(UploadOptions {
        connections: args.transfer.connections,
        nics: args.transfer.nics,
        slice_bytes: args.transfer.slice_bytes.as_deref().map(human::parse_size).transpose()?,
        name: args.name.clone(),
        retention: retention(args.retention.as_deref(), args.retention_ttl)?,
        wait_for_space: !args.no_wait_on_quota,
        patience: Duration::from_secs(args.transfer.patience),
        records: home.uploads(),
        ..UploadOptions::default()
    })
}

fn retention(policy: Option<&str>, seconds: Option<u64>) -> anyhow::Result<Option<Retention>> {
    let text = match (policy, seconds) {
        (None, None) => return Ok(None),
        (Some("ttl") | None, Some(seconds)) => format!("ttl:{seconds}"),
        (Some(policy), _) => policy.to_owned(),
    };
    Ok(Some(text.parse()?))
}

/// The next file would fare no better.
fn concerns_all(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<Error>() {
        Some(Error::Unreachable { .. } | Error::Stuck { .. } | Error::Unauthorized { .. } | Error::Interrupted) => true,
        Some(_) => false,
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_chosen_by_name_and_seconds() {
        for (policy, seconds, expected) in [
            (None, None, Ok(None)),
            (Some("permanent"), None, Ok(Some(Retention::Permanent))),
            (Some("download_once"), None, Ok(Some(Retention::DownloadOnce))),
            (Some("ttl"), Some(60), Ok(Some(Retention::Ttl { seconds: 60 }))),
            (None, Some(60), Ok(Some(Retention::Ttl { seconds: 60 }))),
            (Some("ttl"), None, Err(())),
            (Some("ttl"), Some(0), Err(())),
            (Some("never"), None, Err(())),
        ] {
            assert_eq!(retention(policy, seconds).map_err(|_| ()), expected, "{policy:?} {seconds:?}");
        }
    }
}
