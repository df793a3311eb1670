//! Reading the journal at start: the newest checkpoint, then the records of all cores in the order of their sequence
//! numbers.
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::os::fd::OwnedFd;

use etransfer_contract::ObjectId;

use super::checkpoint::list;
use super::extent::Trust;
use super::index::Tombstone;
use super::known::{Known, Stamp};
use super::record::{Change, Record, Told};
use super::room::Used;
use super::segment::{BootId, Damage, DamageKind, Frame, HEADER_BYTES, Loaded, Name, frame, load};

/// What replay makes of one id.
#[derive(Debug)]
pub(super) enum Slot {
    Live(Known),
    Gone(Tombstone),
}

/// All that the journal says.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) slots: HashMap<ObjectId, Slot>,
    pub(super) records: u64,
    pub(super) torn_bytes: u64,
    /// Highest generation of any file.
    pub(super) generation: u64,
    /// Highest sequence number.
    pub(super) sequence: u64,
    /// Segments without a single record, whose room can be used again.
    pub(super) unused: Vec<Name>,
    /// Segments with records and room behind them: a last resort on a full disk.
    pub(super) used: Vec<Used>,
    /// Empty, unless a damaged store is to be opened read-only.
    pub(super) damage: Vec<Damage>,
}

/// Reads everything below `journal/`. Damage is collected; the caller decides whether it goes on.
pub(super) fn replay(directory: &OwnedFd, boot: BootId) -> io::Result<Replay> {
    let names = list(directory)?;
    let mut replay = Replay::default();
    let checkpoint = names.iter().filter(|name| matches!(name, Name::Checkpoint { .. })).max().copied();
    let oldest = checkpoint.map_or(1, Name::generation);
    replay.generation = names.iter().map(|name| name.generation()).max().unwrap_or(0);
    let mut segments = Vec::new();
    for name in names.into_iter().filter(|name| matches!(name, Name::Segment { .. }) && name.generation() >= oldest) {
        segments.extend(replay.read(directory, name, boot)?);
    }
    let first = segments.iter().map(|file: &Loaded| file.header.name.generation()).min();
    if let (None, Some(2..)) = (checkpoint, first) {
        let name = Name::Checkpoint { generation: replay.generation };
        replay.damaged(name, 0, DamageKind::Cut);
    }
    let order = replay.order(&segments);
    let clean_upto = replay.clean_upto(&segments);
    let seals = seals(&segments);
    let trust = |same_boot: bool, sequence: u64| match (sequence <= clean_upto, same_boot) {
        (true, _) => Trust::Durable,
        (false, true) => Trust::Cached,
        (false, false) => Trust::Suspect,
    };
    if let Some(file) = checkpoint.map(|name| replay.read(directory, name, boot)).transpose()?.flatten() {
        let same_boot = file.header.boot.is_same(boot);
        replay.restore(&file, |sequence| trust(same_boot, sequence), &seals);
    }
    for (sequence, file, at) in order {
        let file = &segments[file];
        let frame = frame(file.seed, &file.bytes[at..]).expect("checked when it was loaded");
        let same_boot = file.header.boot.is_same(boot);
        match frame.record() {
            Ok(Record::Change { object, change }) => {
                let stamp = Stamp { sequence, at_unix_ms: frame.at_unix_ms, trust: trust(same_boot, sequence) };
                replay.apply(object, stamp, &change, &seals);
            }
            Ok(Record::Clean { .. }) => {}
            Ok(Record::Snapshot { .. } | Record::Pieces { .. } | Record::Tombstone { .. } | Record::End { .. }) => {
                replay.damaged(file.header.name, at as u64, DamageKind::Place);
            }
            Err(kind) => replay.damaged(file.header.name, at as u64, kind),
        }
        replay.records += 1;
    }
    for object in seals.keys() {
        if let Some(Slot::Live(known)) = replay.slots.get_mut(object) {
            known.extents.unseal();
        }
    }
    Ok(replay)
}

impl Replay {
    fn damaged(&mut self, name: Name, position: u64, what: DamageKind) {
        self.damage.push(Damage { file: format!("journal/{name}"), position, what });
    }

    /// Loads one file; `None` when its header is unreadable.
    fn read(&mut self, directory: &OwnedFd, name: Name, boot: BootId) -> io::Result<Option<Loaded>> {
        match load(directory, name, boot)? {
            Ok(file) => {
                self.torn_bytes += file.torn;
                self.sequence = self.sequence.max(file.header.sequence);
                if let Some((position, what)) = &file.broken {
                    self.damaged(name, *position, what.clone());
                }
                match name {
                    Name::Segment { .. } if file.bytes.len() == HEADER_BYTES && file.torn == 0 => {
                        self.unused.push(name)
                    }
                    Name::Segment { .. } => {
                        let (seed, end, torn) = (file.seed, file.bytes.len() as u64, file.torn);
                        self.used.push(Used { name, seed, end, torn });
                    }
                    Name::Checkpoint { .. } => {}
                }
                Ok(Some(file))
            }
            Err(DamageKind::Header) if is_unborn(directory, name)? => {
                self.unused.push(name);
                Ok(None)
            }
            Err(what) => {
                self.damaged(name, 0, what);
                Ok(None)
            }
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
        let slot = match self.slots.entry(object) {
            Entry::Occupied(occupied) => occupied.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(Slot::Live(sealed(Known::default(), object, seals))),
        };
        match (slot, change) {
            (Slot::Live(known), _) if known.sequence >= stamp.sequence => {}
            (slot @ Slot::Live(_), Change::Remove) => {
                let Stamp { sequence, at_unix_ms, .. } = stamp;
                *slot = Slot::Gone(Tombstone { sequence, at_unix_ms, confirmed: false });
            }
            (Slot::Live(known), change) => known.apply(stamp, change),
            (Slot::Gone(tombstone), Change::Confirmed { what: Told::Removed }) => tombstone.confirmed = true,
            (Slot::Gone(_), _) => {}
        }
    }

    /// A checkpoint is either whole or damaged: it was synced before it got its name.
    fn restore(&mut self, file: &Loaded, trust: impl Fn(u64) -> Trust, seals: &Seals) {
        let name = file.header.name;
        let mut ended = None;
        for (at, frame) in frames(file) {
            let (sequence, at_unix_ms) = (frame.sequence, frame.at_unix_ms);
            let stamp = Stamp { sequence, at_unix_ms, trust: trust(sequence) };
            match frame.record() {
                Ok(Record::Snapshot { object, snapshot }) => {
                    let known = sealed(Known::restore(&snapshot, stamp), object, seals);
                    self.slots.insert(object, Slot::Live(known));
                }
                Ok(Record::Pieces { object, pieces }) => match self.slots.get_mut(&object) {
                    Some(Slot::Live(known)) => {
                        pieces.iter().for_each(|piece| known.restore_piece(piece, stamp.trust));
                    }
                    Some(Slot::Gone(_)) | None => self.damaged(name, at as u64, DamageKind::Place),
                },
                Ok(Record::Tombstone { object, confirmed }) => {
                    self.slots.insert(object, Slot::Gone(Tombstone { sequence, at_unix_ms, confirmed }));
                }
                Ok(Record::End { count }) => ended = Some((count, at + frame.length)),
                Ok(Record::Change { .. } | Record::Clean { .. }) => self.damaged(name, at as u64, DamageKind::Place),
                Err(what) => self.damaged(name, at as u64, what),
            }
            self.records += 1;
        }
        let count = frames(file).count() as u64;
        if count == 0 || ended != Some((count - 1, file.bytes.len())) || file.torn > 0 {
            self.damaged(name, file.bytes.len() as u64, DamageKind::Cut);
        }
    }
}

/// Per object, the marks of its syncs: extents must not be combined across them before the sync is replayed.
type Seals = HashMap<ObjectId, Vec<u64>>;

fn seals(segments: &[Loaded]) -> Seals {
    let mut seals = Seals::new();
    for (_, frame) in segments.iter().flat_map(frames).filter(|(_, frame)| frame.is_synced()) {
        if let Ok(Record::Change { object, change: Change::Synced { upto } }) = frame.record() {
            seals.entry(object).or_default().push(upto);
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

/// A segment that a crash left before its header was written: nothing but zeros.
fn is_unborn(directory: &OwnedFd, name: Name) -> io::Result<bool> {
    let file = super::segment::open_beneath(directory, &name.to_string())?;
    let mut chunk = vec![0; 1 << 16];
    let mut at = 0;
    loop {
        let count = rustix::io::pread(&file, &mut chunk, at)?;
        if count == 0 {
            return Ok(matches!(name, Name::Segment { .. }));
        }
        if chunk[..count].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += count as u64;
    }
}
