//! What there is under one name of one device (contract §6): a published file, an open upload, or both; and what a chunk
//! does to it. Nothing here knows requests, clocks or objects' bytes.
//!
//! ```text
//! nothing ──chunk──► upload ──all bytes are there──► file ──chunk beyond it──► upload over the file ──► file
//! ```
//!
//! Must stay true: the file changes in one step, from one whole content to another; what a chunk's place was planned on may
//! have changed when its bytes are there, so [`Name::accept`] decides anew and never trusts a plan.

use std::collections::BTreeSet;

use etransfer_contract::{ObjectId, Span};
use serde::{Deserialize, Serialize};

use super::chunk::Chunk;
use super::content::{Content, Extent, Source};
use super::refusal::Refusal;
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
    /// What an upload left that nobody finished (§7).
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
    Aside,
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
    /// Whether they are what was there before, as far as both reach; `None`: nobody looked.
    pub is_same: Option<bool>,
    /// Unix milliseconds.
    pub now_ms: u64,
    /// Two names nobody has yet: for the next base and for the next version.
    pub fresh: [ObjectId; 2],
}

/// What came of bytes that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They are accepted.
    Accepted,
    /// They were there already: what came now is not needed.
    Known,
    /// Look first whether they are what these hold.
    Compare(Vec<Extent>),
}

impl Name {
    /// Where a chunk shall go. `opening`: the base of an upload that this chunk would begin.
    pub fn plan(&self, chunk: &Chunk, opening: ObjectId) -> Result<Place, Refusal> {
        let (span, total) = (chunk.span, chunk.total);
        if let Some(upload) = &self.upload {
            upload.check_total(chunk)?;
            return Ok(if upload.content.touches(span) { Place::Aside } else { Place::InPlace(upload.base) });
        }
        match (&self.file, total) {
            // A chunk from the start of something of unknown length may be all of it: then it is whole at once.
            (None, None) if span.start() == 0 => Ok(Place::Aside),
            (None, _) => Ok(Place::InPlace(opening)),
            (Some(file), None) if span.start() >= file.length => Ok(Place::InPlace(file.base)),
            (Some(file), Some(total)) if total != file.length => Ok(Place::InPlace(opening)),
            (Some(_), _) => Ok(Place::Aside),
        }
    }

    /// Takes in bytes that are stored (§6.2). Durable before anybody is told, this is what is acknowledged.
    pub fn accept(&mut self, arrived: &Arrived) -> Result<Verdict, Refusal> {
        let Chunk { span, total, .. } = arrived.chunk;
        if let Some(upload) = &mut self.upload {
            upload.check_total(&arrived.chunk)?;
            let held: Vec<Extent> = upload.content.holders(span).collect();
            let is_all_there = held.iter().map(|extent| extent.span.len()).sum::<u64>() == span.len();
            match arrived.is_same {
                None if is_all_there => return Ok(Verdict::Compare(held)),
                Some(true) if is_all_there => {
                    upload.last_ms = arrived.now_ms;
                    return Ok(Verdict::Known);
                }
                None | Some(_) => upload.take(arrived),
            }
            self.publish_if_whole(arrived);
            return Ok(Verdict::Accepted);
        }
        let mut upload = Upload::begun_by(arrived);
        if let Some(file) = &self.file {
            let overlap = Span::new(span.start(), span.end().min(file.length));
            let can_be_same = overlap.is_some() && total.is_none_or(|total| total == file.length);
            match arrived.is_same {
                None if can_be_same => {
                    let overlap = overlap.expect("it was just looked at");
                    return Ok(Verdict::Compare(file.content.holders(overlap).collect()));
                }
                Some(true) if can_be_same && span.end() <= file.length => return Ok(Verdict::Known),
                _ => {}
            }
            let is_replacement = total.is_some() || arrived.is_same == Some(false) && span.start() == 0;
            if !is_replacement {
                upload.content = file.content.clone();
                upload.base = file.base;
            }
        }
        upload.take(arrived);
        self.upload = Some(upload);
        self.publish_if_whole(arrived);
        Ok(Verdict::Accepted)
    }

    /// An upload that misses nothing is the file.
    fn publish_if_whole(&mut self, arrived: &Arrived) {
        let Some(upload) = self.upload.take_if(|upload| upload.is_whole()) else { return };
        let length = upload.length();
        let is_object = arrived.place == Place::Aside && upload.content.only(length) == Some(arrived.object);
        let [base, version] = arrived.fresh;
        let replaced_ms = self.file.as_ref().map(|file| file.modified_ms);
        self.file = Some(File {
            whole: is_object.then_some(arrived.object),
            base: if is_object { base } else { upload.base },
            content: upload.content,
            length,
            version,
            modified_ms: dated(replaced_ms, arrived.now_ms),
            is_partial: false,
        });
    }

    /// An empty file, when nothing else was received for the name (§4).
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
        file.chain(upload).any(|content| content.objects().contains(&object))
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

impl Upload {
    fn begun_by(arrived: &Arrived) -> Self {
        let base = match arrived.place {
            Place::InPlace(base) => base,
            Place::Aside => arrived.fresh[0],
        };
        Self { content: Content::default(), total: arrived.chunk.total, base, last_ms: arrived.now_ms }
    }

    fn take(&mut self, arrived: &Arrived) {
        let span = arrived.chunk.span;
        let from = match arrived.place {
            Place::InPlace(_) => span.start(),
            Place::Aside => 0,
        };
        self.content.overlay(span, Source::Object(arrived.object, from));
        self.total = self.total.or(arrived.chunk.total);
        self.last_ms = arrived.now_ms;
    }

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

    /// §6.2 item 5.
    pub fn length(&self) -> u64 {
        self.total.unwrap_or_else(|| self.content.end())
    }

    fn is_whole(&self) -> bool {
        self.content.received().contiguous() == self.length()
    }

    /// The file that is left of it (§7): zeros where nothing came.
    pub fn into_partial(mut self, version: ObjectId, now_ms: u64) -> File {
        let length = self.content.end();
        self.content.fill(length);
        let Self { content, base, .. } = self;
        File { content, length, base, whole: None, version, modified_ms: now_ms, is_partial: true }
    }
}

#[cfg(test)]
mod tests;
