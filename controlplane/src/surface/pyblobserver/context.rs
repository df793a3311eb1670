//! One request, with what every handler asks of it: the settings of this moment, links back, who is asking.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, Method};

use super::refusal::Refusal;
use super::tokens;
use crate::authority::origin;
use crate::catalogue::Owner;
use crate::config::Config;
use crate::core::SurfaceId;
use crate::core::query::Query;
use crate::link::meta::Meta;
use crate::mounts::Mounted;
use crate::node::{Account, Node};
use crate::surface::attempts;
use crate::surface::own_url;
use crate::surface::pyblobserver::Service;
use crate::surface::pyblobserver::settings::PyBlobServer;

/// Bytes of one MB, here as in the original.
pub const MB: u64 = 1 << 20;
/// Requests a wrong token counts as, the request itself included (CONTRACT.md §2.4).
const WRONG_TOKEN_COST: u32 = 5;

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
    /// Its method, override included.
    pub method: Method,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its query, encoded.
    pub query: String,
}

impl RequestContext<'_> {
    /// The node.
    pub fn node(&self) -> &Node {
        &self.app.node
    }

    /// This surface's settings.
    pub fn settings(&self) -> &PyBlobServer {
        self.config.surfaces.of::<PyBlobServer>()
    }

    /// Its query, decoded.
    pub fn query(&self) -> Query<'_> {
        Query::parse(&self.query)
    }

    /// What absolute links begin with (CONTRACT.md §1, `BASE_URL`).
    pub fn base(&self) -> String {
        match &self.settings().base_url {
            Some(url) => url.0.clone(),
            None => own_url::base(&self.config, &self.meta, &self.headers) + &self.mounted.prefix,
        }
    }

    /// The request came over TLS, as far as a trusted proxy says.
    pub fn is_tls(&self) -> bool {
        own_url::of_request(&self.config, &self.meta, &self.headers).starts_with("https://")
    }

    /// Whom the request counts against.
    pub fn client(&self) -> Option<IpAddr> {
        attempts::client(&self.config, &self.meta, &self.headers)
    }

    /// Largest file, in bytes.
    pub fn file_bytes_max(&self) -> u64 {
        self.settings().file_size_limit_mb.saturating_mul(MB)
    }

    /// What the files of `user` count against.
    pub fn account(&self, user: &str) -> Account {
        account(self.settings(), user)
    }

    /// The user whose token the request brings. A wrong one costs.
    pub fn user(&self) -> Result<String, Refusal> {
        self.user_with(tokens::bearer(&self.headers).ok_or(Refusal::NotAuthenticated)?)
    }

    /// The user who has this token. A wrong one costs.
    pub fn user_with(&self, token: &str) -> Result<String, Refusal> {
        let guesses = &self.app.authority.guesses;
        guesses.admit(token)?;
        if let Some(user) = tokens::user_of(self.node(), self.settings(), &tokens::digest(token)) {
            guesses.right(token);
            origin::entered(format!("blob:{user}"));
            return Ok(user);
        }
        if self.settings().requests_per_minute > 0 {
            self.app.limiter.punish(self.client(), WRONG_TOKEN_COST - 1);
        }
        guesses.wrong(token)?;
        Err(Refusal::InvalidToken)
    }

    /// One more request of this client (CONTRACT.md §2.4).
    pub fn admit(&self) -> Result<(), Refusal> {
        let max = self.settings().requests_per_minute;
        self.app.limiter.admit(self.client(), max).map_err(Refusal::TooMany)
    }
}

/// What the files of `user` count against.
pub fn account(settings: &PyBlobServer, user: &str) -> Account {
    Account { owner: owner(user), max: Some(settings.total_size_limit_mb.saturating_mul(MB)) }
}

/// Whom the files of `user` belong to in the catalogue.
pub fn owner(user: &str) -> Owner {
    Owner::Member(SurfaceId::PyBlobServer, user.to_owned())
}
