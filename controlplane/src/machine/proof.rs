//! Proof that an address leads to this node, for clients that have not yet shown a credential there.
//!
//! A client that has a credential gets the key from the node it is configured with (`/api/endpoints`), and asks every
//! other address for the proof (`/api/health` with a nonce). The proof holds for the local address of the connection
//! alone: a relay at another address gets a proof that names the node's address and not its own. An address that the
//! operator advertises (a router's, a proxy's) is proven by name: the node does not see it itself.
//!
//! What remains: who holds a credential knows the key; a relay at an advertised address passes for the node; and who takes over the very address on the way to it (plain HTTP)
//! can pass everything on. Only TLS helps there.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::Path;

use etransfer_disk::Os;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::private_file::write_private;

/// Separates these proofs from all other uses of a key.
const CONTEXT: &[u8] = b"et-node-proof-1";
/// Of a nonce, in hexadecimal digits.
pub const NONCE_DIGITS: usize = 32;
/// Below the state directory, 0600.
const FILE: &str = "proof.key";
const KEY_DIGITS: usize = 64;

/// The key, as hexadecimal digits. It has no `Debug`: it is in no log.
#[derive(Clone)]
pub struct ProofKey(String);

impl ProofKey {
    /// Reads the key kept in `state`, or makes one; the same after a restart, so that transfers rejoin their addresses.
    pub fn load_or_make(state: &Path) -> io::Result<Self> {
        let path = state.join(FILE);
        match OpenOptions::new().read(true).open(&path) {
            Ok(file) => {
                let mut text = String::new();
                file.take(KEY_DIGITS as u64 + 1).read_to_string(&mut text)?;
                if is_hex(text.trim(), KEY_DIGITS) {
                    return Ok(Self(text.trim().to_owned()));
                }
                tracing::warn!(path = %path.display(), "the proof key is not 64 hexadecimal digits; a new one replaces it");
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let key = Self::random()?;
        write_private(&Os, &path, key.0.as_bytes())?;
        Ok(key)
    }

    fn random() -> io::Result<Self> {
        let mut bytes = [0; KEY_DIGITS / 2];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self(hex(&bytes)))
    }

    /// For callers that have shown a credential.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What only the node can answer to `nonce` at `local`.
    pub fn prove(&self, nonce: &str, local: SocketAddr) -> String {
        let local = SocketAddr::new(local.ip().to_canonical(), local.port());
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("a key of HMAC may have any length");
        for part in [CONTEXT, nonce.as_bytes(), local.to_string().as_bytes()] {
            mac.update(part);
        }
        hex(&mac.finalize().into_bytes())
    }
}

/// Whether `text` is a nonce.
pub fn is_nonce(text: &str) -> bool {
    is_hex(text, NONCE_DIGITS)
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_key_is_kept_private_and_its_proof_holds_for_one_address_and_nonce() {
        let dir = tempfile::tempdir().unwrap();
        let key = ProofKey::load_or_make(dir.path()).unwrap();
        let path = dir.path().join(FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(ProofKey::load_or_make(dir.path()).unwrap().0 == key.0, "the same after a restart");
        let at = |address: &str| key.prove("00", address.parse().unwrap());
        assert_eq!(at("[::ffff:10.0.0.1]:1"), at("10.0.0.1:1"));
        assert_ne!(at("10.0.0.1:1"), at("10.0.0.2:1"));
        assert_ne!(at("10.0.0.1:1"), key.prove("01", "10.0.0.1:1".parse().unwrap()));
    }
}
