//! `et status`: the saved server and session, without asking anyone; with an id, the state of that file.

use clap::Args;
use etransfer_client::FileStatus;

use crate::args::{OutputArgs, RemoteArgs};
use crate::home::Home;
use crate::printer::Printer;
use crate::{human, remote};

/// Arguments.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Id of a file, or the start of it
    #[arg(value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Tells one or the other.
pub fn run(args: &StatusArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output);
    let home = Home::of_user();
    match &args.id {
        None => session(&home, printer),
        Some(id) => file(args, id, &home, printer),
    }
}

/// The token itself is never shown.
fn session(home: &Home, printer: Printer) -> anyhow::Result<()> {
    let saved = home.saved()?;
    if printer.is_json() {
        return Ok(printer.json(&serde_json::json!({
            "server": saved.server(), "token_saved": saved.token.is_some(),
            "username": saved.username, "role": saved.role, "expires_at": saved.expires_at,
        }))?);
    }
    let Some(server) = saved.server() else {
        printer.data("no server is set up")?;
        printer.note("hint: run `et setup HOST:PORT`");
        return Ok(());
    };
    printer.data(format_args!("server      {}", human::visible(&server)))?;
    let token = match (saved.token.is_some(), saved.is_expired()) {
        (false, _) => "none",
        (true, false) => "saved",
        (true, true) => "expired; log in again with `et login`",
    };
    printer.data(format_args!("token       {token}"))?;
    for (name, value) in [("user", &saved.username), ("role", &saved.role), ("expires", &saved.expires_at)] {
        if let Some(value) = value {
            printer.data(format_args!("{name:<11} {}", human::visible(value)))?;
        }
    }
    Ok(())
}

fn file(args: &StatusArgs, id: &str, home: &Home, printer: Printer) -> anyhow::Result<()> {
    let client = remote::client(&args.remote, home, printer)?;
    let file = client.file(&client.find(id)?)?;
    if printer.is_json() {
        return Ok(printer.json(&file)?);
    }
    let size = file.size.map_or("unknown".to_owned(), human::size);
    let state = match file.status {
        FileStatus::Complete => "complete".to_owned(),
        FileStatus::Partial => format!("partial, {} there", human::size(file.uploaded_size)),
    };
    let mut lines = vec![
        ("id", Some(file.file_id)),
        ("name", Some(file.filename)),
        ("size", Some(size)),
        ("state", Some(state)),
        ("retention", file.metadata.retention),
        ("until", file.metadata.retention_expires_at.or(file.expires_at)),
        ("downloads", file.metadata.download_count.map(|count| count.to_string())),
        ("created", file.created_at),
        ("updated", file.updated_at),
    ];
    for (name, value) in lines.drain(..) {
        if let Some(value) = value {
            printer.data(format_args!("{name:<11} {}", human::visible(&value)))?;
        }
    }
    Ok(())
}
