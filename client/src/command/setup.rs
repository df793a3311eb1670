//! `et setup`: remember a server, after it answered, and a token, after the server took it; or say that a login is next.

use clap::Args;
use etransfer_client::{Address, Client, Error, Secret, Wanted};

use crate::cli::OutputArgs;
use crate::exit::CliError;
use crate::home::Home;
use crate::printer::Printer;
use crate::remote::given_token;
use crate::saved::Saved;

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

/// Nothing is saved unless the server answers, and lets us in or offers a login.
pub fn run(args: &SetupArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output);
    let home = Home::of_user()?;
    let server: Address = args.address.parse()?;
    let stranger = Client::new(server.clone(), None);
    stranger.health()?;
    let login = stranger.offers_login()?;

    let mut saved = home.saved()?;
    saved.move_to(&server);
    let token = choose_token(args, &home, &saved, &server, login)?;
    if token != saved.token {
        saved.forget_session(); // name and role came with the token that is gone
        saved.token = token;
    }
    home.save(&saved)?;
    let has_token = saved.token.is_some();
    if printer.is_json() {
        let server = server.to_string();
        printer.json(&serde_json::json!({ "server": server, "token_saved": has_token, "login_offered": login }))?;
    }
    let access = match (has_token, login) {
        (true, _) => "with a token",
        (false, true) => "log in with `et login`",
        (false, false) => "no login needed",
    };
    printer.note(format_args!("{server} is set up ({access})"));
    Ok(())
}

/// The first token the server takes: the given one alone, or else the saved one (of a session, perhaps), or else the one
/// a server of this user left for this address. `None` when the server is open, or when a login is still to come.
fn choose_token(
    args: &SetupArgs,
    home: &Home,
    saved: &Saved,
    server: &Address,
    login: bool,
) -> anyhow::Result<Option<Secret>> {
    let given = given_token(args.token.as_ref())?;
    let is_given = given.is_some();
    let candidates: Vec<Secret> = match given {
        Some(given) => vec![given],
        None => {
            let saved = saved.token.clone().filter(|_| !saved.is_expired());
            saved.into_iter().chain(home.local_token(server)).collect()
        }
    };
    for candidate in &candidates {
        if lets_in(server, Some(candidate))? {
            return Ok(Some(candidate.clone()));
        }
    }
    match (candidates.is_empty(), login && !is_given) {
        (_, true) => Ok(None),
        (false, false) => Err(CliError::TokenRefused { server: server.to_string() }.into()),
        (true, false) if lets_in(server, None)? => Ok(None),
        (true, false) => Err(CliError::TokenWanted { server: server.to_string() }.into()),
    }
}

/// Whether an ordinary call passes; older servers have no open way to judge a token.
fn lets_in(server: &Address, token: Option<&Secret>) -> anyhow::Result<bool> {
    match Client::new(server.clone(), token.map(Secret::expose)).list(1, 1, Wanted::default()) {
        Ok(_) => Ok(true),
        Err(Error::Unauthorized { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
