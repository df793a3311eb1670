//! Bytes through each network interface of this machine, from `/sys/class/net`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Bytes since some beginning, or between two looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicBytes {
    pub received: u64,
    pub sent: u64,
}

/// By interface name.
pub type Nics = BTreeMap<String, NicBytes>;

/// The counters as they are now; none where `/sys` does not show them.
pub fn counters() -> Nics {
    let Ok(dir) = std::fs::read_dir("/sys/class/net") else { return Nics::new() };
    let one = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.ok()?.path();
        let number = |name: &str| std::fs::read_to_string(path.join("statistics").join(name)).ok()?.trim().parse().ok();
        let bytes = NicBytes { received: number("rx_bytes")?, sent: number("tx_bytes")? };
        Some((path.file_name()?.to_string_lossy().into_owned(), bytes))
    };
    dir.filter_map(one).collect()
}

/// What went through between two looks; interfaces that moved nothing are left out.
pub fn between(before: &Nics, after: &Nics) -> Nics {
    let moved = |(name, after): (&String, &NicBytes)| {
        let before = before.get(name).copied().unwrap_or_default();
        let bytes = NicBytes {
            received: after.received.saturating_sub(before.received),
            sent: after.sent.saturating_sub(before.sent),
        };
        (bytes != NicBytes::default()).then(|| (name.clone(), bytes))
    };
    after.iter().filter_map(moved).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_moved_is_shown() {
        let nics = |rows: &[(&str, u64, u64)]| -> Nics {
            rows.iter()
                .map(|(name, received, sent)| ((*name).into(), NicBytes { received: *received, sent: *sent }))
                .collect()
        };
        let before = nics(&[("eth0", 10, 20), ("lo", 5, 5), ("gone", 1, 1)]);
        let after = nics(&[("eth0", 110, 20), ("lo", 5, 5), ("new", 0, 7)]);
        assert_eq!(between(&before, &after), nics(&[("eth0", 100, 0), ("new", 0, 7)]));
    }
}
