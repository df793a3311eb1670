//! From arguments and saved state to a client: option > environment > saved (clap joins the first two).

use std::io::Read;

use anyhow::{Context, Result};
use etransfer_client::{Address, Client, Secret};

use crate::cli::RemoteArgs;
use crate::exit::CliError;
use crate::home::Home;

/// A client for the server that was asked for, or the saved one.
pub fn client(args: &RemoteArgs, home: &Home) -> Result<Client> {
    let saved = home.saved()?;
    let given = args.server.as_deref().filter(|text| !text.trim().is_empty());
    let server: Address = given.or(saved.server.as_deref()).ok_or(CliError::NoServer)?.parse()?;
    // The saved token belongs to the saved server and goes to no other.
    let saved_token = saved.token.clone().filter(|_| saved.server().is_some_and(|saved| saved == server.to_string()));
    let token = given_token(args.token.as_ref())?.or(saved_token).or_else(|| home.local_token(&server));
    Ok(Client::new(server, token.as_ref().map(Secret::expose)))
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
