//! `~/.etransfer`: what is saved between runs, and where.
//!
//! ```text
//! client.json          server and session ([`Saved`])
//! local.json           {"ip:port": token}, written by servers of this user on this machine
//! uploads/, downloads/ what can be continued
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use etransfer_client::{Address, Result, Secret, make_private_dir, read_json, write_private_json};

use crate::exit::CliError;
use crate::saved::Saved;

/// The directory; made when first written to.
#[derive(Debug, Clone)]
pub struct Home {
    directory: PathBuf,
}

impl Home {
    /// Of the user.
    pub fn of_user() -> std::result::Result<Self, CliError> {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).ok_or(CliError::NoHome)?;
        Ok(Self { directory: PathBuf::from(home).join(".etransfer") })
    }

    pub fn uploads(&self) -> PathBuf {
        self.directory.join("uploads")
    }

    pub fn downloads(&self) -> PathBuf {
        self.directory.join("downloads")
    }

    /// Unparsable is empty.
    pub fn saved(&self) -> Result<Saved> {
        Ok(read_json(&self.directory.join("client.json"))?.unwrap_or_default())
    }

    pub fn save(&self, saved: &Saved) -> Result<()> {
        make_private_dir(&self.directory)?;
        write_private_json(&self.directory.join("client.json"), saved)
    }

    /// The token a server of this user left for this address; only ever for this machine itself.
    pub fn local_token(&self, address: &Address) -> Option<Secret> {
        let tokens: BTreeMap<String, Secret> = read_json(&self.directory.join("local.json")).ok()??;
        address.loopback_addresses().iter().find_map(|loopback| tokens.get(&loopback.to_string()).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(directory: &std::path::Path) -> Home {
        Home { directory: directory.join(".etransfer") }
    }

    #[test]
    fn foreign_fields_of_the_client_file_survive() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        make_private_dir(&home.directory).unwrap();
        let path = home.directory.join("client.json");
        std::fs::write(&path, r#"{"server":"http://a:1","theme":"dark"}"#).unwrap();
        let saved = home.saved().unwrap();
        home.save(&saved).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\n  \"server\": \"http://a:1\",\n  \"theme\": \"dark\"\n}\n"
        );
        std::fs::write(&path, "not json").unwrap();
        assert!(home.saved().unwrap().server.is_none());
    }

    #[test]
    fn a_local_token_is_found_for_loopback_addresses_only() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        make_private_dir(&home.directory).unwrap();
        let tokens = r#"{"127.0.0.1:8765":"four","[::1]:8765":"six","192.0.2.1:8765":"far"}"#;
        std::fs::write(home.directory.join("local.json"), tokens).unwrap();
        for (address, expected) in [
            ("127.0.0.1:8765", Some("four")),
            ("[::1]:8765", Some("six")),
            ("127.0.0.1:8766", None),
            ("192.0.2.1:8765", None),
        ] {
            assert_eq!(home.local_token(&address.parse().unwrap()), expected.map(Secret::new), "{address}");
        }
    }
}
