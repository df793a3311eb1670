//! What there is under one name of one device (CONTRACT.md §6): a published file, an open upload, or both; and what a
//! chunk does to it. Nothing here knows requests, clocks or objects' bytes.
//!
//! ```text
//! nothing ──chunk──► upload ──all bytes are there──► file ──chunk beyond it──► upload over the file ──► file
//! ```
//!
//! Must stay true: the file changes in one step, from one whole content to another; what a chunk's place was planned on may
//! have changed when its bytes are there, so [`Name::judge`] decides again and never trusts a plan. What was decided is
//! a [`Step`], which is written down: [`Name::take`] carries steps out that any earlier release decided, and refuses
//! none of them for a bound.

use std::collections::BTreeSet;

use etransfer_contract::{ObjectId, Span};
use serde::{Deserialize, Serialize};

use super::chunk::Chunk;
use super::content::{Content, Extent, Source};
use super::refusal::Refusal;
use crate::bounds::PIECES_COMPARED_MAX;
use crate::surface::delivery::dated;

/// The document of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// What is downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
    /// What replaces it, or becomes the first file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
}

/// A published file: all of `0..length` is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Where its bytes are.
    pub content: Content,
    /// How many.
    pub length: u64,
    /// Where chunks beyond its end go.
    pub base: ObjectId,
    /// The one object that is all of it; `None`: it has to be built, or completed, before it is downloaded.
    pub whole: Option<ObjectId>,
    /// Another one whenever the content is another one.
    pub version: ObjectId,
    /// Unix milliseconds.
    pub modified_ms: u64,
    /// What an unfinished upload left (CONTRACT.md §7).
    #[serde(default)]
    pub is_partial: bool,
}

/// An upload that misses bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Where its bytes are.
    pub content: Content,
    /// As declared.
    pub total: Option<u64>,
    /// Where chunks go whose bytes nothing holds yet.
    pub base: ObjectId,
    /// Last accepted chunk; Unix milliseconds.
    pub last_ms: u64,
}

/// Where the bytes of a chunk shall go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Into this object, at their own offset.
    InPlace(ObjectId),
    /// Into an object that is only they.
    #[serde(rename = "aside")]
    Separate,
}

/// Bytes that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Which.
    pub chunk: Chunk,
    /// In which object.
    pub object: ObjectId,
    /// Where they went.
    pub place: Place,
    /// Whether they are what was there before, as far as both reach; `None`: they were not compared.
    pub is_same: Option<bool>,
    /// Unix milliseconds.
    pub now_ms: u64,
    /// Two new names: for the next base and for the next version.
    pub fresh: [ObjectId; 2],
}

/// What came of bytes that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They are accepted: this changes.
    Accepted(Step),
    /// They were there already: what came now is not needed. An upload that is open stays fresh by it.
    Known(Option<Step>),
    /// Look first whether they are what these hold.
    Compare(Vec<Extent>),
    /// The file is in too many pieces to look at: make one object of it first.
    Build,
}

/// What an accepted chunk changes, decided. A name is its last whole document and the steps since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When; Unix milliseconds.
    now_ms: u64,
    /// The chunk begins an upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opened: Option<Opened>,
    /// What is where from now on; `None`: what was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extent: Option<Extent>,
    /// What the upload declares from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// Nothing is missing: the upload is the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    published: Option<Published>,
}

/// How an upload begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Opened {
    base: ObjectId,
    /// With the bytes of the file.
    is_over_file: bool,
}

/// What a file is beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Published {
    base: ObjectId,
    version: ObjectId,
    modified_ms: u64,
    /// The chunk's object is all of it.
    is_whole: bool,
}

impl Name {
    /// Where a chunk shall go. `opening`: the base of an upload that this chunk would begin.
    pub fn plan(&self, chunk: &Chunk, opening: ObjectId, pieces_max: usize) -> Result<Place, Refusal> {
        let (span, total) = (chunk.span, chunk.total);
        if let Some(upload) = &self.upload {
            upload.check_total(chunk)?;
            if upload.content.touches(span) {
                return Ok(Place::Separate);
            }
            check_pieces(&upload.content, span, Source::Object(upload.base, span.start()), pieces_max)?;
            return Ok(Place::InPlace(upload.base));
        }
        match (&self.file, total) {
            // A chunk from the start of something of unknown length may be all of it: then it is whole at once.
            (None, None) if span.start() == 0 => Ok(Place::Separate),
            (None, _) => Ok(Place::InPlace(opening)),
            (Some(file), None) if span.start() >= file.length => {
                check_pieces(&file.content, span, Source::Object(file.base, span.start()), pieces_max)?;
                Ok(Place::InPlace(file.base))
            }
            (Some(file), Some(total)) if total != file.length => Ok(Place::InPlace(opening)),
            (Some(_), _) => Ok(Place::Separate),
        }
    }

    /// What comes of bytes that are stored (CONTRACT.md §6.2). The step is what is acknowledged: durable before anybody
    /// is told.
    pub fn judge(&self, arrived: &Arrived, pieces_max: usize) -> Result<Verdict, Refusal> {
        let Chunk { span, total, .. } = arrived.chunk;
        if let Some(upload) = &self.upload {
            upload.check_total(&arrived.chunk)?;
            let held: Vec<Extent> = upload.content.holders(span).take(PIECES_COMPARED_MAX + 1).collect();
            let is_all_there = held.iter().map(|extent| extent.span.len()).sum::<u64>() == span.len();
            match arrived.is_same {
                None if is_all_there && held.len() <= PIECES_COMPARED_MAX => return Ok(Verdict::Compare(held)),
                Some(true) if is_all_there => return Ok(Verdict::Known(Some(Step::of_nothing(arrived.now_ms)))),
                None | Some(_) => {}
            }
            let step = self.step(&upload.content, (None, upload.base), upload.total.or(total), arrived, pieces_max)?;
            return Ok(Verdict::Accepted(step));
        }
        let mut base = match arrived.place {
            Place::InPlace(base) => base,
            Place::Separate => arrived.fresh[0],
        };
        let (nothing, mut over) = (Content::default(), None);
        if let Some(file) = &self.file {
            let overlap = Span::new(span.start(), span.end().min(file.length));
            let can_be_same = overlap.is_some() && total.is_none_or(|total| total == file.length);
            let held = overlap.into_iter().flat_map(|overlap| file.content.holders(overlap));
            let held: Vec<Extent> = held.take(PIECES_COMPARED_MAX + 1).collect();
            match arrived.is_same {
                None if can_be_same && held.len() > PIECES_COMPARED_MAX => return Ok(Verdict::Build),
                None if can_be_same => return Ok(Verdict::Compare(held)),
                Some(true) if can_be_same && span.end() <= file.length => return Ok(Verdict::Known(None)),
                _ => {}
            }
            let is_replacement = total.is_some() || arrived.is_same == Some(false) && span.start() == 0;
            if !is_replacement {
                (over, base) = (Some(file), file.base);
            }
        }
        let opened = Opened { base, is_over_file: over.is_some() };
        let content = over.map_or(&nothing, |file| &file.content);
        Ok(Verdict::Accepted(self.step(content, (Some(opened), base), total, arrived, pieces_max)?))
    }

    /// The step that puts a chunk over `content`, which is what its upload has.
    fn step(
        &self,
        content: &Content,
        (opened, base): (Option<Opened>, ObjectId),
        total: Option<u64>,
        arrived: &Arrived,
        pieces_max: usize,
    ) -> Result<Step, Refusal> {
        let span = arrived.chunk.span;
        let at = match arrived.place {
            Place::InPlace(_) => span.start(),
            Place::Separate => 0,
        };
        let from = Source::Object(arrived.object, at);
        check_pieces(content, span, from, pieces_max)?;
        let replaced: u64 = content.holders(span).map(|extent| extent.span.len()).sum();
        let (bytes, end) = (content.bytes() - replaced + span.len(), content.end().max(span.end()));
        let length = total.unwrap_or(end);
        let is_whole = arrived.place == Place::Separate && Span::new(0, length) == Some(span);
        let replaced_ms = self.file.as_ref().map(|file| file.modified_ms);
        let [next_base, version] = arrived.fresh;
        // Extents do not overlap: as many bytes as it is long are all of them.
        let published = (bytes == length && end == length).then(|| Published {
            base: if is_whole { next_base } else { base },
            version,
            modified_ms: dated(replaced_ms, arrived.now_ms),
            is_whole,
        });
        Ok(Step { now_ms: arrived.now_ms, opened, extent: Some(Extent { span, from }), total, published })
    }

    /// Carries a step out; it was decided on what this is.
    pub fn take(&mut self, step: &Step) -> Result<(), Refusal> {
        if let Some(Opened { base, is_over_file }) = step.opened {
            let file = self.file.as_ref().filter(|_| is_over_file);
            let content = file.map(|file| file.content.clone()).unwrap_or_default();
            self.upload = Some(Upload { content, total: None, base, last_ms: step.now_ms });
        }
        let Some(upload) = &mut self.upload else { return Err(Refusal::Internal) };
        upload.last_ms = step.now_ms;
        let Some(extent) = step.extent else { return Ok(()) };
        upload.content.overlay(extent.span, extent.from);
        upload.total = step.total;
        let Some(Published { base, version, modified_ms, is_whole }) = step.published else { return Ok(()) };
        let content = std::mem::take(&mut upload.content);
        self.upload = None;
        let length = content.end();
        let whole = content.only(length).filter(|_| is_whole);
        self.file = Some(File { content, length, base, whole, version, modified_ms, is_partial: false });
        Ok(())
    }

    /// An empty file, when nothing else was received for the name (CONTRACT.md §4).
    pub fn accept_nothing(&mut self, now_ms: u64, fresh: [ObjectId; 2]) -> Result<(), Refusal> {
        match self {
            Self { file: None, upload: None } => {}
            Self { file: Some(File { length: 0, .. }), upload: None } => return Ok(()),
            Self { .. } => return Err(Refusal::OtherLength),
        }
        let [base, version] = fresh;
        self.file = Some(File {
            content: Content::default(),
            length: 0,
            base,
            whole: None,
            version,
            modified_ms: now_ms,
            is_partial: false,
        });
        Ok(())
    }

    /// The file is this object now, unless it changed meanwhile (`false`). `fresh`: the next base.
    pub fn built(&mut self, version: ObjectId, object: ObjectId, fresh: ObjectId) -> bool {
        let Some(file) = self.file.as_mut().filter(|file| file.version == version) else { return false };
        file.content = Content::default();
        if let Some(whole) = Span::new(0, file.length) {
            file.content.overlay(whole, Source::Object(object, 0));
        }
        // An upload over the file may still write into its base: a base is never an object that is complete.
        file.base = fresh;
        file.whole = Some(object);
        true
    }

    /// Every object that this refers to.
    pub fn objects(&self) -> BTreeSet<ObjectId> {
        let file = self.file.iter().flat_map(|file| file.content.objects().into_iter().chain([file.base]));
        let upload = self.upload.iter().flat_map(|upload| upload.content.objects().into_iter().chain([upload.base]));
        file.chain(upload).collect()
    }

    /// Some of its bytes are in this object.
    pub fn refers_to(&self, object: ObjectId) -> bool {
        let file = self.file.iter().map(|file| &file.content);
        let upload = self.upload.iter().map(|upload| &upload.content);
        file.chain(upload).any(|content| content.refers_to(object))
    }

    /// Extents of all that is there.
    pub fn pieces(&self) -> usize {
        let file = self.file.iter().map(|file| &file.content);
        file.chain(self.upload.iter().map(|upload| &upload.content)).map(Content::count).sum()
    }

    /// Nothing is left.
    pub fn is_empty(&self) -> bool {
        self.file.is_none() && self.upload.is_none()
    }
}

impl File {
    /// It can be sent as it is.
    pub fn is_built(&self) -> bool {
        self.length == 0 || self.whole.is_some()
    }
}

/// 429 for bytes that make more pieces of what is in too many already.
fn check_pieces(content: &Content, span: Span, from: Source, most: usize) -> Result<(), Refusal> {
    let count = content.count_with(span, from);
    if count > most && count > content.count() { Err(Refusal::Scattered { most }) } else { Ok(()) }
}

impl Step {
    /// The bytes were there.
    fn of_nothing(now_ms: u64) -> Self {
        Self { now_ms, opened: None, extent: None, total: None, published: None }
    }

    /// The chunk's object is the whole file.
    pub fn makes_whole(&self) -> bool {
        self.published.is_some_and(|published| published.is_whole)
    }

    /// When the file is of, if there is one; Unix milliseconds.
    pub fn published_ms(&self) -> Option<u64> {
        self.published.map(|published| published.modified_ms)
    }
}

impl Upload {
    /// 409 for a total other than the declared one, or below bytes that are there.
    fn check_total(&self, chunk: &Chunk) -> Result<(), Refusal> {
        let fits = match (self.total, chunk.total) {
            (Some(known), Some(told)) => known == told,
            (Some(known), None) => chunk.span.end() <= known,
            (None, Some(told)) => self.content.end() <= told,
            (None, None) => true,
        };
        if fits { Ok(()) } else { Err(Refusal::OtherTotal) }
    }

    /// CONTRACT.md §6.2 item 5.
    pub fn length(&self) -> u64 {
        self.total.unwrap_or_else(|| self.content.end())
    }

    /// The file that is left of it (CONTRACT.md §7): zeros where nothing came.
    pub fn into_partial(mut self, version: ObjectId, now_ms: u64) -> File {
        let length = self.content.end();
        self.content.fill(length);
        let Self { content, base, .. } = self;
        File { content, length, base, whole: None, version, modified_ms: now_ms, is_partial: true }
    }
}

#[cfg(test)]
mod tests;
