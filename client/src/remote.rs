//! From arguments and saved state to a client: option > environment > saved (clap joins the first two).

use std::io::Read;

use anyhow::{Context, Result};
use etransfer_client::{Address, Client};

use crate::cli::RemoteArgs;
use crate::exit::CliError;
use crate::home::Home;

/// A client for the server that was asked for, or the saved one.
pub fn client(args: &RemoteArgs, home: &Home) -> Result<Client> {
    let saved = home.saved()?;
    let given = args.server.as_deref().filter(|text| !text.trim().is_empty());
    let server: Address = given.or(saved.server.as_deref()).ok_or(CliError::NoServer)?.parse()?;
    // The saved token belongs to the saved server and goes to no other.
    let saved_token =
        saved.token.as_deref().filter(|_| saved.server().is_some_and(|saved| saved == server.to_string()));
    let token = given_token(args)?.or(saved_token.map(str::to_owned)).or_else(|| home.local_token(&server));
    Ok(Client::new(server, token.as_deref()))
}

/// The token given by option or environment; an empty one is none.
pub fn given_token(args: &RemoteArgs) -> Result<Option<String>> {
    let token = match args.token.as_deref() {
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("read the token from stdin")?;
            Some(text)
        }
        other => other.map(str::to_owned),
    };
    Ok(token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()))
}
