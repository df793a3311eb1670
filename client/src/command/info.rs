//! `et info`: what the server is and can do.

use clap::Args;

use crate::cli::{OutputArgs, RemoteArgs};
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
    let client = remote::client(&args.remote, &Home::of_user()?, printer)?;
    let info = client.info()?;
    if printer.is_json() {
        return Ok(printer.json(&info)?);
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
    Ok(())
}
