//! `et version`.

use clap::Args;

use crate::args::OutputArgs;
use crate::printer::Printer;

/// Arguments.
#[derive(Debug, Args)]
pub struct VersionArgs {
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints it.
pub fn run(args: &VersionArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output);
    let version = env!("CARGO_PKG_VERSION");
    match printer.is_json() {
        true => printer.json(&serde_json::json!({ "version": version }))?,
        false => printer.data(format_args!("et {version}"))?,
    }
    Ok(())
}
