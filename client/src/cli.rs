//! The command line: what can be asked. How each command works is in `command/`, one file each.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use etransfer_client::{Client, Nics, Secret};

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

/// Which server, as whom.
#[derive(Debug, Clone, Default, Args)]
pub struct RemoteArgs {
    /// Server, HOST:PORT or http://…; instead of the saved one
    #[arg(long, env = "ETRANSFER_SERVER", value_name = "ADDRESS")]
    pub server: Option<String>,
    /// Token; `-` reads it from stdin
    #[arg(long, short, env = "ETRANSFER_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<Secret>,
}

/// How to tell.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct OutputArgs {
    /// Print JSON, one value per line for several
    #[arg(long)]
    pub json: bool,
    /// No progress, no notes; errors only
    #[arg(long, short)]
    pub quiet: bool,
}

/// How to move bytes.
#[derive(Debug, Clone, Args)]
pub struct TransferArgs {
    /// Parallel connections per file; over several NICs to begin with, then measured speed decides
    #[arg(long = "threads", visible_alias = "connections", short = 'j', default_value_t = 4, value_name = "N",
          value_parser = clap::value_parser!(u8).range(1..=32))]
    pub connections: u8,
    /// Bytes per request, e.g. 16M; chosen by size if not given
    #[arg(long = "chunk-size", short = 'c', value_name = "SIZE")]
    pub slice_bytes: Option<String>,
    /// Give up after this many seconds without any progress
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub patience: u64,
    /// NICs of the server to use: all that answer, the best (least loaded), or this number
    #[arg(long, default_value = "all", value_name = "all|best|N")]
    pub nics: Nics,
    /// Go out through this local interface only, e.g. eth1
    #[arg(long, value_name = "NAME")]
    pub interface: Option<String>,
}

impl TransferArgs {
    /// The client, bound to the interface when one was asked for.
    pub fn bind(&self, client: Client) -> Client {
        match &self.interface {
            Some(name) => client.through(name),
            None => client,
        }
    }
}

/// Where a download goes.
#[derive(Debug, Clone, Default, Args)]
pub struct PlaceArgs {
    /// File or directory (a directory when it exists as one or ends with /); `-` is standard output
    #[arg(long, short, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Directory
    #[arg(long, short, value_name = "DIRECTORY", conflicts_with = "output")]
    pub path: Option<PathBuf>,
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
