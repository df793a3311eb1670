//! One request of the JSON API, with what handlers ask of it: the settings of this moment, its members, who is asking.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use serde_json::Value;

use super::refusal::Refusal;
use super::texts::Text;
use crate::config::Config;
use crate::link::meta::Meta;
use crate::mounts::Mounted;
use crate::node::Node;
use crate::surface::attempts;
use crate::surface::cloudbackend::Service;
use crate::surface::cloudbackend::settings::CloudBackend;
use crate::surface::cloudbackend::user::{Account, token};

/// A request.
pub struct RequestContext<'a> {
    /// The shared state.
    pub app: &'a Service,
    /// The configuration of this moment.
    pub config: Arc<Config>,
    /// Where it came in.
    pub mounted: &'a Mounted,
    /// What the data plane says about it.
    pub meta: Meta,
    /// Its method.
    pub method: Method,
    /// Its fields.
    pub headers: HeaderMap,
    /// What it brings: an object, or an array where the route takes one.
    pub body: Value,
}

impl RequestContext<'_> {
    /// The node.
    pub fn node(&self) -> &Node {
        &self.app.node
    }

    /// This surface's settings.
    pub fn cloud(&self) -> &CloudBackend {
        self.config.surfaces.of::<CloudBackend>()
    }

    /// Unix milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.node().clock.now_ms()
    }

    /// Whom the request counts against.
    pub fn client(&self) -> Option<IpAddr> {
        attempts::client(&self.config, &self.meta, &self.headers)
    }

    /// What it brings.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// A member of the body; `null` counts as absent.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.body.get(name).filter(|value| !value.is_null())
    }

    /// A member that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.member(name).and_then(Value::as_str)
    }

    /// Whose access token the request brings (CONTRACT.md §A2, Authentication).
    pub fn account(&self) -> Result<Account, Refusal> {
        let token = bearer(&self.headers)?;
        let account = token::account(self, token);
        if account == Err(Refusal::BadToken) {
            self.app.authority.guesses.wrong(token)?;
        }
        account
    }

    /// What its access token says.
    pub fn access_claims(&self) -> Option<token::Claims> {
        token::claims(self, bearer(&self.headers).ok()?)
    }

    /// The account where anybody may ask: a token that counts for nothing is none.
    pub fn maybe_account(&self) -> Option<Account> {
        self.account().ok()
    }

    /// What is said, in the language people read here.
    pub fn say(&self, text: Text) -> &'static str {
        text.of(self.cloud().messages)
    }
}

/// The token in `Authorization`; of two fields none counts.
fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return Err(Refusal::NotAuthenticated) };
    let text = field.to_str().map_err(|_| Refusal::NotAuthenticated)?.trim();
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(Refusal::NotAuthenticated) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a2_only_bearer_is_a_credential() {
        for (field, token) in [
            ("Bearer abc", Ok("abc")),
            ("bearer  abc ", Ok("abc")),
            ("Bearer", Ok("")),
            ("Token abc", Err(Refusal::NotAuthenticated)),
            ("Basic abc", Err(Refusal::NotAuthenticated)),
            ("", Err(Refusal::NotAuthenticated)),
        ] {
            let mut headers = HeaderMap::from_iter([(AUTHORIZATION, field.parse().unwrap())]);
            assert_eq!(bearer(&headers), token, "{field}");
            headers.append(AUTHORIZATION, "Bearer again".parse().unwrap());
            assert_eq!(bearer(&headers), Err(Refusal::NotAuthenticated), "two of them");
        }
        assert_eq!(bearer(&HeaderMap::new()), Err(Refusal::NotAuthenticated));
    }
}
