//! `POST /api/scratch/stream-upload` (CONTRACT.md §4), one step after another:
//!
//! ```text
//! head ──► (form: preface) ──► place ──► receive ──► accept ──► answer
//!                                ▲          │          └ full: build (seal or compose, with digests) ──► answer
//!                                └─ aside ──┘
//! ```
//!
//! Must stay true: a chunk is counted after the edit that refers to it is durable; the answer in which all chunks are there
//! comes after the file is one durable object.

use etransfer_contract::ObjectId;
use etransfer_contract::step::{Failure, FormFields, Receive, StepReport, What};
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::head::ChunkHead;
use super::refusal::Refusal;
use super::store::{self, State};
use super::upload::{Arrived, Place, Upload};
use super::user::User;
use super::{Memo, Note, answer, build};
use crate::audit;
use crate::catalogue::Principal;
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::link::meta::Meta;
use crate::surface::multipart::{BodyType, form};
use crate::surface::stream_upload::Service;
use crate::surface::stream_upload::settings::StreamUpload;

/// Parts that are the chunk although they have no file name.
const PARTS: [&str; 2] = ["file", "chunk"];

/// A chunk on its way.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Coming {
    object: ObjectId,
    place: Place,
    /// The base of the upload it is for; `None`: it begins one.
    upload: Option<ObjectId>,
    is_second_try: bool,
}

/// A request for a chunk, as its steps see it.
pub struct Chunk<'r> {
    /// The state.
    pub app: &'r Service,
    /// Whose.
    pub user: User,
    /// What it says.
    pub head: ChunkHead,
    /// Its fields.
    pub headers: &'r HeaderMap,
    /// Its body.
    pub meta: Meta,
    /// What addresses of assets begin with.
    pub base: String,
}

impl Chunk<'_> {
    fn key(&self) -> String {
        store::key(&self.user, &self.head.id)
    }

    fn step(&self, ticket: u64, memo: Memo, what: What) -> Decision {
        let note = Note { user: self.user.clone(), memo };
        Decision::step(&self.app.node, ticket, note.text(), what)
    }

    /// Checks 4 to 6 of CONTRACT.md §4.4, then the first step.
    pub fn begin(&self) -> Result<Decision, Refusal> {
        let app = self.app;
        let is_strict = app.node.config().surfaces.of::<StreamUpload>().strict_content_type;
        let body = BodyType::of(self.headers);
        if is_strict && body == BodyType::Plain {
            return Err(Refusal::NoForm { status: 415 });
        }
        if let Some(response) = self.finished()? {
            return Ok(response);
        }
        match body {
            BodyType::Form(boundary) => {
                let form = etransfer_contract::step::Form { or_plain: true, ..form(boundary, &PARTS) };
                let what = What::FormFields(FormFields { form: Some(form), prefix_bytes: 0 });
                Ok(self.step(app.node.ticket(), Memo::FormFields, what))
            }
            BodyType::Plain | BodyType::FormWithoutBoundary => self.receive(self.meta.body.length(), false),
        }
    }

    /// The answer to a chunk of an upload that is an asset already; `None`: it is not. 409 for other words than before.
    fn finished(&self) -> Result<Option<Decision>, Refusal> {
        let state = store::read(self.app, &self.key())?;
        let about = match &state {
            Some(State::Open(upload)) => &upload.about,
            Some(State::Done { about, .. }) => about,
            Some(State::Cancelled { .. }) | None => return Ok(None),
        };
        let (ours, theirs) = (&self.head.about, about);
        if (&ours.name, ours.size, ours.total) != (&theirs.name, theirs.size, theirs.total) {
            return Err(Refusal::OtherUpload);
        }
        match state {
            Some(State::Done { asset, about, .. }) => {
                Ok(answer::chunk_of_asset(self, &about, asset).map(Decision::from))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// The form was read up to the chunk.
    pub fn preface(&self, told: StepReport) -> Result<Decision, Refusal> {
        match told {
            StepReport::FormFields(told) if told.is_end => Err(Refusal::NoForm { status: 400 }),
            StepReport::FormFields(told) => self.receive(told.remaining, false),
            _ => Err(Refusal::NoForm { status: 400 }),
        }
    }

    /// Finds the chunk a place and lets it come; `bytes`: its length, when that is known.
    fn receive(&self, bytes: Option<u64>, is_second_try: bool) -> Result<Decision, Refusal> {
        let (app, head) = (self.app, &self.head);
        let is_empty_file = head.about.size == 0 && head.about.total == 1;
        if bytes == Some(0) && !is_empty_file {
            return Err(Refusal::Incomplete);
        }
        if bytes.is_some_and(|bytes| bytes > head.about.size) {
            return Err(self.too_large());
        }
        let key = self.key();
        let upload = match store::read(app, &key)? {
            Some(State::Open(upload)) => Some(upload),
            Some(State::Done { .. } | State::Cancelled { .. }) | None => None,
        };
        let begun = upload.as_ref().map(|upload| upload.base);
        let mut upload = upload.unwrap_or_else(|| {
            let base = app.openings.base(&key, &app.node);
            Box::new(Upload::new(head.about.clone(), base, base, 0))
        });
        store::read_page(&app.node, &mut upload, head.index)?;
        let place = if is_second_try { Place::Separate } else { upload.place(head.index, bytes) };
        let (object, at, is_whole) = match place {
            Place::InPlace { at } => (upload.base, at, false),
            Place::Separate => (app.node.new_id(), 0, true),
        };
        if !upload.refers_to(object) {
            app.node.admit(Some(&Principal::Owner(self.user.owner.clone())), !is_whole)?;
        }
        let ticket = app.node.ticket();
        let budget = store::reserve(app, &self.user, ticket, object, bytes, head.about.size)?;
        let receive = Receive {
            object,
            at,
            is_whole,
            sync: true,
            exact: bytes,
            min: u64::from(!is_empty_file),
            max: head.about.size,
            digests: Vec::new(),
            expect: Vec::new(),
            budget,
            rate: None,
        };
        let coming = Coming { object, place, upload: begun, is_second_try };
        Ok(self.step(ticket, Memo::Data(coming), What::Receive(receive)))
    }

    fn too_large(&self) -> Refusal {
        Refusal::TooLarge { limit: self.app.node.config().surfaces.of::<StreamUpload>().max_file_bytes.0 }
    }

    /// The chunk is there, or not.
    pub async fn data(&self, coming: Coming, ticket: u64, told: StepReport) -> Result<Decision, Refusal> {
        let failure = match told {
            StepReport::Received { bytes, .. } => return self.accept(coming, bytes).await,
            StepReport::Failed(failure) => failure,
            _ => return Err(Refusal::Internal),
        };
        match failure {
            // Another request was faster: the bytes have not been read, and go aside.
            Failure::Taken if !coming.is_second_try && coming.place != Place::Separate => {
                self.app.node.unreserve(ticket);
                self.receive(self.meta.body.length(), true)
            }
            Failure::Gone => Err(Refusal::Cancelled),
            Failure::Taken => Err(Refusal::Overtaken),
            Failure::Short => Err(Refusal::Incomplete),
            Failure::TooLong => Err(self.too_large()),
            Failure::NoRoom | Failure::DiskFull => Err(Refusal::Full),
            Failure::Malformed | Failure::FieldTooLong => Err(Refusal::NoForm { status: 400 }),
            Failure::Revoked => Err(Refusal::InvalidToken),
            Failure::Mismatch | Failure::Disk | Failure::NoUpgrade => Err(Refusal::Internal),
        }
    }

    /// The moment it counts.
    async fn accept(&self, coming: Coming, bytes: u64) -> Result<Decision, Refusal> {
        let (app, head) = (self.app, &self.head);
        let Coming { object, place, .. } = coming;
        let (now_ms, key) = (app.node.clock.now_ms(), self.key());
        let _alone = app.node.locks.lock(SurfaceId::StreamUpload, &key).await;
        // Checked again: this is the moment that counts. Bytes that nothing refers to are an orphan's, and go.
        if let Some(response) = self.finished()? {
            return Ok(response);
        }
        let before = store::read_any(&app.node, &key)?;
        let mut open = match store::read(app, &key)? {
            Some(State::Open(upload)) if coming.upload.is_none_or(|base| base == upload.base) => Some(upload),
            Some(_) | None if coming.upload.is_some() => return Err(Refusal::Cancelled),
            Some(_) | None => None,
        };
        let is_new = open.is_none();
        let before = match &mut open {
            Some(upload) => {
                store::read_page(&app.node, upload, head.index)?;
                Some(State::Open(upload.clone()))
            }
            // What is over, or was cancelled.
            None => before,
        };
        let mut upload = open.unwrap_or_else(|| {
            let base = if place == Place::Separate { app.node.new_id() } else { object };
            Box::new(Upload::new(head.about.clone(), base, base, now_ms))
        });
        let is_known = upload.refers_to(object);
        let arrived = Arrived { index: head.index, bytes, object, place, version: app.node.new_id(), now_ms };
        upload.accept(&arrived).map_err(|_| Refusal::OtherSize)?;
        let after = State::Open(upload.clone());
        let edit = store::change(&app.node, &key, before.as_ref(), Some(&after))?;
        let length = (place == Place::Separate).then_some(bytes);
        let record = store::chunk_record(&self.user, &upload.about, object, length, now_ms);
        app.node.edit(if is_known { edit } else { edit.put(record) }).await?;
        app.openings.close(&key);
        if is_new {
            audit::surface(SurfaceId::StreamUpload, &self.user.key, audit::CREATE, object);
        }
        if upload.is_full() {
            store::read_pages(&app.node, &mut upload)?;
            return build::begin(app, &self.user, &head.id, &upload);
        }
        Ok(answer::chunk(head.index, upload.count(), upload.about.total, None).into())
    }
}

#[cfg(test)]
mod tests;
