//! `POST /api/files/upload` (CONTRACT.md §4, §5.1, §6), one step after another:
//!
//! ```text
//! preface: 17 bytes ──► plan ──► receive ──► accept ──► status
//!                          ▲        │           │ ▲
//!                          └ aside ─┘   compare ┘ └── build (all bytes are there, and their number was declared)
//! ```
//!
//! Must stay true: bytes are acknowledged after the edit that refers to them is durable; a chunk's sums are checked before
//! its bytes count.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use etransfer_contract::step::{
    Digest, DigestStored, Failure, FormFields, FormFieldsReport, Receive, StepReport, What,
};
use etransfer_contract::{ObjectId, Span};
use http::HeaderMap;
use http::header::CONTENT_RANGE;
use serde::{Deserialize, Serialize};

use super::build::{self, After};
use super::chunk::{Chunk, HEADER_BYTES, from_hex};
use super::content::{Extent, Source};
use super::device;
use super::name::{Arrived, Name, Place, Verdict};
use super::refusal::Refusal;
use super::{Job, Memo, status, store};
use crate::audit;
use crate::catalogue::Principal;
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::node::Edit;
use crate::surface::multipart::{BodyType, form};
use crate::surface::secure_file_transfer::Service;
use crate::surface::secure_file_transfer::settings::SecureFileTransfer;

/// The part of a form that is the chunk.
const PART: &str = "file";
/// What tells whether two chunks are the same.
const COMPARED_BY: Digest = Digest::Sha256;

/// A chunk on its way.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Coming {
    chunk: Chunk,
    object: ObjectId,
    place: Place,
    /// What it was planned for was taken.
    is_second_try: bool,
}

/// Bytes that are compared with what is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Comparing {
    coming: Coming,
    /// What they are compared with; the first of it is being looked at.
    held: Vec<Extent>,
    /// Its digest, once that is known.
    theirs: Option<String>,
}

/// The first step: up to the chunk's header.
pub fn begin(app: &Service, job: &Job, headers: &HeaderMap) -> Result<Decision, Refusal> {
    let form = match BodyType::of(headers) {
        BodyType::Plain => None,
        BodyType::Form(boundary) => Some(form(boundary, &[PART])),
        BodyType::FormWithoutBoundary => return Err(Refusal::Unreadable),
    };
    let what = What::FormFields(FormFields { form, prefix_bytes: HEADER_BYTES });
    Ok(Decision::step(&app.node, app.node.ticket(), job.note(Memo::Header), what))
}

/// The header is there.
pub async fn header(app: &Service, job: &Job, headers: &HeaderMap, told: StepReport) -> Result<Decision, Refusal> {
    let StepReport::FormFields(told) = told else { return Err(Refusal::Unreadable) };
    if told.is_end {
        return Err(Refusal::Missing("body", PART));
    }
    if told.part.as_ref().is_some_and(|part| part.name != PART) {
        return begin(app, job, headers);
    }
    let length_max = app.node.config().surfaces.of::<SecureFileTransfer>().max_file_bytes.0;
    let range = headers.get(CONTENT_RANGE).map(|value| value.to_str().unwrap_or_default());
    // CONTRACT.md §4 item 4 stands before item 5.
    check_length(&Chunk::read(&told.prefix, None, length_max)?, &told)?;
    let chunk = Chunk::read(&told.prefix, range, length_max)?;
    if chunk.is_of_nothing() && told.remaining == Some(0) {
        return nothing(app, job).await;
    }
    receive(app, job, headers, chunk, false)
}

/// A plain body tells its length before it is read; a part of a form does not.
fn check_length(chunk: &Chunk, told: &FormFieldsReport) -> Result<(), Refusal> {
    let is_nothing = chunk.is_of_nothing() && told.remaining == Some(0);
    let fits = is_nothing || told.remaining.is_none_or(|bytes| bytes == chunk.span.len());
    if fits { Ok(()) } else { Err(Refusal::OtherLength) }
}

/// An empty file.
async fn nothing(app: &Service, job: &Job) -> Result<Decision, Refusal> {
    let key = job.key();
    let _alone = app.node.locks.lock(SurfaceId::SecureFileTransfer, &key).await;
    let before = store::read(app, &key)?;
    let mut after = (*before).clone();
    after.accept_nothing(app.node.clock.now_ms(), [app.node.new_id(), app.node.new_id()])?;
    app.node.edit(store::change(&key, &before, &after)).await?;
    Ok(status::of(&job.name, &after).into())
}

/// Finds the chunk a place and lets it come.
fn receive(
    app: &Service,
    job: &Job,
    headers: &HeaderMap,
    chunk: Chunk,
    is_second_try: bool,
) -> Result<Decision, Refusal> {
    let key = job.key();
    let name = store::read(app, &key)?;
    let place = name.plan(&chunk, app.openings.base(&key, &app.node), pieces_max(app))?;
    let place = if is_second_try { Place::Separate } else { place };
    let object = match place {
        Place::InPlace(base) => base,
        Place::Separate => app.node.new_id(),
    };
    if !name.refers_to(object) {
        let principal = Principal::Owner(device::owner(&job.device));
        app.node.admit(Some(&principal), place != Place::Separate)?;
    }
    let mut expect = vec![(Digest::Sum8, format!("{:02x}", chunk.sum))];
    expect.extend(stronger(headers)?);
    let bytes = chunk.span.len();
    let ticket = app.node.ticket();
    store::reserve(app, &job.device, ticket, object, bytes)?;
    let receive = Receive {
        object,
        at: match place {
            Place::InPlace(_) => chunk.span.start(),
            Place::Separate => 0,
        },
        is_whole: place == Place::Separate,
        sync: true,
        exact: Some(bytes),
        min: 0,
        max: bytes,
        digests: Vec::new(),
        expect,
        budget: bytes,
        rate: None,
    };
    let memo = job.note(Memo::Data(Coming { chunk, object, place, is_second_try }));
    Ok(Decision::step(&app.node, ticket, memo, What::Receive(receive)))
}

/// `Content-MD5` and `X-Chunk-SHA256`, of the data; what is no digest matches nothing.
fn stronger(headers: &HeaderMap) -> Result<Vec<(Digest, String)>, Refusal> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
    let mut expect = Vec::new();
    if let Some(text) = text("content-md5") {
        let bytes = STANDARD.decode(text).ok().filter(|bytes| bytes.len() == 16).ok_or(Refusal::Checksum)?;
        expect.push((Digest::Md5, hex(&bytes)));
    }
    if let Some(text) = text("x-chunk-sha256") {
        let bytes = from_hex(text).filter(|bytes| bytes.len() == 32).ok_or(Refusal::Checksum)?;
        expect.push((Digest::Sha256, hex(&bytes)));
    }
    Ok(expect)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The data is there, or not.
pub async fn data(
    app: &Service,
    job: &Job,
    headers: &HeaderMap,
    coming: Coming,
    ticket: u64,
    told: StepReport,
) -> Result<Decision, Refusal> {
    let failure = match told {
        StepReport::Received { .. } => return accept(app, job, coming, None).await,
        StepReport::Failed(failure) => failure,
        _ => return Err(Refusal::Internal),
    };
    match failure {
        // Another request was faster: the bytes have not been read, and go aside.
        Failure::Taken | Failure::Gone if !coming.is_second_try && coming.place != Place::Separate => {
            app.node.unreserve(ticket);
            receive(app, job, headers, coming.chunk, true)
        }
        Failure::Taken | Failure::Gone => Err(Refusal::Changed),
        Failure::Short if coming.chunk.is_of_nothing() => nothing(app, job).await,
        Failure::Short | Failure::TooLong if coming.is_second_try => Err(Refusal::Changed),
        Failure::Short | Failure::TooLong => Err(Refusal::OtherLength),
        Failure::Mismatch => Err(Refusal::Checksum),
        Failure::NoRoom => Err(Refusal::Full),
        Failure::DiskFull => Err(Refusal::NoSpace),
        Failure::Malformed | Failure::FieldTooLong => Err(Refusal::Unreadable),
        Failure::Revoked => Err(Refusal::BadToken),
        Failure::Disk | Failure::NoUpgrade => Err(Refusal::Internal),
    }
}

/// The moment of acknowledgement.
pub(super) async fn accept(
    app: &Service,
    job: &Job,
    coming: Coming,
    is_same: Option<bool>,
) -> Result<Decision, Refusal> {
    let node = &app.node;
    let Coming { chunk, object, place, .. } = coming;
    let key = job.key();
    let fresh = [node.new_id(), node.new_id()];
    let arrived = Arrived { chunk, object, place, is_same, now_ms: node.clock.now_ms(), fresh };
    let _alone = app.node.locks.lock(SurfaceId::SecureFileTransfer, &key).await;
    let before = store::read(app, &key)?;
    let is_known = before.refers_to(object);
    let verdict = before.judge(&arrived, pieces_max(app));
    let edit = match &verdict {
        Ok(Verdict::Accepted(step)) => {
            let edit = store::add(&key, &before, step)?;
            let record = || store::record_of(&job.device, &job.name, step, &arrived);
            if is_known { edit } else { edit.put(record()) }
        }
        Ok(Verdict::Known(step)) => {
            let edit = step.map_or(Ok(Edit::default()), |step| store::add(&key, &before, &step))?;
            discard(edit, &before, &coming)
        }
        // The record keeps the bytes while they are looked at.
        Ok(Verdict::Compare(_) | Verdict::Build) if !is_known => {
            Edit::default().put(store::waiting_record(&job.device, &job.name, &arrived))
        }
        Ok(Verdict::Compare(_) | Verdict::Build) => Edit::default(),
        Err(_) => discard(Edit::default(), &before, &coming),
    };
    node.edit(edit).await?;
    app.openings.close(&key);
    match verdict? {
        Verdict::Accepted(_) => audit::surface(SurfaceId::SecureFileTransfer, &job.device, audit::CREATE, object),
        Verdict::Known(_) => {}
        Verdict::Compare(held) => return compare(app, job, Comparing { coming, held, theirs: None }),
        Verdict::Build => {
            let file = before.file.as_ref().ok_or(Refusal::Internal)?;
            return build::begin(app, job, file, After::Chunk(coming));
        }
    }
    let after = store::read(app, &key)?;
    match &after.file {
        Some(file) if after.upload.is_none() && !file.is_built() && chunk.total.is_some() => {
            // It is complete whatever comes of this: built now, it is ready when a client downloads it.
            build::begin(app, job, file, After::Status).or_else(|_later| Ok(status::of(&job.name, &after).into()))
        }
        Some(_) | None => Ok(status::of(&job.name, &after).into()),
    }
}

/// Pieces an upload may be in.
fn pieces_max(app: &Service) -> usize {
    let most = app.node.config().surfaces.of::<SecureFileTransfer>().max_pieces;
    usize::try_from(most).unwrap_or(usize::MAX).max(1)
}

/// Bytes that nothing refers to go.
fn discard(edit: Edit, name: &Name, coming: &Coming) -> Edit {
    if name.objects().contains(&coming.object) { edit } else { edit.delete(coming.object) }
}

/// Looks at what is there, then at what came, extent by extent.
fn compare(app: &Service, job: &Job, comparing: Comparing) -> Result<Decision, Refusal> {
    let Some(first) = comparing.held.first() else { return Err(Refusal::Internal) };
    let (object, at) = match (&comparing.theirs, first.from) {
        (None, Source::Object(object, at)) => (object, at),
        (None, Source::Zeros) => return Err(Refusal::Internal),
        (Some(_), _) => {
            let Coming { chunk, object, place, .. } = comparing.coming;
            let start = first.span.start();
            (object, if place == Place::Separate { start - chunk.span.start() } else { start })
        }
    };
    let examine = DigestStored { object, span: Span::at(at, first.span.len()), digests: vec![COMPARED_BY] };
    let memo = job.note(Memo::Compare(comparing));
    Ok(Decision::step(&app.node, app.node.ticket(), memo, What::DigestStored(examine)))
}

/// One side of an extent was looked at.
pub async fn compared(
    app: &Service,
    job: &Job,
    mut comparing: Comparing,
    told: StepReport,
) -> Result<Decision, Refusal> {
    let digest = match told {
        StepReport::Digested { digests } => digests.into_iter().next().map(|(_, digest)| digest),
        // It went away meanwhile: what is there now is something else.
        _ => None,
    };
    let coming = comparing.coming;
    let Some(digest) = digest else { return accept(app, job, coming, Some(false)).await };
    match comparing.theirs.take() {
        None => comparing.theirs = Some(digest),
        Some(theirs) if theirs == digest => {
            comparing.held.remove(0);
        }
        Some(_) => return accept(app, job, coming, Some(false)).await,
    }
    match comparing.held.first() {
        None => accept(app, job, coming, Some(true)).await,
        Some(Extent { from: Source::Zeros, .. }) => accept(app, job, coming, Some(false)).await,
        Some(_) => compare(app, job, comparing),
    }
}

#[cfg(test)]
mod tests;
