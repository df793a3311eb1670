//! Reading the journal at start: the checkpoint, then the records of all cores in the order of their sequence numbers. Which
//! files count, the manifest decides.
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use etransfer_contract::ObjectId;
use etransfer_disk::File;

use super::checkpoint::list;
use super::extent::Trust;
use super::index::Tombstone;
use super::known::{Known, Stamp};
use super::manifest::{self, Entry as Listed, List};
use super::record::{Change, Confirmable, Record};
use super::rest::Rest;
use super::room::Used;
use super::segment::{BootId, Damage, DamageKind, Frame, Frames, HEADER_BYTES, Loaded, Name, frame, load};

/// What replay makes of one id.
#[derive(Debug)]
pub(super) enum Slot {
    Live(Box<Known>),
    /// Complete, and nothing in doubt.
    Rest(Rest),
    Gone(Tombstone),
}

/// What replay makes of all ids, by their first byte and sorted, as in the index.
#[derive(Debug)]
pub(super) struct Slots {
    shards: Vec<BTreeMap<ObjectId, Slot>>,
    /// Read from a checkpoint, where objects come in the order of their ids: not in their shard yet.
    next: Vec<(ObjectId, Slot)>,
}

/// All records of the journal.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) slots: Slots,
    pub(super) records: u64,
    pub(super) torn_bytes: u64,
    /// Highest generation of any file.
    pub(super) generation: u64,
    /// Highest sequence number.
    pub(super) sequence: u64,
    /// The segments that count, for a manifest.
    pub(super) segments: Vec<Listed>,
    /// The checkpoint that counts.
    pub(super) checkpoint: Option<u64>,
    /// Segments without a single record, whose room can be used again.
    pub(super) unused: Vec<Name>,
    /// Segments with records and room behind them: a last resort on a full disk.
    pub(super) used: Vec<Used>,
    /// Empty, unless a damaged store is to be opened read-only.
    pub(super) damage: Vec<Damage>,
}

/// Reads everything below `journal/` that counts. Damage is collected; the caller decides whether the start continues.
pub(super) fn replay(directory: &File, boot: BootId, manifest: Option<&List>) -> io::Result<Replay> {
    let names = list(directory)?;
    let generation = names.iter().map(|name| name.generation()).max().unwrap_or(0);
    let mut replay = Replay { generation, ..Replay::default() };
    let mut segments = Vec::new();
    match manifest {
        Some(manifest) => replay.read_listed(directory, boot, manifest, &names, &mut segments)?,
        None => replay.read_unlisted(directory, boot, &names, &mut segments)?,
    }
    let checkpoint = replay.checkpoint.map(|generation| Name::Checkpoint { generation });
    let checkpoint = checkpoint.filter(|name| names.contains(name));
    let order = replay.order(&segments);
    let clean_upto = replay.clean_upto(&segments);
    let seals = seals(&segments);
    let trust = |same_boot: bool, sequence: u64| match (sequence <= clean_upto, same_boot) {
        (true, _) => Trust::Durable,
        (false, true) => Trust::Cached,
        (false, false) => Trust::Suspect,
    };
    if let Some(name) = checkpoint {
        replay.restore(directory, name, boot, trust, &seals)?;
    }
    for (_, file, at) in order {
        let file = &segments[file];
        let frame = frame(file.seed, &file.bytes[at..]).expect("checked when it was loaded");
        let same_boot = file.header.boot.is_same(boot);
        let records = frame.records().unwrap_or_else(|kind| {
            replay.damaged(file.header.name, at as u64, kind);
            Vec::new()
        });
        for (number, record) in records {
            match record {
                Record::Change { object, change } => {
                    let trust = trust(same_boot, number);
                    let stamp = Stamp { sequence: number, at_unix_ms: frame.at_unix_ms, trust };
                    replay.apply(object, stamp, &change, &seals);
                }
                Record::Clean { .. } => {}
                Record::Snapshot { .. } | Record::Pieces { .. } | Record::Tombstone { .. } | Record::End { .. } => {
                    replay.damaged(file.header.name, at as u64, DamageKind::Place);
                }
            }
            (replay.records, replay.sequence) = (replay.records + 1, replay.sequence.max(number));
        }
    }
    for object in seals.keys() {
        if let Some(slot) = replay.slots.get_mut(object) {
            slot.change(|known| known.extents.unseal());
        }
    }
    Ok(replay)
}

impl Replay {
    fn damaged(&mut self, name: Name, position: u64, what: DamageKind) {
        self.damage.push(Damage { file: format!("journal/{name}"), position, what });
    }

    /// The files that the manifest lists have to be there; any other must not have a record that counts.
    fn read_listed(
        &mut self,
        directory: &File,
        boot: BootId,
        manifest: &List,
        names: &[Name],
        segments: &mut Vec<Loaded>,
    ) -> io::Result<()> {
        (self.checkpoint, self.segments) = (manifest.checkpoint, manifest.segments.clone());
        let checkpoint = manifest.checkpoint.map(|generation| Name::Checkpoint { generation });
        let listed = manifest.segments.iter().map(|entry| entry.name).chain(checkpoint);
        listed.filter(|name| !names.contains(name)).for_each(|name| self.damaged(name, 0, DamageKind::Missing));
        let oldest = manifest.checkpoint.unwrap_or(0);
        for name in names.iter().copied().filter(|name| matches!(name, Name::Segment { .. })) {
            match manifest.segments.iter().find(|entry| entry.name == name) {
                Some(entry) => {
                    let loaded = self.read(directory, name, boot, Some(entry))?;
                    if loaded.as_ref().is_some_and(|file| ![0, manifest.tag].contains(&file.header.tag)) {
                        self.damaged(name, 0, DamageKind::Foreign);
                    }
                    segments.extend(loaded);
                }
                None if name.generation() < oldest => {}
                None => self.read_stray(directory, name, boot)?,
            }
        }
        Ok(())
    }

    /// A segment that no list names was never used, or is none of ours.
    fn read_stray(&mut self, directory: &File, name: Name, boot: BootId) -> io::Result<()> {
        let is_empty = match load(directory, name, boot)? {
            Ok(file) => file.bytes.len() == HEADER_BYTES && file.torn == 0,
            Err(_) => is_unborn(directory, name)?,
        };
        if is_empty {
            self.unused.push(name);
        } else {
            self.damaged(name, 0, DamageKind::Foreign);
        }
        Ok(())
    }

    /// A directory of a release without manifests: the newest checkpoint counts, and every segment since.
    fn read_unlisted(
        &mut self,
        directory: &File,
        boot: BootId,
        names: &[Name],
        segments: &mut Vec<Loaded>,
    ) -> io::Result<()> {
        let checkpoint = names.iter().filter(|name| matches!(name, Name::Checkpoint { .. })).max().copied();
        self.checkpoint = checkpoint.map(Name::generation);
        let oldest = checkpoint.map_or(1, Name::generation);
        let counts = |name: &Name| matches!(name, Name::Segment { .. }) && name.generation() >= oldest;
        for name in names.iter().copied().filter(counts) {
            segments.extend(self.read(directory, name, boot, None)?);
        }
        if segments.iter().any(|file| file.header.tag != 0) {
            self.damage.push(manifest::lost());
        }
        // Without a single record there was nothing that a checkpoint could have replaced: two first starts were cut short.
        let is_blank = |file: &Loaded| file.bytes.len() == HEADER_BYTES && file.torn == 0 && file.header.sequence == 0;
        let first = segments.iter().map(|file| file.header.name.generation()).min();
        if let (None, Some(2..), false) = (checkpoint, first, segments.iter().all(is_blank)) {
            let name = Name::Checkpoint { generation: self.generation };
            self.damaged(name, 0, DamageKind::Cut);
        }
        Ok(())
    }

    /// Loads one file; `None` when its header is unreadable. `listed` is its entry in the manifest.
    fn read(
        &mut self,
        directory: &File,
        name: Name,
        boot: BootId,
        listed: Option<&Listed>,
    ) -> io::Result<Option<Loaded>> {
        if let Some(Listed { made, .. }) = listed {
            let found = size_of(directory, name)?;
            if found < *made {
                self.damaged(name, found, DamageKind::Short { made: *made, found });
            }
        }
        match load(directory, name, boot)? {
            Ok(file) => {
                self.loaded(name, &file, listed);
                Ok(Some(file))
            }
            Err(DamageKind::Header) if listed.is_none() && is_unborn(directory, name)? => {
                self.unused.push(name);
                Ok(None)
            }
            Err(what) => {
                self.damaged(name, 0, what);
                Ok(None)
            }
        }
    }

    fn loaded(&mut self, name: Name, file: &Loaded, listed: Option<&Listed>) {
        self.torn_bytes += file.torn;
        self.sequence = self.sequence.max(file.header.sequence);
        if let Some((position, what)) = &file.broken {
            self.damaged(name, *position, what.clone());
        }
        if matches!(name, Name::Checkpoint { .. }) {
            return;
        }
        let end = file.bytes.len() as u64;
        let synced = match listed {
            Some(entry) => Arc::clone(&entry.synced),
            None => {
                let synced = Arc::new(AtomicU64::new(HEADER_BYTES as u64));
                self.segments.push(Listed { name, made: file.size, synced: Arc::clone(&synced) });
                synced
            }
        };
        let known = synced.load(Ordering::Relaxed);
        if known > end {
            self.damaged(name, end, DamageKind::Lost { synced: known, found: end });
        }
        if end == HEADER_BYTES as u64 && file.torn == 0 {
            self.unused.push(name);
        } else {
            self.used.push(Used { name, seed: file.seed, end, torn: file.torn, synced });
        }
    }

    /// Where every record of the segments is, by sequence number.
    fn order(&mut self, segments: &[Loaded]) -> Vec<(u64, usize, usize)> {
        let mut order = Vec::new();
        for (number, file) in segments.iter().enumerate() {
            order.extend(frames(file).map(|(at, frame)| (frame.sequence, number, at)));
        }
        order.sort_unstable();
        self.sequence = self.sequence.max(order.last().map_or(0, |(sequence, ..)| *sequence));
        order
    }

    /// Records up to here were synced, with their data, when a run ended orderly.
    fn clean_upto(&self, segments: &[Loaded]) -> u64 {
        let all = segments.iter().flat_map(frames).filter(|(_, frame)| frame.is_clean());
        all.filter_map(|(_, frame)| match frame.record() {
            Ok(Record::Clean { upto }) => Some(upto),
            Ok(_) | Err(_) => None,
        })
        .max()
        .unwrap_or(0)
    }

    fn apply(&mut self, object: ObjectId, stamp: Stamp, change: &Change, seals: &Seals) {
        let slot = self.slots.shard(object).entry(object);
        let slot = slot.or_insert_with(|| Slot::Live(Box::new(sealed(Known::default(), object, seals))));
        match (slot, change) {
            (slot, _) if slot.sequence() >= Some(stamp.sequence) => {}
            (slot @ (Slot::Live(_) | Slot::Rest(_)), Change::Remove) => {
                let Stamp { sequence, at_unix_ms, .. } = stamp;
                *slot = Slot::Gone(Tombstone { sequence, at_unix_ms, confirmed: false });
            }
            (slot @ (Slot::Live(_) | Slot::Rest(_)), change) => slot.change(|known| known.apply(stamp, change)),
            (Slot::Gone(tombstone), Change::Confirmed { what: Confirmable::Removed }) => tombstone.confirmed = true,
            (Slot::Gone(_), _) => {}
        }
    }

    /// A checkpoint is either whole or damaged: it was synced before it got its name. It is read piece by piece: there may be
    /// millions of objects in it.
    fn restore(
        &mut self,
        directory: &File,
        name: Name,
        boot: BootId,
        trust: impl Fn(bool, u64) -> Trust,
        seals: &Seals,
    ) -> io::Result<()> {
        let mut file = match Frames::open(directory, name)? {
            Ok(file) => file,
            Err(what) => {
                self.damaged(name, 0, what);
                return Ok(());
            }
        };
        let same_boot = file.header.boot.is_same(boot);
        self.sequence = self.sequence.max(file.header.sequence);
        let (mut count, mut ended) = (0, None);
        while let Some((at, frame)) = file.next()? {
            let (sequence, at_unix_ms) = (frame.sequence, frame.at_unix_ms);
            let stamp = Stamp { sequence, at_unix_ms, trust: trust(same_boot, sequence) };
            match frame.record() {
                Ok(Record::Snapshot { object, snapshot }) => {
                    let mut slot = Slot::Live(Box::new(sealed(Known::restore(&snapshot, stamp), object, seals)));
                    // Of length 0, it has no pieces.
                    slot.change(|_| {});
                    self.slots.append(object, slot);
                }
                Ok(Record::Pieces { object, pieces }) => match self.slots.last_mut(object) {
                    Some(slot @ (Slot::Live(_) | Slot::Rest(_))) => {
                        slot.change(|known| pieces.iter().for_each(|piece| known.restore_piece(piece, stamp.trust)));
                    }
                    Some(Slot::Gone(_)) | None => self.damaged(name, at, DamageKind::Place),
                },
                Ok(Record::Tombstone { object, confirmed }) => {
                    self.slots.append(object, Slot::Gone(Tombstone { sequence, at_unix_ms, confirmed }));
                }
                Ok(Record::End { count }) => ended = Some((count, at + frame.length as u64)),
                Ok(Record::Change { .. } | Record::Clean { .. }) => self.damaged(name, at, DamageKind::Place),
                Err(what) => self.damaged(name, at, what),
            }
            (self.records, count) = (self.records + 1, count + 1);
        }
        self.slots.settle();
        let mut torn = 0;
        if let (false, Ok(Ok(loaded))) = (file.is_at_end(), load(directory, name, boot)) {
            self.loaded(name, &loaded, None);
            torn = loaded.torn;
        }
        if count == 0 || ended != Some((count - 1, file.at())) || torn > 0 {
            self.damaged(name, file.at(), DamageKind::Cut);
        }
        Ok(())
    }
}

impl Slot {
    /// Of the last record of a live object.
    fn sequence(&self) -> Option<u64> {
        match self {
            Self::Live(known) => Some(known.sequence),
            Self::Rest(rest) => Some(rest.sequence()),
            Self::Gone(_) => None,
        }
    }

    /// What is known of a live object changes.
    fn change(&mut self, change: impl FnOnce(&mut Known)) {
        let mut known = match self {
            Self::Live(known) => std::mem::take(&mut **known),
            Self::Rest(rest) => rest.known(),
            Self::Gone(_) => return,
        };
        change(&mut known);
        match (Rest::of(&known, 0, 0), &mut *self) {
            (Some(rest), _) => *self = Self::Rest(rest),
            (None, Self::Live(place)) => **place = known,
            (None, _) => *self = Self::Live(Box::new(known)),
        }
    }
}

impl Slots {
    fn shard(&mut self, id: ObjectId) -> &mut BTreeMap<ObjectId, Slot> {
        &mut self.shards[usize::from(id.as_bytes()[0])]
    }

    pub(super) fn get_mut(&mut self, id: &ObjectId) -> Option<&mut Slot> {
        self.shard(*id).get_mut(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ObjectId, &Slot)> {
        self.shards.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&ObjectId, &mut Slot)> {
        self.shards.iter_mut().flatten()
    }

    /// By the first byte of the ids.
    pub(super) fn into_shards(self) -> impl Iterator<Item = (u8, BTreeMap<ObjectId, Slot>)> {
        (0..=u8::MAX).zip(self.shards)
    }

    /// The next of a checkpoint; [`Slots::settle`] has to follow the last one.
    fn append(&mut self, id: ObjectId, slot: Slot) {
        if self.next.first().is_some_and(|(first, _)| first.as_bytes()[0] != id.as_bytes()[0]) {
            self.settle();
        }
        self.next.push((id, slot));
    }

    /// The one that was appended last, if it is this one's.
    fn last_mut(&mut self, id: ObjectId) -> Option<&mut Slot> {
        self.next.last_mut().filter(|(last, _)| *last == id).map(|(_, slot)| slot)
    }

    fn settle(&mut self) {
        let Some((first, _)) = self.next.first() else { return };
        let shard = &mut self.shards[usize::from(first.as_bytes()[0])];
        if shard.is_empty() {
            // Sorted, and then built with nodes that are full.
            *shard = self.next.drain(..).collect();
        } else {
            shard.extend(self.next.drain(..));
        }
    }
}

impl Default for Slots {
    fn default() -> Self {
        Self { shards: (0..=u8::MAX).map(|_| BTreeMap::new()).collect(), next: Vec::new() }
    }
}

/// Per object, the marks of its syncs: extents must not be combined across them before the sync is replayed.
type Seals = HashMap<ObjectId, Vec<u64>>;

fn seals(segments: &[Loaded]) -> Seals {
    let mut seals = Seals::new();
    for (_, frame) in segments.iter().flat_map(frames).filter(|(_, frame)| frame.may_be_synced()) {
        for (_, record) in frame.records().unwrap_or_default() {
            if let Record::Change { object, change: Change::Synced { upto } } = record {
                seals.entry(object).or_default().push(upto);
            }
        }
    }
    seals.values_mut().for_each(|marks| marks.sort_unstable());
    seals
}

fn sealed(mut known: Known, object: ObjectId, seals: &Seals) -> Known {
    if let Some(marks) = seals.get(&object) {
        known.extents.seal_all(marks);
    }
    known
}

/// The good frames of a file and where they start.
fn frames(file: &Loaded) -> impl Iterator<Item = (usize, Frame<'_>)> {
    let mut at = HEADER_BYTES;
    std::iter::from_fn(move || {
        let found = frame(file.seed, &file.bytes[at..])?;
        let start = at;
        at += found.length;
        Some((start, found))
    })
}

fn size_of(directory: &File, name: Name) -> io::Result<u64> {
    Ok(directory.stat_at(&name.to_string())?.size)
}

/// A segment that a crash left before its header was written: nothing but zeros.
fn is_unborn(directory: &File, name: Name) -> io::Result<bool> {
    let file = super::segment::open_beneath(directory, &name.to_string())?;
    let mut chunk = vec![0; 1 << 16];
    let mut at = 0;
    loop {
        let count = file.read_at(&mut chunk, at)?;
        if count == 0 {
            return Ok(matches!(name, Name::Segment { .. }));
        }
        if chunk[..count].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += count as u64;
    }
}
