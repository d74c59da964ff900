//! Things as watchers see them. An account is the one of `/api/accounts`, settings are those of `/api/settings`.

use crate::http::desk::{SettingsBody, settings_of};
use crate::http::groups::only_set;
use serde::Serialize;
use tidehelm_events::account::Account;
use tidehelm_events::id::AccountId;
use tidehelm_events::view::Fold;

#[derive(Serialize)]
pub struct DeskView {
    pub desk_id: Option<String>,
    pub name: String,
    pub version: &'static str,
    pub locked: bool,
    pub lock_reason: Option<String>,
    /// `pause`, `cancel` or `flatten` while STOP is in force.
    pub stopped: Option<&'static str>,
    pub stop_reason: Option<String>,
}

impl DeskView {
    pub fn of(fold: &Fold) -> Self {
        let desk = fold.truth.desk();
        let reason = desk.and_then(|desk| desk.locked.as_ref());
        let stop = desk.and_then(|desk| desk.stopped.as_ref());
        DeskView {
            desk_id: fold.truth.desk_id().map(|id| id.to_string()),
            name: desk.map(|desk| desk.settings.name.clone()).unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION"),
            locked: reason.is_some(),
            lock_reason: reason.map(ToString::to_string),
            stopped: stop.map(|stop| stop.degree.as_str()),
            stop_reason: stop.map(|stop| stop.reason.to_string()),
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
    pub settings: serde_json::Value,
    pub version: u64,
}

impl GroupView {
    /// None where the master has no group.
    pub fn of(master: &Account) -> Option<Self> {
        let group = master.group.as_ref()?;
        Some(GroupView {
            master_account: master.id.to_string(),
            display_name: group.name.clone(),
            enabled: master.intent,
            enabled_flag: master.intent,
            master_runtime_status: master.status.code(),
            warning_codes: master.warnings.codes(),
            settings: only_set(&group.settings),
            version: master.revision.0,
        })
    }
}

/// A trade group that is not there any more.
#[derive(Serialize)]
pub struct GroupGone {
    pub master_account: String,
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
