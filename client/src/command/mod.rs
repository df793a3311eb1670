//! One file per command: its arguments and what it does.

#[cfg(feature = "server")]
mod audit_file;
pub mod delete;
#[cfg(feature = "server")]
pub mod doctor;
pub mod download;
#[cfg(feature = "server")]
pub mod import;
pub mod info;
pub mod list;
pub mod login;
pub mod logout;
#[cfg(feature = "server")]
pub mod plant;
#[cfg(feature = "server")]
pub mod reload;
#[cfg(feature = "server")]
pub mod server;
pub mod setup;
pub mod status;
pub mod top;
pub mod upload;
#[cfg(feature = "server")]
pub mod user;
#[cfg(feature = "server")]
pub mod verify;
pub mod version;
pub mod whoami;

use std::process::ExitCode;

use crate::cli::Command;

/// Runs one command.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Setup(args) => setup::run(&args)?,
        Command::Login(args) => login::run(&args)?,
        Command::Whoami(args) => whoami::run(&args)?,
        Command::Logout(args) => logout::run(&args)?,
        Command::Upload(args) => upload::run(&args)?,
        Command::Download(args) => download::run(&args)?,
        Command::List(args) => list::run(&args)?,
        Command::Info(args) => info::run(&args)?,
        Command::Top(args) => top::run(&args)?,
        Command::Status(args) => status::run(&args)?,
        Command::Delete(args) => delete::run(&args)?,
        Command::Version(args) => version::run(&args)?,
        #[cfg(feature = "server")]
        Command::Server(args) => return server::run(&args),
    }
    Ok(ExitCode::SUCCESS)
}
