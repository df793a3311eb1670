//! The end-of-test audit (PROMISES.md P13): an idle server holds no client connection, no removed file, and no more
//! descriptors than it did before the test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::wait;

/// Files opened when first needed and kept (a journal's next segment): this many more than at the start are no leak.
pub const FILES_SLACK: usize = 12;
/// Connections between the planes, two ends each, as many as requests once ran at the same time; bounded, and kept.
pub const SOCKETS_SLACK: usize = 160;

/// Descriptors that are sockets, and the rest.
pub fn counts(open: &[String]) -> (usize, usize) {
    let sockets = open.iter().filter(|name| name.starts_with("socket:")).count();
    // Files of uploads under way are kept open so that no error is missed: bounded, and closed with their upload.
    let kept = open.iter().filter(|name| name.contains("/objects/") && !name.ends_with(" (deleted)")).count();
    (sockets, open.len() - sockets - kept)
}

/// What the descriptors of a process stand for.
pub fn open_files(pid: u32) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.map(|path: PathBuf| path.to_string_lossy().into_owned()).collect()
}

/// What should not be there, after a fair time for closing.
pub fn leftovers(pid: u32, port: u16) -> Vec<String> {
    let mut last = Vec::new();
    let clean = wait::within(Duration::from_secs(15), || {
        last = look(pid, port);
        last.is_empty().then_some(())
    });
    if clean.is_some() { Vec::new() } else { last }
}

/// What should not be there now: removed files, connections of clients.
pub fn look(pid: u32, port: u16) -> Vec<String> {
    let open = open_files(pid);
    let mut found: Vec<String> =
        open.iter().filter(|name| name.ends_with(" (deleted)")).map(|name| format!("still open: {name}")).collect();
    let inodes: Vec<&str> =
        open.iter().filter_map(|name| name.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'))).collect();
    for table in ["tcp", "tcp6"] {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let field: Vec<&str> = line.split_whitespace().collect();
            let [_, local, _, state, ..] = field[..] else { continue };
            let ours = local.rsplit(':').next().and_then(|p| u16::from_str_radix(p, 16).ok()) == Some(port);
            const LISTEN: &str = "0A";
            if ours && state != LISTEN && field.get(9).is_some_and(|inode| inodes.contains(inode)) {
                found.push(format!("client connection still open (state {state}): {line}"));
            }
        }
    }
    found
}

/// Every regular file below a directory, with what it occupies on disk in bytes.
pub fn files_below(dir: &Path) -> Vec<(PathBuf, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let (mut found, mut rest) = (Vec::new(), vec![dir.to_path_buf()]);
    while let Some(dir) = rest.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => rest.push(entry.path()),
                Ok(meta) if meta.is_file() => found.push((entry.path(), meta.blocks() * 512)),
                _ => {}
            }
        }
    }
    found
}

/// Disk space used by what is below a directory.
pub fn blocks_below(dir: &Path) -> u64 {
    files_below(dir).iter().map(|(_, bytes)| bytes).sum()
}

/// Object files: `objects/<2 hex>/<32 hex>`.
pub fn objects_below(storage: &Path) -> Vec<PathBuf> {
    files_below(&storage.join("objects")).into_iter().map(|(path, _)| path).collect()
}
