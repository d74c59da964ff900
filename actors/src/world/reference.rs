//! What a person would say the status is, from a few facts and the table of the specification. It shares no code with the
//! status engine and speaks in numbers and words.

use std::collections::{BTreeMap, BTreeSet};
use tidehelm_events::account::Event;
use tidehelm_events::id::{AccountId, Role, StreamId};

/// What is known of an account in one role.
#[derive(Debug, Clone, Default)]
struct Facts {
    wanted: bool,
    /// A heartbeat came, and neither goodbye nor silence after it.
    heard: bool,
    allowed: bool,
    follows: BTreeMap<AccountId, Follows>,
    any_master_is_enough: bool,
    /// What was raised and not cleared, as it was said.
    raised: BTreeSet<&'static str>,
    /// Limits that are near, and those that were hit.
    near: BTreeSet<String>,
    hit: BTreeSet<String>,
}

/// A link as a person sees it.
#[derive(Debug, Clone, Copy, Default)]
struct Follows {
    on: bool,
    /// Removed, and not ended yet.
    leaving: bool,
}

#[derive(Debug, Default)]
pub struct Reference {
    masters: BTreeMap<AccountId, Facts>,
    slaves: BTreeMap<AccountId, Facts>,
}

/// A status number and the words of its warnings.
pub type Expected = (u8, Vec<&'static str>);

const SLAVE: [&str; 3] = ["slave_web_ui_disabled", "slave_offline", "slave_auto_trading_disabled"];
const MASTER: [&str; 3] = ["master_web_ui_disabled", "master_offline", "master_auto_trading_disabled"];

/// All warnings in the order in which people see them.
const ORDER: [&str; 20] = [
    "slave_web_ui_disabled",
    "slave_offline",
    "slave_auto_trading_disabled",
    "master_web_ui_disabled",
    "master_offline",
    "master_auto_trading_disabled",
    "no_master_assigned",
    "master_cluster_degraded",
    "clock_skew",
    "symbol_unmapped",
    "lot_below_min",
    "stale_account",
    "duplicate_ea",
    "limit_near",
    "limit_hit",
    "unknown_position",
    "volume_drift",
    "order_unproven",
    "log_behind_terminal",
    "ea_version_old",
];

impl Reference {
    pub fn hear(&mut self, role: Role, account: &AccountId, event: &Event) {
        let side = match role {
            Role::Master => &mut self.masters,
            Role::Slave => &mut self.slaves,
        };
        let facts = side.entry(account.clone()).or_default();
        match event {
            Event::Registered(registered) => facts.allowed = registered.trade_allowed,
            Event::HeartbeatSeen(heartbeat) => {
                facts.allowed = heartbeat.trade_allowed;
                facts.heard = true;
            }
            Event::Unregistered(_) | Event::Disconnected(_) => facts.heard = false,
            Event::IntentSet(intent) => facts.wanted = intent.enabled,
            Event::GroupRemoved(_) => facts.wanted = false,
            Event::LinkAdded(link) => {
                facts.follows.insert(link.master.clone(), Follows { on: link.enabled, leaving: false });
            }
            Event::LinkSwitched(link) => {
                facts.follows.entry(link.master.clone()).or_default().on = link.enabled;
            }
            Event::LinkRemoved(link) => {
                facts.follows.entry(link.master.clone()).or_default().leaving = true;
            }
            Event::LinkEnded(link) => {
                facts.follows.remove(&link.master);
            }
            Event::SettingsChanged(change) => facts.any_master_is_enough = !change.settings.require_all_masters,
            Event::WarningRaised(raised) => {
                facts.raised.insert(raised.warning.code());
            }
            Event::WarningCleared(cleared) => {
                facts.raised.remove(cleared.warning.code());
            }
            Event::LimitNear(near) => {
                facts.near.insert(near.limit.to_string());
            }
            Event::LimitHit(hit) => {
                facts.near.remove(&hit.limit.to_string());
                facts.hit.insert(hit.limit.to_string());
            }
            Event::LimitCleared(cleared) => {
                facts.near.remove(&cleared.limit.to_string());
                facts.hit.remove(&cleared.limit.to_string());
            }
            Event::Rearmed(rearmed) => {
                facts.hit.retain(|limit| !rearmed.limits.iter().any(|rearmed| rearmed.to_string() == *limit));
            }
            // Conclusions of the desk, and what says nothing about a status.
            Event::Connected(_)
            | Event::StatusChanged(_)
            | Event::LinkStatusChanged(_)
            | Event::MasterNoted(_)
            | Event::GroupCreated(_)
            | Event::GroupChanged(_)
            | Event::LinkChanged(_)
            | Event::SyncWanted(_)
            | Event::QuoteSeen(_)
            | Event::SignalTaken(_)
            | Event::StateDiffered(_)
            | Event::SnapshotTaken(_)
            | Event::CopyDecided(_)
            | Event::OrderIssued(_)
            | Event::OrderAnswered(_)
            | Event::StopTaken(_)
            | Event::NumbersSkipped(_)
            | Event::DayStarted(_) => {}
        }
    }

    /// The slaves that follow a master now or still hold copies of its trades, in the order of their names.
    pub fn followers(&self, master: &AccountId) -> Vec<AccountId> {
        let follows = |facts: &&Facts| facts.follows.contains_key(master);
        self.slaves.iter().filter(|(_, facts)| follows(facts)).map(|(slave, _)| slave.clone()).collect()
    }

    /// The slave follows the master, and the link was not removed.
    pub fn is_member(&self, slave: &StreamId, master: &AccountId) -> bool {
        let StreamId::Account(Role::Slave, slave) = slave else { return false };
        self.slaves.get(slave).and_then(|facts| facts.follows.get(master)).is_some_and(|link| !link.leaving)
    }

    pub fn expected(&self, role: Role, account: &AccountId) -> Expected {
        match role {
            Role::Master => self.master(account),
            Role::Slave => self.slave(account),
        }
    }

    /// 2 if wanted and online and trading allowed, else 0.
    fn master(&self, account: &AccountId) -> Expected {
        let facts = self.masters.get(account).cloned().unwrap_or_default();
        let lacks = lacking(&facts, MASTER);
        let status = if lacks.is_empty() { 2 } else { 0 };
        (status, in_order(lacks.into_iter().chain(noticed(&facts))))
    }

    /// Not ready: 0. Ready: 2 if it has masters and enough of them are 2, else 1. A link that is off counts for nothing, unless
    /// all are off: then the slave is off with them.
    fn slave(&self, account: &AccountId) -> Expected {
        let mut facts = self.slaves.get(account).cloned().unwrap_or_default();
        facts.follows.retain(|_, link| !link.leaving);
        let all_off = !facts.follows.is_empty() && facts.follows.values().all(|link| !link.on);
        facts.wanted &= !all_off;
        let mut words = lacking(&facts, SLAVE);
        let ready = words.is_empty();
        let counted = facts.follows.iter().filter(|(_, link)| link.on || all_off);
        let masters: Vec<Expected> = counted.map(|(master, _)| self.master(master)).collect();
        let up = masters.iter().filter(|(status, _)| *status == 2).count();
        words.extend(masters.iter().flat_map(|(_, words)| words.iter().copied()));
        if masters.is_empty() {
            words.push("no_master_assigned");
        } else if up < masters.len() {
            words.push("master_cluster_degraded");
        }
        let enough = if facts.any_master_is_enough { up > 0 } else { up == masters.len() && up > 0 };
        let status = match (ready, enough) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        };
        (status, in_order(words.into_iter().chain(noticed(&facts))))
    }

    /// One link by itself: slave not ready 0; ready and the master 2: 2, else 1.
    pub fn expected_link(&self, slave: &AccountId, master: &AccountId) -> Expected {
        let mut facts = self.slaves.get(slave).cloned().unwrap_or_default();
        let link = facts.follows.get(master).copied().unwrap_or_default();
        facts.wanted &= link.on && !link.leaving;
        let (master, theirs) = self.master(master);
        let own = lacking(&facts, SLAVE);
        let status = if own.is_empty() { 1 + u8::from(master == 2) } else { 0 };
        (status, in_order(own.into_iter().chain(theirs)))
    }

    pub fn accounts(&self) -> Vec<(Role, AccountId)> {
        let masters = self.masters.keys().map(|account| (Role::Master, account.clone()));
        masters.chain(self.slaves.keys().map(|account| (Role::Slave, account.clone()))).collect()
    }
}

/// Permission counts only while online.
fn lacking(facts: &Facts, [unwanted, unheard, forbidden]: [&'static str; 3]) -> Vec<&'static str> {
    let mut words = Vec::new();
    if !facts.wanted {
        words.push(unwanted);
    }
    if !facts.heard {
        words.push(unheard);
    } else if !facts.allowed {
        words.push(forbidden);
    }
    words
}

fn noticed(facts: &Facts) -> Vec<&'static str> {
    let mut words: Vec<&str> = facts.raised.iter().copied().collect();
    if !facts.near.is_empty() {
        words.push("limit_near");
    }
    if !facts.hit.is_empty() {
        words.push("limit_hit");
    }
    words
}

/// Each once.
fn in_order(words: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let words: BTreeSet<&str> = words.collect();
    ORDER.into_iter().filter(|word| words.contains(word)).collect()
}
