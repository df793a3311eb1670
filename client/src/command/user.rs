//! `et server user`: accounts of the CloudBackend surface of a running node, over the node's own socket. A user who may
//! open that socket may do this; no token is asked for.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use console::Term;
use etransfer_client::Secret;
use etransfer_controlplane::surface::cloudbackend::user::console::{Command, Listed, ask};

use crate::args::OutputArgs;
use crate::human;
use crate::printer::Printer;

/// What to do.
#[derive(Debug, Args)]
pub struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add an account; its password is asked for, or read from stdin
    Add(AddArgs),
    /// List all accounts
    List(NodeArgs),
    /// Keep an account out, and end its sessions
    Disable(NameArgs),
    /// Let a disabled account in again
    Enable(NameArgs),
    /// Give an account another password, and end its sessions
    Password(NameArgs),
}

#[derive(Debug, Args)]
struct AddArgs {
    /// Username: letters, digits and @ . + - _
    #[arg(value_name = "NAME")]
    username: String,
    /// E-mail address
    #[arg(long, default_value = "", value_name = "ADDRESS", hide_default_value = true)]
    email: String,
    /// What people read instead of the username
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    display_name: String,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Debug, Args)]
struct NameArgs {
    /// Username
    #[arg(value_name = "NAME")]
    username: String,
    #[command(flatten)]
    node: NodeArgs,
}

/// Which node.
#[derive(Debug, Args)]
struct NodeArgs {
    /// Its storage directory
    #[arg(long, value_name = "DIRECTORY")]
    storage: Option<String>,
    /// Its configuration file
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints the accounts it was about.
pub fn run(args: &UserArgs) -> anyhow::Result<()> {
    let (node, command) = match &args.command {
        UserCommand::List(node) => (node, Command::List),
        UserCommand::Add(add) => {
            let password = password()?.expose().to_owned();
            let AddArgs { username, email, display_name, node } = add;
            let (username, email, display_name) = (username.clone(), email.clone(), display_name.clone());
            (node, Command::Add { username, display_name, email, password })
        }
        UserCommand::Disable(name) => (&name.node, Command::Disable(name.username.clone())),
        UserCommand::Enable(name) => (&name.node, Command::Enable(name.username.clone())),
        UserCommand::Password(name) => {
            let password = password()?.expose().to_owned();
            (&name.node, Command::SetPassword { username: name.username.clone(), password })
        }
    };
    let storage = node.storage.clone().map(|path| ("storage.path", ("--storage", path)));
    let flags: BTreeMap<_, _> = storage.into_iter().collect();
    let loaded =
        etransfer_controlplane::surface::sources(node.config.as_deref(), flags).read().context("configuration")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let accounts = runtime.block_on(ask(&loaded.config.line_socket(), &command))?;
    let printer = Printer::new(node.output);
    if printer.is_json() {
        return Ok(printer.json(&accounts)?);
    }
    for account in &accounts {
        printer.data(human::visible(&line(account)))?;
    }
    Ok(())
}

/// `7  alice  active  1.2 GiB of 10 GiB  alice@example.org`
fn line(account: &Listed) -> String {
    let state = match (account.is_active, account.is_admin) {
        (false, _) => "disabled",
        (true, true) => "admin",
        (true, false) => "active",
    };
    let Listed { id, username, email, quota, used, .. } = account;
    let line = format!("{id}  {username}  {state}  {} of {}  {email}", human::size(*used), human::size(*quota));
    line.trim_end().to_owned()
}

/// From a person without showing it, or one line of stdin.
fn password() -> anyhow::Result<Secret> {
    let text = if std::io::stdin().is_terminal() {
        let mut term = Term::stderr();
        term.write_all(b"Password: ")?;
        term.read_secure_line().context("read the password")?
    } else {
        let mut text = String::new();
        std::io::stdin().read_line(&mut text).context("read the password from stdin")?;
        text.trim_end_matches(['\r', '\n']).to_owned()
    };
    if text.is_empty() {
        bail!("no password: type one, or give it on stdin");
    }
    Ok(Secret::new(text))
}
