//! Which node this is, to a client that meets it at several addresses: 32 hex digits kept in the state directory.
//!
//! Public and no secret: it tells a client that an advertised address leads to the node it knows and not to some other
//! one; it proves nothing to a client that distrusts the network.

use std::io;
use std::path::Path;

use etransfer_disk::Os;

use crate::private_file::write_private;

const DIGITS: usize = 32;

/// Reads the identity kept in `state`, or makes one; the same after a restart.
pub fn load_or_make(state: &Path) -> io::Result<String> {
    let path = state.join("node_id");
    match std::fs::read_to_string(&path) {
        Ok(text) if is_identity(text.trim()) => return Ok(text.trim().to_owned()),
        Ok(_) => tracing::warn!(path = %path.display(), "no identity of a node stands there; a new one is made"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut random = [0; DIGITS / 2];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let made: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    write_private(&Os, &path, format!("{made}\n").as_bytes())?;
    Ok(made)
}

fn is_identity(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_stays_itself_and_is_no_other() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = load_or_make(one.path()).unwrap();
        assert!(is_identity(&first), "{first}");
        assert_eq!(load_or_make(one.path()).unwrap(), first);
        assert_ne!(load_or_make(other.path()).unwrap(), first);
        std::fs::write(one.path().join("node_id"), "X: y\r\n").unwrap();
        let renewed = load_or_make(one.path()).unwrap();
        assert!(is_identity(&renewed) && renewed != first);
    }
}
