//! The newest of something that is kept in a ring: oldest first, newest last.

use std::collections::VecDeque;

/// A ring is two slices; so is this, and nothing is copied.
#[derive(Debug)]
pub struct Window<'a, T> {
    older: &'a [T],
    newer: &'a [T],
}

impl<T> Clone for Window<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Window<'_, T> {}

impl<'a, T> Window<'a, T> {
    pub const EMPTY: Self = Window { older: &[], newer: &[] };

    pub fn len(&self) -> usize {
        self.older.len() + self.newer.len()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The oldest is 0.
    pub fn get(&self, index: usize) -> Option<&'a T> {
        match self.older.get(index) {
            Some(item) => Some(item),
            None => self.newer.get(index - self.older.len()),
        }
    }
    pub fn first(&self) -> Option<&'a T> {
        self.get(0)
    }
    pub fn last(&self) -> Option<&'a T> {
        self.newer.last().or(self.older.last())
    }
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &'a T> + Clone + use<'a, T> {
        self.older.iter().chain(self.newer)
    }
    /// Without the oldest ones, so that as many are left; all of them where there are not so many.
    pub fn newest(&self, count: usize) -> Self {
        self.without_oldest(self.len().saturating_sub(count))
    }
    /// The ones before the newest so many.
    pub fn before_newest(&self, count: usize) -> Self {
        let keep = self.len().saturating_sub(count);
        let older = keep.min(self.older.len());
        Window { older: &self.older[..older], newer: &self.newer[..keep - older] }
    }
    /// From the first that it is true of. It must be true of all after that.
    pub fn from_first(&self, is_in: impl Fn(&T) -> bool) -> Self {
        let older = self.older.partition_point(|item| !is_in(item));
        if older < self.older.len() {
            return self.without_oldest(older);
        }
        self.without_oldest(older + self.newer.partition_point(|item| !is_in(item)))
    }
    fn without_oldest(&self, count: usize) -> Self {
        let older = count.min(self.older.len());
        Window { older: &self.older[older..], newer: &self.newer[(count - older).min(self.newer.len())..] }
    }
}

impl<'a, T> From<&'a [T]> for Window<'a, T> {
    fn from(items: &'a [T]) -> Self {
        Window { older: items, newer: &[] }
    }
}
impl<'a, T> From<&'a VecDeque<T>> for Window<'a, T> {
    fn from(ring: &'a VecDeque<T>) -> Self {
        let (older, newer) = ring.as_slices();
        Window { older, newer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Wherever the ring is broken, it reads as the plain slice does.
        #[test]
        fn a_broken_ring_reads_as_a_slice(count in 0usize..20, at in 0usize..20, take in 0usize..25, from in 0usize..25) {
            let items: Vec<usize> = (0..count).collect();
            let at = at.min(count);
            let window = Window { older: &items[..at], newer: &items[at..] };
            let whole = Window::from(items.as_slice());
            let read = |window: Window<'_, usize>| window.iter().copied().collect::<Vec<_>>();
            prop_assert_eq!(read(window), items.clone());
            prop_assert_eq!((window.len(), window.first(), window.last()), (count, items.first(), items.last()));
            prop_assert_eq!(window.get(take), items.get(take));
            prop_assert_eq!(read(window.newest(take)), items[count.saturating_sub(take)..].to_vec());
            prop_assert_eq!(read(window.before_newest(take)), items[..count.saturating_sub(take)].to_vec());
            prop_assert_eq!(read(window.from_first(|item| *item >= from)), items[from.min(count)..].to_vec());
            prop_assert_eq!(read(window.newest(take).from_first(|item| *item >= from)), read(whole.newest(take).from_first(|item| *item >= from)));
        }
    }
}
