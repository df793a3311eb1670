//! Version 1 of the provider's signatures (CONTRACT.md §B3, §B5, §B6): HMAC-SHA1 over a text, in base64.
//!
//! Must stay true: signatures are compared in constant time; neither the secret nor a text to sign is shown to anybody.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::parameters::Parameters;
use crate::core::percent;
use crate::surface::cloudbackend::settings::CloudBackend;

/// Parameters that are part of what is signed; all others are not. Sorted.
const SIGNED: [&str; 49] = [
    "acl",
    "append",
    "bucketInfo",
    "callback",
    "callback-var",
    "cname",
    "comp",
    "continuation-token",
    "cors",
    "delete",
    "encryption",
    "endTime",
    "group",
    "inventory",
    "inventoryId",
    "lifecycle",
    "link",
    "live",
    "location",
    "logging",
    "objectInfo",
    "objectMeta",
    "partNumber",
    "policy",
    "position",
    "qos",
    "referer",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "security-token",
    "sequential",
    "startTime",
    "stat",
    "status",
    "symlink",
    "tagging",
    "uploadId",
    "uploads",
    "versionId",
    "versions",
    "x-oss-process",
    "x-oss-traffic-limit",
];

/// Whether a parameter is part of what is signed.
pub fn is_signed(parameter: &str) -> bool {
    SIGNED.binary_search(&parameter).is_ok()
}

/// The access key pair of the bucket.
#[derive(Clone, Copy)]
pub struct KeyPair<'c> {
    /// Shown to clients.
    pub id: &'c str,
    /// Never shown.
    pub secret: &'c str,
}

impl fmt::Debug for KeyPair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<'c> KeyPair<'c> {
    /// As configured, or made at the first start.
    pub fn of(cloud: &'c CloudBackend) -> Self {
        Self { id: cloud.access_key_id.expose(), secret: cloud.access_key_secret.expose() }
    }

    /// The signature of a text.
    pub fn sign(&self, text: &[u8]) -> String {
        let mut mac = Hmac::<Sha1>::new_from_slice(self.secret.as_bytes()).expect("a key of HMAC may have any length");
        mac.update(text);
        STANDARD.encode(mac.finalize().into_bytes())
    }

    /// Whether this is the signature of a text.
    pub fn is_signature(&self, signature: &str, text: &[u8]) -> bool {
        self.sign(text).as_bytes().ct_eq(signature.as_bytes()).into()
    }

    /// The query of a URL that is good for one method until `expires` (Unix seconds), with signed `parameters`
    /// (CONTRACT.md §B6).
    pub fn presigned_query(&self, signed: &Signed<'_>, expires: u64) -> String {
        let signature = self.sign(&signed.text(expires.to_string().as_bytes()));
        let mut query = format!(
            "OSSAccessKeyId={}&Expires={expires}&Signature={}",
            percent::encode(self.id, b""),
            percent::encode(&signature, b"")
        );
        for (name, value) in signed.parameters.iter() {
            query.push_str(&format!("&{}={}", percent::encode(name, b""), percent::encode(value, b"")));
        }
        query
    }
}

/// The parts of a request that are signed.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'r> {
    /// The method in upper case.
    pub verb: &'r str,
    /// All fields of the head.
    pub headers: &'r HeaderMap,
    /// Its bucket.
    pub bucket: &'r str,
    /// Its object; `None`: the bucket itself.
    pub key: Option<&'r str>,
    /// Its query.
    pub parameters: &'r Parameters,
}

impl Signed<'_> {
    /// The text to sign; `date` is the date of the request, or the expiry of a URL.
    pub fn text(&self, date: &[u8]) -> Vec<u8> {
        let field = |name: &str| self.headers.get(name).map_or(&b""[..], |value| value.as_bytes());
        let lines = [self.verb.as_bytes(), field("content-md5"), field(CONTENT_TYPE.as_str()), date];
        let mut text = lines.join(&b'\n');
        text.push(b'\n');
        self.add_fields(&mut text);
        text.extend_from_slice(format!("/{}/{}", self.bucket, self.key.unwrap_or_default()).as_bytes());
        self.add_parameters(&mut text);
        text
    }

    /// CanonicalizedOSSHeaders.
    fn add_fields(&self, text: &mut Vec<u8>) {
        let mut names: Vec<&str> = self.headers.keys().map(|name| name.as_str()).collect();
        names.retain(|name| name.starts_with("x-oss-"));
        names.sort_unstable();
        for name in names {
            let values: Vec<&[u8]> =
                self.headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii()).collect();
            text.extend_from_slice(name.as_bytes());
            text.push(b':');
            text.extend_from_slice(&values.join(&b','));
            text.push(b'\n');
        }
    }

    /// The end of CanonicalizedResource.
    fn add_parameters(&self, text: &mut Vec<u8>) {
        let mut signed: Vec<(&str, &str)> = Vec::new();
        for (name, value) in self.parameters.iter().filter(|(name, _)| is_signed(name)) {
            if signed.iter().all(|(other, _)| *other != name) {
                signed.push((name, value));
            }
        }
        signed.sort_unstable();
        let mut before = b'?';
        for (name, value) in signed {
            text.push(before);
            text.extend_from_slice(name.as_bytes());
            if !value.is_empty() {
                text.push(b'=');
                text.extend_from_slice(value.as_bytes());
            }
            before = b'&';
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::surface::cloudbackend::oss::key::Key;

    const PAIR: KeyPair<'_> = KeyPair { id: "id", secret: "secretkey" };

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn the_table_of_signed_parameters_is_sorted() {
        assert!(SIGNED.is_sorted());
    }

    #[test]
    fn b5_the_vector_of_a_signed_head() {
        let pair = KeyPair { id: "id", secret: "OtxrzxIsfpFjA7SwPzILwy8Bw21TLhquhboDYROV" };
        let headers = headers(&[
            ("Content-MD5", "ODBGOERFMDMzQTczRUY3NUE3NzA5QzdFNUYzMDQxNEM="),
            ("Content-Type", "text/html"),
            ("X-OSS-Meta-Author", "  foo@bar.com "),
            ("X-OSS-Magic", "abracadabra"),
            ("Host", "oss-example.example.org"),
        ]);
        let key = Key::new("nelson").unwrap();
        let parameters = Parameters::default();
        let signed = Signed {
            verb: "PUT",
            headers: &headers,
            bucket: "oss-example",
            key: Some(key.as_str()),
            parameters: &parameters,
        };
        let text = signed.text(b"Thu, 17 Nov 2005 18:49:58 GMT");
        assert_eq!(
            String::from_utf8_lossy(&text),
            "PUT\nODBGOERFMDMzQTczRUY3NUE3NzA5QzdFNUYzMDQxNEM=\ntext/html\nThu, 17 Nov 2005 18:49:58 GMT\n\
             x-oss-magic:abracadabra\nx-oss-meta-author:foo@bar.com\n/oss-example/nelson"
        );
        assert_eq!(pair.sign(&text), "26NBxoKdsyly4EDv6inkoDft/yA=");
        assert!(pair.is_signature("26NBxoKdsyly4EDv6inkoDft/yA=", &text));
        assert!(!pair.is_signature("26NBxoKdsyly4EDv6inkoDft/yB=", &text));
        assert!(!pair.is_signature("", &text));
    }

    #[test]
    fn b6_the_six_vectors_of_signed_urls() {
        for (verb, key, query, text, signature) in [
            ("GET", "u1/a.txt", "", "GET\n\n\n1893456000\n/bkt/u1/a.txt", "HpJOT5Ppfci8f/L8e31T7mEX3eQ="),
            (
                "GET",
                "u1//d41d8cd9.bin",
                "",
                "GET\n\n\n1893456000\n/bkt/u1//d41d8cd9.bin",
                "6RaUiat5uC5HN/sUMaq/srh9+b8=",
            ),
            ("GET", "u1/报告 1.pdf", "", "GET\n\n\n1893456000\n/bkt/u1/报告 1.pdf", "mZp3AwpGxUoIKZOyl+WZsfcYSCo="),
            (
                "GET",
                "u1/a.txt",
                "response-content-disposition=attachment%3B%20filename%3D%22x%20y.txt%22",
                "GET\n\n\n1893456000\n/bkt/u1/a.txt?response-content-disposition=attachment; filename=\"x y.txt\"",
                "QXLS3Gae6nfqiSRhc/ZbaKeRdno=",
            ),
            ("HEAD", "u1/a.txt", "", "HEAD\n\n\n1893456000\n/bkt/u1/a.txt", "GWWSCfhQkyBEIh9BLZ3/Mkh/JKw="),
            ("DELETE", "u1/a.txt", "", "DELETE\n\n\n1893456000\n/bkt/u1/a.txt", "s5oFF2+7bw1PHgTLPYGRdR38UK0="),
        ] {
            let (key, parameters) = (Key::new(key).unwrap(), Parameters::parse(Some(query)).unwrap());
            let headers = HeaderMap::new();
            let signed =
                Signed { verb, headers: &headers, bucket: "bkt", key: Some(key.as_str()), parameters: &parameters };
            assert_eq!(String::from_utf8_lossy(&signed.text(b"1893456000")), text);
            assert_eq!(PAIR.sign(text.as_bytes()), signature, "{text}");
            let presigned = PAIR.presigned_query(&signed, 1_893_456_000);
            let read = Parameters::parse(Some(&presigned)).unwrap();
            assert_eq!((read.get("Signature"), read.get("OSSAccessKeyId")), (Some(signature), Some("id")));
            assert!(!presigned.contains(['+', '/', ' ', '"']), "{presigned}");
        }
    }

    #[test]
    fn b5_signed_parameters_are_sorted_and_others_left_out() {
        for (query, end) in [
            ("", "/bkt/"),
            ("uploads", "/bkt/?uploads"),
            ("objectMeta=", "/bkt/?objectMeta"),
            ("x=1&Expires=5&Signature=z", "/bkt/"),
            ("partNumber=2&uploadId=a&acl=&acl=2", "/bkt/?acl&partNumber=2&uploadId=a"),
        ] {
            let parameters = Parameters::parse(Some(query)).unwrap();
            let headers = HeaderMap::new();
            let signed = Signed { verb: "GET", headers: &headers, bucket: "bkt", key: None, parameters: &parameters };
            assert_eq!(String::from_utf8_lossy(&signed.text(b"")), format!("GET\n\n\n\n{end}"), "{query}");
        }
    }

    #[test]
    fn a_key_pair_does_not_show_its_secret() {
        assert!(!format!("{PAIR:?}").contains("secretkey"));
    }
}
