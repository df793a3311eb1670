//! `et login`: prints the page to log in at, waits until that is done, saves the session. Never opens a browser: this
//! may be a machine without one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use etransfer_client::{Address, Client, Note, Progress, Session, SignIn};
use serde_json::json;

use crate::args::OutputArgs;
use crate::display::words;
use crate::home::Home;
use crate::printer::Printer;
use crate::{human, interrupt, remote};

/// Arguments.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Give up after this many seconds
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Server, HOST:PORT or http://…; becomes the saved one
    #[arg(long, env = "ETRANSFER_SERVER", value_name = "ADDRESS")]
    server: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Until the session is saved, nothing of what was saved changes.
pub fn run(args: &LoginArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output);
    let home = Home::of_user();
    let server = remote::server(args.server.as_deref(), &home.saved()?)?;
    let cancel = interrupt::cancel_on_signal()?;
    let notes = Notes { printer, last: Mutex::default() };
    let sign_in = SignIn::new(&Client::new(server.clone(), None), Duration::from_secs(args.timeout), &cancel, &notes);
    let Some(login) = sign_in.begin()? else {
        if printer.is_json() {
            printer.json(&json!({ "server": server.to_string(), "login_offered": false }))?;
        }
        printer.note(format_args!("no login needed: {server} has no users"));
        return Ok(());
    };
    match printer.is_json() {
        true => printer.json(&json!({ "server": server.to_string(), "login_url": login.url() }))?,
        false => {
            printer.note("Open this page in a browser and log in there:");
            printer.data(human::visible(login.url()))?;
        }
    }
    printer.note(format_args!("waiting for that, {} s at most; Ctrl-C ends it", args.timeout));
    let session = sign_in.finish(&login)?;
    keep(&home, &server, session, printer)
}

fn keep(home: &Home, server: &Address, session: Session, printer: Printer) -> anyhow::Result<()> {
    let mut saved = home.saved()?; // read again: minutes have passed
    saved.log_in(server, session);
    home.save(&saved)?;
    if printer.is_json() {
        let (username, role, expires_at) = (&saved.username, &saved.role, &saved.expires_at);
        let server = server.to_string();
        printer.json(&json!({ "server": server, "username": username, "role": role, "expires_at": expires_at }))?;
    }
    let who = saved.username.as_deref().map_or(String::new(), |name| format!(" as {}", human::visible(name)));
    printer.note(format_args!("logged in{who} at {server}"));
    Ok(())
}

/// Tells of failures that are waited out, each once in a row.
struct Notes {
    printer: Printer,
    last: Mutex<String>,
}

impl Progress for Notes {
    fn note(&self, note: Note) {
        let text = human::visible(&words(&note));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != text {
            self.printer.note(&text);
            *last = text;
        }
    }
}
