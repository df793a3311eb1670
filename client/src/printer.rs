//! The one place that writes: data to stdout, everything else to stderr. No colours are used, so `NO_COLOR` is obeyed.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::Serialize;

use crate::args::OutputArgs;
use crate::exit;

/// Knows what the user wants to see.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    output: OutputArgs,
}

impl Printer {
    pub fn new(output: OutputArgs) -> Self {
        Self { output }
    }

    /// Whether JSON is wanted instead of text.
    pub fn is_json(&self) -> bool {
        self.output.json
    }

    /// Whether a person reads stdout: then sizes are human and tables have heads.
    pub fn is_for_person(&self) -> bool {
        io::stdout().is_terminal()
    }

    pub fn is_quiet(&self) -> bool {
        self.output.quiet
    }

    /// A line of data.
    pub fn data(&self, line: impl Display) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()
    }

    /// A path as a line of data, byte by byte as it is.
    pub fn path(&self, path: &Path) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(path.as_os_str().as_bytes())?;
        out.write_all(b"\n")?;
        out.flush()
    }

    /// Data as JSON on one line.
    pub fn json(&self, value: &impl Serialize) -> io::Result<()> {
        self.data(serde_json::to_string(value).map_err(io::Error::other)?)
    }

    /// Something a person may want to know.
    pub fn note(&self, line: impl Display) {
        if !self.output.quiet {
            complain(line);
        }
    }
}

/// An error, its causes, and the next step when there is one.
pub fn report(error: &anyhow::Error) {
    complain(format_args!("error: {error:#}"));
    if let Some(hint) = exit::hint_for(error) {
        complain(format_args!("hint: {hint}"));
    }
}

/// A line on stderr; errors of writing it are ignored.
pub fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
