//! Chunks in any order and size, against the obvious slow version: a list of byte vectors.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

struct World {
    upload: Upload,
    objects: HashMap<ObjectId, Vec<Option<u8>>>,
    drawn: u8,
}

impl World {
    fn new(size: u64, total: u64) -> Self {
        let about = About { name: "a".into(), mime: "text/plain".into(), size, total };
        let base = ObjectId::from_bytes([255; 16]);
        Self { upload: Upload::new(about, base, base, 0), objects: HashMap::new(), drawn: 0 }
    }

    /// As the handler does it: plan, store (separately where another request was faster), accept.
    fn send(&mut self, index: u64, data: &[u8], is_length_known: bool) -> Result<Place, OtherSize> {
        let bytes = data.len() as u64;
        self.drawn += 1;
        let fresh = ObjectId::from_bytes([self.drawn; 16]);
        let mut place = self.upload.place(index, is_length_known.then_some(bytes));
        if let Place::InPlace { at } = place {
            let taken = self.objects.get(&self.upload.base).is_some_and(|object| {
                (at..at + bytes).any(|at| object.get(at as usize).is_some_and(|byte| byte.is_some()))
            });
            if taken {
                place = Place::Separate;
            }
        }
        let (object, at) = match place {
            Place::InPlace { at } => (self.upload.base, at as usize),
            Place::Separate => (fresh, 0),
        };
        let stored = self.objects.entry(object).or_default();
        stored.resize(stored.len().max(at + data.len()), None);
        for (slot, byte) in stored[at..].iter_mut().zip(data) {
            *slot = Some(*byte);
        }
        self.upload.accept(&Arrived { index, bytes, object, place, version: fresh, now_ms: 0 }).map(|()| place)
    }

    fn file(&self) -> Option<Vec<u8>> {
        let pieces = match self.upload.finish() {
            Finish::Not => return None,
            Finish::Seal(object) => {
                Span::new(0, self.upload.about.size).map(|span| Piece::Of(object, span)).into_iter().collect()
            }
            Finish::Compose(pieces) => pieces,
        };
        let mut file = Vec::new();
        for piece in pieces {
            let Piece::Of(object, span) = piece else { panic!("no chunk is zeros") };
            let bytes = &self.objects[&object][span.start() as usize..span.end() as usize];
            file.extend(bytes.iter().map(|byte| byte.expect("a piece is all there")));
        }
        Some(file)
    }
}

#[test]
fn section_9_6_uniform_chunks_in_any_order_go_in_place() {
    for order in [[0, 1, 2], [2, 0, 1], [2, 1, 0], [1, 2, 0]] {
        let mut world = World::new(25, 3);
        for (count, index) in order.into_iter().enumerate() {
            let data = if index == 2 { &[2u8; 5][..] } else { &[index as u8; 10] };
            assert!(matches!(world.send(index, data, true).unwrap(), Place::InPlace { .. }), "{order:?}");
            assert_eq!(world.upload.count(), count as u64 + 1);
        }
        assert_eq!(world.upload.finish(), Finish::Seal(world.upload.base));
        assert_eq!(world.file().unwrap(), [&[0u8; 10][..], &[1; 10], &[2; 5]].concat());
    }
}

#[test]
fn section_9_8_10_11_other_sizes_second_versions_and_wrong_sums() {
    let mut world = World::new(15, 3);
    for (index, data) in [(0, &[1u8; 5][..]), (1, &[2]), (2, &[3; 9])] {
        world.send(index, data, true).unwrap();
    }
    assert_eq!(world.file().unwrap(), [&[1u8; 5][..], &[2], &[3; 9]].concat());
    world.send(1, &[9], true).unwrap();
    assert_eq!((world.upload.count(), world.file().unwrap()[5]), (3, 9), "what came last counts");

    let mut world = World::new(16, 3);
    world.send(0, &[1; 5], true).unwrap();
    world.send(1, &[2], false).unwrap();
    assert_eq!(world.send(2, &[3; 9], true), Err(OtherSize));
    assert_eq!((world.upload.indices(), world.file()), (vec![0, 1], None), "the chunk is not counted");
    world.send(2, &[3; 10], true).unwrap();
    assert_eq!(world.file().unwrap().len(), 16);
}

#[test]
fn one_chunk_and_none() {
    let mut world = World::new(7, 1);
    assert_eq!(world.send(0, &[1; 7], true), Ok(Place::InPlace { at: 0 }));
    assert_eq!(world.upload.finish(), Finish::Seal(world.upload.base));
    let mut world = World::new(0, 1);
    assert_eq!(world.send(0, &[], true), Ok(Place::Separate));
    let chunk = ObjectId::from_bytes([1; 16]);
    assert_eq!((world.upload.finish(), world.file()), (Finish::Seal(chunk), Some(vec![])));
}

#[test]
fn many_chunks_of_one_size_are_a_small_document() {
    let mut world = World::new(100_000, 100_000);
    let base = world.upload.base;
    for index in 0..100_000 {
        let Place::InPlace { at } = world.upload.place(index, Some(1)) else { panic!("in place") };
        let arrived = Arrived { index, bytes: 1, object: base, place: Place::InPlace { at }, version: base, now_ms: 0 };
        world.upload.accept(&arrived).unwrap();
    }
    assert_eq!(world.upload.finish(), Finish::Seal(base));
    assert!(serde_json::to_vec(&world.upload).unwrap().len() < 1000);
}

proptest! {
    /// Whatever comes in whatever order: the file is its chunks' last versions, one after the other, at the moment all are
    /// there and as long as announced; and the sums are right at every moment.
    #[test]
    fn an_upload_is_a_list_of_chunks(
        sizes in prop::collection::vec(1usize..6, 1..6),
        uniform in any::<bool>(),
        extra in 0u64..2,
        sends in prop::collection::vec((0usize..6, any::<u8>(), 0usize..8, any::<bool>()), 0..30),
    ) {
        let sizes: Vec<usize> = if uniform { sizes.iter().map(|_| sizes[0]).collect() } else { sizes };
        let size = sizes.iter().sum::<usize>() as u64 + extra;
        let mut world = World::new(size, sizes.len() as u64);
        let mut model: Vec<Option<Vec<u8>>> = vec![None; sizes.len()];
        for (index, byte, other, is_known) in sends {
            let index = index % sizes.len();
            // Now and then a chunk is of another length.
            let length = if other == 0 { sizes[index] + 1 } else { sizes[index] };
            let data = vec![byte; length];
            let mut next = model.clone();
            next[index] = Some(data.clone());
            let is_wrong = next.iter().all(Option::is_some)
                && next.iter().flatten().map(Vec::len).sum::<usize>() as u64 != size;
            prop_assert_eq!(world.send(index as u64, &data, is_known).is_err(), is_wrong);
            if !is_wrong {
                model = next;
            }
            let there: Vec<u64> = (0..sizes.len()).filter(|index| model[*index].is_some()).map(|index| index as u64).collect();
            prop_assert_eq!(world.upload.count() as usize, there.len());
            prop_assert_eq!(world.upload.indices(), there);
            prop_assert_eq!(world.upload.received(), model.iter().flatten().map(|chunk| chunk.len() as u64).sum::<u64>());
            let whole: Option<Vec<Vec<u8>>> = model.iter().cloned().collect();
            prop_assert_eq!(world.file(), whole.map(|chunks| chunks.concat()));
        }
    }
}
