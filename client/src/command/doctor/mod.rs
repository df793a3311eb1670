//! `et server doctor`: what keeps this machine from moving files at line rate, and the command that fixes each thing.
//!
//! * [`kernel`] version, io_uring, clock, sysctls · [`limits`] of this process · [`disk`] under the storage directory
//! * [`nic`] each interface: speed, MTU, queues, where its interrupts and its sending are handled
//!
//! Must stay true: it reads and asks, and changes nothing; files are read below a root, so tests bring a machine of their
//! own. The limits are those of *this* process: run it the way the node is run (`systemd-run`, the unit's user).

mod disk;
mod kernel;
mod limits;
mod nic;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use etransfer_controlplane::config::Config;
use serde::Serialize;

use crate::args::OutputArgs;
use crate::printer::Printer;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How it is.
    pub found: String,
    /// What is wrong with it.
    #[serde(flatten)]
    pub problem: Option<Problem>,
}

/// What is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What it costs.
    pub why: String,
    /// A command, or what to change where.
    pub fix: String,
}

impl Finding {
    fn new(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { check: check.into(), found: found.into(), problem: None }
    }

    /// The same, wrong when `is_wrong`.
    fn unless(self, is_wrong: bool, why: &str, fix: impl Into<String>) -> Self {
        let problem = is_wrong.then(|| Problem { why: why.to_owned(), fix: fix.into() });
        Self { problem, ..self }
    }
}

/// Where the machine describes itself: `/`, or a directory of a test.
#[derive(Debug, Clone)]
struct Files {
    root: PathBuf,
}

impl Files {
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The trimmed text of a file; `None`: it is not there, or does not say.
    fn text(&self, path: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.path(path)).ok()?;
        Some(text.trim().to_owned())
    }

    fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// Names in a directory, sorted; none when it is not there.
    fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(path)).into_iter().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

/// Tells what was found; exit 1 when something is wrong.
pub fn run(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let files = Files { root: PathBuf::from("/") };
    let cores = etransfer_dataplane::allowed_cpus().len().max(1);
    let nics = nic::find(&files, &config.nics);
    let fastest = nics.iter().filter_map(|nic| nic.speed_mbps).max();
    let kernel = kernel::version(&files);
    let mut findings = vec![kernel.finding(), kernel::io_uring(&files), kernel::clock(&files)];
    findings.extend(kernel::sysctls(&files, fastest));
    findings.extend(limits::check(&files, cores, config.limits.connections));
    findings.extend(disk::check(&files, existing(&config.storage_path()), kernel));
    findings.push(secrets(config));
    findings.extend(nics.iter().flat_map(|nic| nic.findings(cores)));
    tell(&findings, Printer::new(OutputArgs { json, quiet: false }))?;
    let is_well = findings.iter().all(|finding| finding.problem.is_none());
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tokens that can be guessed.
fn secrets(config: &Config) -> Finding {
    let weak = config.weak_tokens();
    let found = if weak.is_empty() { "none that can be guessed".to_owned() } else { weak.join("; ") };
    let fix = "a random one: head -c 24 /dev/urandom | base64";
    Finding::new("tokens", found).unless(!weak.is_empty(), "a guessed token gives access to everything it opens", fix)
}

/// The directory itself, or the nearest one above that is there already.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"))
}

fn tell(findings: &[Finding], printer: Printer) -> anyhow::Result<()> {
    for finding in findings {
        if printer.is_json() {
            printer.json(finding)?;
            continue;
        }
        let Finding { check, found, problem } = finding;
        match problem {
            None => printer.data(format_args!("ok    {check}: {found}"))?,
            Some(Problem { why, fix }) => {
                printer.data(format_args!("warn  {check}: {found}; {why}"))?;
                printer.data(format_args!("      fix: {fix}"))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine made of files.
    pub struct Sample {
        dir: tempfile::TempDir,
    }

    impl Sample {
        pub fn new(files: &[(&str, &str)]) -> Self {
            let sample = Self { dir: tempfile::tempdir().unwrap() };
            files.iter().for_each(|(path, text)| sample.write(path, text));
            sample
        }

        pub fn write(&self, path: &str, text: &str) {
            let path = self.files().path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("{text}\n")).unwrap();
        }

        pub fn files(&self) -> Files {
            Files { root: self.dir.path().to_owned() }
        }
    }

    #[test]
    fn a_finding_is_one_flat_json_object() {
        let well = Finding::new("kernel", "6.12").unless(false, "", "");
        assert_eq!(serde_json::to_string(&well).unwrap(), r#"{"check":"kernel","found":"6.12"}"#);
        let ill = Finding::new("nic eth0 mtu", "1500").unless(true, "small", "ip link set eth0 mtu 9000");
        let json = r#"{"check":"nic eth0 mtu","found":"1500","why":"small","fix":"ip link set eth0 mtu 9000"}"#;
        assert_eq!(serde_json::to_string(&ill).unwrap(), json);
    }

    #[test]
    fn a_directory_that_is_not_there_yet_lies_on_the_disk_of_the_one_above() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(existing(&dir.path().join("a/b")), dir.path());
    }
}
