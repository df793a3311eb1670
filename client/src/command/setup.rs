//! `et setup`: remember a server, after it answered, and a token, after the server took it; or say that a login is next.

use clap::Args;
use etransfer_client::{Address, Client, Error, Secret, Wanted};

use crate::args::OutputArgs;
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

/// How this user gets in.
enum Access {
    /// With this token.
    Token(Secret),
    /// The server asks for none.
    Open,
    /// After a login, or with a token.
    LoginNext,
    /// With a token that is still to be given.
    TokenNext,
}

/// Saves the server once it answers; a token that was given has to be accepted first.
pub fn run(args: &SetupArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output);
    let home = Home::of_user();
    let server: Address = args.address.parse()?;
    let stranger = Client::new(server.clone(), None);
    stranger.health()?;
    let login = stranger.offers_login()?;

    let mut saved = home.saved()?;
    saved.move_to(&server);
    let access = find_access(args, &home, &saved, &server, login)?;
    let token = if let Access::Token(token) = &access { Some(token.clone()) } else { None };
    let has_token = token.is_some();
    if token != saved.token {
        saved.forget_session(); // name and role came with the token that is gone
        saved.token = token;
    }
    home.save(&saved)?;
    if printer.is_json() {
        let server = server.to_string();
        printer.json(&serde_json::json!({ "server": server, "token_saved": has_token, "login_offered": login }))?;
    }
    let next = match access {
        Access::Token(_) => "with a token",
        Access::Open => "no login needed",
        Access::LoginNext => "log in with `et login`, or give --token",
        Access::TokenNext => {
            "it wants a token: run `et setup` again with --token, or give --token to each command; the server printed \
             one at its first start, or its administrator has one for you"
        }
    };
    printer.note(format_args!("{server} is set up ({next})"));
    Ok(())
}

/// The first token the server takes: the given one alone, or else the saved one (of a session, perhaps), or else the one
/// a server of this user left for this address. Without any, what has to come next.
fn find_access(args: &SetupArgs, home: &Home, saved: &Saved, server: &Address, login: bool) -> anyhow::Result<Access> {
    if let Some(given) = given_token(args.token.as_ref())? {
        return match lets_in(server, Some(&given))? {
            true => Ok(Access::Token(given)),
            false => Err(CliError::TokenRefused { server: server.to_string() }.into()),
        };
    }
    let saved = saved.token.clone().filter(|_| !saved.is_expired());
    for candidate in saved.into_iter().chain(home.local_token(server)) {
        if lets_in(server, Some(&candidate))? {
            return Ok(Access::Token(candidate));
        }
    }
    match login {
        true => Ok(Access::LoginNext),
        false if lets_in(server, None)? => Ok(Access::Open),
        false => Ok(Access::TokenNext),
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
