//! Waiting for a condition with a deadline, and running a program with one.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::raw::DEADLINE;

/// Polls until `ready` gives a value; panics with `what` after the common deadline.
#[track_caller]
pub fn until<T>(what: &str, ready: impl FnMut() -> Option<T>) -> T {
    match within(DEADLINE, ready) {
        Some(value) => value,
        None => panic!("waited {DEADLINE:?} in vain for: {what}"),
    }
}

/// Polls until `ready` gives a value, `None` after `limit`.
pub fn within<T>(limit: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = ready() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a finished program left.
#[derive(Debug, Clone)]
pub struct Ran {
    /// `None`: ended by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "the program failed: {self:#?}");
        self
    }
}

/// Starts a program with its output going to files, so that it can be waited for, or killed, without pipes in the way.
pub struct Running {
    pub child: std::process::Child,
    out: tempfile::NamedTempFile,
    err: tempfile::NamedTempFile,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let out = tempfile::NamedTempFile::new().expect("file for standard output");
        let err = tempfile::NamedTempFile::new().expect("file for standard error");
        let child = command
            .stdin(Stdio::null())
            .stdout(out.reopen().expect("second handle of the output file"))
            .stderr(err.reopen().expect("second handle of the error file"))
            .spawn()
            .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        Self { child, out, err }
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn ended(&mut self) -> bool {
        self.child.try_wait().expect("ask for the state of a child").is_some()
    }

    /// Waits for the end, ten minutes at most.
    #[track_caller]
    pub fn finish(mut self) -> Ran {
        let status = within(Duration::from_secs(600), || self.child.try_wait().expect("wait for a child"));
        let Some(status) = status else {
            self.kill();
            panic!("the program does not end: {:#?}", self.read(None));
        };
        self.read(status.code())
    }

    pub fn read(&self, code: Option<i32>) -> Ran {
        let text = |file: &tempfile::NamedTempFile| {
            String::from_utf8_lossy(&std::fs::read(file.path()).unwrap_or_default()).into_owned()
        };
        Ran { code, stdout: text(&self.out), stderr: text(&self.err) }
    }
}

/// Runs a program to its end.
#[track_caller]
pub fn run(command: Command) -> Ran {
    Running::start(command).finish()
}

/// Until the wall clock shows another millisecond: what changes after this is newer than what changed before.
pub fn next_millisecond() {
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    let then = now();
    until("the clock goes on", || (now() > then).then_some(()));
}
