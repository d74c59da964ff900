//! Lists with an end: the newest of something, and which names were seen lately.

use serde::{Deserialize, Serialize};

/// The newest items, side by side in memory, oldest first. To push one and to forget one costs the same however many there are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    from = "Vec<T>",
    into = "Vec<T>",
    bound(serialize = "T: Copy + Serialize", deserialize = "T: Deserialize<'de>")
)]
pub struct Window<T> {
    items: Vec<T>,
    /// So many at the front are forgotten and not yet cleared away.
    gone: usize,
}

/// Not worth moving the others for.
const GONE_MIN: usize = 64;

impl<T> Default for Window<T> {
    fn default() -> Self {
        Window { items: Vec::new(), gone: 0 }
    }
}
impl<T> From<Vec<T>> for Window<T> {
    fn from(items: Vec<T>) -> Self {
        Window { items, gone: 0 }
    }
}
impl<T: Copy> From<Window<T>> for Vec<T> {
    fn from(window: Window<T>) -> Vec<T> {
        window.as_slice().to_vec()
    }
}
impl<T: PartialEq> PartialEq for Window<T> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T> Window<T> {
    pub fn as_slice(&self) -> &[T] {
        &self.items[self.gone..]
    }
    pub fn len(&self) -> usize {
        self.items.len() - self.gone
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn first(&self) -> Option<&T> {
        self.as_slice().first()
    }
    pub fn last(&self) -> Option<&T> {
        self.as_slice().last()
    }
    pub fn push(&mut self, item: T) {
        self.items.push(item);
    }
    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.items.get_mut(self.gone + at)
    }
    pub fn insert(&mut self, at: usize, item: T) {
        self.items.insert(self.gone + at, item);
    }
    /// The oldest goes.
    pub fn forget_first(&mut self) {
        if self.is_empty() {
            return;
        }
        self.gone += 1;
        if self.gone >= GONE_MIN && self.gone * 2 > self.items.len() {
            self.items.drain(..self.gone);
            self.gone = 0;
        }
    }
}

/// How many names a generation has. At least so many are known, at most twice as many.
pub(super) const NAMES: usize = 1_024;

/// Which names were seen lately, by their hashes: two generations, of which the older is forgotten as a whole when the newer is full.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Lately {
    newer: Generation,
    older: Generation,
}

impl Lately {
    pub fn knows(&self, name: &str) -> bool {
        let hash = hash(name);
        self.newer.has(hash) || self.older.has(hash)
    }
    pub fn learn(&mut self, name: &str) {
        if self.newer.order.len() >= NAMES {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.add(hash(name));
    }
}

/// Hashes in the order in which they came, and a table to find them by. Zero is no hash.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
struct Generation {
    order: Vec<u64>,
    table: Vec<u64>,
}

impl PartialEq for Generation {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl From<Vec<u64>> for Generation {
    fn from(order: Vec<u64>) -> Self {
        let mut generation = Generation::default();
        order.into_iter().for_each(|hash| generation.add(hash));
        generation
    }
}
impl From<Generation> for Vec<u64> {
    fn from(generation: Generation) -> Vec<u64> {
        generation.order
    }
}

impl Generation {
    const SLOTS: usize = 2 * NAMES;

    fn has(&self, hash: u64) -> bool {
        !self.table.is_empty() && self.table[self.place(hash)] == hash
    }
    /// What a snapshot holds is bounded too: no more than there is room for.
    fn add(&mut self, hash: u64) {
        if self.table.is_empty() {
            self.table = vec![0; Self::SLOTS];
        }
        if self.order.len() < NAMES && !self.has(hash) {
            let place = self.place(hash);
            self.table[place] = hash;
            self.order.push(hash);
        }
    }
    /// Where it is, or where it would be. Half of the table is always free.
    fn place(&self, hash: u64) -> usize {
        let mut place = hash as usize % Self::SLOTS;
        while self.table[place] != 0 && self.table[place] != hash {
            place = (place + 1) % Self::SLOTS;
        }
        place
    }
}

/// The same on every machine, and never zero. Two names of up to eight bytes and one length never share one.
fn hash(name: &str) -> u64 {
    let mut hash = 0x9e37_79b9_7f4a_7c15 ^ name.len() as u64;
    for chunk in name.as_bytes().chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^= hash >> 32;
    }
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[test]
    fn the_last_names_are_known_and_old_ones_forgotten() {
        let mut lately = Lately::default();
        let name = |number: usize| format!("trade-{number}");
        for number in 0..10 * NAMES {
            assert!(!lately.knows(&name(number)), "{number} is known before it came");
            lately.learn(&name(number));
            assert!(lately.knows(&name(number)) && lately.knows(&name(number.saturating_sub(NAMES - 1))), "{number}");
        }
        assert!(!lately.knows(&name(8 * NAMES - 1)));
    }

    #[test]
    fn what_was_seen_survives_its_bytes() {
        let mut lately = Lately::default();
        (0..NAMES + 7).for_each(|number| lately.learn(&number.to_string()));
        let mut bytes = Vec::new();
        codec::write(&lately, &mut bytes);
        let read: Lately = codec::read(&bytes).unwrap();
        assert_eq!(read, lately);
        assert!((0..NAMES + 7).all(|number| read.knows(&number.to_string())) && !read.knows("x"));
    }

    proptest! {
        #[test]
        fn a_window_is_a_queue(steps in prop::collection::vec(any::<bool>(), 1..600)) {
            let (mut window, mut queue) = (Window::default(), VecDeque::new());
            for (number, grows) in steps.into_iter().enumerate() {
                if grows {
                    window.push(number);
                    queue.push_back(number);
                } else {
                    window.forget_first();
                    queue.pop_front();
                }
                prop_assert_eq!(window.as_slice(), queue.make_contiguous() as &[usize]);
            }
        }
    }
}
