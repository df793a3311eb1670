//! An upload that is addressed by chunk (contract §4.5): which chunks are there, and where. Nothing here knows requests,
//! clocks or objects' bytes.
//!
//! Chunks of one size go in place, into one object, and need no copy; any other chunk is an object of its own.
//!
//! Must stay true: no byte of an object is ever overwritten; what a chunk's place was planned on may have changed when its
//! bytes are there, so [`Upload::accept`] decides anew. However many chunks of one size there are, this stays small.

use std::collections::{BTreeMap, BTreeSet};

use etransfer_contract::step::Piece;
use etransfer_contract::{ObjectId, Span, SpanSet};
use serde::{Deserialize, Serialize};

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
pub struct Upload {
    /// The file.
    pub about: About,
    /// Where chunks of one size go; no other upload has the same.
    pub base: ObjectId,
    /// That size, once a chunk told it.
    step: Option<u64>,
    /// Chunks that are in place, by index.
    placed: SpanSet,
    /// The others.
    aside: BTreeMap<u64, Aside>,
    /// Another one after each accepted chunk.
    pub version: ObjectId,
    /// Last accepted chunk; Unix milliseconds.
    pub last_ms: u64,
}

/// A chunk somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Aside {
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
    Aside,
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
    /// A name nobody has yet: the next version.
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
        Self { about, base, step: None, placed: SpanSet::new(), aside: BTreeMap::new(), version, last_ms: now_ms }
    }

    /// Where a chunk goes; `bytes`: its length, when it is known before it comes.
    pub fn place(&self, index: u64, bytes: Option<u64>) -> Place {
        let spot = bytes.and_then(|bytes| self.about.spot(index, bytes));
        let fits = spot.filter(|(step, _)| self.step.is_none_or(|known| known == *step) && !self.has(index));
        fits.map_or(Place::Aside, |(_, at)| Place::InPlace { at })
    }

    /// Takes a chunk in, in the place of one with the same index.
    pub fn accept(&mut self, arrived: &Arrived) -> Result<(), OtherSize> {
        let Arrived { index, bytes, object, place, version, now_ms } = *arrived;
        let mut next = self.clone();
        next.forget(index);
        let spot = self.about.spot(index, bytes);
        match (place, spot) {
            (Place::InPlace { at }, Some((step, spot)))
                if object == next.base && at == spot && next.step.is_none_or(|known| known == step) =>
            {
                next.step = Some(step);
                next.placed.insert(one(index));
            }
            (Place::InPlace { at: from }, _) => {
                next.aside.insert(index, Aside { object, from, bytes });
            }
            (Place::Aside, _) => {
                next.aside.insert(index, Aside { object, from: 0, bytes });
            }
        }
        if next.is_full() && next.received() != next.about.size {
            return Err(OtherSize);
        }
        (next.version, next.last_ms) = (version, now_ms);
        *self = next;
        Ok(())
    }

    fn forget(&mut self, index: u64) {
        self.placed.remove(one(index));
        self.aside.remove(&index);
    }

    fn has(&self, index: u64) -> bool {
        self.placed.contains(one(index)) || self.aside.contains_key(&index)
    }

    /// How many chunks are there.
    pub fn count(&self) -> u64 {
        self.placed.bytes() + self.aside.len() as u64
    }

    /// Which ones.
    pub fn indices(&self) -> Vec<u64> {
        let placed = self.placed.iter().flat_map(|span| span.start()..span.end());
        let all: BTreeSet<u64> = placed.chain(self.aside.keys().copied()).collect();
        all.into_iter().collect()
    }

    /// Bytes of all chunks that are there.
    pub fn received(&self) -> u64 {
        let step = self.step.unwrap_or(0);
        let last = self.about.total - 1;
        let tail = if self.placed.contains(one(last)) { self.tail() } else { 0 };
        let even = self.placed.bytes() - u64::from(tail > 0);
        even * step + tail + self.aside.values().map(|aside| aside.bytes).sum::<u64>()
    }

    /// Length of the last chunk, in place.
    fn tail(&self) -> u64 {
        self.about.size - self.step.unwrap_or(0) * (self.about.total - 1)
    }

    /// Every chunk is there.
    pub fn is_full(&self) -> bool {
        self.count() == self.about.total
    }

    /// How the file is made.
    pub fn finish(&self) -> Finish {
        if !self.is_full() {
            return Finish::Not;
        }
        match self.aside.values().next() {
            None => return Finish::Seal(self.base),
            // The only chunk of an empty file is an empty object.
            Some(aside) if self.about.size == 0 => return Finish::Seal(aside.object),
            Some(_) => {}
        }
        let mut pieces = Vec::with_capacity(self.aside.len() * 2 + 1);
        let mut index = 0;
        while index < self.about.total {
            if let Some(Aside { object, from, bytes }) = self.aside.get(&index) {
                pieces.extend(Span::at(*from, *bytes).map(|span| Piece::Of(*object, span)));
                index += 1;
                continue;
            }
            let end = self.placed.end_of_run(index);
            let step = self.step.unwrap_or(0);
            let stop = if end == self.about.total { self.about.size } else { end * step };
            pieces.extend(Span::new(index * step, stop).map(|span| Piece::Of(self.base, span)));
            index = end;
        }
        Finish::Compose(pieces)
    }

    /// Every object that this refers to.
    pub fn objects(&self) -> BTreeSet<ObjectId> {
        self.aside.values().map(|aside| aside.object).chain([self.base]).collect()
    }

    /// A chunk is in this object.
    pub fn refers_to(&self, object: ObjectId) -> bool {
        object == self.base && self.placed.count() > 0 || self.aside.values().any(|aside| aside.object == object)
    }
}

/// The set of one index.
fn one(index: u64) -> Span {
    Span::at(index, 1).expect("there are far fewer chunks than offsets")
}

#[cfg(test)]
mod tests;
