//! `et delete ID...`: removes files and running uploads, after asking.

use std::io::{BufRead, Write};

use clap::Args;
use etransfer_client::FileInfo;

use crate::args::{OutputArgs, RemoteArgs};
use crate::exit::CliError;
use crate::home::Home;
use crate::printer::Printer;
use crate::{human, remote};

/// Arguments.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Ids of files, or the starts of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    force: bool,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Every id is looked up before anything is deleted, so a typing error deletes nothing.
pub fn run(args: &DeleteArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output);
    let client = remote::client(&args.remote, &Home::of_user(), printer)?;
    let mut files = Vec::new();
    for id in &args.ids {
        files.push(client.file(&client.find(id)?)?);
    }
    if !args.force && !confirmed(&files)? {
        printer.note("nothing deleted");
        return Ok(());
    }
    for file in files {
        client.delete(&file.file_id)?;
        match printer.is_json() {
            true => printer.json(&serde_json::json!({ "id": file.file_id, "status": "deleted" }))?,
            false => printer.data(&file.file_id)?,
        }
    }
    Ok(())
}

/// Asks on stderr; an answer that never comes is an error, not a no.
fn confirmed(files: &[FileInfo]) -> anyhow::Result<bool> {
    let mut err = std::io::stderr().lock();
    for file in files {
        let size = file.size.map_or("?".to_owned(), human::size);
        writeln!(err, "{}  {size}  {}", file.file_id, human::visible(&file.filename))?;
    }
    write!(err, "Delete? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    if std::io::stdin().lock().read_line(&mut answer)? == 0 {
        writeln!(err)?;
        return Err(CliError::NotConfirmed.into());
    }
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
