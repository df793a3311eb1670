//! The `et` command: parse, run one command, end with a code that means something ([`exit`]).
#![forbid(unsafe_code)]

mod args;
mod cli;
mod command;
mod display;
mod exit;
mod home;
mod human;
mod interrupt;
mod printer;
mod remote;
mod saved;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse(); // ends by itself with 2 on bad usage, 0 on --help
    match cli.command.run() {
        Ok(code) => code,
        // The reader of our output has closed it: a normal end.
        Err(error) if exit::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            printer::report(&error);
            exit::code_for(&error).into()
        }
    }
}
