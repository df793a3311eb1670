//! A sorted set that also answers by position: what is the hundred-thousandth, and how many come before this one.
//!
//! The keys lie in sorted blocks of at most [`BLOCK`], so a key costs little more than itself, a change moves one block, and
//! a position is found by adding up the lengths of blocks.
//!
//! Must stay true: no block is empty, and of two neighbours at least one is not nearly empty.

/// Keys in a block at most.
const BLOCK: usize = 512;
/// Two neighbours with no more keys than this together become one.
const MERGED: usize = BLOCK / 2;

/// The set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order<T> {
    blocks: Vec<Vec<T>>,
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Order<T> {
    /// Empty.
    pub const fn new() -> Self {
        Self { blocks: Vec::new() }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.blocks.iter().map(Vec::len).sum()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The key that has `position` keys before it.
    pub fn get(&self, position: usize) -> Option<&T> {
        let (block, within) = self.find(position);
        self.blocks.get(block)?.get(within)
    }

    /// All keys but the first `position`, in order.
    pub fn after(&self, position: usize) -> impl Iterator<Item = &T> {
        let (block, within) = self.find(position);
        self.blocks[block..].iter().flatten().skip(within)
    }

    /// Block and place in it of a position; behind the last block when there are fewer keys.
    fn find(&self, position: usize) -> (usize, usize) {
        let mut left = position;
        for (block, keys) in self.blocks.iter().enumerate() {
            match left.checked_sub(keys.len()) {
                Some(more) => left = more,
                None => return (block, left),
            }
        }
        (self.blocks.len(), 0)
    }
}

impl<T: Ord> Order<T> {
    /// How many keys come before this one, which need not be there.
    pub fn rank(&self, key: &T) -> usize {
        let block = self.block_of(key);
        let before: usize = self.blocks[..block].iter().map(Vec::len).sum();
        before + self.blocks.get(block).map_or(0, |keys| keys.partition_point(|other| other < key))
    }

    /// Adds a key; `false`: it was there.
    pub fn insert(&mut self, key: T) -> bool {
        let last = self.blocks.len().saturating_sub(1);
        let block = self.block_of(&key).min(last);
        let Some(keys) = self.blocks.get_mut(block) else {
            self.blocks.push(vec![key]);
            return true;
        };
        let Err(at) = keys.binary_search(&key) else { return false };
        if keys.len() < BLOCK {
            keys.insert(at, key);
        } else if block == last && at == BLOCK {
            // What comes in order leaves full blocks behind it, in either direction.
            self.blocks.push(vec![key]);
        } else if block == 0 && at == 0 {
            self.blocks.insert(0, vec![key]);
        } else {
            let mut upper = keys.split_off(BLOCK / 2);
            if at > BLOCK / 2 {
                upper.insert(at - BLOCK / 2, key)
            } else {
                keys.insert(at, key)
            }
            self.blocks.insert(block + 1, upper);
        }
        true
    }

    /// Takes a key away; `false`: it was not there.
    pub fn remove(&mut self, key: &T) -> bool {
        let block = self.block_of(key);
        let Some(keys) = self.blocks.get_mut(block) else { return false };
        let Ok(at) = keys.binary_search(key) else { return false };
        keys.remove(at);
        if keys.is_empty() {
            self.blocks.remove(block);
        } else {
            self.merge(block);
            self.merge(block.wrapping_sub(1));
        }
        true
    }

    /// Makes one of a block and the next, if that is still a small one.
    fn merge(&mut self, block: usize) {
        let Some([keys, next]) = self.blocks.get(block..).and_then(|rest| rest.first_chunk()) else { return };
        if keys.len() + next.len() <= MERGED {
            let next = self.blocks.remove(block + 1);
            self.blocks[block].extend(next);
            self.blocks[block].shrink_to_fit();
        }
    }

    /// The first block that ends at or after a key.
    fn block_of(&self, key: &T) -> usize {
        self.blocks.partition_point(|keys| keys.last().is_some_and(|last| last < key))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// It answers as a set that is counted through, and its blocks are what they must be.
    fn check(order: &Order<u16>, model: &BTreeSet<u16>, asked: usize) {
        assert_eq!((order.len(), order.is_empty()), (model.len(), model.is_empty()));
        assert!(order.after(0).eq(model));
        assert!(order.after(asked).eq(model.iter().skip(asked)));
        assert_eq!(order.get(asked), model.iter().nth(asked));
        assert_eq!(order.rank(&(asked as u16)), model.range(..asked as u16).count());
        assert!(order.blocks.iter().all(|keys| !keys.is_empty() && keys.len() <= BLOCK));
    }

    proptest! {
        #[test]
        fn it_answers_as_a_sorted_set_does(
            steps in prop::collection::vec((0u8..5, 0u16..6_000, 0u16..1_500), 1..12),
            asked in 0usize..6_500,
        ) {
            let (mut order, mut model) = (Order::new(), BTreeSet::new());
            for (step, from, count) in steps {
                // Upwards, downwards, scattered; and away again, in a row or scattered.
                let keys = (0..count).map(|number| match step {
                    0 | 3 => from + number,
                    1 => (from + count) - number,
                    _ => (from + number).wrapping_mul(40_503) % 7_500,
                });
                for key in keys {
                    if step < 3 {
                        prop_assert_eq!(order.insert(key), model.insert(key));
                    } else {
                        prop_assert_eq!(order.remove(&key), model.remove(&key));
                    }
                }
                check(&order, &model, asked);
            }
            for key in std::mem::take(&mut model) {
                prop_assert!(order.remove(&key));
            }
            check(&order, &model, asked);
        }
    }

    #[test]
    fn what_comes_in_order_fills_its_blocks_and_what_is_left_of_many_takes_few() {
        const MANY: u32 = 100_000;
        let (mut upwards, mut downwards) = (Order::new(), Order::new());
        (0..MANY).for_each(|key| assert!(upwards.insert(key)));
        (0..MANY).rev().for_each(|key| assert!(downwards.insert(key)));
        for mut order in [upwards, downwards] {
            assert_eq!(order.blocks.len(), (MANY as usize).div_ceil(BLOCK));
            (0..MANY).filter(|key| key % 100 != 0).for_each(|key| assert!(order.remove(&key)));
            assert!(order.after(0).copied().eq((0..MANY).step_by(100)));
            assert!(order.blocks.len() <= 2 * 1000 / MERGED + 1, "{}", order.blocks.len());
        }
    }
}
