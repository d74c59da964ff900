//! What a person would say the status is, from a few facts and the table of the specification. It shares no code with the
//! status engine and speaks in numbers and words.

use std::collections::{BTreeMap, BTreeSet};
use tidehelm_events::account::Event;
use tidehelm_events::id::{AccountId, Role};

/// What is known of an account in one role.
#[derive(Debug, Clone, Default)]
struct Facts {
    wanted: bool,
    /// A heartbeat came, and neither goodbye nor silence after it.
    heard: bool,
    allowed: bool,
    follows: BTreeSet<AccountId>,
}

#[derive(Debug, Default)]
pub struct Reference {
    masters: BTreeMap<AccountId, Facts>,
    slaves: BTreeMap<AccountId, Facts>,
}

/// A status number and the words of its warnings.
pub type Expected = (u8, Vec<&'static str>);

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
            Event::LinkAdded(link) => {
                facts.follows.insert(link.master.clone());
            }
            Event::LinkRemoved(link) => {
                facts.follows.remove(&link.master);
            }
            Event::Connected(_) | Event::StatusChanged(_) | Event::MasterNoted(_) => {}
        }
    }

    /// The slaves that follow a master now, in the order of their names.
    pub fn followers(&self, master: &AccountId) -> Vec<AccountId> {
        let follows = |facts: &&Facts| facts.follows.contains(master);
        self.slaves.iter().filter(|(_, facts)| follows(facts)).map(|(slave, _)| slave.clone()).collect()
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
        let words = lacking(&facts, ["master_web_ui_disabled", "master_offline", "master_auto_trading_disabled"]);
        (if words.is_empty() { 2 } else { 0 }, words)
    }

    /// Not ready: 0. Ready: 2 if it has masters and all of them are 2, else 1.
    fn slave(&self, account: &AccountId) -> Expected {
        let facts = self.slaves.get(account).cloned().unwrap_or_default();
        let mut words = lacking(&facts, ["slave_web_ui_disabled", "slave_offline", "slave_auto_trading_disabled"]);
        let ready = words.is_empty();
        let masters: Vec<Expected> = facts.follows.iter().map(|master| self.master(master)).collect();
        let all = masters.iter().all(|(status, _)| *status == 2);
        let all_words: BTreeSet<&str> = masters.iter().flat_map(|(_, words)| words.iter().copied()).collect();
        let by_priority = ["master_web_ui_disabled", "master_offline", "master_auto_trading_disabled"];
        words.extend(by_priority.iter().filter(|word| all_words.contains(**word)));
        if masters.is_empty() {
            words.push("no_master_assigned");
        } else if !all {
            words.push("master_cluster_degraded");
        }
        let status = match (ready, !masters.is_empty() && all) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        };
        (status, words)
    }

    pub fn accounts(&self) -> Vec<(Role, AccountId)> {
        let masters = self.masters.keys().map(|account| (Role::Master, account.clone()));
        masters.chain(self.slaves.keys().map(|account| (Role::Slave, account.clone()))).collect()
    }
    pub fn is_heard(&self, role: Role, account: &AccountId) -> bool {
        let side = if role == Role::Master { &self.masters } else { &self.slaves };
        side.get(account).is_some_and(|facts| facts.heard)
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
