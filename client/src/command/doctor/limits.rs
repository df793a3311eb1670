//! What this process may have: locked memory for the buffers the kernel writes from, and open files.

use etransfer_dataplane::bounds::SLOTS;

use super::{Files, Finding};

/// A client's connection, the two handles of its file, and half of a connection of the control link.
const FILES_PER_CONNECTION: u64 = 4;
/// Journals, listeners, rings.
const FILES_OF_THE_NODE: u64 = 1024;
/// The queues of one ring.
const QUEUE_BYTES: u64 = 1 << 20;
/// Columns of the table.
const SOFT: usize = 0;
const HARD: usize = 1;
/// Its bit in `CapEff`: locked memory is not counted.
const CAP_IPC_LOCK: u32 = 14;

pub fn check(files: &Files, cores: usize, connections: usize) -> Vec<Finding> {
    let table = files.text("/proc/self/limits").unwrap_or_default();
    let locked = limit(&table, "Max locked memory", SOFT);
    let wanted = cores as u64 * ((SLOTS as u64 * (1 << 20)) + QUEUE_BYTES);
    let is_free = has_capability(&files.text("/proc/self/status").unwrap_or_default(), CAP_IPC_LOCK);
    let memory = Finding::new("locked memory", if is_free { "not counted".to_owned() } else { text(locked) }).unless(
        !is_free && locked.is_some_and(|bytes| bytes < wanted),
        &format!("{cores} cores lock {wanted} bytes of buffers"),
        "LimitMEMLOCK=infinity in the unit; in a shell, as root: ulimit -l unlimited",
    );
    // A node raises its soft limit to the hard one.
    let open = limit(&table, "Max open files", HARD);
    let wanted = connections as u64 * FILES_PER_CONNECTION + FILES_OF_THE_NODE;
    let descriptors = Finding::new("open files", text(open)).unless(
        open.is_some_and(|files| files < wanted),
        &format!("limits.connections ({connections}) may need {wanted}"),
        format!("LimitNOFILE={wanted} in the unit; in a shell: ulimit -n {wanted}"),
    );
    vec![memory, descriptors]
}

/// The limit in a column of a line `Max open files  1024  524288  files`; `None`: there is none.
fn limit(table: &str, name: &str, column: usize) -> Option<u64> {
    let line = table.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().nth(column)?.parse().ok()
}

fn text(limit: Option<u64>) -> String {
    limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())
}

fn has_capability(status: &str, bit: u32) -> bool {
    let held = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let held = held.and_then(|held| u64::from_str_radix(held.trim(), 16).ok()).unwrap_or(0);
    held >> bit & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::super::tests::Sample;
    use super::*;

    fn limits(locked: &str, files: &str) -> String {
        format!(
            "Limit                     Soft Limit           Hard Limit           Units     \n\
             Max open files            1024                 {files}              files     \n\
             Max locked memory         {locked}             8388608              bytes     "
        )
    }

    #[test]
    fn limits_are_compared_with_what_cores_and_connections_need() {
        let enough = (2 * 65 * (1u64 << 20)).to_string();
        for (locked, capabilities, files, is_well) in [
            ("8388608", "0000000000000000", "1048576", [false, true]),
            ("8388608", "0000000000004000", "1048576", [true, true]),
            (enough.as_str(), "0", "81024", [true, true]),
            ("unlimited", "0", "81023", [true, false]),
            ("unlimited", "0", "unlimited", [true, true]),
        ] {
            let status = format!("Name:\tet\nCapEff:\t{capabilities}");
            let table = limits(locked, files);
            let sample = Sample::new(&[("/proc/self/limits", &table), ("/proc/self/status", &status)]);
            let found: Vec<bool> =
                check(&sample.files(), 2, 20_000).iter().map(|finding| finding.problem.is_none()).collect();
            assert_eq!(found, is_well, "{locked} {capabilities} {files}");
        }
    }
}
