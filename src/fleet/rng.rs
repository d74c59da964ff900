//! Chance, from one number: the same seed gives the same fleet on every machine.

/// SplitMix64. Small, so that each of thousands of terminals has one of its own.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A generator for one thing of many: neighbours in number are strangers in what they draw.
    pub fn new(seed: u64, thing: u64) -> Self {
        let mut rng = Rng(seed ^ thing.wrapping_mul(0xd6e8_feb8_6659_fd93));
        rng.draw();
        rng
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// 0 to `end`, without it.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end.max(1)
    }
    /// `from` to `to`, both included.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.below((to - from).max(0) as u64 + 1) as i64
    }
    pub fn permille(&mut self, chance: u64) -> bool {
        self.below(1000) < chance
    }
    /// One of them; none of nothing.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len() as u64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn one_seed_is_one_sequence_and_each_thing_has_its_own() {
        let draw = |seed, thing| {
            let mut rng = Rng::new(seed, thing);
            (0..8).map(|_| rng.draw()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(8, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
    }

    #[test]
    fn ranges_hold_both_ends() {
        let mut rng = Rng::new(1, 0);
        let drawn: BTreeSet<_> = (0..200).map(|_| rng.between(-1, 2)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [-1, 0, 1, 2]);
        assert_eq!(rng.pick::<u8>(&[]), None);
    }
}
