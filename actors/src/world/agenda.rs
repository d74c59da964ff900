//! What happens next: a queue by virtual time, and by the order of planning where times are equal.

use std::collections::BTreeMap;

/// True time in microseconds since the world began. No clock of the world need agree with it.
pub type Micros = i64;

pub const MILLI: Micros = 1_000;
pub const SECOND: Micros = 1_000_000;

#[derive(Debug)]
pub struct Agenda<T> {
    planned: BTreeMap<(Micros, u64), T>,
    next: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Agenda { planned: BTreeMap::new(), next: 0 }
    }
}

impl<T> Agenda<T> {
    pub fn plan(&mut self, at: Micros, what: T) {
        self.planned.insert((at, self.next), what);
        self.next += 1;
    }
    pub fn pop(&mut self) -> Option<(Micros, T)> {
        self.planned.pop_first().map(|((at, _), what)| (at, what))
    }
    /// What fits happens at `at` at the latest, in the order that was planned.
    pub fn hasten(&mut self, at: Micros, fits: impl Fn(&T) -> bool) {
        let later = self.planned.split_off(&(at, u64::MAX));
        for ((planned, number), what) in later {
            match fits(&what) {
                true => self.plan(at, what),
                false => {
                    self.planned.insert((planned, number), what);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hastened_keeps_its_order() {
        let mut agenda = Agenda::default();
        [(9, 'c'), (1, 'a'), (8, 'b'), (7, 'x')].into_iter().for_each(|(at, what)| agenda.plan(at, what));
        agenda.hasten(3, |what| *what != 'x');
        let order: Vec<_> = std::iter::from_fn(|| agenda.pop()).collect();
        assert_eq!(order, [(1, 'a'), (3, 'b'), (3, 'c'), (7, 'x')]);
    }
}
