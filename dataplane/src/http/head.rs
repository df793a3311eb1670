//! A request head: parsed once, checked once, owned in one piece.
//!
//! Must stay true: a [`Head`] that exists has one framing, a valid host where HTTP asks for one, and a target in
//! origin-form; nothing of it has to be checked again.

use std::fmt;
use std::mem::MaybeUninit;
use std::ops::Range;

use etransfer_contract::list;
use etransfer_contract::tus::Fields;

use crate::bounds::HEAD_FIELDS_MAX;

use super::fields::FieldTable;
use super::scan::{HeadLimits, HeadScan, Scanned};
use super::target::{Target, is_authority, is_same};
use super::{Framing, Method, Reject};

/// A request head.
#[derive(Clone)]
pub struct Head {
    fields: FieldTable,
    method: Method,
    method_at: Range<usize>,
    target_at: Range<usize>,
    /// Where an absolute-form target says the host, when no `Host` does (HTTP/1.0).
    authority_at: Option<Range<usize>>,
    version_minor: u8,
    framing: Framing,
}

impl Head {
    /// The head at the start of `bytes` and how many bytes it took; `None` when more are needed.
    pub fn parse(bytes: &[u8], limits: &HeadLimits) -> Result<Option<(Self, usize)>, Reject> {
        Self::parse_on(&mut HeadScan::default(), bytes, limits)
    }

    /// The same for a connection whose bytes come in pieces: `bytes` are those of the call before and more.
    pub fn parse_on(scan: &mut HeadScan, bytes: &[u8], limits: &HeadLimits) -> Result<Option<(Self, usize)>, Reject> {
        let Some(scanned) = scan.scan(bytes, limits)? else { return Ok(None) };
        let end = scanned.bytes.end;
        Self::build(bytes, scanned).map(|head| Some((head, end)))
    }

    fn build(bytes: &[u8], scanned: Scanned) -> Result<Self, Reject> {
        let head = &bytes[scanned.bytes.clone()];
        let within = |at: &Range<usize>| at.start - scanned.bytes.start..at.end - scanned.bytes.start;
        let (method_at, mut target_at) = (within(&scanned.line.method), within(&scanned.line.target));
        let version_minor = scanned.line.version_minor;
        let method = Method::from_token(&head[method_at.clone()]);
        let target = Target::parse(head, target_at, method)?;
        target_at = target.origin;
        // An absolute-form target without a path gets one, behind the head.
        let mut extra = Vec::new();
        if !matches!(head[target_at.clone()].first(), Some(b'/' | b'*')) && method != Method::Connect {
            extra = [b"/", &head[target_at]].concat();
            target_at = head.len()..head.len() + extra.len();
        }
        let mut headers = [const { MaybeUninit::uninit() }; HEAD_FIELDS_MAX];
        let mut request = httparse::Request::new(&mut []);
        let agrees = matches!(
            request.parse_with_uninit_headers(head, &mut headers),
            Ok(httparse::Status::Complete(end)) if end == head.len() && request.version == Some(version_minor)
        );
        if !agrees || request.method.map(str::as_bytes) != Some(&head[method_at.clone()]) {
            return Err(Reject::Ambiguous);
        }
        let fields = FieldTable::new(head, &extra, request.headers)?;
        let framing = Framing::of(version_minor, &fields)?;
        let authority_at = check_host(&fields, head, target.authority, version_minor)?;
        Ok(Self { fields, method, method_at, target_at, authority_at, version_minor, framing })
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The method as it was written.
    pub fn method_name(&self) -> &str {
        self.fields.text(self.method_at.clone())
    }

    /// Path and query as they were written, in origin-form: starts with `/`, or is `*` (OPTIONS).
    pub fn target(&self) -> &str {
        self.fields.text(self.target_at.clone())
    }

    /// The target up to the first `?`.
    pub fn path(&self) -> &str {
        self.target().split_once('?').map_or(self.target(), |(path, _)| path)
    }

    /// What follows the first `?`.
    pub fn query(&self) -> Option<&str> {
        self.target().split_once('?').map(|(_, query)| query)
    }

    /// `host[:port]`; `None` only in HTTP/1.0.
    pub fn host(&self) -> Option<&str> {
        match self.get("host") {
            Some(host) => std::str::from_utf8(host).ok(),
            None => self.authority_at.clone().map(|at| self.fields.text(at)),
        }
    }

    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    pub fn version_minor(&self) -> u8 {
        self.version_minor
    }

    /// Name as written and value of each field, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter()
    }

    /// The first value of a field.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.fields.first(name)
    }

    /// Every value of a field.
    pub fn all_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.all(name)
    }

    /// How the body ends.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Refusals that leave the connection usable: the body has to be drained, so they come after the framing is known.
    pub fn objection(&self) -> Option<Reject> {
        match self.method {
            Method::Other => return Some(Reject::MethodUnknown),
            Method::Connect | Method::Trace => return Some(Reject::MethodRefused),
            Method::Get
            | Method::Head
            | Method::Post
            | Method::Put
            | Method::Patch
            | Method::Delete
            | Method::Options => {}
        }
        let met = list::members(self.fields.all("expect")).all(|value| value.eq_ignore_ascii_case(b"100-continue"));
        (!met).then_some(Reject::Expectation)
    }

    /// Whether the client wants another request on this connection (RFC 9112 §9.3).
    pub fn keep_alive(&self) -> bool {
        let says = |option: &str| list::lists(self.fields.all("connection"), option);
        !says("close") && (self.version_minor == 1 || says("keep-alive"))
    }

    /// Whether the client waits for `100 Continue` before its body (never in HTTP/1.0, RFC 9110 §10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.version_minor == 1 && self.framing.has_body() && list::lists(self.fields.all("expect"), "100-continue")
    }
}

impl Fields for Head {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.all(name)
    }
}

/// Method and path only: queries and fields may hold secrets.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({:?})", self.method_name(), self.path(), self.framing)
    }
}

/// RFC 9112 §3.2: one valid `Host` in HTTP/1.1, and no authority in the target that says otherwise. Gives the place of
/// the target's authority when it is the only one.
fn check_host(
    fields: &FieldTable,
    head: &[u8],
    authority: Option<(Range<usize>, u16)>,
    version_minor: u8,
) -> Result<Option<Range<usize>>, Reject> {
    let mut hosts = fields.all("host");
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Reject::HostRepeated);
    }
    if host.is_none() && version_minor == 1 {
        return Err(Reject::HostMissing);
    }
    let named = authority.as_ref().map(|(at, _)| &head[at.clone()]);
    if !host.is_none_or(is_authority) || !named.is_none_or(is_authority) {
        return Err(Reject::HostMalformed);
    }
    match (host, authority) {
        (Some(host), Some((at, port))) if !is_same(host, &head[at.clone()], port) => Err(Reject::HostDisagrees),
        (Some(_), _) => Ok(None),
        (None, authority) => Ok(authority.map(|(at, _)| at)),
    }
}
