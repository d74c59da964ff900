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
    pub fn next(&mut self) -> Option<(Micros, T)> {
        self.planned.pop_first().map(|((at, _), what)| (at, what))
    }
    pub fn drop_if(&mut self, unwanted: impl Fn(&T) -> bool) {
        self.planned.retain(|_, what| !unwanted(what));
    }
}
