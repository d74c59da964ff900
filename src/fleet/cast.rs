//! Who is in a fleet: masters, slaves, their brokers, and who copies whom on which terms. All of it follows from the seed.

use super::broker::Broker;
use super::house::{Faults, House, houses};
use super::market::exact;
use super::rng::Rng;
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use std::sync::Arc;
use tidehelm_events::id::{AccountId, Role};
use tidehelm_events::time::Span;
use tidehelm_events::trade::Holding;

#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub masters: usize,
    pub slaves: usize,
    pub links_per_slave: usize,
}

#[derive(Debug, Clone)]
pub struct Cast {
    pub masters: Vec<Player>,
    pub slaves: Vec<Player>,
    pub links: Vec<Link>,
}

/// An account and its broker.
#[derive(Debug, Clone)]
pub struct Player {
    pub account: AccountId,
    pub role: Role,
    pub login: u64,
    pub house: Arc<House>,
    pub holding: Holding,
    pub balance: Decimal,
    /// Gains are not booked, so that a ratio of balances is what it was.
    pub balance_stays: bool,
}

#[derive(Debug, Clone)]
pub struct Link {
    pub master: AccountId,
    pub slave: AccountId,
    pub terms: Terms,
}

/// What a link is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    pub volume: Volume,
    pub reverse: bool,
    pub below_min: BelowMin,
    /// An open that is older is not copied.
    pub age_max: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volume {
    Fixed(Decimal),
    Multiplier(Decimal),
    /// The slave's balance by the master's.
    BalanceRatio,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BelowMin {
    Skip,
    Force,
}

impl Cast {
    pub fn new(seed: u64, size: Size, faults: Faults, age_max: Span) -> Cast {
        let houses = houses(faults);
        let mut rng = Rng::new(seed, 1);
        let masters: Vec<Player> =
            (0..size.masters).map(|at| Player::new(Role::Master, at, &houses, &mut rng)).collect();
        let slaves: Vec<Player> = (0..size.slaves).map(|at| Player::new(Role::Slave, at, &houses, &mut rng)).collect();
        let mut links = Vec::new();
        for (at, slave) in slaves.iter().enumerate() {
            for master in followed(at, &masters, size.links_per_slave, &mut rng) {
                let terms = Terms::draw(&mut rng, master, slave, age_max);
                links.push(Link { master: master.account.clone(), slave: slave.account.clone(), terms });
            }
        }
        Cast { masters, slaves, links }
    }
}

/// The masters of a slave: the first in turn, so that each has its slaves, the others by chance.
fn followed<'a>(slave: usize, masters: &'a [Player], count: usize, rng: &mut Rng) -> Vec<&'a Player> {
    let mut chosen = BTreeSet::new();
    if !masters.is_empty() {
        chosen.insert(slave % masters.len());
    }
    while chosen.len() < count.min(masters.len()) {
        chosen.insert(rng.below(masters.len() as u64) as usize);
    }
    chosen.into_iter().map(|at| &masters[at]).collect()
}

impl Player {
    fn new(role: Role, at: usize, houses: &[Arc<House>], rng: &mut Rng) -> Player {
        let house = houses[rng.below(houses.len() as u64) as usize].clone();
        // Logins of different lengths, so that some are the beginnings of others.
        let login = match role {
            Role::Master => 101 + at as u64,
            Role::Slave => 1_011 + at as u64,
        };
        let netting = rng.permille(match role {
            Role::Master => 200,
            Role::Slave => 300,
        });
        Player {
            account: exact(AccountId::of(house.name, login)),
            role,
            login,
            holding: if netting { Holding::Netting } else { Holding::Hedging },
            balance: Decimal::from([100_000_i64, 200_000, 400_000, 800_000][rng.below(4) as usize] * 10),
            balance_stays: rng.permille(350),
            house,
        }
    }

    /// Its account, as it is in the beginning.
    pub fn broker(&self, seed: u64) -> Broker {
        let role = match self.role {
            Role::Master => 0,
            Role::Slave => 1 << 40,
        };
        let rng = Rng::new(seed, self.login | role);
        let mut broker = Broker::new(self.house.clone(), self.holding, self.balance, rng);
        broker.balance_stays = self.balance_stays;
        // A netted position is of many copies; whose was stopped could not be said.
        broker.stops = !(self.role == Role::Slave && self.holding == Holding::Netting);
        broker
    }
}

impl Terms {
    fn draw(rng: &mut Rng, master: &Player, slave: &Player, age_max: Span) -> Terms {
        let factors = [(10, 2), (25, 2), (5, 1), (1, 0), (1, 0), (15, 1), (2, 0), (3, 0)];
        let (mantissa, scale) = factors[rng.below(factors.len() as u64) as usize];
        let volume = match rng.below(10) {
            // What is fixed says nothing of a position that grows.
            0 | 1 if master.holding == Holding::Hedging => Volume::Fixed(Decimal::new(rng.between(1, 200), 2)),
            2 | 3 if master.balance_stays && slave.balance_stays => Volume::BalanceRatio,
            _ => Volume::Multiplier(Decimal::new(mantissa, scale)),
        };
        Terms {
            volume,
            reverse: rng.permille(150),
            below_min: if rng.permille(300) { BelowMin::Force } else { BelowMin::Skip },
            age_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cast_follows_from_its_seed_and_nobody_is_left_out() {
        let size = Size { masters: 10, slaves: 200, links_per_slave: 2 };
        let cast = |seed| Cast::new(seed, size, Faults::NONE, Span::seconds(5));
        let (one, same) = (cast(1), cast(1));
        assert_eq!(format!("{:?}", one.links), format!("{:?}", same.links));
        assert_eq!(one.links.len(), 400);
        let accounts: BTreeSet<_> = one.masters.iter().chain(&one.slaves).map(|player| &player.account).collect();
        assert_eq!(accounts.len(), 210);
        let followed: BTreeSet<_> = one.links.iter().map(|link| &link.master).collect();
        assert_eq!(followed.len(), 10);
        let pairs: BTreeSet<_> = one.links.iter().map(|link| (&link.master, &link.slave)).collect();
        assert_eq!(pairs.len(), 400);
        assert!(one.links.iter().any(|link| link.terms.reverse));
        assert!(one.links.iter().any(|link| link.terms.volume == Volume::BalanceRatio));
        assert!(one.links.iter().any(|link| matches!(link.terms.volume, Volume::Fixed(_))));
        assert!(one.slaves.iter().any(|slave| slave.holding == Holding::Netting));
    }
}
