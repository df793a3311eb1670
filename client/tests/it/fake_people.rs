//! The part of the [`fake`](crate::fake) that knows people: login, sessions, and who may reload.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use crate::fake::Fault;

/// Status, fields, body.
pub type Answer = (u16, Vec<(&'static str, String)>, Value);

/// The token of a login that completes.
pub const SESSION: &str = "session-of-anna";
/// When it ends.
pub const EXPIRES: &str = "9000-01-01T00:00:00.000000";

/// A request to one of these routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub path: String,
    /// `X-API-Token`, when `Authorization` says the same; what differs is told as both.
    pub token: String,
}

#[derive(Debug, Default)]
pub struct People {
    /// Otherwise the routes of login answer `without_login`.
    pub offers_login: bool,
    pub without_login: Option<u16>,
    pub info_status: Option<u16>,
    pub has_short_url: bool,
    /// Before a login can start.
    pub start_faults: VecDeque<Fault>,
    /// Before a login is complete; [`Fault::None`] is "not yet".
    pub polls: VecDeque<Fault>,
    pub never_completes: bool,
    pub sessions: BTreeMap<String, Value>,
    pub reload: Option<(u16, Value)>,
    pub seen: Vec<Seen>,
}

impl People {
    /// A person whom [`SESSION`] lets in.
    pub fn anna() -> Value {
        json!({"id": 1, "username": "anna", "display_name": "Anna A.", "email": null, "avatar_url": null,
               "role": "user", "is_active": true, "is_admin": false, "storage_used": 512, "groups": ["staff", "dev"],
               "effective_quota": null})
    }

    pub fn knows(&self, token: &str) -> bool {
        self.sessions.contains_key(token)
    }

    /// The paths asked for, in order.
    pub fn paths(&self) -> Vec<&str> {
        self.seen.iter().map(|seen| seen.path.as_str()).collect()
    }

    /// Routes that need no credential.
    pub fn is_open(path: &str) -> bool {
        path == "/api/users/login-info" || path.starts_with("/api/users/login/")
    }

    /// Remembers a request, also one that is refused.
    pub fn see(&mut self, path: &str, token: &str) {
        if path.starts_with("/api/users/") || path.starts_with("/api/admin/") {
            self.seen.push(Seen { path: path.to_owned(), token: token.to_owned() });
        }
    }

    /// `None`: not a route of this part.
    pub fn answer(&mut self, method: &str, path: &str, token: &str) -> Option<Answer> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').skip(1).collect();
        match (method, parts.as_slice()) {
            ("GET" | "POST", ["users", "login-info" | "login", ..]) if !self.offers_login => {
                Some(refuse(self.without_login.unwrap_or(501), "no login here"))
            }
            ("GET", ["users", "login-info"]) => match self.info_status {
                Some(status) => Some(refuse(status, "told to")),
                None => ok(json!({"provider": "oidc", "issuer": "https://id.example"})),
            },
            ("POST", ["users", "login", "start"]) => Some(self.start()),
            ("GET", ["users", "login", "poll", "state-1"]) => Some(self.poll()),
            ("GET", ["users", "me"]) => Some(self.for_session(token, Value::clone)),
            ("GET", ["users", "me", "quota"]) => Some(self.for_session(token, |user| {
                json!({"storage_used": user["storage_used"], "quota": {"max_storage_size": 1024,
                       "max_upload_size": null}, "usage_percent": 50.0, "is_over_quota": false})
            })),
            ("POST", ["users", "logout"]) => {
                self.sessions.remove(token);
                ok(json!({"message": "bye"}))
            }
            ("POST", ["admin", "reload-config"]) => {
                let nothing = || (200, json!({"reloaded": false, "changes": {}, "note": "nothing differs"}));
                let (status, body) = self.reload.clone().unwrap_or_else(nothing);
                Some((status, Vec::new(), body))
            }
            _ => None,
        }
    }

    fn start(&mut self) -> Answer {
        if let Some(Fault::Refuse(status, field)) = self.start_faults.pop_front() {
            return told(status, field);
        }
        let mut login = json!({"state": "state-1", "authorize_url": "https://id.example/authorize?state=s&scope=openid",
                               "poll_endpoint": "/api/users/login/poll/state-1", "callback_url": "x", "message": "x"});
        if self.has_short_url {
            login["short_url"] = "http://node.example/l/state-1".into();
        }
        (200, Vec::new(), login)
    }

    fn poll(&mut self) -> Answer {
        match self.polls.pop_front() {
            Some(Fault::Refuse(status, field)) => return told(status, field),
            Some(_) => return (200, Vec::new(), json!({"completed": false})),
            None if self.never_completes => return (200, Vec::new(), json!({"completed": false})),
            None => {}
        }
        self.sessions.insert(SESSION.into(), Self::anna());
        let done = json!({"completed": true, "token": SESSION, "expires_at": EXPIRES, "user": Self::anna()});
        (200, Vec::new(), done)
    }

    fn for_session(&self, token: &str, body: impl Fn(&Value) -> Value) -> Answer {
        match self.sessions.get(token) {
            Some(user) => (200, Vec::new(), body(user)),
            None => refuse(401, "no session"),
        }
    }
}

fn ok(body: Value) -> Option<Answer> {
    Some((200, Vec::new(), body))
}

fn refuse(status: u16, detail: &str) -> Answer {
    (status, Vec::new(), json!({ "detail": detail }))
}

fn told(status: u16, field: Option<(&'static str, &'static str)>) -> Answer {
    let fields = field.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    (status, fields, json!({"detail": "told to"}))
}
