//! Things as watchers see them. An account is the one of `/api/accounts`, settings are those of `/api/settings`.

use crate::http::desk::{SettingsBody, settings_of};
use serde::Serialize;
use tidehelm_events::account::Account;
use tidehelm_events::account::status::{self, Evaluation};
use tidehelm_events::id::{AccountId, Role, StreamId};
use tidehelm_events::reason::{RuntimeStatus, Warnings};
use tidehelm_events::truth::Truth;
use tidehelm_events::view::Fold;

#[derive(Serialize)]
pub struct DeskView {
    pub desk_id: Option<String>,
    pub name: String,
    pub version: &'static str,
    pub locked: bool,
    pub lock_reason: Option<String>,
}

impl DeskView {
    pub fn of(fold: &Fold) -> Self {
        let desk = fold.truth.desk();
        let reason = desk.and_then(|desk| desk.locked.as_ref());
        DeskView {
            desk_id: fold.truth.desk_id().map(|id| id.to_string()),
            name: desk.map(|desk| desk.settings.name.clone()).unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION"),
            locked: reason.is_some(),
            lock_reason: reason.map(ToString::to_string),
        }
    }
}

#[derive(Serialize)]
pub struct SettingsView {
    pub revision: u64,
    pub settings: SettingsBody,
}

impl SettingsView {
    pub fn of(fold: &Fold) -> Self {
        let now = settings_of(fold);
        SettingsView { revision: now.revision, settings: now.settings }
    }
}

/// A master as the head of its trade group. Its members are told by themselves.
#[derive(Serialize)]
pub struct GroupView {
    pub master_account: String,
    pub display_name: String,
    pub enabled: bool,
    pub enabled_flag: bool,
    pub master_runtime_status: u8,
    pub warning_codes: Vec<&'static str>,
    pub version: u64,
}

impl GroupView {
    pub fn of(master: &Account) -> Self {
        let name = master.identity.as_ref().map(|identity| identity.name.clone()).filter(|name| !name.is_empty());
        GroupView {
            master_account: master.id.to_string(),
            display_name: name.unwrap_or_else(|| master.id.to_string()),
            enabled: master.intent,
            enabled_flag: master.intent,
            master_runtime_status: master.status.code(),
            warning_codes: master.warnings.codes(),
            version: master.revision.0,
        }
    }
}

/// One link: a slave as the member of a master's group.
#[derive(Serialize)]
pub struct MemberView {
    pub trade_group_id: String,
    pub slave_account: String,
    pub enabled_flag: bool,
    pub runtime_status: u8,
    /// The same as `runtime_status`.
    pub status: u8,
    pub allow_new_orders: bool,
    pub warning_codes: Vec<&'static str>,
    pub version: u64,
}

impl MemberView {
    /// None where the slave does not follow the master.
    pub fn of(truth: &Truth, slave: &AccountId, master: &AccountId) -> Option<Self> {
        let account = truth.account(&StreamId::slave(slave))?;
        let seen = account.masters.get(master)?;
        let (status, warnings) = link(account, Evaluation { status: seen.status, warnings: seen.warnings });
        Some(MemberView {
            trade_group_id: master.to_string(),
            slave_account: slave.to_string(),
            enabled_flag: account.intent,
            runtime_status: status.code(),
            status: status.code(),
            allow_new_orders: status == RuntimeStatus::Connected,
            warning_codes: warnings.codes(),
            version: account.revision.0,
        })
    }
}

/// The status of one link: the slave's own readiness, then the master's.
fn link(slave: &Account, master: Evaluation) -> (RuntimeStatus, Warnings) {
    let own = status::own(Role::Slave, slave.inputs());
    let status = match (own.status, master.status) {
        (RuntimeStatus::Connected, RuntimeStatus::Connected) => RuntimeStatus::Connected,
        (RuntimeStatus::Connected, _) => RuntimeStatus::Enabled,
        _ => RuntimeStatus::Disabled,
    };
    (status, own.warnings.union(master.warnings))
}

/// A link that is not there any more.
#[derive(Serialize)]
pub struct MemberGone {
    pub trade_group_id: String,
    pub slave_account: String,
}

impl MemberGone {
    pub fn of(slave: &AccountId, master: &AccountId) -> Self {
        MemberGone { trade_group_id: master.to_string(), slave_account: slave.to_string() }
    }
}
