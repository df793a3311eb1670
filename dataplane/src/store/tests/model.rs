//! Random operations, crashes among them, against the obvious slow version: one flag and one fill byte per cell.
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const CELL: u64 = 4096;
const CELLS: usize = 8;
const OBJECTS: u8 = 3;

#[derive(Debug, Clone)]
enum Op {
    Claim {
        object: u8,
        offset: usize,
        body: Option<usize>,
        parallel: bool,
    },
    /// Writes and commits the next cells that the claim owns.
    Commit {
        claim: usize,
        cells: usize,
        synced: bool,
    },
    Drop {
        claim: usize,
    },
    Declare {
        object: u8,
        length: usize,
    },
    Sync {
        object: u8,
    },
    Distrust {
        object: u8,
    },
    Complete {
        object: u8,
        synced: bool,
    },
    Remove {
        object: u8,
    },
    Compact,
    /// Objects that are not in use take little memory; with `synced`, none stays awake for its records.
    Rest {
        synced: bool,
    },
    /// The process dies; with `torn`, the last write is cut somewhere: this part of the used bytes stays.
    Crash {
        torn: Option<u16>,
    },
    /// The machine loses power: unsynced cells of this mask are lost.
    PowerLoss {
        lost: u8,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let object = 0..OBJECTS;
    prop_oneof![
        8 => (object.clone(), 0..CELLS, prop::option::of(0..=4usize), any::<bool>())
            .prop_map(|(object, offset, body, parallel)| Op::Claim { object, offset, body, parallel }),
        12 => (any::<usize>(), 1..4usize, any::<bool>()).prop_map(|(claim, cells, synced)| Op::Commit { claim, cells, synced }),
        5 => any::<usize>().prop_map(|claim| Op::Drop { claim }),
        2 => (object.clone(), 0..=CELLS).prop_map(|(object, length)| Op::Declare { object, length }),
        1 => object.clone().prop_map(|object| Op::Sync { object }),
        1 => object.clone().prop_map(|object| Op::Distrust { object }),
        4 => (object.clone(), any::<bool>()).prop_map(|(object, synced)| Op::Complete { object, synced }),
        1 => object.prop_map(|object| Op::Remove { object }),
        1 => Just(Op::Compact),
        4 => any::<bool>().prop_map(|synced| Op::Rest { synced }),
        3 => prop::option::of(any::<u16>()).prop_map(|torn| Op::Crash { torn }),
        1 => any::<u8>().prop_map(|lost| Op::PowerLoss { lost }),
    ]
}

/// One object, the slow way.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    length: Option<usize>,
    cells: [Option<u8>; CELLS],
    /// Cells that a sync covered.
    durable: [bool; CELLS],
    complete: bool,
    removed: bool,
    /// Some record names it.
    recorded: bool,
}

impl Model {
    fn contiguous(&self) -> usize {
        self.cells.iter().take_while(|cell| cell.is_some()).count()
    }

    fn present(&self) -> usize {
        self.cells.iter().rposition(|cell| cell.is_some()).map_or(0, |last| last + 1)
    }
}

type World = [Model; OBJECTS as usize];

struct Open {
    object: u8,
    claim: Claim,
    fill: u8,
}

struct Run {
    root: tempfile::TempDir,
    store: Option<Arc<Store>>,
    world: World,
    open: Vec<Open>,
    fill: u8,
    /// Used bytes of the segment after each record, and the world then.
    history: Vec<(u64, World)>,
    segment: PathBuf,
    boot: u8,
    cores: usize,
    steps: usize,
}

impl Run {
    fn new(cores: usize) -> Self {
        let root = directory();
        let store = Store::open_in(options(root.path(), cores), BOOT).unwrap().0;
        let segment = newest_segment(root.path());
        let (world, open) = (World::default(), Vec::new());
        let history = vec![(64, world.clone())];
        let (fill, boot, steps) = (0, BOOT.0[0], 0);
        Self { root, store: Some(store), world, open, fill, history, segment, boot, cores, steps }
    }

    fn store(&self) -> Arc<Store> {
        Arc::clone(self.store.as_ref().unwrap())
    }

    /// The journal of this step: they take turns.
    fn core(&self) -> usize {
        self.steps % self.cores
    }

    fn step(&mut self, op: &Op) {
        self.steps += 1;
        match *op {
            Op::Claim { object, offset, body, parallel } => self.claim(object, offset, body, parallel),
            Op::Commit { claim, cells, synced } => self.commit(claim, cells, synced),
            Op::Drop { claim } if !self.open.is_empty() => drop(self.open.swap_remove(claim % self.open.len())),
            Op::Drop { .. } => {}
            Op::Declare { object, length } => self.declare(object, length),
            Op::Sync { object } => self.sync(object),
            Op::Distrust { object } => self.distrust(object),
            Op::Complete { object, synced } => self.complete(object, synced),
            Op::Remove { object } => {
                let store = self.store();
                // The file stays: a crash may take the record back, and only a synced one lets it go.
                let first = !store.is_removed(id(object));
                store.condemn(id(object), store.journal(self.core())).unwrap();
                let model = &mut self.world[usize::from(object)];
                assert_eq!(first, !model.removed);
                *model = Model { removed: true, ..Model::default() };
            }
            Op::Compact => {
                self.store().compact().unwrap();
                self.segment = newest_segment(self.root.path());
                self.history.clear();
            }
            Op::Rest { synced } => {
                let store = self.store();
                if synced {
                    store.journals().iter().for_each(|journal| journal.sync_blocking().unwrap());
                }
                store.let_rest();
            }
            Op::Crash { torn } => return self.crash(torn),
            Op::PowerLoss { lost } => return self.lose_power(lost),
        }
        flush(&self.store());
        let tail = used_bytes(&self.segment);
        self.history.push((tail, self.world.clone()));
        self.check();
    }

    fn claim(&mut self, object: u8, offset: usize, body: Option<usize>, parallel: bool) {
        let Ok(found) = self.store().find_or_create(id(object), None) else {
            assert!(self.world[usize::from(object)].removed);
            return;
        };
        let want = Want { offset: offset as u64 * CELL, body: body.map(|cells| cells as u64 * CELL), parallel };
        let Ok(claim) = found.claim(want) else { return };
        for span in claim.owned() {
            for cell in cells_of(*span) {
                assert!(self.world[usize::from(object)].cells[cell].is_none(), "owned, but there already");
                for other in self.open.iter().filter(|other| other.object == object) {
                    assert!(!remaining(other, &self.world).contains(&cell), "two owners of cell {cell}");
                }
            }
        }
        self.fill = self.fill.wrapping_add(1).max(1);
        self.open.push(Open { object, claim, fill: self.fill });
    }

    fn commit(&mut self, which: usize, count: usize, synced: bool) {
        if self.open.is_empty() {
            return;
        }
        let which = which % self.open.len();
        let (store, core) = (self.store(), self.core());
        let cells: Vec<usize> = remaining(&self.open[which], &self.world).into_iter().take(count).collect();
        let Open { object, claim, fill } = &mut self.open[which];
        for cell in cells {
            let model = &mut self.world[usize::from(*object)];
            let (bytes, at) = ([*fill; CELL as usize], cell as u64 * CELL);
            if !model.removed {
                write_file(&store, id(*object), at, &bytes);
            }
            let crc = crc32fast::hash(&bytes);
            let committed = claim.commit_all(store.journal(core), &[(span(at, at + CELL), crc)], synced);
            match committed {
                Ok(_) => {
                    model.cells[cell] = Some(*fill);
                    model.durable[cell] = synced;
                    model.recorded = true;
                    flush(&store);
                    let tail = used_bytes(&self.segment);
                    self.history.push((tail, self.world.clone()));
                }
                Err(CommitError::Removed) => assert!(model.removed),
                Err(CommitError::BeyondLength { .. }) => assert!(model.length.unwrap() <= cell),
                Err(CommitError::Ended) => assert!(claim.is_ended()),
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn declare(&mut self, object: u8, length: usize) {
        let (store, core) = (self.store(), self.core());
        let Ok(found) = store.find_or_create(id(object), None) else { return };
        let model = &mut self.world[usize::from(object)];
        match found.declare_length(length as u64 * CELL, store.journal(core)) {
            Ok(()) => {
                assert!(model.length.is_none_or(|old| old == length) && model.present() <= length);
                model.length = Some(length);
                model.recorded = true;
            }
            Err(LengthRefused::Other { .. }) => assert!(model.length.is_some_and(|old| old != length)),
            Err(LengthRefused::Below { .. }) => assert!(length < model.present()),
            Err(error) => panic!("{error}"),
        }
    }

    fn sync(&mut self, object: u8) {
        let Some(found) = self.store().find(id(object)) else { return };
        found.synced(found.mark(), self.store().journal(self.core())).unwrap();
        let model = &mut self.world[usize::from(object)];
        model.recorded = true;
        for (durable, cell) in model.durable.iter_mut().zip(&model.cells) {
            *durable = cell.is_some();
        }
    }

    fn distrust(&mut self, object: u8) {
        let Some(found) = self.store().find(id(object)) else { return };
        found.fall_back(&self.store().objects_dir(), self.store().journal(self.core())).unwrap();
        let left = found.spans();
        // What was given up may be written again, so cutting the journal before this is no crash that can happen.
        self.history.clear();
        let model = &mut self.world[usize::from(object)];
        if !model.complete {
            model.recorded = true;
            for (index, cell) in model.cells.iter_mut().enumerate() {
                let kept = left.contains(span(index as u64 * CELL, (index as u64 + 1) * CELL));
                assert_eq!(kept, model.durable[index] && cell.is_some(), "what was synced, and nothing else");
                *cell = cell.filter(|_| kept);
            }
        }
    }

    fn complete(&mut self, object: u8, synced: bool) {
        let Some(found) = self.store().find(id(object)) else { return };
        let length = self.world[usize::from(object)].length;
        // A body of unknown length that a declared length cut short is awaited to its end.
        let is_cut = |open: &Open| {
            let end = length.map(|length| length as u64 * CELL);
            end.is_some_and(|end| open.claim.owned().iter().any(|span| span.end() > end))
        };
        let busy = self
            .open
            .iter()
            .any(|open| open.object == object && (is_cut(open) || !remaining_at_first(open, &self.world).is_empty()));
        let model = &mut self.world[usize::from(object)];
        let whole = model.length == Some(model.contiguous());
        let (store, core) = (self.store.as_ref().unwrap(), self.steps % self.cores);
        match found.try_complete() {
            Some(completion) => {
                assert!(whole && !model.complete && !model.removed);
                completion.finish(store.journal(core), synced).unwrap();
                (model.complete, model.recorded) = (true, true);
                if synced {
                    model.durable = model.cells.map(|cell| cell.is_some());
                }
            }
            None => assert!(!whole || model.complete || busy, "refused without a reason: {model:?}"),
        }
    }

    fn crash(&mut self, torn: Option<u16>) {
        self.open.clear();
        self.store = None;
        // With several journals a cut one is no earlier world.
        if let (Some(part), false, 1) = (torn, self.history.is_empty(), self.cores) {
            let used = used_bytes(&self.segment).max(64);
            let least = self.history[0].0;
            let keep = least + (used - least) * u64::from(part) / u64::from(u16::MAX);
            let mut bytes = std::fs::read(&self.segment).unwrap();
            bytes[keep as usize..].fill(0);
            if !self.history.iter().any(|(tail, _)| *tail == keep) {
                // A record that ends with zeros is whole without them.
                bytes[keep as usize] = 0xee;
            }
            std::fs::write(&self.segment, bytes).unwrap();
            // Records lost, so the world is an earlier one, except that a file only ever grows.
            if let Some((_, world)) = self.history.iter().rfind(|(tail, _)| *tail <= keep) {
                self.world = world.clone();
            }
        }
        self.reopen();
        self.check();
    }

    fn reopen(&mut self) {
        let boot = BootId([self.boot; 16]);
        self.store = Some(Store::open_in(options(self.root.path(), self.cores), boot).unwrap().0);
        self.segment = newest_segment(self.root.path());
        self.history = vec![(64, self.world.clone())];
    }

    /// Synced cells are there, and whatever else the store still claims is right.
    fn lose_power(&mut self, lost: u8) {
        self.open.clear();
        let store = self.store.take().unwrap();
        for object in 0..OBJECTS {
            let model = &self.world[usize::from(object)];
            for cell in (0..CELLS).filter(|cell| lost & 1 << cell != 0 && model.cells[*cell].is_some()) {
                if !model.durable[cell] {
                    write_file(&store, id(object), cell as u64 * CELL, &[0; CELL as usize]);
                }
            }
        }
        drop(store);
        self.boot += 1;
        self.reopen();
        let store = self.store();
        for object in 0..OBJECTS {
            let Some(found) = store.find(id(object)) else { continue };
            let (spans, model) = (found.spans(), &mut self.world[usize::from(object)]);
            for cell in 0..CELLS {
                let there = spans.contains(span(cell as u64 * CELL, (cell as u64 + 1) * CELL));
                assert!(there || !model.durable[cell], "synced cell {cell} is gone");
                assert!(!there || model.cells[cell].is_some(), "cell {cell} came from nowhere");
                let intact = model.durable[cell] || lost & 1 << cell == 0;
                assert!(!there || intact, "lost cell {cell} is still claimed");
                model.cells[cell] = model.cells[cell].filter(|_| there);
                model.durable[cell] = there;
            }
            model.complete &= model.length == Some(model.contiguous());
        }
        self.history = vec![(64, self.world.clone())];
        self.check();
    }

    /// The store says exactly what the model says, and what it says is in the files.
    fn check(&self) {
        let store = self.store();
        let inventory: BTreeMap<_, _> =
            store.inventory(None, 100).into_iter().map(|found| (found.object, found)).collect();
        // A removed object counts as long as its file is there.
        for object in 0..OBJECTS {
            let model = &self.world[usize::from(object)];
            assert_eq!(store.is_removed(id(object)), model.removed);
            if !model.removed {
                assert_eq!(inventory.contains_key(&id(object)), model.recorded, "{model:?}");
            }
            let known = store.index().known(id(object));
            let found = store.find(id(object));
            assert_eq!(known, found.as_ref().map(|object| object.state.hold().known.clone()));
            let Some(found) = found else { continue };
            let (look, spans, file) = (found.look(), found.spans(), read_file(self.root.path(), id(object)));
            assert_eq!(look.length, model.length.map(|cells| cells as u64 * CELL));
            assert_eq!(look.contiguous, model.contiguous() as u64 * CELL);
            assert_eq!(look.complete, model.complete);
            for (index, cell) in model.cells.iter().enumerate() {
                let range = span(index as u64 * CELL, (index as u64 + 1) * CELL);
                assert_eq!(spans.contains(range), cell.is_some(), "cell {index}");
                if let Some(fill) = cell {
                    let bytes = &file[range.start() as usize..range.end() as usize];
                    assert!(bytes.iter().all(|byte| byte == fill), "cell {index} holds other bytes");
                }
            }
        }
        assert_eq!(store.audit().writers, self.open.len());
    }
}

fn cells_of(span: Span) -> impl Iterator<Item = usize> {
    let first = (span.start() / CELL) as usize;
    first..((span.end() / CELL) as usize).min(CELLS)
}

/// Cells the claim got and has not stored, or lost again to a fall-back.
fn remaining_at_first(open: &Open, world: &World) -> Vec<usize> {
    let model = &world[usize::from(open.object)];
    open.claim.owned().iter().flat_map(|span| cells_of(*span)).filter(|cell| model.cells[*cell].is_none()).collect()
}

/// The same below a length declared since.
fn remaining(open: &Open, world: &World) -> Vec<usize> {
    let length = world[usize::from(open.object)].length.unwrap_or(CELLS);
    let mut cells = remaining_at_first(open, world);
    cells.retain(|cell| *cell < length && !open.claim.is_ended());
    cells
}

fn newest_segment(root: &Path) -> PathBuf {
    // The spare has the higher part number; the one in use is the first of the newest generation.
    let segments: Vec<_> =
        journal_files(root).into_iter().filter(|path| path.extension().unwrap() == "journal").collect();
    let generation = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap()[..10].to_owned();
    let newest = segments.iter().map(generation).max().unwrap();
    segments.into_iter().find(|path| generation(path) == newest).unwrap()
}

fn used_bytes(path: &Path) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    let mut end = 64;
    while let Some(length) = bytes.get(end..end + 4).map(|head| u32::from_le_bytes(head.try_into().unwrap()) as usize) {
        if length == 0 {
            break;
        }
        end += length;
    }
    end as u64
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_store_behaves_like_one_flag_per_byte(ops in prop::collection::vec(op(), 1..60), cores in 1..3usize) {
        let mut run = Run::new(cores);
        for op in &ops {
            run.step(op);
        }
        run.crash(None);
    }
}
