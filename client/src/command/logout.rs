//! `et logout`: ends the session, here first, then at the server. Exit 0 also when the server cannot be told: no person
//! here holds the token any more, and the server lets it expire.

use clap::Args;
use etransfer_client::{Address, Client};

use crate::args::OutputArgs;
use crate::home::Home;
use crate::printer::{Printer, complain};
use crate::saved::Saved;

/// Arguments.
#[derive(Debug, Args)]
pub struct LogoutArgs {
    #[command(flatten)]
    output: OutputArgs,
}

/// Fails only when the saved session cannot be removed: then it is still there.
pub fn run(args: &LogoutArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output);
    let home = Home::of_user();
    let before = home.saved()?;
    let mut after = before.clone();
    after.forget_session();
    if before.token.is_some() {
        home.save(&after)?;
    }
    let server_told = tell_server(&before);
    if printer.is_json() {
        let logged_in = before.token.is_some();
        printer.json(&serde_json::json!({ "was_logged_in": logged_in, "server_told": server_told }))?;
    }
    printer.note(if before.token.is_some() { "logged out" } else { "not logged in" });
    Ok(())
}

/// Whether the server ended the session. It is not asked to when there is none, or it is over anyway.
fn tell_server(saved: &Saved) -> bool {
    let (Some(server), Some(token)) = (&saved.server, saved.token.as_ref().filter(|_| !saved.is_expired())) else {
        return false;
    };
    match server.parse::<Address>().and_then(|server| Client::new(server, Some(token.expose())).logout()) {
        Ok(()) => true,
        Err(error) => {
            let error = anyhow::Error::from(error); // prints its causes too
            complain(format_args!("the server could not be told: {error:#}; the session ends there when it expires"));
            false
        }
    }
}
