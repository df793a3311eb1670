//! `et setup`: remember a server, after it answered, and a token, after the server took it.

use clap::Args;
use etransfer_client::{Address, Client, Error, Secret};

use crate::cli::OutputArgs;
use crate::exit::CliError;
use crate::home::{Home, Saved};
use crate::printer::Printer;
use crate::remote::given_token;

/// Arguments.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// HOST, HOST:PORT or http://HOST:PORT; the port is 8765 if not given
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// Token; `-` reads it from stdin
    #[arg(long, short, env = "ETRANSFER_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<Secret>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Nothing is saved unless the server answers and lets us in.
pub fn run(args: &SetupArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output);
    let home = Home::of_user()?;
    let server: Address = args.address.parse()?;
    Client::new(server.clone(), None).health()?;

    let mut saved = home.saved()?;
    saved.move_to(&server);
    saved.token = choose_token(args, &home, &saved, &server)?;
    home.save(&saved)?;
    if printer.is_json() {
        printer.json(&serde_json::json!({ "server": server.to_string(), "token_saved": saved.token.is_some() }))?;
    }
    let access = if saved.token.is_some() { "with a token" } else { "no token needed" };
    printer.note(format_args!("{server} is set up ({access})"));
    Ok(())
}

/// The first token the server takes: the given one alone, or else the one a server of this user left for this address,
/// or else the saved one; `None` when the server is open.
fn choose_token(args: &SetupArgs, home: &Home, saved: &Saved, server: &Address) -> anyhow::Result<Option<Secret>> {
    let candidates = match given_token(args.token.as_ref())? {
        Some(given) => vec![given],
        None => home.local_token(server).into_iter().chain(saved.token.clone()).collect(),
    };
    for candidate in &candidates {
        if lets_in(server, Some(candidate))? {
            return Ok(Some(candidate.clone()));
        }
    }
    match (candidates.is_empty(), lets_in(server, None)?) {
        (true, true) => Ok(None),
        (true, false) => Err(CliError::TokenWanted { server: server.to_string() }.into()),
        (false, _) => Err(CliError::TokenRefused { server: server.to_string() }.into()),
    }
}

/// Whether an ordinary call passes; older servers have no open way to judge a token.
fn lets_in(server: &Address, token: Option<&Secret>) -> anyhow::Result<bool> {
    match Client::new(server.clone(), token.map(Secret::expose)).list(1, 1, None) {
        Ok(_) => Ok(true),
        Err(Error::Unauthorized { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
