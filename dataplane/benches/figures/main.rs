//! The figures: one command measures a real `et server start` against the bare ring loop and nginx, and prints the ratios.
//!
//! ```text
//! apt-get install nginx-light            # any Debian nginx has the dav module; et and nginx rows are left out if absent
//! cargo build --release -p etransfer-client --bin et
//! ET_BIN=$PWD/target/release/et cargo bench -p etransfer-dataplane --bench figures -- [CASE…] [--runs 5] [--dir D] [--json F]
//! ```
//!
//! | case | what moves | rows |
//! |---|---|---|
//! | `upload` | 8 × 1 GiB, 8 keep-alive connections, 64 MiB PATCHes | discard (the floor), bare, bare+crc, et, nginx (PUT), nginx-warm (PUT, at its best) |
//! | `download` | the same files, warm, whole GETs | et, nginx (sendfile + tcp_nopush, the very same inodes) |
//! | `small` | create + PATCH of 4 KiB, 32 connections | et (ops/s, and CPU by plane), nginx (one PUT each) |
//! | `idle` | 5,000 keep-alive connections that have each done one request | et (resident memory per connection) |
//!
//! No case named: all of them. `--gib 1` and `--files 2` shrink the bulk cases, `--skip-touch` leaves out the memory touch,
//! `--rows et,bare` the other rows (for profiling: a figure without its reference is no figure).
//!
//! How it is measured (io.md, last paragraph): the server is pinned to the first allowed CPU and the load, which lives in
//! this process, to the second; the pair runs in its own network namespace with cubic or reno; free memory is touched before every
//! window, because such a machine hands it back to its host; the rows of a round run back to back and every round has all
//! rows; a ratio is taken inside its round, and what is printed is the median over the rounds. CPU is the process's own
//! (`/proc/<pid>/stat`, all threads, ring workers too); writeback by kernel threads is nobody's, which favours nginx.
//! Bytes are seeded; what was uploaded is read back and compared outside the windows.
//!
//! What must stay true: the bare loop is a process of its own (`figures bare-loop`), so that its CPU is counted like
//! everybody else's; a row that cannot run is absent from the report, never zero.

#![allow(missing_docs, reason = "a bench: the names are the documentation")]

mod bare;
mod bulk;
mod http;
mod idle;
mod isolate;
mod load;
mod nginx;
mod node;
mod pattern;
mod process;
mod report;
mod settings;
mod small;
mod swarm;

use anyhow::Result;

use report::Report;
use settings::{Case, Settings};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == bare::ROLE) {
        return bare::run(&args[1..]);
    }
    let Some(settings) = Settings::parse(&args)? else {
        println!(
            "figures: start me with `cargo bench -p etransfer-dataplane --bench figures`; the how-to is in benches/figures/main.rs"
        );
        return Ok(());
    };
    isolate::enter()?;
    let settings = settings.on_allowed_cpus()?;
    let mut report = Report::new(&settings);
    if settings.wants(Case::Small) {
        small::measure(&settings, &mut report)?;
    }
    if settings.wants(Case::Idle) {
        idle::measure(&settings, &mut report)?;
    }
    if settings.wants(Case::Upload) || settings.wants(Case::Download) {
        bulk::measure(&settings, &mut report)?;
    }
    report.print();
    report.save(settings.json.as_deref())
}
