//! Who a delivery goes to: the credential, else the peer address (easytransfer/CONTRACT.md §3 rule 3). The data plane
//! carries it as opaque text.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::core::UserId;

/// Whose bytes add up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Who(String);

impl Who {
    /// The holder of a credential; the credential itself cannot be read back from it.
    pub fn credential(secret: &str) -> Self {
        let digest = Sha256::digest(secret.as_bytes());
        Self(digest[..8].iter().fold("t".to_owned(), |text, byte| text + &format!("{byte:02x}")))
    }

    /// A person, through whichever of their sessions.
    pub fn user(id: UserId) -> Self {
        Self(format!("u{id}"))
    }

    /// The client at an address.
    pub fn address(address: IpAddr) -> Self {
        Self(format!("p{}", address.to_canonical()))
    }

    /// As stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who receives, and how the delivery counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    /// Who.
    pub who: Who,
    /// `?chunk=N`: the chunk is consumed by itself.
    pub by_chunk: bool,
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", if self.by_chunk { "c" } else { "r" }, self.who.0)
    }
}

/// The text was not written by [`Receiver`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a receiver")]
pub struct NotAReceiver;

impl FromStr for Receiver {
    type Err = NotAReceiver;

    fn from_str(text: &str) -> Result<Self, NotAReceiver> {
        let (mode, who) = text.split_once(':').ok_or(NotAReceiver)?;
        let by_chunk = match mode {
            "c" => true,
            "r" => false,
            _ => return Err(NotAReceiver),
        };
        Ok(Self { who: Who(who.to_owned()), by_chunk })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_comes_back_as_it_went_and_hides_the_credential() {
        for who in [Who::credential("secret"), Who::address("::1".parse().unwrap())] {
            for by_chunk in [true, false] {
                let receiver = Receiver { who: who.clone(), by_chunk };
                let text = receiver.to_string();
                assert_eq!(text.parse(), Ok(receiver));
                assert!(!text.contains("secret"));
            }
        }
        assert_eq!(Who::address("::ffff:1.2.3.4".parse().unwrap()), Who::address("1.2.3.4".parse().unwrap()));
    }
}
