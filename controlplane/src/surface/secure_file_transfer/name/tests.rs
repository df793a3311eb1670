//! Chunks in any order, against the obvious slow version: a file is a vector of bytes.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::bounds::PIECES_MAX;

/// A name, the objects its chunks went to, and the model.
struct World {
    name: Name,
    objects: HashMap<ObjectId, Vec<Option<u8>>>,
    drawn: u32,
    pieces_max: usize,
}

impl Default for World {
    fn default() -> Self {
        Self { name: Name::default(), objects: HashMap::new(), drawn: 0, pieces_max: PIECES_MAX }
    }
}

impl World {
    fn draw(&mut self) -> ObjectId {
        self.drawn += 1;
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.drawn.to_be_bytes());
        ObjectId::from_bytes(bytes)
    }

    fn read(&self, content: &Content, span: Span) -> Vec<Option<u8>> {
        let mut bytes = vec![None; span.len() as usize];
        for extent in content.holders(span) {
            for index in 0..extent.span.len() {
                let byte = match extent.from {
                    Source::Object(object, at) => self.objects[&object][(at + index) as usize],
                    Source::Zeros => Some(0),
                };
                bytes[(extent.span.start() - span.start() + index) as usize] = byte;
            }
        }
        bytes
    }

    /// As the handler does it: plan, store, accept, compare when asked to.
    fn send(&mut self, start: u64, data: &[u8], total: Option<u64>) -> Result<Verdict, Refusal> {
        let span = Span::at(start, data.len() as u64).unwrap();
        let chunk = Chunk { span, sum: 0, total };
        let opening = self.draw();
        let place = self.name.plan(&chunk, opening, self.pieces_max)?;
        let object = match place {
            Place::InPlace(base) => base,
            Place::Separate => self.draw(),
        };
        let at = if matches!(place, Place::InPlace(_)) { start } else { 0 };
        let bytes = self.objects.entry(object).or_default();
        bytes.resize(bytes.len().max(at as usize + data.len()), None);
        for (index, byte) in data.iter().enumerate() {
            let slot = &mut bytes[at as usize + index];
            assert_eq!(*slot, None, "no byte is ever overwritten");
            *slot = Some(*byte);
        }
        let fresh = [self.draw(), self.draw()];
        let arrived = Arrived { chunk, object, place, is_same: None, now_ms: 0, fresh };
        let verdict = self.name.judge(&arrived, self.pieces_max)?;
        let Verdict::Compare(held) = verdict else { return self.done(verdict) };
        let is_same = held.iter().all(|extent| {
            let ours = (extent.span.start() - start) as usize;
            let mut theirs = Content::default();
            theirs.overlay(extent.span, extent.from);
            let theirs = self.read(&theirs, extent.span);
            theirs.iter().zip(&data[ours..]).all(|(theirs, ours)| *theirs == Some(*ours))
        });
        let verdict = self.name.judge(&Arrived { is_same: Some(is_same), ..arrived }, self.pieces_max)?;
        self.done(verdict)
    }

    /// Carries it out as it is read again.
    fn done(&mut self, verdict: Verdict) -> Result<Verdict, Refusal> {
        if let Verdict::Accepted(step) | Verdict::Known(Some(step)) = &verdict {
            let text = serde_json::to_vec(step).unwrap();
            self.name.take(&serde_json::from_slice(&text).unwrap())?;
        }
        Ok(verdict)
    }

    fn file(&self) -> Option<Vec<u8>> {
        let file = self.name.file.as_ref()?;
        let Some(span) = Span::new(0, file.length) else { return Some(Vec::new()) };
        Some(self.read(&file.content, span).into_iter().map(|byte| byte.expect("a file has no gap")).collect())
    }

    /// status, received, total, next.
    fn status(&self) -> (&str, u64, u64, u64) {
        match (&self.name.upload, &self.name.file) {
            (Some(upload), _) => ("partial", upload.content.bytes(), upload.length(), upload.content.contiguous()),
            (None, Some(file)) => ("complete", file.length, file.length, file.length),
            (None, None) => ("pending", 0, 0, 0),
        }
    }
}

type Step<'a> = (u64, &'a [u8], Option<u64>, (&'a str, u64, u64, u64));

fn run(steps: &[Step<'_>]) -> World {
    let mut world = World::default();
    for (start, data, total, status) in steps {
        world.send(*start, data, *total).unwrap();
        assert_eq!(world.status(), *status, "after {start}+{}", data.len());
    }
    world
}

#[test]
fn section_9_orders() {
    let (a, b, c) = (&[b'a'; 10][..], &[b'b'; 10][..], &[b'c'; 10][..]);
    let all = [a, b, c].concat();
    let complete = |length| ("complete", length, length, length);
    for steps in [
        // 10: the last chunk first.
        vec![(20, c, None, ("partial", 10, 30, 0)), (0, a, None, ("partial", 20, 30, 10)), (10, b, None, complete(30))],
        // 11: in order, no total.
        vec![(0, a, None, complete(10)), (10, b, None, complete(20)), (20, c, None, complete(30))],
        // 12: in order, with the total.
        vec![
            (0, a, Some(30), ("partial", 10, 30, 10)),
            (10, b, Some(30), ("partial", 20, 30, 20)),
            (20, c, Some(30), complete(30)),
        ],
        // 13: out of order, no total.
        vec![(0, a, None, complete(10)), (20, c, None, ("partial", 20, 30, 10)), (10, b, None, complete(30))],
        // 15: sent again.
        vec![
            (0, a, Some(30), ("partial", 10, 30, 10)),
            (0, a, Some(30), ("partial", 10, 30, 10)),
            (20, c, None, ("partial", 20, 30, 10)),
            (20, c, Some(30), ("partial", 20, 30, 10)),
            (10, b, None, complete(30)),
            (10, b, None, complete(30)),
            (10, b, Some(30), complete(30)),
        ],
    ] {
        assert_eq!(run(&steps).file(), Some(all.clone()));
    }
}

#[test]
fn section_9_14_what_came_last_counts() {
    let world = run(&[
        (0, b"AAAAAAAAAA", Some(20), ("partial", 10, 20, 10)),
        (5, b"BBBBBBBBBB", Some(20), ("partial", 15, 20, 15)),
        (15, b"DDDDD", Some(20), ("complete", 20, 20, 20)),
    ]);
    assert_eq!(world.file().unwrap(), b"AAAAABBBBBBBBBBDDDDD");
}

#[test]
fn section_6_2_3_a_file_and_chunks_without_a_total() {
    let complete = |length| ("complete", length, length, length);
    for (start, data, status, content) in [
        (2, &b"cd"[..], complete(6), &b"abcdef"[..]),
        (4, b"efgh", complete(8), b"abcdefgh"),
        (6, b"gh", complete(8), b"abcdefgh"),
        (8, b"ij", ("partial", 8, 10, 6), b"abcdef"),
        (0, b"xy", complete(2), b"xy"),
        (0, b"abcdefgh", complete(8), b"abcdefgh"),
        (2, b"xy", complete(6), b"abxyef"),
        (5, b"xy", complete(7), b"abcdexy"),
    ] {
        let mut world = run(&[(0, b"abcdef", None, complete(6))]);
        world.send(start, data, None).unwrap();
        assert_eq!((world.status(), world.file().unwrap().as_slice()), (status, content), "{start} {data:?}");
    }
}

#[test]
fn section_6_2_4_a_file_and_chunks_with_a_total() {
    let complete = ("complete", 6, 6, 6);
    for (start, data, total, status, content) in [
        (2, &b"cd"[..], 6, complete, &b"abcdef"[..]),
        (2, b"xy", 6, ("partial", 2, 6, 0), b"abcdef"),
        (0, b"abc", 7, ("partial", 3, 7, 3), b"abcdef"),
        (0, b"abc", 3, ("complete", 3, 3, 3), b"abc"),
        (0, b"uvwxyz", 6, complete, b"uvwxyz"),
    ] {
        let mut world = run(&[(0, b"abcdef", None, complete)]);
        world.send(start, data, Some(total)).unwrap();
        assert_eq!((world.status(), world.file().unwrap().as_slice()), (status, content), "{start} {data:?} {total}");
    }
}

#[test]
fn section_6_2_1_totals_that_do_not_match() {
    let world = || run(&[(10, b"0123456789", None, ("partial", 10, 20, 0))]);
    assert_eq!(world().send(0, b"a", Some(19)), Err(Refusal::OtherTotal));
    let mut world = world();
    world.send(0, b"a", Some(25)).unwrap();
    assert_eq!(world.send(1, b"b", Some(24)), Err(Refusal::OtherTotal));
    assert_eq!(world.send(24, b"bc", None), Err(Refusal::OtherTotal));
    world.send(1, b"b", None).unwrap();
    assert_eq!(world.status(), ("partial", 12, 25, 2));
}

#[test]
fn an_empty_file_is_accepted_where_nothing_is() {
    let mut world = World::default();
    let fresh = [world.draw(), world.draw()];
    world.name.accept_nothing(0, fresh).unwrap();
    world.name.accept_nothing(0, fresh).unwrap();
    assert_eq!(world.status(), ("complete", 0, 0, 0));
    world.send(0, b"ab", None).unwrap();
    assert_eq!(world.file().unwrap(), b"ab");
    assert_eq!(world.name.accept_nothing(0, fresh), Err(Refusal::OtherLength));
}

#[test]
fn section_7_what_is_left_of_an_upload_has_zeros_in_its_gaps() {
    let mut world =
        run(&[(20, b"0123456789", None, ("partial", 10, 30, 0)), (0, b"abcdefghij", None, ("partial", 20, 30, 10))]);
    let version = world.draw();
    let file = world.name.upload.take().unwrap().into_partial(version, 0);
    world.name.file = Some(file);
    assert_eq!(world.file().unwrap(), b"abcdefghij\0\0\0\0\0\0\0\0\0\x000123456789");
}

#[test]
fn b8_an_upload_is_in_few_pieces_and_its_gaps_can_always_be_filled() {
    let mut world = World::default();
    let total = Some(4 * PIECES_MAX as u64);
    for number in 0..PIECES_MAX as u64 {
        world.send(2 * number, b"a", total).unwrap();
    }
    let scattered = Err(Refusal::Scattered { most: PIECES_MAX });
    let end = 2 * PIECES_MAX as u64;
    assert_eq!(world.send(end, b"a", total), scattered, "one more");
    assert_eq!(world.send(end + 100, b"aa", total), scattered);
    assert_eq!(world.send(end - 1, b"a", total).map(drop), Ok(()), "it goes on where received bytes end");
    // A chunk that is there, and one that replaces one.
    assert_eq!(world.send(0, b"a", total).map(|verdict| matches!(verdict, Verdict::Known(_))), Ok(true));
    assert_eq!(world.send(0, b"b", total).map(drop), Ok(()));
    // In the middle of received bytes, others make two pieces more.
    world.send(end, b"aaa", total).unwrap();
    assert_eq!(world.send(end + 1, b"b", total), scattered);
    for number in 0..PIECES_MAX as u64 {
        if 2 * number + 1 < end - 1 {
            world.send(2 * number + 1, b"a", total).unwrap();
        }
    }
    let rest = vec![b'a'; PIECES_MAX * 2 - 3];
    world.send(end + 3, &rest, total).unwrap();
    let mut whole = vec![b'a'; 4 * PIECES_MAX];
    whole[0] = b'b';
    assert!(world.file().unwrap() == whole);
}

#[test]
fn b8_a_file_in_many_pieces_is_made_one_object_before_it_is_compared() {
    let length = 4 * PIECES_COMPARED_MAX;
    let mut world = World::default();
    world.send(0, &vec![b'a'; length], None).unwrap();
    for number in 0..PIECES_COMPARED_MAX as u64 {
        world.send(2 * number + 1, b"b", None).unwrap();
    }
    let content = world.file().unwrap();
    assert_eq!(world.send(0, &content[..8], None).map(|verdict| matches!(verdict, Verdict::Known(_))), Ok(true));
    assert_eq!(world.send(0, &content, None), Ok(Verdict::Build));
    assert_eq!(world.file().unwrap(), content);
}

proptest! {
    /// A declared upload in any order, with overlaps and repetitions: the file is what was written last, everywhere, at
    /// the moment nothing is missing; and no byte of an object is ever overwritten.
    #[test]
    fn a_declared_upload_is_a_vector_of_bytes(
        writes in prop::collection::vec((0u64..32, 1u64..16, any::<u8>()), 1..30),
        total in 1u64..32,
    ) {
        let (mut world, mut model) = (World::default(), vec![None; total as usize]);
        for (start, len, byte) in writes {
            let end = (start + len).min(total);
            if start >= end { continue; }
            let was_open = world.name.upload.is_some();
            let data = vec![byte; (end - start) as usize];
            world.send(start, &data, Some(total)).unwrap();
            if !was_open && world.name.file.is_some() {
                // From here on it is about replacing a file; the model began with nothing.
                break;
            }
            model[start as usize..end as usize].fill(Some(byte));
            let received = model.iter().flatten().count() as u64;
            let next = model.iter().take_while(|byte| byte.is_some()).count() as u64;
            let status = if received == total { "complete" } else { "partial" };
            prop_assert_eq!(world.status(), (status, received, total, next));
            if received == total {
                prop_assert_eq!(world.file().unwrap(), model.iter().flatten().copied().collect::<Vec<_>>());
                break;
            }
        }
    }

    /// Without a total, chunks that agree with one content never lead to another one, and a file only grows.
    #[test]
    fn chunks_of_one_content_lead_to_it(cuts in prop::collection::vec((0u64..40, 1u64..20), 1..40)) {
        let content: Vec<u8> = (0..64).collect();
        let (mut world, mut high) = (World::default(), 0);
        for (start, len) in cuts {
            let end = start + len;
            world.send(start, &content[start as usize..end as usize], None).unwrap();
            high = high.max(end);
            let (_, received, total, next) = world.status();
            prop_assert_eq!(total, high);
            prop_assert!(next <= received && received <= total);
            if let Some(file) = world.file() {
                prop_assert_eq!(&file[..], &content[..file.len()]);
            }
        }
        world.send(0, &content, None).unwrap();
        prop_assert_eq!((world.status(), world.file().unwrap()), (("complete", 64, 64, 64), content));
    }
}
