//! The object store of CloudBackend (cloudbackend/CONTRACT.md §B, §C cases 8-14, 24, 25 as far as they are about the
//! bucket): forms, signed URLs, operations; by raw bytes, by curl, and by the provider's own SDKs.

pub mod clients;
mod crash;
mod forms;
mod hostile;
mod objects;
mod urls;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use crate::support::node::Setup;
use crate::support::{Node, Reply, Request};

pub const KEY_ID: &str = "key-id-of-the-tests";
pub const SECRET: &str = "secret-of-the-tests-0123456789";
/// 2100-01-01T00:00:00Z
pub const LATER: u64 = 4_102_444_800;

pub fn setup() -> Setup {
    key_pair(Node::setup())
}

/// Gives the bucket its key pair.
pub fn key_pair(setup: Setup) -> Setup {
    setup.env("SURFACES__CLOUDBACKEND__ACCESS_KEY_ID", KEY_ID).env("SURFACES__CLOUDBACKEND__ACCESS_KEY_SECRET", SECRET)
}

/// HMAC-SHA1 in base64, from its definition (RFC 2104), so that the server's is not judged by itself.
pub fn sign(text: &[u8]) -> String {
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        SECRET.bytes().zip(&mut block).for_each(|(secret, block)| *block ^= secret);
        block
    };
    let inner = Sha1::new().chain_update(pad(0x36)).chain_update(text).finalize();
    STANDARD.encode(Sha1::new().chain_update(pad(0x5c)).chain_update(inner).finalize())
}

/// Every byte but unreserved ones and slashes as `%XX`.
pub fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A signed URL of `cloud`, good until `expires`; `parameters` are signed too, and stand there decoded and sorted.
pub fn signed_until(method: &str, key: &str, parameters: &[(&str, &str)], expires: u64) -> String {
    let written: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let question = if written.is_empty() { "" } else { "?" };
    let signature = sign(format!("{method}\n\n\n{expires}\n/cloud/{key}{question}{}", written.join("&")).as_bytes());
    let mut url = format!("/cloud/{}?OSSAccessKeyId={KEY_ID}&Expires={expires}", encode(key));
    url.push_str(&format!("&Signature={}", encode(&signature).replace('/', "%2F")));
    for (name, value) in parameters {
        url.push_str(&format!("&{name}={}", encode(value).replace('/', "%2F")));
    }
    url
}

/// A request with its signature in the head.
pub fn signed_head(method: &str, key: &str, query: &str, fields: &[(&str, &str)]) -> Request {
    let date = crate::oss::date(SystemTime::now());
    signed_head_at(method, key, query, fields, &date)
}

pub fn signed_head_at(method: &str, key: &str, query: &str, fields: &[(&str, &str)], date: &str) -> Request {
    let field =
        |name: &str| fields.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map_or("", |(_, value)| *value);
    let mut own: Vec<String> = fields
        .iter()
        .filter(|(name, _)| name.starts_with("x-oss-"))
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    own.sort();
    let question = if query.is_empty() { String::new() } else { format!("?{query}") };
    let text = format!(
        "{method}\n{}\n{}\n{date}\n{}/cloud/{key}{question}",
        field("content-md5"),
        field("content-type"),
        own.concat()
    );
    let mut request = Request::new(method, &format!("/cloud/{}{question}", encode(key)))
        .header("Date", date)
        .header("Authorization", format!("OSS {KEY_ID}:{}", sign(text.as_bytes())));
    for (name, value) in fields {
        request = request.header(name, value);
    }
    request
}

/// IMF-fixdate of a time, by `date(1)`.
pub fn date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let out = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{seconds}"), "+%a, %d %b %Y %H:%M:%S GMT"])
        .env("LC_ALL", "C")
        .output()
        .expect("run date");
    String::from_utf8(out.stdout).expect("a date is ASCII").trim().to_owned()
}

pub fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// A form being made.
#[derive(Clone)]
pub struct Form {
    pub fields: Vec<(String, String)>,
    pub file: Option<Vec<u8>>,
    pub filename: Option<String>,
    pub file_type: Option<String>,
    /// Parts after the content.
    pub after: Vec<(String, String)>,
}

impl Form {
    /// As the published front end sends it: these fields in this order.
    pub fn of_front_end(key: &str, content: impl Into<Vec<u8>>) -> Self {
        Self::new(key, &policy(json!([{"bucket": "cloud"}, ["starts-with", "$key", "alice/"], ["content-length-range", 0, 104_857_600]])), content)
            .field("success_action_status", "200")
    }

    pub fn new(key: &str, policy: &str, content: impl Into<Vec<u8>>) -> Self {
        let pairs =
            [("key", key), ("OSSAccessKeyId", KEY_ID), ("policy", policy), ("signature", &sign(policy.as_bytes()))];
        Self {
            fields: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            file: Some(content.into()),
            filename: Some("blob".into()),
            file_type: Some("application/octet-stream".into()),
            after: Vec::new(),
        }
    }

    /// Sets a field, at the end when it is new.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        match self.fields.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => *old = value.to_owned(),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(other, _)| other != name);
        self
    }

    pub fn body(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let field = |out: &mut Vec<u8>, (name, value): &(String, String)| {
            out.extend(
                format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes(),
            );
        };
        self.fields.iter().for_each(|pair| field(&mut out, pair));
        if let Some(content) = &self.file {
            let filename = self.filename.as_ref().map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
            let kind = self.file_type.as_ref().map(|kind| format!("\r\nContent-Type: {kind}")).unwrap_or_default();
            out.extend(
                format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"{filename}{kind}\r\n\r\n")
                    .bytes(),
            );
            out.extend_from_slice(content);
            out.extend_from_slice(b"\r\n");
        }
        self.after.iter().for_each(|pair| field(&mut out, pair));
        out.extend(format!("--{BOUNDARY}--\r\n").bytes());
        out
    }

    pub fn request(&self) -> Request {
        Request::new("POST", "/cloud").header("Content-Type", FORM_TYPE).body(self.body())
    }

    #[track_caller]
    pub fn post(&self, node: &Node) -> Reply {
        node.send(&self.request())
    }
}

pub const BOUNDARY: &str = "----WebKitFormBoundaryTests";
pub const FORM_TYPE: &str = "multipart/form-data; boundary=----WebKitFormBoundaryTests";

/// A policy with these conditions, good for long.
pub fn policy(conditions: Value) -> String {
    STANDARD.encode(json!({"expiration": "2100-01-01T00:00:00.000Z", "conditions": conditions}).to_string())
}

/// A refusal: status, code, XML.
#[track_caller]
pub fn refused(reply: Reply, status: u16, code: &str) -> String {
    let reply = reply.is(status);
    assert_eq!(reply.field("Content-Type"), "application/xml", "{reply:?}");
    let text = String::from_utf8(reply.body.clone()).expect("XML is UTF-8");
    let id = reply.field("x-oss-request-id");
    assert!(id.len() == 24 && id.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b)), "{reply:?}");
    let begins = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>");
    assert!(text.starts_with(&begins), "wanted {code}: {reply:?}");
    assert!(text.contains(&format!("<RequestId>{id}</RequestId><HostId>")), "{reply:?}");
    text
}

/// What is at a key, by a signed URL; `None`: nothing.
#[track_caller]
pub fn content(node: &Node, key: &str) -> Option<Vec<u8>> {
    let reply = node.send(&Request::get(&signed_until("GET", key, &[], LATER)));
    if reply.status == 404 {
        refused(reply, 404, "NoSuchKey");
        return None;
    }
    Some(reply.is(200).body)
}
