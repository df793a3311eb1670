//! A person with an empty home who runs the `et` binary there.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::fake::Fake;

pub struct User {
    home: tempfile::TempDir,
}

impl User {
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.home.path()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_et"));
        command.args(args).env_clear().env("HOME", self.path()).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    pub fn et(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs, expects success, gives stdout.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.et(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs, expects this end and nothing on stdout, gives stderr.
    pub fn fails(&self, code: i32, args: &[&str]) -> String {
        let output = self.et(args);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(output.stdout.is_empty(), "{args:?}");
        text
    }

    pub fn set_up(&self, fake: &Fake) {
        self.ok(&["setup", &fake.address().authority(), "--token", "secret"]);
    }

    pub fn saved(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path().join(".etransfer/client.json")).unwrap()).unwrap()
    }
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn piped(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}
