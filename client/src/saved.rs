//! client.json: the server and what lets us in there (easytransfer/CONTRACT.md §11.1), shared with the Python client.
//!
//! Must stay true: a token goes to the server it was saved for and to no other; a session that is over is never sent;
//! fields of other programs are kept.

use etransfer_client::{Address, Secret, Session};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Every field may be absent. A token without a user name is a static one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// UTC, ISO 8601 without a zone (easytransfer/CONTRACT.md §1.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Saved {
    /// For another server nothing of the session holds.
    pub fn move_to(&mut self, server: &Address) {
        if !self.is_for(server) {
            self.forget_session();
        }
        self.server = Some(server.to_string());
    }

    /// Keeps a finished login; its server is the saved one from now on.
    pub fn log_in(&mut self, server: &Address, session: Session) {
        self.server = Some(server.to_string());
        self.forget_session();
        (self.token, self.expires_at) = (Some(session.token), session.expires_at);
        if let Some(user) = session.user {
            (self.username, self.role) = (Some(user.username), Some(user.role));
        }
    }

    /// The server stays.
    pub fn forget_session(&mut self) {
        (self.token, self.username, self.role, self.expires_at) = (None, None, None, None);
    }

    /// In its one printed form.
    pub fn server(&self) -> Option<String> {
        let text = self.server.as_deref()?;
        Some(text.parse::<Address>().map_or_else(|_| text.to_owned(), |address| address.to_string()))
    }

    /// What was saved for `server`, expired or not.
    pub fn token_for(&self, server: &Address) -> Option<&Secret> {
        self.token.as_ref().filter(|_| self.is_for(server))
    }

    /// Whether the session is over by its own date. Without one, or with one we cannot read, the server is to say.
    pub fn is_expired(&self) -> bool {
        let ends = self.expires_at.as_deref().and_then(parse_time);
        self.token.is_some() && ends.is_some_and(|ends| ends <= Timestamp::now())
    }

    fn is_for(&self, server: &Address) -> bool {
        self.server().is_some_and(|saved| saved == server.to_string())
    }
}

/// With a zone as it says, without one as UTC.
fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let as_utc = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse().ok().or_else(as_utc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_stored_as_ever() {
        use etransfer_tests::golden::Golden;

        let saved = Saved {
            server: Some("http://127.0.0.1:8765".into()),
            token: Some(Secret::new("t")),
            username: Some("u".into()),
            role: Some("user".into()),
            expires_at: Some("2026-11-20T12:19:03.114410".into()),
            extra: [("of_another_program".to_owned(), serde_json::json!([1, null]))].into_iter().collect(),
        };
        let mut golden = Golden::new(
            concat!(env!("CARGO_MANIFEST_DIR"), "/src/golden/client.txt"),
            "~/.etransfer/client.json: the server, and what lets us in there.",
        );
        golden.text("everything said", &serde_json::to_string(&saved).unwrap());
        golden.text("nothing said", &serde_json::to_string(&Saved::default()).unwrap());
        for entry in golden.check() {
            let again: Saved = serde_json::from_str(entry.line()).unwrap();
            assert_eq!(serde_json::to_string(&again).unwrap(), entry.line());
        }
    }

    #[test]
    fn another_address_drops_the_session_and_the_same_one_keeps_it() {
        let mut saved = Saved { token: Some(Secret::new("t")), username: Some("u".into()), ..Saved::default() };
        (saved.role, saved.expires_at) = (Some("user".into()), Some("2026-11-20T12:19:03.114410".into()));
        saved.server = Some("127.0.0.1:8765".into()); // as other programs may have written it
        saved.move_to(&"http://127.0.0.1:8765/".parse().unwrap());
        assert_eq!(saved.token, Some(Secret::new("t")));
        saved.move_to(&"127.0.0.1:8766".parse().unwrap());
        assert!(saved.token.is_none());
        assert_eq!((saved.username, saved.role, saved.expires_at), (None, None, None));
    }

    #[test]
    fn a_token_is_for_its_server_only() {
        let mut saved = Saved { token: Some(Secret::new("t")), ..Saved::default() };
        let here = "127.0.0.1:8765".parse().unwrap();
        assert_eq!(saved.token_for(&here), None, "saved for no server at all");
        saved.server = Some("HTTP://127.0.0.1:8765/".into());
        assert_eq!(saved.token_for(&here), Some(&Secret::new("t")));
        assert_eq!(saved.token_for(&"127.0.0.1:8766".parse().unwrap()), None);
    }

    #[test]
    fn times_are_utc_unless_they_say_otherwise() {
        let noon = "2026-11-20T12:00:00Z".parse::<Timestamp>().unwrap();
        for (text, expected) in [
            ("2026-11-20T12:00:00.000000", Some(noon)),
            ("2026-11-20T12:00:00", Some(noon)),
            (" 2026-11-20 12:00:00.000000 ", Some(noon)),
            ("2026-11-20T12:00:00Z", Some(noon)),
            ("2026-11-20T13:00:00.000000+01:00", Some(noon)),
            ("", None),
            ("soon", None),
            ("1763640000", None),
        ] {
            assert_eq!(parse_time(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_session_is_over_at_its_date_and_not_for_want_of_one() {
        for (token, expires_at, expected) in [
            (true, Some("2020-01-01T00:00:00.000000"), true),
            (true, Some("9000-01-01T00:00:00.000000"), false),
            (true, Some("soon"), false),
            (true, None, false),
            (false, Some("2020-01-01T00:00:00.000000"), false),
        ] {
            let token = token.then(|| Secret::new("t"));
            let saved = Saved { token, expires_at: expires_at.map(str::to_owned), ..Saved::default() };
            assert_eq!(saved.is_expired(), expected, "{expires_at:?}");
        }
    }
}
