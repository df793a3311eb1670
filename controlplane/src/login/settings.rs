//! The provider's settings, checked once: what is left after [`Settings::read`] can be used as it stands.

use reqwest::Url;
use thiserror::Error;

use super::fetch::is_protected;
use crate::config::{Oidc, Secret};

/// Where the provider sends browsers back to, below this node's address.
const CALLBACK_PATH: &str = "/api/users/callback";

/// Hosts that a configured callback cannot mean: the browser is on another machine (contract §6.1).
const NOT_PUBLIC: [&str; 3] = ["localhost", "127.0.0.1", "0.0.0.0"];

/// `user_system.oidc.*`, complete.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The issuer, without a slash at the end.
    pub issuer: String,
    /// This node at the provider.
    pub client_id: String,
    /// Its password there.
    pub client_secret: Secret,
    /// Where the provider sends browsers back to.
    pub callback: Callback,
    /// Scopes, with one space between; `openid` is among them.
    pub scope: String,
}

/// Settings nobody can sign in with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// The issuer cannot be asked.
    #[error("user_system.oidc.issuer_url: expected https://host[/path] (plain http only on this machine), got {0:?}")]
    Issuer(String),
    /// The callback is no place for a browser.
    #[error(
        "user_system.oidc.callback_url: expected the public https://host or https://host{CALLBACK_PATH}, got {0:?}"
    )]
    Callback(String),
    /// No client for outgoing requests.
    #[error("prepare requests to the login provider: {reason}; are the system's CA certificates installed?")]
    Client {
        /// What the TLS or HTTP library said.
        reason: String,
    },
}

impl Settings {
    /// `None` without issuer, client id or client secret: then there is no login here (501).
    pub fn read(oidc: &Oidc) -> Result<Option<Self>, SettingsError> {
        let secret = &oidc.client_secret.0;
        if oidc.issuer_url.is_empty() || oidc.client_id.is_empty() || secret.expose().is_empty() {
            return Ok(None);
        }
        let issuer = oidc.issuer_url.trim_end_matches('/');
        let is_usable =
            Url::parse(issuer).is_ok_and(|url| is_protected(&url) && url.query().is_none() && url.fragment().is_none());
        if !is_usable {
            return Err(SettingsError::Issuer(oidc.issuer_url.clone()));
        }
        Ok(Some(Self {
            issuer: issuer.to_owned(),
            client_id: oidc.client_id.clone(),
            client_secret: secret.clone(),
            callback: Callback::read(&oidc.callback_url)?,
            scope: scope(&oidc.scope),
        }))
    }
}

/// Without `openid` a provider gives no ID token, and then nobody could sign in.
fn scope(configured: &str) -> String {
    let mut words: Vec<&str> = configured.split_whitespace().collect();
    if !words.contains(&"openid") {
        words.insert(0, "openid");
    }
    words.join(" ")
}

/// The callback rule of contract §6.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callback {
    /// This address, whatever the request says.
    Fixed(String),
    /// None is configured: below the address the request came to.
    FromRequest,
}

impl Callback {
    /// Empty text means that none is configured, and so does an address that only this machine can reach.
    pub fn read(configured: &str) -> Result<Self, SettingsError> {
        if configured.is_empty() {
            return Ok(Self::FromRequest);
        }
        let wrong = || SettingsError::Callback(configured.to_owned());
        let mut url = Url::parse(configured).map_err(|_| wrong())?;
        let host = url.host_str().ok_or_else(wrong)?;
        if !matches!(url.scheme(), "http" | "https") || url.fragment().is_some() {
            return Err(wrong());
        }
        if NOT_PUBLIC.contains(&host) {
            return Ok(Self::FromRequest);
        }
        if url.path() == "/" {
            url.set_path(CALLBACK_PATH);
        }
        Ok(Self::Fixed(url.into()))
    }

    /// The redirect URI of a login; `base` is scheme and authority of the request.
    pub fn url(&self, base: &str) -> String {
        match self {
            Self::Fixed(url) => url.clone(),
            Self::FromRequest => format!("{}{CALLBACK_PATH}", base.trim_end_matches('/')),
        }
    }
}

/// `<origin of the callback>/l/<poll id>`: the authorize URL for people who type.
pub fn short_url(callback: &str, poll_id: &str) -> String {
    let origin = Url::parse(callback).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization());
    format!("{origin}/l/{poll_id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Password;

    fn oidc(issuer_url: &str, callback_url: &str) -> Oidc {
        Oidc {
            issuer_url: issuer_url.into(),
            client_id: "node".into(),
            client_secret: Password(Secret::new("hunter2")),
            callback_url: callback_url.into(),
            scope: "profile  email".into(),
        }
    }

    #[test]
    fn section_6_1_callback_is_the_configured_one_unless_only_this_machine_reaches_it() {
        let base = "http://10.0.0.5:8765";
        for (configured, url) in [
            ("", "http://10.0.0.5:8765/api/users/callback"),
            ("https://files.example/api/users/callback", "https://files.example/api/users/callback"),
            // A bare origin, as [0.1.26] wants it.
            ("https://files.example", "https://files.example/api/users/callback"),
            ("https://files.example:8443/", "https://files.example:8443/api/users/callback"),
            // Any other path is the operator's: a proxy may rewrite it.
            ("https://example.org/et/api/users/callback", "https://example.org/et/api/users/callback"),
            ("http://localhost:8765/api/users/callback", "http://10.0.0.5:8765/api/users/callback"),
            ("http://LOCALHOST", "http://10.0.0.5:8765/api/users/callback"),
            ("http://127.0.0.1:8765", "http://10.0.0.5:8765/api/users/callback"),
            ("https://0.0.0.0/api/users/callback", "http://10.0.0.5:8765/api/users/callback"),
            ("https://localhost.example", "https://localhost.example/api/users/callback"),
        ] {
            assert_eq!(Callback::read(configured).map(|callback| callback.url(base)), Ok(url.into()), "{configured}");
        }
        for wrong in ["files.example", "ftp://files.example", "javascript:alert(1)", "https://", "https://a.b/#x"] {
            assert_eq!(Callback::read(wrong), Err(SettingsError::Callback(wrong.into())), "{wrong}");
        }
    }

    #[test]
    fn section_6_1_without_issuer_id_and_secret_there_is_no_login() {
        let whole = oidc("https://id.example/", "");
        let settings = Settings::read(&whole).unwrap().unwrap();
        assert_eq!((settings.issuer.as_str(), settings.scope.as_str()), ("https://id.example", "openid profile email"));
        for part in [
            Oidc { issuer_url: String::new(), ..whole.clone() },
            Oidc { client_id: String::new(), ..whole.clone() },
            Oidc { client_secret: Password::default(), ..whole.clone() },
        ] {
            assert!(Settings::read(&part).unwrap().is_none());
        }
        assert!(!format!("{whole:?}{settings:?}").contains("hunter2"));
    }

    #[test]
    fn section_5_the_issuer_is_asked_over_tls_except_on_this_machine() {
        for good in ["https://id.example", "https://id.example/realms/x", "http://127.0.0.1:9000", "http://[::1]:1"] {
            assert!(Settings::read(&oidc(good, "")).is_ok(), "{good}");
        }
        for bad in ["http://id.example", "id.example", "file:///etc/passwd", "https://id.example?x=1"] {
            assert_eq!(Settings::read(&oidc(bad, "")).unwrap_err(), SettingsError::Issuer(bad.into()), "{bad}");
        }
    }

    #[test]
    fn section_6_1_a_short_url_is_below_the_callbacks_origin() {
        assert_eq!(short_url("https://a.example:8443/api/users/callback", "x"), "https://a.example:8443/l/x");
    }
}
