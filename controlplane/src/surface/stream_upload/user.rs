//! Who uploads (CONTRACT.md §2): a client with a token of this dialect, or with one the server knows.
//!
//! Must stay true: the first place that holds a token decides; a cookie alone lets no page of a foreign origin change a thing.

use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use http::{HeaderMap, Method, Uri};
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::authority::{Denied, Identity, Presented, origin};
use crate::catalogue::Owner;
use crate::core::SurfaceId;
use crate::core::query::Query;
use crate::node::Account;
use crate::surface::cross_origin::CrossOrigin;
use crate::surface::stream_upload::Service;
use crate::surface::stream_upload::settings::StreamUpload;

/// A client with a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// In keys and in the audit log; without a slash.
    pub key: String,
    /// Whose their bytes are.
    pub owner: Owner,
    /// Most bytes they may store.
    pub quota: Option<u64>,
}

impl User {
    fn named(key: String, quota: Option<u64>) -> Self {
        Self { owner: Owner::Member(SurfaceId::StreamUpload, key.clone()), key, quota }
    }

    /// The account their bytes are put on.
    pub fn account(&self) -> Account {
        Account { owner: self.owner.clone(), max: self.quota }
    }
}

/// The user a request comes from.
pub async fn authenticate(app: &Service, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<User, Refusal> {
    let config = app.node.config();
    let settings = config.surfaces.of::<StreamUpload>();
    let (token, is_cookie) = presented(uri, headers).ok_or(Refusal::NeedLogin)?;
    let guesses = &app.authority.guesses;
    guesses.admit(&token)?;
    let user = configured(settings, &token);
    let user = match user {
        Some(user) => {
            guesses.right(&token);
            origin::entered(format!("stream:{}", user.key));
            user
        }
        None if settings.server_tokens => known(app, &token).await?,
        None => {
            guesses.wrong(&token)?;
            return Err(Refusal::InvalidToken);
        }
    };
    let changes = !matches!(*method, Method::GET | Method::HEAD);
    if is_cookie && changes && is_foreign(settings, headers) {
        return Err(Refusal::Origin);
    }
    Ok(user)
}

/// The token, and whether it came by the cookie.
fn presented(uri: &Uri, headers: &HeaderMap) -> Option<(String, bool)> {
    let said = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (field, None) = (fields.next(), fields.next()) else { return None };
    let field = field.and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    let bearer = match field.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token,
        _ if field.eq_ignore_ascii_case("bearer") => "",
        _ => field,
    };
    if let Some(token) = said(bearer) {
        return Some((token, false));
    }
    if let Some(token) = Query::parse(uri.query().unwrap_or_default()).get("token").and_then(said) {
        return Some((token, false));
    }
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == "token")?;
    said(value.trim_matches('"')).map(|token| (token, true))
}

fn configured(settings: &StreamUpload, token: &str) -> Option<User> {
    // Every token is compared, found or not: the time tells nothing about which one it was.
    let mut found = None;
    for known in &settings.tokens {
        if known.credential.admits(token) {
            found = Some(known);
        }
    }
    let found = found?;
    // Several tokens may name one user; the limit may stand beside any of them.
    let same = settings.tokens.iter().filter(|other| other.user == found.user);
    let quota = found.quota.or_else(|| same.filter_map(|other| other.quota).next()).map(|size| size.0);
    Some(User::named(format!("user:{}", escaped(&found.user)), quota))
}

async fn known(app: &Service, token: &str) -> Result<User, Refusal> {
    let roles = &app.node.config().user_system.role_quotas;
    match app.authority.judge(&Presented::anywhere(token), None, roles).await {
        Ok(caller) => match &caller.identity {
            Identity::Person(person) => Ok(User {
                key: format!("person:{}", person.user.id),
                owner: Owner::Person(person.user.id),
                quota: person.quota.max_storage_size,
            }),
            Identity::Token { .. } => Ok(User::named(format!("token:{}", escaped(caller.who.as_str())), None)),
            // An open node asks for no credential; this dialect does.
            Identity::Open => Err(Refusal::InvalidToken),
        },
        Err(Denied::Unauthorized) => Err(Refusal::InvalidToken),
        Err(Denied::TooMany(too_many)) => Err(too_many.into()),
        Err(Denied::People(_) | Denied::Busy) => Err(Refusal::Unavailable),
    }
}

/// A name as part of a key.
fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}

/// The request comes from a page that is neither ours nor listed.
fn is_foreign(settings: &StreamUpload, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let text = origin.to_str().unwrap_or_default();
    let is_own = text.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
    !is_own && !pages(settings).lists(origin)
}

/// What pages of other origins may do (CONTRACT.md §3).
pub fn pages(settings: &StreamUpload) -> CrossOrigin<'_> {
    CrossOrigin {
        origins: &settings.mount.cors_origins,
        methods: "GET, HEAD, POST, DELETE, OPTIONS",
        fields: Some(
            "authorization, content-type, x-filename, x-filesize, x-filetype, x-chunk-index, x-total-chunks, x-upload-id",
        ),
        exposed: "Content-Disposition, Content-Range, ETag, Accept-Ranges",
        max_age_s: 600,
        credentials: true,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn section_2_the_first_place_that_holds_a_token() {
        for (target, fields, token) in [
            ("/", &[][..], None),
            ("/", &[("authorization", "Bearer a")], Some(("a", false))),
            ("/", &[("authorization", "bearer  a ")], Some(("a", false))),
            ("/", &[("authorization", "a")], Some(("a", false))),
            ("/?token=b", &[("authorization", "a"), ("cookie", "token=c")], Some(("a", false))),
            ("/?token=b", &[("authorization", "Bearer "), ("cookie", "token=c")], Some(("b", false))),
            ("/?token=", &[("cookie", "x=1; token=c")], Some(("c", true))),
            ("/", &[("cookie", "x=1; mytoken=c")], None),
        ] {
            let headers = fields
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
            let found = presented(&target.parse().unwrap(), &headers.collect());
            assert_eq!(found, token.map(|(token, cookie)| (token.to_owned(), cookie)), "{target} {fields:?}");
        }
    }

    #[test]
    fn a_user_s_name_is_no_path() {
        assert_eq!((escaped("a/b").as_str(), escaped("a%2Fb").as_str()), ("a%2Fb", "a%252Fb"));
    }
}
