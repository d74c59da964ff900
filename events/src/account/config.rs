//! What a terminal is told of itself: complete, and with a number; an older one is ignored.

use super::state::Account;
use crate::id::{AccountId, Role};
use crate::reason::{RuntimeStatus, Warnings};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    pub version: u64,
    pub role: Role,
    pub runtime_status: RuntimeStatus,
    pub warnings: Warnings,
    /// A master: its trades are copied. A slave: new trades of at least one of its masters are opened.
    pub allow_new_orders: bool,
    pub links: Vec<LinkConfig>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkConfig {
    pub master: AccountId,
    pub runtime_status: RuntimeStatus,
    pub allow_new_orders: bool,
    pub warnings: Warnings,
}

impl Account {
    pub fn config(&self) -> Config {
        let link = |(master, link): (&AccountId, &super::state::Link)| LinkConfig {
            master: master.clone(),
            runtime_status: link.status,
            allow_new_orders: self.allows_new_orders(link),
            warnings: link.warnings,
        };
        let links: Vec<LinkConfig> = self.members().map(link).collect();
        let allow_new_orders = match self.role {
            Role::Master => self.status == RuntimeStatus::Connected,
            Role::Slave => links.iter().any(|link| link.allow_new_orders),
        };
        let (runtime_status, warnings) = (self.status, self.warnings);
        Config { version: self.config_version, role: self.role, runtime_status, warnings, allow_new_orders, links }
    }
}
