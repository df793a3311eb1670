//! One request to the bucket, taken apart.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::request::Parts;

use super::access;
use super::key::Key;
use super::operation::Operation;
use super::parameters::Parameters;
use super::place::{Place, Style};
use super::refusal::Refusal;
use super::signature::{KeyPair, Signed};
use crate::authority::origin;
use crate::config::Config;
use crate::link::meta::Meta;
use crate::mounts::Mounted;
use crate::surface::cloudbackend::Service;
use crate::surface::cloudbackend::basis::{self, Basis};
use crate::surface::cloudbackend::settings::CloudBackend;
use crate::surface::cloudbackend::user;
use crate::surface::own_url;

/// What every operation looks at.
pub struct Call<'a> {
    /// The node.
    pub app: &'a Service,
    /// As it is at this moment.
    pub config: Arc<Config>,
    /// The head.
    pub head: Parts,
    mounted: &'a Mounted,
    style: Style,
    place: Place,
    parameters: Parameters,
}

impl<'a> Call<'a> {
    /// Reads a head.
    pub fn new(app: &'a Service, mounted: &'a Mounted, style: Style, head: Parts) -> Result<Self, Refusal> {
        let config = app.node.config();
        let place = Place::of(head.uri.path(), style, &config.surfaces.of::<CloudBackend>().bucket)?;
        let parameters = Parameters::parse(head.uri.query())?;
        Ok(Self { app, config, head, mounted, style, place, parameters })
    }

    /// Settings of this surface.
    pub fn cloud(&self) -> &CloudBackend {
        self.config.surfaces.of::<CloudBackend>()
    }

    /// What is asked for.
    pub fn operation(&self) -> Operation {
        Operation::of(&self.head.method, &self.place, &self.parameters, &self.head.headers)
    }

    /// The object; operations on objects have one.
    pub fn key(&self) -> Result<&Key, Refusal> {
        self.place.key().ok_or(Refusal::NotImplemented)?
    }

    /// Its query.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What the control link says beside the head.
    pub fn meta(&self) -> Meta {
        *self.head.extensions.get::<Meta>().expect("the entry layer put it there")
    }

    /// The bucket's keys.
    pub fn key_pair(&self) -> KeyPair<'_> {
        KeyPair::of(self.cloud())
    }

    /// Only for who signed this request.
    pub fn check_access(&self) -> Result<(), Refusal> {
        self.judge(Some(self.app.node.clock.now_ms()))
    }

    /// The same for one that was let in: its time may be over, but nothing else.
    pub fn check_access_again(&self) -> Result<(), Refusal> {
        self.judge(None)
    }

    /// A URL or form that an account was given ends with that account. Objects of names that were never an account's are
    /// the bucket's alone.
    pub fn check_account(&self, key: &Key) -> Result<(), Refusal> {
        let node = &self.app.node;
        let Some(name) = key.owner() else { return Ok(()) };
        let is_over = match user::Account::by_name(node, name) {
            Some(account) => !account.is_active,
            None => user::Account::is_name_taken(node, name),
        };
        if is_over { Err(Refusal::AccessDenied("The account this object belongs to is disabled.")) } else { Ok(()) }
    }

    /// What the node gave out ends with what it rests on.
    pub fn check_basis(&self, key: &Key, basis: Option<Basis>, now_ms: Option<u64>) -> Result<(), Refusal> {
        if let Some(account) = basis.and_then(Basis::account) {
            origin::entered(format!("cloud:{account}"));
        }
        match basis {
            Some(basis) if !basis.holds(&self.app.node, key, now_ms) => {
                Err(Refusal::AccessDenied("What this was signed for has changed: ask for a new one."))
            }
            Some(_) | None => self.check_account(key),
        }
    }

    fn judge(&self, now_ms: Option<u64>) -> Result<(), Refusal> {
        let signed = Signed {
            verb: self.head.method.as_str(),
            headers: &self.head.headers,
            bucket: &self.cloud().bucket,
            key: self.place.signed_name(),
            parameters: &self.parameters,
        };
        let claimed = || match self.head.headers.get(AUTHORIZATION) {
            Some(field) => String::from_utf8_lossy(field.as_bytes()).into_owned(),
            None => self.parameters.get("Signature").unwrap_or_default().to_owned(),
        };
        match access::check(&signed, &self.key_pair(), now_ms) {
            Ok(()) if self.head.headers.contains_key(AUTHORIZATION) => origin::entered("bucket"),
            Ok(()) => {}
            // It was right once: no guess.
            Err(refusal) if now_ms.is_none() => return Err(refusal),
            Err(refusal) => self.count(refusal, &claimed())?,
        }
        match self.place.key() {
            Some(Ok(key)) if self.parameters.get("OSSAccessKeyId").is_some() => {
                let basis = self.parameters.get(basis::PARAMETER).and_then(|text| text.parse().ok());
                self.check_basis(key, basis, now_ms)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Counts a signature that is wrong; with too many of them it is another refusal.
    pub fn count(&self, refusal: Refusal, claimed: &str) -> Result<(), Refusal> {
        if matches!(refusal, Refusal::UnknownAccessKeyId | Refusal::WrongSignature { .. }) {
            let counted = self.app.authority.guesses.wrong(claimed);
            counted.map_err(|too_many| Refusal::TooMany(too_many.retry_after_s))?;
        }
        Err(refusal)
    }

    /// Who acts on an object, for the audit log: the account whose prefix it is in, else the holder of the key pair.
    pub fn who<'k>(&'k self, key: &'k Key) -> &'k str {
        key.owner().unwrap_or_else(|| self.key_pair().id)
    }

    /// The URL of an object, as this client would ask for it.
    pub fn location(&self, key: &Key) -> String {
        let base = own_url::base(&self.config, &self.meta(), &self.head.headers);
        match self.style {
            Style::BucketHost => format!("{base}/{}", key.encoded()),
            Style::Path => format!("{base}{}/{}/{}", self.mounted.prefix, self.cloud().bucket, key.encoded()),
        }
    }
}
