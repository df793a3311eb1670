//! Whether an address leads to the node that the configured server is, asked before it sees a credential.
//!
//! The configured server gives a key to callers with a credential. A candidate answers a random nonce with an HMAC under
//! that key over the nonce and the local address of its own end of the connection; that must be the address dialled, so
//! a relay elsewhere does not pass. An address behind a proxy or a translated one is proven only when the operator
//! advertises it, and a host name never (its next look-up may lead elsewhere): it is used when it is the configured one.
//!
//! What remains: another holder of a credential knows the key, and who takes over the very address can pass all on.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{Address, Client, Error, Result, Secret};

/// Separates these proofs from all other uses of a key.
const CONTEXT: &[u8] = b"et-node-proof-1";
const WHAT: &str = "the health check";

/// How the node is recognised at its other addresses.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The configured address; the credential is meant for it, so it has nothing to prove but its name.
    pub own: Address,
    pub node: String,
    pub key: Secret,
}

impl Identity {
    /// Whether the node answers where `client` leads, which has no credential.
    pub fn meets(&self, client: &Client) -> Result<()> {
        let stranger = |why| Err(Error::Nonsense { what: WHAT, why });
        if *client.address() == self.own {
            return match client.health()? {
                Some(node) if node == self.node => Ok(()),
                _ => stranger("this is another node"),
            };
        }
        let Some(dialled) = client.address().literal() else { return stranger("a host name cannot prove an address") };
        let nonce = nonce()?;
        let (node, proof) = client.health_proof(&nonce)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose().as_bytes()).expect("any length is a key");
        for part in [CONTEXT, nonce.as_bytes(), dialled.to_string().as_bytes()] {
            mac.update(part);
        }
        let is_proven = proof.and_then(|proof| unhex(&proof)).is_some_and(|proof| mac.verify_slice(&proof).is_ok());
        match node {
            Some(node) if node == self.node && is_proven => Ok(()),
            _ => stranger("it does not prove that it is the node"),
        }
    }
}

fn nonce() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Error::Nonsense { what: WHAT, why: "the system gives no random bytes" })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
