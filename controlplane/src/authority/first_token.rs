//! The token a node makes for itself when none is configured: secure by default (easytransfer/CONTRACT.md §1.3).
//!
//! Kept 0600 in the state directory and the same after a restart; a crash or a power cut leaves no
//! half a token.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use etransfer_disk::Os;

use crate::config::Config;
use crate::core::Secret;
use crate::private_file::write_private;

/// 192 bits: it cannot be guessed, and it still fits a line.
const RANDOM_BYTES: usize = 24;

/// The node's own token.
#[derive(Debug, Clone)]
pub struct FirstToken {
    /// The token.
    pub token: Secret,
    /// Made just now: it is to be shown, once.
    pub is_new: bool,
    /// Where it is kept.
    pub path: PathBuf,
}

/// The node's own token, when `config` names none and no person can sign in: otherwise the node could not be used.
pub fn needed(config: &Config) -> io::Result<Option<FirstToken>> {
    let is_needed = config.auth.enabled && config.auth.tokens.is_empty() && !config.user_system.enabled;
    is_needed.then(|| load_or_make(&config.state_path())).transpose()
}

/// Reads the token kept in `state`, or makes one.
pub fn load_or_make(state: &Path) -> io::Result<FirstToken> {
    let path = state.join("token");
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => {
            return Ok(FirstToken { token: Secret::new(text.trim()), is_new: false, path });
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let token = URL_SAFE_NO_PAD.encode(random);
    write_private(&Os, &path, format!("{token}\n").as_bytes())?;
    Ok(FirstToken { token: Secret::new(token), is_new: true, path })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn section_1_3_the_first_token_is_private_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let first = load_or_make(dir.path()).unwrap();
        assert!(first.is_new && first.token.expose().len() == 32);
        assert_eq!(std::fs::metadata(&first.path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = load_or_make(dir.path()).unwrap();
        assert_eq!((again.is_new, again.token), (false, first.token));
    }
}
