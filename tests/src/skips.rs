//! Skips: the only way in which a test of this workspace may end without having tested anything.
//!
//! What must stay true: a test is skipped only when this module has found for itself that the machine lacks something;
//! the reason is printed, and also written to the file that `ET_SKIPPED` names, because a test runner hides what a passing
//! test prints. With `CI` set a skip is a failure.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Whether this process is root, as mounts and namespaces need. The calling test ends when it is not.
#[track_caller]
pub fn has_root() -> bool {
    has(rustix::process::geteuid().is_root(), "mounts and namespaces need root")
}

/// The file of a Debian package, by its path below a directory of `/usr/lib`. The calling test ends when there is none.
#[track_caller]
pub fn library(path: &str, package: &str) -> Option<PathBuf> {
    let directories = std::fs::read_dir("/usr/lib").expect("/usr/lib").flatten();
    let found = directories.map(|entry| entry.path().join(path)).find(|path| path.exists());
    has(found.is_some(), &format!("/usr/lib/*/{path} is missing: apt-get install {package}"));
    found
}

#[track_caller]
fn has(is_there: bool, reason: &str) -> bool {
    if !is_there {
        let list = std::env::var_os("ET_SKIPPED").map(PathBuf::from);
        skip(reason, std::env::var_os("CI").is_some(), list.as_deref());
    }
    is_there
}

#[track_caller]
fn skip(reason: &str, is_forbidden: bool, list: Option<&Path>) {
    let thread = std::thread::current();
    let line = format!("skipped: {}: {reason}\n", thread.name().unwrap_or("a test"));
    assert!(!is_forbidden, "CI forbids skips; {line}");
    eprint!("{line}");
    if let Some(path) = list {
        let list = std::fs::OpenOptions::new().append(true).create(true).open(path);
        list.and_then(|mut list| list.write_all(line.as_bytes())).expect("the list of skipped tests");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_listed_with_its_reason() {
        let directory = tempfile::tempdir().unwrap();
        let list = directory.path().join("skipped");
        skip("no root", false, Some(&list));
        skip("no faketime", false, Some(&list));
        let me = "skipped: skips::tests::a_skip_is_listed_with_its_reason";
        assert_eq!(std::fs::read_to_string(list).unwrap(), format!("{me}: no root\n{me}: no faketime\n"));
    }

    #[test]
    #[should_panic(expected = "CI forbids skips; skipped: skips::tests::ci_forbids_skips: no root")]
    fn ci_forbids_skips() {
        skip("no root", true, None);
    }
}
