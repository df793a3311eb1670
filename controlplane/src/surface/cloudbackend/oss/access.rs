//! Who may do what to the bucket (CONTRACT.md §B5, §B6): a request signed with the one key pair, everything;
//! anybody else, nothing. The bucket is private.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{AUTHORIZATION, DATE};

use super::refusal::Refusal;
use super::signature::{KeyPair, Signed};

/// How far the clock of a client may be off.
const SKEW_MAX: Duration = Duration::from_secs(15 * 60);

/// Whether a request brings no signature at all, whatever else is wrong with it.
pub fn is_unsigned(headers: &HeaderMap, query: Option<&str>) -> bool {
    let names = ["OSSAccessKeyId=", "Signature=", "Expires="];
    !headers.contains_key(AUTHORIZATION) && !names.iter().any(|name| query.unwrap_or_default().contains(name))
}

/// What anybody gets who does not sign.
pub const UNSIGNED: Refusal = Refusal::AccessDenied("You have no right to access this object because of bucket acl.");

/// Checks the signature of a request, wherever it is, and its time; without a `now_ms` its time was right when it began.
pub fn check(signed: &Signed<'_>, pair: &KeyPair<'_>, now_ms: Option<u64>) -> Result<(), Refusal> {
    let query = ["OSSAccessKeyId", "Expires", "Signature"].map(|name| signed.parameters.get(name));
    if signed.headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
        return Err(Refusal::InvalidArgument("Sign a request once: it has several Authorization headers."));
    }
    match (signed.headers.get(AUTHORIZATION), query) {
        (None, [None, None, None]) => Err(UNSIGNED),
        (Some(header), [None, None, None]) => check_header(signed, header.as_bytes(), pair, now_ms),
        (Some(_), _) => {
            Err(Refusal::InvalidArgument("Sign the query or the Authorization header of a request, not both."))
        }
        (None, [Some(id), Some(expires), Some(signature)]) => {
            let ends = expires.parse::<u64>().ok().filter(|_| expires.bytes().all(|byte| byte.is_ascii_digit()));
            if ends.is_none_or(|ends| now_ms.is_some_and(|now_ms| now_ms / 1000 > ends)) {
                return Err(Refusal::AccessDenied("Request has expired."));
            }
            compare(signed, pair, (id, signature), expires.as_bytes())
        }
        (None, _) => Err(Refusal::AccessDenied(
            "Query-string authentication requires the Signature, Expires and OSSAccessKeyId parameters",
        )),
    }
}

/// `OSS <id>:<signature>`
fn check_header(signed: &Signed<'_>, header: &[u8], pair: &KeyPair<'_>, now_ms: Option<u64>) -> Result<(), Refusal> {
    let claimed = std::str::from_utf8(header).ok().and_then(|text| text.trim().strip_prefix("OSS "));
    let claimed = claimed.and_then(|text| text.trim().split_once(':'));
    let (id, signature) =
        claimed.ok_or(Refusal::InvalidArgument("The Authorization header has to be OSS <key id>:<signature>."))?;
    let date = signed.headers.get("x-oss-date").or_else(|| signed.headers.get(DATE)).map(|value| value.as_bytes());
    let denied = Refusal::AccessDenied("OSS authentication requires a valid Date.");
    let date = date.ok_or_else(|| denied.clone())?;
    let time = std::str::from_utf8(date).ok().and_then(|date| httpdate::parse_http_date(date).ok()).ok_or(denied)?;
    let is_off = |now_ms| apart(time, UNIX_EPOCH + Duration::from_millis(now_ms)) > SKEW_MAX;
    if now_ms.is_some_and(is_off) {
        return Err(Refusal::TimeTooSkewed);
    }
    compare(signed, pair, (id, signature), date)
}

fn apart(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|error| error.duration())
}

fn compare(signed: &Signed<'_>, pair: &KeyPair<'_>, claimed: (&str, &str), date: &[u8]) -> Result<(), Refusal> {
    let (id, signature) = claimed;
    if id != pair.id {
        return Err(Refusal::UnknownAccessKeyId);
    }
    if pair.is_signature(signature, &signed.text(date)) {
        Ok(())
    } else {
        Err(Refusal::WrongSignature { access_key_id: id.to_owned(), provided: signature.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;
    use crate::surface::cloudbackend::oss::key::Key;
    use crate::surface::cloudbackend::oss::parameters::Parameters;

    const PAIR: KeyPair<'_> = KeyPair { id: "id", secret: "secretkey" };
    /// 2030-01-01T00:00:00Z
    const EXPIRES_MS: u64 = 1_893_456_000_000;

    fn requested(fields: &[(&str, &str)], query: &str, verb: &str, now_ms: u64) -> Result<(), Refusal> {
        let field = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
        };
        let headers: HeaderMap = fields.iter().map(field).collect();
        let (key, parameters) = (Key::new("u1/a.txt").unwrap(), Parameters::parse(Some(query)).unwrap());
        let signed =
            Signed { verb, headers: &headers, bucket: "bkt", key: Some(key.as_str()), parameters: &parameters };
        check(&signed, &PAIR, Some(now_ms))
    }

    fn code(outcome: Result<(), Refusal>) -> String {
        match outcome {
            Ok(()) => "ok".into(),
            Err(refusal) => {
                let debug = format!("{refusal:?}");
                debug.split(['(', ' ', '{']).next().unwrap().to_owned()
            }
        }
    }

    #[test]
    fn b6_order_of_the_checks_of_a_signed_url() {
        let good = "OSSAccessKeyId=id&Expires=1893456000&Signature=HpJOT5Ppfci8f%2FL8e31T7mEX3eQ%3D";
        for (query, now_ms, outcome) in [
            (good, EXPIRES_MS, "ok"),
            (good, EXPIRES_MS + 999, "ok"),
            (good, EXPIRES_MS + 1000, "AccessDenied"),
            ("Signature=HpJOT5Ppfci8f%2FL8e31T7mEX3eQ%3D&Expires=1893456000&OSSAccessKeyId=id", 0, "ok"),
            ("OSSAccessKeyId=id&Expires=1893456000&Signature=HpJOT5Ppfci8f/L8e31T7mEX3eQ=", 0, "ok"),
            ("OSSAccessKeyId=id&Expires=1893456000&Signature=HpJOT5Ppfci8f%2FL8e31T7mEX3eR%3D", 0, "WrongSignature"),
            ("OSSAccessKeyId=id&Expires=1893456001&Signature=HpJOT5Ppfci8f%2FL8e31T7mEX3eQ%3D", 0, "WrongSignature"),
            ("OSSAccessKeyId=other&Expires=1893456000&Signature=x", 0, "UnknownAccessKeyId"),
            ("OSSAccessKeyId=other&Expires=1&Signature=x", 1_000_000, "AccessDenied"),
            ("OSSAccessKeyId=id&Expires=never&Signature=x", 0, "AccessDenied"),
            ("OSSAccessKeyId=id&Expires=%2B1893456000&Signature=x", 0, "AccessDenied"),
            ("OSSAccessKeyId=id&Expires=99999999999999999999999&Signature=x", 0, "AccessDenied"),
            ("OSSAccessKeyId=id&Expires=1893456000", 0, "AccessDenied"),
            ("Signature=x", 0, "AccessDenied"),
            ("", 0, "AccessDenied"),
        ] {
            assert_eq!(code(requested(&[], query, "GET", now_ms)), outcome, "{query} at {now_ms}");
        }
        for verb in ["HEAD", "PUT", "DELETE"] {
            assert_eq!(code(requested(&[], good, verb, 0)), "WrongSignature", "{verb}");
        }
        assert_eq!(code(requested(&[("authorization", "OSS id:x")], good, "GET", 0)), "InvalidArgument");
    }

    #[test]
    fn b5_order_of_the_checks_of_a_signed_head() {
        let now_ms = EXPIRES_MS;
        let date = "Tue, 01 Jan 2030 00:00:00 GMT";
        let signature = PAIR.sign(format!("GET\n\n\n{date}\n/bkt/u1/a.txt").as_bytes());
        let good = format!("OSS id:{signature}");
        let with_own_date = PAIR.sign(format!("GET\n\n\n{date}\nx-oss-date:{date}\n/bkt/u1/a.txt").as_bytes());
        let with_own_date = format!("OSS id:{with_own_date}");
        for (fields, now_ms, outcome) in [
            (vec![("authorization", good.as_str()), ("date", date)], now_ms, "ok"),
            (vec![("authorization", &good), ("date", date)], now_ms + 900_000, "ok"),
            (vec![("authorization", &good), ("date", date)], now_ms - 900_000, "ok"),
            (vec![("authorization", &good), ("date", date)], now_ms + 901_000, "TimeTooSkewed"),
            (vec![("authorization", &good), ("date", date)], now_ms - 901_000, "TimeTooSkewed"),
            (vec![("authorization", &with_own_date), ("date", "nonsense"), ("x-oss-date", date)], now_ms, "ok"),
            (vec![("authorization", &good), ("date", date), ("x-oss-meta-a", "b")], now_ms, "WrongSignature"),
            (vec![("authorization", &good), ("date", date), ("content-type", "a/b")], now_ms, "WrongSignature"),
            (vec![("authorization", &good)], now_ms, "AccessDenied"),
            (vec![("authorization", &good), ("date", "nonsense")], now_ms, "AccessDenied"),
            (vec![("authorization", "OSS other:x"), ("date", date)], now_ms, "UnknownAccessKeyId"),
            (vec![("authorization", "OSS id:x"), ("date", date)], now_ms, "WrongSignature"),
            (vec![("authorization", "OSS nothing"), ("date", date)], now_ms, "InvalidArgument"),
            (vec![("authorization", "Bearer id:x"), ("date", date)], now_ms, "InvalidArgument"),
            (vec![("authorization", "OSS2 AccessKeyId:id,Signature:x"), ("date", date)], now_ms, "InvalidArgument"),
            (vec![("authorization", "OSS4-HMAC-SHA256 Credential=id"), ("date", date)], now_ms, "InvalidArgument"),
        ] {
            assert_eq!(code(requested(&fields, "", "GET", now_ms)), outcome, "{fields:?} at {now_ms}");
        }
    }
}
