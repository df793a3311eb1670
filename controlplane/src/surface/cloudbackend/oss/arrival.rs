//! Content on its way to become an object (CONTRACT.md §B4, §B7): PostObject and PUT meet here.
//!
//! ```text
//! key free? ──► room reserved ──► Receive ──► key still free? ──► one durable edit: new record in, old one out ──► answer
//! ```
//!
//! Must stay true: until the edit is durable nothing is visible at the key, and what was there is; after it, the whole new
//! object is. A failure, a cut or a kill before it leaves nothing.

use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use etransfer_contract::ObjectId;
use etransfer_contract::grant::Ticket;
use etransfer_contract::step::{Digest, Failure, Receive, StepReport, What};
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use super::call::Call;
use super::key::Key;
use super::objects;
use super::policy::Bounds;
use super::refusal::Refusal;
use super::stored::{Headers, Stored};
use super::xml;
use crate::audit;
use crate::catalogue::text::{display_name, is_media_type};
use crate::catalogue::{Kind, Owner, Principal, Record};
use crate::core::Policy as Retention;
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::node::{Account, Edit, Node, Room, Whose};
use crate::retention::once::Once;
use crate::retention::policy::Keep;
use crate::surface::cloudbackend::basis::Basis;
use crate::surface::cloudbackend::{drive, user};
use crate::surface::delivery;

/// Largest object.
const BYTES_MAX: u64 = 5 << 30;
const CRC64: HeaderName = HeaderName::from_static("x-oss-hash-crc64ecma");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// What the content becomes. Travels with the step.
#[derive(Debug, Serialize, Deserialize)]
pub struct Arrival {
    /// Its name.
    pub key: Key,
    /// Fields of its answers.
    pub headers: Headers,
    /// 409 when the key is taken.
    pub forbid_overwrite: bool,
    /// How a success is told.
    pub success: Success,
    /// What the form's policy rests on.
    #[serde(default)]
    pub basis: Option<String>,
}

/// How a success is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Success {
    /// 200
    Ok,
    /// 201 with a document that names the object.
    Created,
    /// 204
    NoContent,
}

/// The memo of a [`Receive`].
#[derive(Serialize, Deserialize)]
struct Memo {
    object: ObjectId,
    arrival: Arrival,
    /// More content than its budget is more than this one's limit lets in.
    limit: Whose,
}

/// What content may take up, and whose limit ends it there.
struct Budget {
    bytes: u64,
    limit: Whose,
}

/// Lets the content come. `exact`: its length, where the request tells it; `at_most`: a bound of it.
pub async fn receive(
    call: &Call<'_>,
    arrival: Arrival,
    bounds: Bounds,
    exact: Option<u64>,
    at_most: u64,
) -> Result<Decision, Refusal> {
    let node = &call.app.node;
    let max = bounds.max.min(BYTES_MAX);
    if exact.is_some_and(|bytes| bytes > max) {
        return Err(Refusal::TooLarge);
    }
    let expect = content_md5(&call.head.headers)?;
    objects::check_replaceable(node, &arrival.key, arrival.forbid_overwrite)?;
    let (ticket, object) = (node.ticket(), node.new_id());
    let owner = owner(&arrival.key);
    // What takes another's place adds nothing.
    if objects::find(node, &arrival.key).is_none() {
        node.admit(owner.clone().map(Principal::Owner).as_ref(), false)?;
    }
    let Budget { bytes: budget, limit } = reserve(call, ticket, owner.clone(), exact, at_most.min(max)).await?;
    node.expect_bytes(ticket, object, owner);
    let receive = Receive {
        object,
        at: 0,
        is_whole: true,
        sync: true,
        exact,
        min: bounds.min,
        max,
        digests: vec![Digest::Md5, Digest::Crc64],
        expect,
        budget,
        rate: None,
    };
    let memo = serde_json::to_string(&Memo { object, arrival, limit }).expect("a memo has only string keys");
    Ok(Decision::step(node, ticket, memo, What::Receive(receive)))
}

/// CONTRACT.md §B4 check 14: bytes promised to the ticket. What was posted to a prefix counts until it becomes a file;
/// from then on the drive counts it, so both together never pass the quota.
async fn reserve(
    call: &Call<'_>,
    ticket: Ticket,
    owner: Option<Owner>,
    exact: Option<u64>,
    at_most: u64,
) -> Result<Budget, Refusal> {
    let node = &call.app.node;
    let user = match &owner {
        Some(Owner::Member(_, name)) => user::Account::by_name(node, name),
        Some(Owner::Person(_)) | None => None,
    };
    let drive = match &user {
        Some(user) => Some(drive::Room::of(node, user).await),
        None => None,
    };
    let max = drive.as_ref().map_or(call.cloud().user_quota.0, |room| room.bytes);
    let account = owner.map(|owner| Account { owner, max: Some(max) });
    match node.reserve(ticket, exact, at_most, account.clone()) {
        Room::Unlimited => Ok(Budget { bytes: exact.unwrap_or(at_most), limit: Whose::Node }),
        Room::Promised(bytes) => {
            let is_all = account.is_some_and(|account| matches!(node.would_fit(1, &account), Room::Full { .. }));
            Ok(Budget { bytes, limit: if is_all { Whose::Person } else { Whose::Node } })
        }
        // Content that tells no length may have none, and that fits always.
        Room::Full { whose, .. } if exact.is_none() => Ok(Budget { bytes: 0, limit: whose }),
        Room::Full { whose, .. } => Err(full(whose)),
        Room::Unknown => Err(Refusal::Unavailable),
    }
}

fn full(whose: Whose) -> Refusal {
    match whose {
        Whose::Person => Refusal::QuotaExceeded,
        Whose::Node => Refusal::NoSpace,
    }
}

/// The name that a memo's content is to get, and what its policy rests on.
pub fn begun(memo: &str) -> Option<(Key, Option<Basis>)> {
    let Arrival { key, basis, .. } = serde_json::from_str::<Memo>(memo).ok()?.arrival;
    Some((key, basis.and_then(|text| text.parse().ok())))
}

/// The content is there, or is not going to be.
pub async fn arrived(call: &Call<'_>, memo: &str, told: StepReport) -> Result<Response, Refusal> {
    // A form that is refused before its content has no memo yet.
    let memo: Option<Memo> = serde_json::from_str(memo).ok();
    let (bytes, digests) = match told {
        StepReport::Received { bytes, digests } => (bytes, digests),
        StepReport::Failed(failure) => return Err(failed(failure, memo.map(|memo| memo.limit))),
        StepReport::FormFields(_)
        | StepReport::Digested { .. }
        | StepReport::Composed { .. }
        | StepReport::Sealed { .. }
        | StepReport::Message(_) => {
            return Err(Refusal::Internal);
        }
    };
    let Memo { object, arrival, .. } = memo.ok_or(Refusal::Internal)?;
    let hex = |wanted: Digest| digests.iter().find(|(digest, _)| *digest == wanted).map(|(_, hex)| hex.as_str());
    let (md5, crc64) = hex(Digest::Md5).zip(hex(Digest::Crc64)).ok_or(Refusal::Internal)?;
    let stored = Stored {
        headers: arrival.headers.clone(),
        md5: md5.to_ascii_uppercase(),
        crc64: u64::from_str_radix(crc64, 16).map_err(|_| Refusal::Internal)?,
        files: Default::default(),
        released_ms: None,
    };
    let node = &call.app.node;
    let mut record = record(node, object, bytes, &arrival, &stored);
    {
        let _alone = node.locks.lock(SurfaceId::CloudBackend, &record.key).await;
        objects::check_replaceable(node, &arrival.key, arrival.forbid_overwrite)?;
        let replaced_ms = objects::find(node, &arrival.key).map(|replaced| replaced.entry.record.created_ms);
        record.created_ms = delivery::dated(replaced_ms, record.created_ms);
        // What was at its place goes with the same edit.
        node.edit(Edit::default().put(record)).await?;
    }
    audit::surface(SurfaceId::CloudBackend, call.who(&arrival.key), audit::CREATE, object);
    Ok(answer(call, &arrival, &stored))
}

/// Whom the bytes count to until they are a file: the user whose prefix the key is in.
fn owner(key: &Key) -> Option<Owner> {
    key.owner().map(|name| Owner::Member(SurfaceId::CloudBackend, name.to_owned()))
}

fn record(node: &Node, object: ObjectId, bytes: u64, arrival: &Arrival, stored: &Stored) -> Record {
    let now_ms = node.clock.now_ms();
    let content_type = arrival.headers.content_type();
    Record {
        id: object,
        created_ms: now_ms,
        filename: display_name(arrival.key.last_segment()),
        mime: is_media_type(content_type).then(|| content_type.to_owned()),
        checksum: String::new(),
        metadata: None,
        length: Some(bytes),
        keep: Keep { policy: Retention::Permanent, ttl_s: None },
        kind: Kind::File,
        completed_ms: Some(now_ms),
        download_count: 0,
        once: Once::default(),
        idempotency_key: None,
        owner: owner(&arrival.key),
        maker: String::new(),
        surface: SurfaceId::CloudBackend,
        key: objects::place(&arrival.key),
        detail: serde_json::to_value(stored).expect("what is stored has only string keys"),
    }
}

fn answer(call: &Call<'_>, arrival: &Arrival, stored: &Stored) -> Response {
    let mut response = match arrival.success {
        Success::Ok => StatusCode::OK.into_response(),
        Success::NoContent => StatusCode::NO_CONTENT.into_response(),
        Success::Created => {
            let location = call.location(&arrival.key);
            let (bucket, etag) = (call.cloud().bucket.as_str(), stored.etag());
            let elements =
                [("Bucket", bucket), ("Location", &location), ("Key", arrival.key.as_str()), ("ETag", &etag)];
            let mut response = (StatusCode::CREATED, xml::document("PostResponse", &elements)).into_response();
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(xml::MEDIA_TYPE));
            response
        }
    };
    let ascii = |text: String| HeaderValue::try_from(text).expect("hex, base64 and digits are visible ASCII");
    let headers = response.headers_mut();
    headers.insert(ETAG, ascii(stored.etag()));
    headers.insert(CRC64, ascii(stored.crc64.to_string()));
    headers.insert(CONTENT_MD5, ascii(STANDARD.encode(bytes_of(&stored.md5))));
    response
}

/// `Content-MD5`, as the data plane compares it.
fn content_md5(headers: &HeaderMap) -> Result<Vec<(Digest, String)>, Refusal> {
    let Some(text) = headers.get(CONTENT_MD5) else { return Ok(Vec::new()) };
    let digest = STANDARD.decode(text.as_bytes().trim_ascii()).ok().filter(|digest| digest.len() == 16);
    let hex = digest.ok_or(Refusal::InvalidDigest)?.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(vec![(Digest::Md5, hex)])
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn failed(failure: Failure, limit: Option<Whose>) -> Refusal {
    match failure {
        Failure::Malformed => Refusal::MalformedPost,
        Failure::FieldTooLong => Refusal::FieldTooLong,
        Failure::TooLong => Refusal::TooLarge,
        Failure::Short => Refusal::TooSmall,
        Failure::Mismatch => Refusal::InvalidDigest,
        Failure::NoRoom => limit.map_or(Refusal::Internal, full),
        Failure::DiskFull => Refusal::NoSpace,
        Failure::Revoked => Refusal::AccessDenied("The right to do this has ended."),
        Failure::Taken | Failure::Gone | Failure::Disk | Failure::NoUpgrade => Refusal::Internal,
    }
}

#[cfg(test)]
mod tests {
    use etransfer_tests::examples;

    use super::*;
    use crate::golden::{check_json_text, golden, object};

    #[test]
    fn memos_are_sent_along_as_ever() {
        let arrival = |success, basis: Option<&str>| Arrival {
            key: Key::new("alice//a.txt").unwrap(),
            headers: Headers::new(Some(b"text/plain"), std::iter::empty()).unwrap(),
            forbid_overwrite: true,
            success,
            basis: basis.map(str::to_owned),
        };
        let memo = |arrival, limit| Memo { object: object(0x11), arrival, limit };
        let successes = examples!(Success:
            Success::Ok => { "ok": Success::Ok },
            Success::Created => { "created": Success::Created },
            Success::NoContent => { "no content": Success::NoContent },
        );
        let limits = examples!(Whose:
            Whose::Node => { "the node's limit": Whose::Node },
            Whose::Person => { "a person's limit": Whose::Person },
        );
        let mut all: Vec<_> =
            successes.into_iter().map(|(name, success)| (name, memo(arrival(success, None), Whose::Node))).collect();
        all.extend(limits.into_iter().map(|(name, limit)| (name, memo(arrival(Success::Ok, Some("basis")), limit))));
        let about = "Memos of content on its way to become an object.";
        check_json_text(golden("surface/cloudbackend", "memos.txt", about), &all);
    }

    #[test]
    fn b4_content_md5_is_base64_of_16_bytes() {
        let read =
            |text: &str| content_md5(&HeaderMap::from_iter([(CONTENT_MD5, HeaderValue::try_from(text).unwrap())]));
        let hex = "d41d8cd98f00b204e9800998ecf8427e";
        assert_eq!(read("1B2M2Y8AsgTpgAmY7PhCfg=="), Ok(vec![(Digest::Md5, hex.to_owned())]));
        assert_eq!(STANDARD.encode(bytes_of(hex)), "1B2M2Y8AsgTpgAmY7PhCfg==");
        for text in ["", "x", hex, "1B2M2Y8AsgTpgAmY7PhC"] {
            assert_eq!(read(text), Err(Refusal::InvalidDigest), "{text}");
        }
        assert_eq!(content_md5(&HeaderMap::new()), Ok(Vec::new()));
    }
}
