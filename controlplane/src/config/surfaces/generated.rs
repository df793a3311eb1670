//! Secrets the node makes for itself when they are not configured (SURFACES.md §1): from the operating
//! system's random source, kept 0600 in the state directory, the same after a restart.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use etransfer_disk::Os;
use serde_json::Value;

use super::Surfaces;
use crate::core::setting::{Expected, Secret, Setting};
use crate::private_file::write_private;

/// 192 bits, 32 characters.
const RANDOM_BYTES: usize = 24;
const FILE: &str = "surfaces.json";

/// A secret that is configured or made; any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated(Option<Secret>);

impl Generated {
    /// Not configured: to be made at the start.
    pub const UNSET: Self = Self(None);

    /// The text itself. The control plane makes what is missing before it serves anybody ([`Surfaces::make_secrets`]).
    pub fn expose(&self) -> &str {
        self.0.as_ref().expect("missing secrets are made before anything is served").expose()
    }

    /// The text, if it is configured.
    pub fn configured(&self) -> Option<&str> {
        self.0.as_ref().map(Secret::expose)
    }
}

impl Setting for Generated {
    const IS_TEXT: bool = true;

    fn from_text(text: &str) -> Result<Self, Expected> {
        Ok(Self(Some(Secret::new(text))))
    }

    fn to_value(&self) -> Value {
        self.0.as_ref().map_or(Value::Null, |_| "***".into())
    }
}

impl Surfaces {
    /// Fills what is not configured with what `state` keeps, and makes and keeps the rest.
    pub fn make_secrets(&mut self, state: &Path) -> io::Result<()> {
        let path = state.join(FILE);
        let mut kept: BTreeMap<String, String> = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| io::Error::other(error.to_string()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        let before = kept.len();
        for (key, secret) in self.generated() {
            if secret.0.is_some() {
                continue;
            }
            if !kept.contains_key(&key) {
                kept.insert(key.clone(), random()?);
            }
            secret.0 = kept.get(&key).map(Secret::new);
        }
        if kept.len() > before {
            let text = serde_json::to_vec_pretty(&kept).expect("a map of texts is always JSON");
            write_private(&Os, &path, &text)?;
        }
        Ok(())
    }

    /// All of them; a name is that of the dialect, a dot, and the key.
    fn generated(&mut self) -> Vec<(String, &mut Generated)> {
        let mut all = Vec::new();
        for section in &mut self.0 {
            let surface = section.surface().name();
            all.extend(section.generated().into_iter().map(|(key, secret)| (format!("{surface}.{key}"), secret)));
        }
        all
    }
}

fn random() -> io::Result<String> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::Config;
    use crate::surface::cloudbackend::settings::CloudBackend;

    #[test]
    fn section_1_generated_secrets_are_private_stay_and_differ() {
        let dir = tempfile::tempdir().unwrap();
        let made = || {
            let mut surfaces = Config::defaults().surfaces;
            surfaces.make_secrets(dir.path()).unwrap();
            surfaces
        };
        let first = made();
        let mode = std::fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(made(), first, "the same after a restart");
        let mut again = first.clone();
        let mut texts: Vec<String> =
            again.generated().into_iter().map(|(_, secret)| secret.expose().to_owned()).collect();
        assert!(texts.iter().all(|text| text.len() >= 30), "3.2: access_key_secret");
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 4, "no two are the same");
    }

    #[test]
    fn a_configured_secret_stays_and_is_not_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let mut surfaces = Config::defaults().surfaces;
        surfaces.of_mut::<CloudBackend>().jwt_secret = Generated::from_text("configured by hand").unwrap();
        surfaces.make_secrets(dir.path()).unwrap();
        assert_eq!(surfaces.of::<CloudBackend>().jwt_secret.expose(), "configured by hand");
        let kept = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert!(!kept.contains("jwt_secret") && kept.contains("secret_key"), "{kept}");
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(Config::defaults().surfaces.make_secrets(dir.path()).is_err(), "damage is told, not papered over");
    }
}
