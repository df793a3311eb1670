//! An entry in as few bytes as it needs: how the index holds each of them. Known to this process alone; what is on disk is
//! [`codec`](super::codec)'s.
//!
//! Numbers are LEB128; a text is its length and its bytes. What may be absent is 0, or 1 and the value. What few records have, and
//! what has a shape of its own, is JSON, and empty when it says nothing.
//!
//! What the data plane tells of a complete object has its room from the start, so that an inventory moves no entry: a
//! million entries that each take a new place leave as many holes behind.

use etransfer_contract::fact::Presence;
use etransfer_contract::{ObjectId, Span, SpanSet};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::index::Entry;
use super::record::{Kind, Record};
use super::surface::Owner;
use crate::core::Policy;
use crate::core::SurfaceId;
use crate::retention::policy::Keep;

const POLICIES: [Policy; 3] = [Policy::Permanent, Policy::Ttl, Policy::DownloadOnce];
const ABSENT: u8 = 0;
const PRESENT: u8 = 1;
/// All of a complete object is there: only the time is written.
const WHOLE: u8 = 2;
/// First byte of an owner, beside [`ABSENT`].
const PERSON: u8 = 1;
const MEMBER: u8 = 2;
/// First byte of a kind.
const FILE: u8 = 0;
const PARTIAL: u8 = 1;
const FINAL: u8 = 2;

/// Everything of an entry but its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed(Box<[u8]>);

impl Packed {
    /// Of an entry.
    pub fn of(entry: &Entry) -> Self {
        let mut out = Out(Vec::with_capacity(256));
        out.entry(entry);
        // Copied, because room that a larger box gives back stays unused between the boxes.
        Self(out.0.as_slice().into())
    }

    /// Of a changed entry, in the same place if it takes as much room as it did.
    pub fn rewrite(&mut self, entry: &Entry) {
        let mut out = Out(Vec::with_capacity(256));
        out.entry(entry);
        if out.0.len() == self.0.len() { self.0.copy_from_slice(&out.0) } else { self.0 = out.0.as_slice().into() }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The entry again.
    pub fn entry(&self, id: ObjectId) -> Entry {
        let mut rest = Rest(&self.0);
        let mut entry = Entry { record: rest.record(id), presence: None };
        entry.presence = rest.presence(&entry.record);
        debug_assert!(rest.0.is_empty(), "all of it was read");
        entry
    }
}

struct Out(Vec<u8>);

impl Out {
    fn entry(&mut self, entry: &Entry) {
        self.record(&entry.record);
        self.presence(entry);
    }

    fn record(&mut self, record: &Record) {
        let Record { id: _, created_ms, filename, mime, checksum, metadata, length, keep, kind, .. } = record;
        let Record { completed_ms, download_count, once, idempotency_key, owner, maker, surface, key, detail, .. } =
            record;
        self.number(*created_ms);
        self.text(filename);
        self.optional(mime.as_ref(), |out, mime| out.text(mime));
        self.text(checksum);
        self.optional(metadata.as_ref(), |out, metadata| out.text(metadata));
        self.optional(*length, Self::number);
        self.place_in(&POLICIES, &keep.policy);
        self.optional(keep.ttl_s, Self::number);
        match kind {
            Kind::File => self.byte(FILE),
            Kind::Partial => self.byte(PARTIAL),
            Kind::Final { header } => {
                self.byte(FINAL);
                self.text(header);
            }
        }
        self.optional(*completed_ms, Self::number);
        self.number(*download_count);
        self.json(once);
        self.optional(idempotency_key.as_ref(), |out, key| out.text(key));
        match owner {
            None => self.byte(ABSENT),
            Some(Owner::Person(id)) => {
                self.byte(PERSON);
                self.number(id.cast_unsigned());
            }
            Some(Owner::Member(surface, name)) => {
                self.byte(MEMBER);
                self.place_in(&SurfaceId::ALL, surface);
                self.text(name);
            }
        }
        self.text(maker);
        self.place_in(&SurfaceId::ALL, surface);
        self.text(key);
        self.json(detail);
    }

    fn presence(&mut self, entry: &Entry) {
        match &entry.presence {
            None => {
                self.byte(ABSENT);
                self.time(0);
            }
            Some(presence) if whole(&entry.record, presence.at_unix_ms).as_ref() == Some(presence) => {
                self.byte(WHOLE);
                self.time(presence.at_unix_ms);
            }
            Some(Presence { object: _, received, contiguous, spans, length, complete, at_unix_ms }) => {
                self.byte(PRESENT);
                self.number(*received);
                self.number(*contiguous);
                self.number(spans.count() as u64);
                for span in spans.iter() {
                    self.number(span.start());
                    self.number(span.len());
                }
                self.optional(*length, Self::number);
                self.byte(u8::from(*complete));
                self.number(*at_unix_ms);
            }
        }
    }

    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Of the same length whatever it is.
    fn time(&mut self, time_ms: u64) {
        self.0.extend_from_slice(&time_ms.to_le_bytes());
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn optional<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.byte(ABSENT),
            Some(value) => {
                self.byte(PRESENT);
                put(self, value);
            }
        }
    }

    fn place_in<T: PartialEq>(&mut self, all: &[T], one: &T) {
        let place = all.iter().position(|other| other == one).expect("all of them are listed");
        self.byte(place as u8);
    }

    fn json<T: Serialize + Default + PartialEq>(&mut self, value: &T) {
        if *value == T::default() {
            self.bytes(&[]);
        } else {
            self.bytes(&serde_json::to_vec(value).expect("it is JSON in every stored record"));
        }
    }
}

/// What the data plane tells of a complete object with all its bytes.
fn whole(record: &Record, at_unix_ms: u64) -> Option<Presence> {
    let length = record.length.filter(|_| record.is_complete())?;
    let spans = SpanSet::new();
    let object = record.id;
    Some(Presence {
        object,
        received: length,
        contiguous: length,
        spans,
        length: Some(length),
        complete: true,
        at_unix_ms,
    })
}

/// What is not read yet. It was written by [`Out`], so nothing else can be in it.
struct Rest<'p>(&'p [u8]);

impl<'p> Rest<'p> {
    fn record(&mut self, id: ObjectId) -> Record {
        Record {
            id,
            created_ms: self.number(),
            filename: self.text(),
            mime: self.optional(Self::text),
            checksum: self.text(),
            metadata: self.optional(Self::text),
            length: self.optional(Self::number),
            keep: Keep { policy: self.one_of(&POLICIES), ttl_s: self.optional(Self::number) },
            kind: match self.byte() {
                FILE => Kind::File,
                PARTIAL => Kind::Partial,
                _ => Kind::Final { header: self.text() },
            },
            completed_ms: self.optional(Self::number),
            download_count: self.number(),
            once: self.json(),
            idempotency_key: self.optional(Self::text),
            owner: match self.byte() {
                ABSENT => None,
                PERSON => Some(Owner::Person(self.number().cast_signed())),
                _ => Some(Owner::Member(self.one_of(&SurfaceId::ALL), self.text())),
            },
            maker: self.text(),
            surface: self.one_of(&SurfaceId::ALL),
            key: self.text(),
            detail: self.json(),
        }
    }

    fn presence(&mut self, record: &Record) -> Option<Presence> {
        match self.byte() {
            ABSENT => {
                self.time();
                None
            }
            WHOLE => whole(record, self.time()),
            _ => Some(Presence {
                object: record.id,
                received: self.number(),
                contiguous: self.number(),
                spans: (0..self.number()).filter_map(|_| Span::at(self.number(), self.number())).collect(),
                length: self.optional(Self::number),
                complete: self.byte() != 0,
                at_unix_ms: self.number(),
            }),
        }
    }

    fn take(&mut self, count: usize) -> &'p [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn time(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().expect("8 bytes"))
    }

    fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return number;
            }
            shift += 7;
        }
    }

    fn bytes(&mut self) -> &'p [u8] {
        let count = self.number() as usize;
        self.take(count)
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.bytes().to_vec()).expect("it was a text")
    }

    fn optional<T>(&mut self, get: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.byte() != ABSENT).then(|| get(self))
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte())]
    }

    fn json<T: DeserializeOwned + Default>(&mut self) -> T {
        match self.bytes() {
            [] => T::default(),
            bytes => serde_json::from_slice(bytes).expect("it was written a moment ago"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::catalogue::tests::record;
    use crate::retention::once::{Delivery, Once};
    use crate::retention::receiver::{Receiver, Who};

    const ID: ObjectId = ObjectId::from_bytes([7; 16]);

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0u64..300, any::<u64>()]
    }

    fn once() -> Once {
        let mut once = Once::default();
        let receiver = Receiver { who: Who::credential("a"), by_chunk: false };
        assert!(once.claim(Delivery { ticket: 1, run: 2, receiver: &receiver, span: Span::new(0, 9) }, Some(100)));
        once
    }

    prop_compose! {
        fn records()(
            (created_ms, length, ttl_s, completed_ms, download_count) in
                (number(), prop::option::of(number()), prop::option::of(number()), prop::option::of(number()), number()),
            (filename, mime, checksum, metadata) in
                (any::<String>(), prop::option::of(any::<String>()), any::<String>(), prop::option::of(any::<String>())),
            (policy, kind, header) in (prop::sample::select(&POLICIES[..]), 0..3usize, any::<String>()),
            (idempotency_key, maker, key) in (prop::option::of(any::<String>()), any::<String>(), any::<String>()),
            (owner, person, name) in (0..3usize, any::<i64>(), any::<String>()),
            (surface, other) in
                (prop::sample::select(&SurfaceId::ALL[..]), prop::sample::select(&SurfaceId::ALL[..])),
            (is_once, is_detailed) in (any::<bool>(), any::<bool>()),
        ) -> Record {
            Record {
                id: ID,
                created_ms,
                filename,
                mime,
                checksum,
                metadata,
                length,
                keep: Keep { policy, ttl_s },
                kind: [Kind::File, Kind::Partial, Kind::Final { header }][kind].clone(),
                completed_ms,
                download_count,
                once: if is_once { once() } else { Once::default() },
                idempotency_key,
                owner: [None, Some(Owner::Person(person)), Some(Owner::Member(other, name.clone()))][owner].clone(),
                maker,
                surface,
                key,
                detail: if is_detailed { json!({"name": name, "parts": [1, null]}) } else { json!(null) },
            }
        }
    }

    prop_compose! {
        fn presences()(
            (received, contiguous, length, at_unix_ms) in (number(), number(), prop::option::of(number()), number()),
            spans in prop::collection::vec((0u64..1 << 62, 1u64..1 << 40), 0..5),
            complete in any::<bool>(),
        ) -> Presence {
            let spans = spans.into_iter().filter_map(|(start, len)| Span::at(start, len)).collect();
            Presence { object: ID, received, contiguous, spans, length, complete, at_unix_ms }
        }
    }

    proptest! {
        #[test]
        fn what_is_unpacked_is_what_was_packed(
            record in records(), told in prop::option::of(presences()), is_whole in any::<bool>(),
        ) {
            let presence = if is_whole { whole(&record, record.created_ms).or(told) } else { told };
            let entry = Entry { record, presence };
            let mut packed = Packed::of(&Entry { record: entry.record.clone(), presence: None });
            let untold = packed.clone().entry(ID);
            prop_assert_eq!((&untold.record, untold.presence), (&entry.record, None));
            packed.rewrite(&entry);
            let again = packed.entry(ID);
            prop_assert_eq!(again.record, entry.record);
            prop_assert_eq!(again.presence, entry.presence);
        }
    }

    #[test]
    fn b5_a_complete_entry_takes_little_more_than_its_texts_and_stays_in_its_place_when_it_is_told() {
        let record = Record { completed_ms: Some(1_700_000_000_000), ..record(ID, 1_700_000_000_000) };
        let texts = record.filename.len() + record.metadata.as_ref().map_or(0, String::len);
        let mut packed = Packed::of(&Entry { record: record.clone(), presence: None });
        assert!(packed.0.len() <= texts + 48, "{} bytes beside {texts} of texts", packed.0.len() - texts);
        for at_unix_ms in [0, 1_700_000_000_000, u64::MAX] {
            let (place, presence) = (packed.0.as_ptr(), whole(&record, at_unix_ms));
            assert!(presence.is_some());
            packed.rewrite(&Entry { record: record.clone(), presence: presence.clone() });
            assert_eq!((packed.entry(ID).presence, packed.0.as_ptr()), (presence, place));
        }
    }
}
