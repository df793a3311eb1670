//! Arguments that several commands have.

use std::path::PathBuf;

use clap::Args;
use etransfer_client::{Client, Nics, Secret};

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
