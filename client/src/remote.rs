//! From arguments and saved state to a client: option > environment > saved (clap joins the first two).

use std::io::Read;

use anyhow::{Context, Result};
use etransfer_client::{Address, Client, Secret};

use crate::args::RemoteArgs;
use crate::exit::CliError;
use crate::home::Home;
use crate::printer::Printer;
use crate::saved::Saved;

/// A client for the server that was asked for, or the saved one.
pub fn client(args: &RemoteArgs, home: &Home, printer: Printer) -> Result<Client> {
    let saved = home.saved()?;
    let server = server(args.server.as_deref(), &saved)?;
    let token = match given_token(args.token.as_ref())? {
        Some(given) => Some(given),
        None => own_token(&saved, home, &server, printer),
    };
    Ok(Client::new(server, token.as_ref().map(Secret::expose)))
}

/// The server given by option or environment, or the saved one; an empty one is none.
pub fn server(given: Option<&str>, saved: &Saved) -> Result<Address> {
    let given = given.filter(|text| !text.trim().is_empty());
    Ok(given.or(saved.server.as_deref()).ok_or(CliError::NoServer)?.parse()?)
}

/// The token given by option or environment; an empty one is none.
pub fn given_token(token: Option<&Secret>) -> Result<Option<Secret>> {
    let Some(token) = token else { return Ok(None) };
    let mut text = token.expose().to_owned();
    if text == "-" {
        text.clear();
        std::io::stdin().read_to_string(&mut text).context("read the token from stdin")?;
    }
    let text = text.trim();
    Ok((!text.is_empty()).then(|| Secret::new(text)))
}

/// Without a given token: the saved one of this server, or else what a server of this user left for this address. An
/// expired session stays here; whether the server lets us in without is for the server to say.
pub fn own_token(saved: &Saved, home: &Home, server: &Address, printer: Printer) -> Option<Secret> {
    let token = saved.token_for(server);
    if token.is_some() && saved.is_expired() {
        printer.note(format_args!("the session at {server} has expired; log in again with `et login`"));
    }
    token.filter(|_| !saved.is_expired()).cloned().or_else(|| home.local_token(server))
}
