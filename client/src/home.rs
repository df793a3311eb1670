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
    /// `None`: no HOME, so nothing is saved and nothing is found.
    directory: Option<PathBuf>,
}

impl Home {
    /// Of the user.
    pub fn of_user() -> Self {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
        Self { directory: home.map(|home| PathBuf::from(home).join(".etransfer")) }
    }

    pub fn uploads(&self) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join("uploads"))
    }

    pub fn downloads(&self) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join("downloads"))
    }

    /// Unparsable is empty.
    pub fn saved(&self) -> Result<Saved> {
        let Some(directory) = &self.directory else { return Ok(Saved::default()) };
        Ok(read_json(&directory.join("client.json"))?.unwrap_or_default())
    }

    pub fn save(&self, saved: &Saved) -> anyhow::Result<()> {
        let directory = self.directory.as_ref().ok_or(CliError::NoHome)?;
        make_private_dir(directory)?;
        Ok(write_private_json(&directory.join("client.json"), saved)?)
    }

    /// The token a server of this user left for this address; only ever for this machine itself.
    pub fn local_token(&self, address: &Address) -> Option<Secret> {
        let directory = self.directory.as_ref()?;
        let tokens: BTreeMap<String, Secret> = read_json(&directory.join("local.json")).ok()??;
        address.loopback_addresses().iter().find_map(|loopback| tokens.get(&loopback.to_string()).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(directory: &std::path::Path) -> Home {
        Home { directory: Some(directory.join(".etransfer")) }
    }

    #[test]
    fn foreign_fields_of_the_client_file_survive() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let place = home.directory.clone().unwrap();
        make_private_dir(&place).unwrap();
        let path = place.join("client.json");
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
        let place = home.directory.clone().unwrap();
        make_private_dir(&place).unwrap();
        let tokens = r#"{"127.0.0.1:8765":"four","[::1]:8765":"six","192.0.2.1:8765":"far"}"#;
        std::fs::write(place.join("local.json"), tokens).unwrap();
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
