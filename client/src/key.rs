//! File names for state about a (server, path) or (server, id): a hash, since paths do not fit into file names.
//!
//! FNV-1a with 64 bits: a collision is possible, so every state file also holds what it is about, and the reader
//! compares.

/// 16 hex digits for these parts.
pub fn name_for(parts: &[&[u8]]) -> String {
    format!("{:016x}", hash(parts))
}

/// One number for these parts.
pub fn hash(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.iter().chain(&[0]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::name_for;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(name_for(&[b"ab", b"c"]), name_for(&[b"a", b"bc"]));
        assert_ne!(name_for(&[b"ab"]), name_for(&[b"ab", b""]));
        assert_eq!(name_for(&[b"ab", b"c"]).len(), 16);
    }

    #[test]
    fn names_stay_what_they_are_across_releases() {
        assert_eq!(name_for(&[]), "cbf29ce484222325");
        assert_eq!(name_for(&[b"http://127.0.0.1:8765", b"/a"]), name_for(&[b"http://127.0.0.1:8765", b"/a"]));
    }
}
