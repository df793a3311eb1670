//! The command line: what can be asked. How each command works is in `command/`, one file each.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[cfg(feature = "server")]
use crate::command::server;
use crate::command::{delete, download, info, list, login, logout, setup, status, top, upload, version, whoami};

/// Shown by --help; `exit` holds the same numbers.
pub const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  failed (any reason without a number of its own)
    2  used wrongly
    3  no such file or id on the server
    4  token missing, unknown, or without the right
    5  no room on the server (gave up waiting, or told not to wait), here, or the file is too large
    6  server unreachable for as long as we tried
  130  interrupted; run the same command again to continue

Data goes to stdout, everything else to stderr. State is kept in ~/.etransfer.";

/// Move large files to a storage node and back, resuming by default.
#[derive(Debug, Parser)]
#[command(name = "et", version, about, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Remember a server and the token for it
    Setup(setup::SetupArgs),
    /// Log in with a browser; prints the address of the page
    Login(login::LoginArgs),
    /// Show who is logged in, and the use of the quota
    Whoami(whoami::WhoamiArgs),
    /// End the session, here and at the server
    Logout(logout::LogoutArgs),
    /// Upload files; prints the id of each
    Upload(upload::UploadArgs),
    /// Download a file; prints its path
    Download(download::DownloadArgs),
    /// List files
    List(list::ListArgs),
    /// Show what the server is and can do
    Info(info::InfoArgs),
    /// Watch what every NIC of the server receives and sends
    Top(top::TopArgs),
    /// Show the saved server, or the state of one file
    Status(status::StatusArgs),
    /// Delete files
    Delete(delete::DeleteArgs),
    /// Print the version
    Version(version::VersionArgs),
    /// Run a storage node, or reload its configuration
    #[cfg(feature = "server")]
    Server(server::ServerArgs),
}

impl Command {
    /// Runs it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Setup(args) => setup::run(&args)?,
            Self::Login(args) => login::run(&args)?,
            Self::Whoami(args) => whoami::run(&args)?,
            Self::Logout(args) => logout::run(&args)?,
            Self::Upload(args) => upload::run(&args)?,
            Self::Download(args) => download::run(&args)?,
            Self::List(args) => list::run(&args)?,
            Self::Info(args) => info::run(&args)?,
            Self::Top(args) => top::run(&args)?,
            Self::Status(args) => status::run(&args)?,
            Self::Delete(args) => delete::run(&args)?,
            Self::Version(args) => version::run(&args)?,
            #[cfg(feature = "server")]
            Self::Server(args) => return server::run(&args),
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::exit::Code;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_exit_code_is_documented() {
        let all = [Code::Failure, Code::Usage, Code::NotFound, Code::Unauthorised, Code::NoSpace, Code::Unreachable];
        for code in all.into_iter().chain([Code::Interrupted]) {
            let number = code as u8;
            let listed = EXIT_CODES.lines().any(|line| line.trim_start().starts_with(&format!("{number}  ")));
            assert!(listed, "{code:?}");
        }
    }
}
