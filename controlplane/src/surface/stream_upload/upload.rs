//! An upload that is addressed by chunk (CONTRACT.md §4.5): which chunks are there, and where. Nothing here knows
//! requests, clocks or objects' bytes.
//!
//! Chunks of one size go in place, into one object, and need no copy; any other chunk is an object of its own.
//!
//! Which chunks are there is written in pages of [`CHUNKS_PER_PAGE`] indices; beside them there are sums. What is asked of one
//! index needs its page alone; what is asked of all chunks needs all pages, and says so.
//!
//! Must stay true: no byte of an object is ever overwritten; what a chunk's place was planned on may have changed when its
//! bytes are there, so [`Upload::accept`] decides again. An upload that was written down before there were pages has
//! all of them at once.

use std::collections::{BTreeMap, BTreeSet};

use etransfer_contract::step::Piece;
use etransfer_contract::{ObjectId, Span, SpanSet};
use serde::{Deserialize, Serialize};

use crate::bounds::CHUNKS_PER_PAGE;

/// What the first accepted chunk said about the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Display name.
    pub name: String,
    /// A valid media type.
    pub mime: String,
    /// Bytes of the whole.
    pub size: u64,
    /// Chunks of the whole.
    pub total: u64,
}

/// Chunks so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Document", into = "Document")]
pub struct Upload {
    /// The file.
    pub about: About,
    /// Where chunks of one size go; no other upload has the same.
    pub base: ObjectId,
    /// Objects that chunks went into at offsets: the base, and one that chunks were on their way to when the upload began.
    /// They stay as long as it is open.
    bases: BTreeSet<ObjectId>,
    /// That size, once a chunk told it.
    step: Option<u64>,
    /// How many chunks are there.
    count: u64,
    /// Their bytes.
    received: u64,
    /// Those of the pages that were read, by number.
    pages: BTreeMap<u64, Page>,
    /// Another one after each accepted chunk.
    pub version: ObjectId,
    /// Last accepted chunk; Unix milliseconds.
    pub last_ms: u64,
}

/// Which of [`CHUNKS_PER_PAGE`] chunks are there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Chunks that are in place, by index.
    placed: SpanSet,
    /// The others.
    aside: BTreeMap<u64, SeparateChunk>,
}

/// An upload as it is written down, without its pages.
#[derive(Serialize, Deserialize)]
struct Document {
    about: About,
    base: ObjectId,
    #[serde(default)]
    bases: BTreeSet<ObjectId>,
    step: Option<u64>,
    #[serde(default)]
    count: u64,
    #[serde(default)]
    received: u64,
    /// Of earlier releases, which knew no pages and no sums.
    #[serde(default, skip_serializing_if = "SpanSet::is_empty")]
    placed: SpanSet,
    /// The same.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    aside: BTreeMap<u64, SeparateChunk>,
    version: ObjectId,
    last_ms: u64,
}

impl From<Document> for Upload {
    fn from(document: Document) -> Self {
        let Document { about, base, bases, step, count, received, placed, aside, version, last_ms } = document;
        let mut upload = Self { about, base, bases, step, count, received, pages: BTreeMap::new(), version, last_ms };
        if placed.is_empty() && aside.is_empty() {
            return upload;
        }
        for span in placed.iter() {
            let mut at = span.start();
            while let Some(part) = Span::new(at, span.end().min((page_of(at) + 1) * CHUNKS_PER_PAGE)) {
                upload.page(page_of(at)).placed.insert(part);
                at = part.end();
            }
        }
        for (index, chunk) in aside {
            upload.page(page_of(index)).aside.insert(index, chunk);
        }
        let is_placed = upload.pages.values().any(|page| !page.placed.is_empty());
        upload.bases.extend(is_placed.then_some(base));
        let mut alone = BTreeSet::new();
        let at_offsets = |(_, aside): &(u64, SeparateChunk)| aside.from > 0 || !alone.insert(aside.object);
        let shared: Vec<ObjectId> = upload.asides().filter(at_offsets).map(|(_, aside)| aside.object).collect();
        upload.bases.extend(shared);
        upload.count = upload.pages.values().map(Page::count).sum();
        upload.received = upload.indices().into_iter().filter_map(|index| upload.length_of(index)).sum();
        upload
    }
}

impl From<Upload> for Document {
    fn from(upload: Upload) -> Self {
        let Upload { about, base, bases, step, count, received, pages: _, version, last_ms } = upload;
        let (placed, aside) = (SpanSet::new(), BTreeMap::new());
        Self { about, base, bases, step, count, received, placed, aside, version, last_ms }
    }
}

impl Page {
    fn count(&self) -> u64 {
        self.placed.bytes() + self.aside.len() as u64
    }

    /// No chunk is in it.
    pub fn is_empty(&self) -> bool {
        self.placed.is_empty() && self.aside.is_empty()
    }
}

/// The page of a chunk.
pub fn page_of(index: u64) -> u64 {
    index / CHUNKS_PER_PAGE
}

/// A chunk somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct SeparateChunk {
    object: ObjectId,
    from: u64,
    bytes: u64,
}

/// Where a chunk shall go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Into the base, at this offset.
    InPlace {
        /// First byte.
        at: u64,
    },
    /// Into an object that is only this chunk.
    #[serde(rename = "aside")]
    Separate,
}

/// A chunk whose bytes are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Which.
    pub index: u64,
    /// How long.
    pub bytes: u64,
    /// In which object.
    pub object: ObjectId,
    /// Where they went.
    pub place: Place,
    /// A new name: the next version.
    pub version: ObjectId,
    /// Unix milliseconds.
    pub now_ms: u64,
}

/// How the file is made of its chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// Chunks are missing.
    Not,
    /// They all lie in this object.
    Seal(ObjectId),
    /// They have to be put together.
    Compose(Vec<Piece>),
}

/// All chunks are there, and are not the file that was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the chunks together are not as long as the file")]
pub struct OtherSize;

impl About {
    /// The size that a chunk of this index and length says all chunks have, and its offset then.
    fn spot(&self, index: u64, bytes: u64) -> Option<(u64, u64)> {
        let last = self.total - 1;
        if bytes == 0 || bytes > self.size {
            return None;
        }
        let step = match (index == last, last) {
            // The only chunk is the file, or it is no file.
            (true, 0) => Some(bytes).filter(|bytes| *bytes == self.size)?,
            (true, _) => {
                Some((self.size - bytes) / last).filter(|step| step * last == self.size - bytes && *step > 0)?
            }
            (false, _) => bytes,
        };
        let at = step.checked_mul(index)?;
        let before_last = step.checked_mul(last)?;
        // The last one has at least a byte, and no other one reaches into it.
        (before_last < self.size && at + bytes <= self.size).then_some((step, at))
    }
}

impl Upload {
    /// Nothing has come yet.
    pub fn new(about: About, base: ObjectId, version: ObjectId, now_ms: u64) -> Self {
        Self {
            about,
            base,
            bases: BTreeSet::new(),
            step: None,
            count: 0,
            received: 0,
            pages: BTreeMap::new(),
            version,
            last_ms: now_ms,
        }
    }

    /// A page that was read. One that is here already is newer.
    pub fn add_page(&mut self, number: u64, page: Page) {
        self.pages.entry(number).or_insert(page);
    }

    /// Pages that were read, or that a chunk came to.
    pub fn pages(&self) -> &BTreeMap<u64, Page> {
        &self.pages
    }

    fn page(&mut self, number: u64) -> &mut Page {
        self.pages.entry(number).or_default()
    }

    /// Where a chunk goes; `bytes`: its length, when it is known before it comes. Needs its page.
    pub fn place(&self, index: u64, bytes: Option<u64>) -> Place {
        let spot = bytes.and_then(|bytes| self.about.spot(index, bytes));
        let fits =
            spot.filter(|(step, _)| self.step.is_none_or(|known| known == *step) && self.length_of(index).is_none());
        fits.map_or(Place::Separate, |(_, at)| Place::InPlace { at })
    }

    /// Takes a chunk in, in the place of one with the same index. Needs its page.
    pub fn accept(&mut self, arrived: &Arrived) -> Result<(), OtherSize> {
        let Arrived { index, bytes, object, place, version, now_ms } = *arrived;
        let replaced = self.length_of(index);
        let count = self.count + u64::from(replaced.is_none());
        let received = self.received - replaced.unwrap_or(0) + bytes;
        if count == self.about.total && received != self.about.size {
            return Err(OtherSize);
        }
        let spot = self.about.spot(index, bytes);
        let (base, known) = (self.base, self.step);
        let page = self.page(page_of(index));
        page.placed.remove(one(index));
        page.aside.remove(&index);
        match (place, spot) {
            (Place::InPlace { at }, Some((step, spot)))
                if object == base && at == spot && known.is_none_or(|known| known == step) =>
            {
                page.placed.insert(one(index));
                self.step = Some(step);
            }
            (Place::InPlace { at: from }, _) => {
                page.aside.insert(index, SeparateChunk { object, from, bytes });
            }
            (Place::Separate, _) => {
                page.aside.insert(index, SeparateChunk { object, from: 0, bytes });
            }
        }
        if place != Place::Separate {
            self.bases.insert(object);
        }
        (self.count, self.received, self.version, self.last_ms) = (count, received, version, now_ms);
        Ok(())
    }

    /// How long a chunk is that is there. Needs its page.
    fn length_of(&self, index: u64) -> Option<u64> {
        let page = self.pages.get(&page_of(index))?;
        if page.placed.contains(one(index)) {
            let step = self.step.unwrap_or(0);
            let last = self.about.total - 1;
            return Some(if index == last { self.about.size - step * last } else { step });
        }
        page.aside.get(&index).map(|aside| aside.bytes)
    }

    /// How many chunks are there.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Which ones. Needs all pages.
    pub fn indices(&self) -> Vec<u64> {
        let placed = self.pages.values().flat_map(|page| page.placed.iter()).flat_map(|span| span.start()..span.end());
        let all: BTreeSet<u64> = placed.chain(self.asides().map(|(index, _)| index)).collect();
        all.into_iter().collect()
    }

    /// Bytes of all chunks that are there.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Every chunk is there.
    pub fn is_full(&self) -> bool {
        self.count == self.about.total
    }

    fn asides(&self) -> impl Iterator<Item = (u64, SeparateChunk)> + '_ {
        self.pages.values().flat_map(|page| page.aside.iter()).map(|(index, aside)| (*index, *aside))
    }

    /// How the file is made. Needs all pages.
    pub fn finish(&self) -> Finish {
        if !self.is_full() {
            return Finish::Not;
        }
        match self.asides().next() {
            None => return Finish::Seal(self.base),
            // The only chunk of an empty file is an empty object.
            Some((_, aside)) if self.about.size == 0 => return Finish::Seal(aside.object),
            Some(_) => {}
        }
        let asides: BTreeMap<u64, SeparateChunk> = self.asides().collect();
        let placed: SpanSet = self.pages.values().flat_map(|page| page.placed.iter()).collect();
        let mut pieces = Vec::with_capacity(asides.len() * 2 + 1);
        let mut index = 0;
        while index < self.about.total {
            if let Some(SeparateChunk { object, from, bytes }) = asides.get(&index) {
                pieces.extend(Span::at(*from, *bytes).map(|span| Piece::Of(*object, span)));
                index += 1;
                continue;
            }
            let end = placed.end_of_run(index);
            let step = self.step.unwrap_or(0);
            let stop = if end == self.about.total { self.about.size } else { end * step };
            pieces.extend(Span::new(index * step, stop).map(|span| Piece::Of(self.base, span)));
            index = end;
        }
        Finish::Compose(pieces)
    }

    /// Every object that this, and the pages that were read, refer to.
    pub fn objects(&self) -> BTreeSet<ObjectId> {
        let asides = self.asides().map(|(_, aside)| aside.object);
        asides.chain(self.bases.iter().copied()).chain([self.base]).collect()
    }

    /// A chunk went into this object, which is not the object of one chunk alone.
    pub fn refers_to(&self, object: ObjectId) -> bool {
        self.bases.contains(&object)
    }
}

/// The set of one index.
fn one(index: u64) -> Span {
    Span::at(index, 1).expect("there are far fewer chunks than offsets")
}

#[cfg(test)]
mod tests;
