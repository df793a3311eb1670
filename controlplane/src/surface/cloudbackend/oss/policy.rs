//! The policy of a form (CONTRACT.md §B3, §B4): what its holder may post, until when.
//!
//! Must stay true: a policy is read only after its signature was found right; what is not understood is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::condition::Condition;
use super::fields::Fields;
use super::refusal::Refusal;
use crate::surface::cloudbackend::basis::Basis;

/// A policy that was read.
#[derive(Debug, PartialEq)]
pub struct Policy {
    ends_ms: u64,
    conditions: Vec<Condition>,
    /// What it rests on, when the node gave it out.
    pub basis: Option<Basis>,
}

/// How many content bytes a policy allows, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Fewest.
    pub min: u64,
    /// Most.
    pub max: u64,
}

#[derive(Deserialize)]
struct Document {
    expiration: String,
    conditions: Vec<Value>,
    basis: Option<String>,
}

impl Policy {
    /// Reads the field of a form.
    pub fn read(encoded: &str) -> Result<Self, Refusal> {
        let bytes = STANDARD.decode(encoded).map_err(|_| Refusal::InvalidPolicy("it is not base64."))?;
        let text = String::from_utf8(bytes).map_err(|_| Refusal::InvalidPolicy("it is not UTF-8."))?;
        let document: Document = serde_json::from_str(&plain_dollars(&text))
            .map_err(|_| Refusal::InvalidPolicy("it is not JSON with expiration and conditions."))?;
        let ends: jiff::Timestamp = document
            .expiration
            .parse()
            .map_err(|_| Refusal::InvalidPolicy("expiration is not like 2030-01-01T00:00:00.000Z."))?;
        if document.conditions.is_empty() {
            return Err(Refusal::InvalidPolicy("there are no conditions."));
        }
        let conditions = document.conditions.iter().map(Condition::read).collect::<Option<_>>();
        let basis = document.basis.as_deref().map(str::parse).transpose();
        Ok(Self {
            ends_ms: u64::try_from(ends.as_millisecond()).unwrap_or(0),
            conditions: conditions.ok_or(Refusal::InvalidPolicy("a condition is not understood."))?,
            basis: basis.map_err(|()| Refusal::InvalidPolicy("its basis is not understood."))?,
        })
    }

    /// Whether these fields may be posted to `bucket` now; the size can only be judged when it is known.
    pub fn check(&self, now_ms: u64, bucket: &str, fields: &Fields) -> Result<Bounds, Refusal> {
        if now_ms > self.ends_ms {
            return Err(Refusal::PolicyExpired);
        }
        let value = |name: &str| if name.eq_ignore_ascii_case("bucket") { Some(bucket) } else { fields.get(name) };
        let mut bounds = Bounds { min: 0, max: u64::MAX };
        for condition in &self.conditions {
            if !condition.holds(value) {
                return Err(Refusal::ConditionFailed(condition.to_string()));
            }
            if let Condition::Length { min, max } = condition {
                bounds = Bounds { min: bounds.min.max(*min), max: bounds.max.min(*max) };
            }
        }
        Ok(bounds)
    }

    /// A policy for objects whose keys begin with `prefix` and that have at most `max` bytes, in base64, ready to be
    /// signed as it is ([`KeyPair::sign`](super::signature::KeyPair::sign)).
    pub fn write(ends_ms: u64, bucket: &str, prefix: &str, max: u64, basis: Basis) -> String {
        let policy = json!({
            "expiration": moment(ends_ms),
            "conditions": [
                {"bucket": bucket},
                ["starts-with", "$key", prefix],
                ["content-length-range", 0, max],
            ],
            "basis": basis.to_string(),
        });
        STANDARD.encode(policy.to_string())
    }
}

/// Unix milliseconds as a policy writes them: `2030-01-01T00:00:00.000Z`.
pub fn moment(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.unwrap_or(jiff::Timestamp::MAX).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// The provider writes a dollar sign in a value as `\$`, which JSON has no such escape for.
fn plain_dollars(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, (c == '\\').then(|| chars.next()).flatten()) {
            ('\\', Some('$')) => out.push('$'),
            (c, escaped) => {
                out.push(c);
                out.extend(escaped);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTOR: &str = concat!(
        "eyJleHBpcmF0aW9uIjogIjIwMzAtMDEtMDFUMDA6MDA6MDAuMDAwWiIsICJjb25kaXRpb25zIjogW3siYnVja2V0IjogImJrdCJ9LCBb",
        "InN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidTEvIl0sIFsiY29udGVudC1sZW5ndGgtcmFuZ2UiLCAwLCAxMDQ4NTc2MDBdXX0="
    );
    const ENDS_MS: u64 = 1_893_456_000_000;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn policy(conditions: &str) -> Result<Policy, Refusal> {
        Policy::read(
            &STANDARD.encode(format!(r#"{{"expiration":"2030-01-01T00:00:00.000Z","conditions":{conditions}}}"#)),
        )
    }

    #[test]
    fn b3_the_vector() {
        let pair = super::super::signature::KeyPair { id: "id", secret: "secretkey" };
        assert_eq!(pair.sign(VECTOR.as_bytes()), "Qdh+sGNapZfnJODuSIRH4EF64f0=");
        let policy = Policy::read(VECTOR).unwrap();
        let bounds = policy.check(ENDS_MS, "bkt", &fields(&[("key", "u1/a")])).unwrap();
        assert_eq!(bounds, Bounds { min: 0, max: 104_857_600 });
        let foreign = policy.check(0, "bkt", &fields(&[("key", "bob/x")]));
        assert_eq!(foreign, Err(Refusal::ConditionFailed(r#"["starts-with", "$key", "u1/"]"#.into())));
        let other = policy.check(0, "other", &fields(&[("key", "u1/x")]));
        assert_eq!(other, Err(Refusal::ConditionFailed(r#"{"bucket": "bkt"}"#.into())));
        assert_eq!(policy.check(ENDS_MS + 1, "bkt", &fields(&[("key", "u1/a")])), Err(Refusal::PolicyExpired));
    }

    #[test]
    fn what_is_written_reads_back() {
        let policy = Policy::read(&Policy::write(ENDS_MS, "cloud", "报告/", 7, "1.2.0.0".parse().unwrap())).unwrap();
        let expected =
            [r#"{"bucket": "cloud"}"#, r#"["starts-with", "$key", "报告/"]"#, r#"["content-length-range", 0, 7]"#];
        assert_eq!(policy.conditions.iter().map(Condition::to_string).collect::<Vec<_>>(), expected);
        assert_eq!((policy.ends_ms, policy.basis), (ENDS_MS, "1.2.0.0".parse().ok()));
        let text = STANDARD.decode(Policy::write(ENDS_MS + 5, "cloud", "a/", 7, "1.2.0.0".parse().unwrap())).unwrap();
        assert!(String::from_utf8(text).unwrap().contains(r#""2030-01-01T00:00:00.005Z""#));
    }

    #[test]
    fn policies_nobody_understands() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"expiration":"2030-01-01T00:00:00.000Z"}"#,
            r#"{"expiration":"2030-01-01T00:00:00.000Z","conditions":[]}"#,
            r#"{"expiration":"2030-01-01T00:00:00.000Z","conditions":{}}"#,
            r#"{"expiration":"2030-01-01","conditions":[{"bucket":"b"}]}"#,
            r#"{"expiration":5,"conditions":[{"bucket":"b"}]}"#,
            r#"{"conditions":[{"bucket":"b"}]}"#,
            r#"{"expiration":"2030-01-01T00:00:00Z","expiration":"2040-01-01T00:00:00Z","conditions":[{"bucket":"b"}]}"#,
        ] {
            let read = Policy::read(&STANDARD.encode(text));
            assert!(matches!(read, Err(Refusal::InvalidPolicy(_))), "{text}");
        }
        for encoded in ["{", "====", &VECTOR[1..], &format!("{VECTOR}\n")] {
            assert!(matches!(Policy::read(encoded), Err(Refusal::InvalidPolicy(_))), "{encoded}");
        }
        assert!(matches!(Policy::read(&STANDARD.encode(b"\xff")), Err(Refusal::InvalidPolicy(_))));
    }

    #[test]
    fn b4_a_dollar_sign_may_be_escaped() {
        let fields = fields(&[("key", "u1/$x")]);
        for value in [r"u1/\\$x", r"u1/\$x", "u1/$x"] {
            let policy = policy(&format!(r#"[["eq","$key","{value}"]]"#)).unwrap();
            assert!(policy.check(0, "b", &fields).is_ok(), "{value}");
        }
    }

    #[test]
    fn several_ranges_hold_together() {
        let policy = policy(r#"[["content-length-range",5,100],["content-length-range",0,50]]"#).unwrap();
        assert_eq!(policy.check(0, "b", &fields(&[])), Ok(Bounds { min: 5, max: 50 }));
    }
}
