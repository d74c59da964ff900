//! Things as watchers see them. An account is the one of `/api/accounts`, settings are those of `/api/settings`.

use crate::http::desk::{SettingsBody, settings_of};
use crate::http::groups::only_set;
use serde::Serialize;
use tidehelm_events::account::Account;
use tidehelm_events::endpoint::LastError;
use tidehelm_events::id::{AccountId, EndpointId};
use tidehelm_events::time::Timestamp;
use tidehelm_events::view::Fold;
use tidehelm_events::view::endpoints::{EndpointRow, Minute, Stats};

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

/// An endpoint that is not there any more.
#[derive(Serialize)]
pub struct EndpointGone {
    pub id: EndpointId,
    pub name: String,
}

impl EndpointGone {
    /// None for one that was never there.
    pub fn of(fold: &Fold, id: EndpointId) -> Option<Self> {
        let settings = fold.truth.endpoint(id)?.settings.as_ref()?;
        Some(EndpointGone { id, name: settings.name.clone() })
    }
}

/// What requests change of an endpoint: the fields of its row that are not what `endpoint_status_changed` is for.
#[derive(Serialize)]
pub struct CountersView {
    pub endpoint: EndpointId,
    pub total: u64,
    pub success: u64,
    pub failed: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub inference_latency_ms: Option<u64>,
    pub consecutive_failures: u32,
    pub last_seen: Option<Timestamp>,
    pub last_error: Option<LastError>,
}

impl CountersView {
    pub fn of(row: &EndpointRow) -> Self {
        CountersView {
            endpoint: row.id,
            total: row.total,
            success: row.success,
            failed: row.failed,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            inference_latency_ms: row.inference_latency_ms,
            consecutive_failures: row.consecutive_failures,
            last_seen: row.last_seen,
            last_error: row.last_error.clone(),
        }
    }
}

/// What was counted in all.
#[derive(Serialize)]
pub struct TotalsView {
    /// Always null: of all endpoints together.
    pub endpoint: Option<EndpointId>,
    pub stats: Stats,
    /// The minute of the last event and the one before, oldest first: they belong at the end of the history. Who is told only
    /// now and then would else miss the end of a minute.
    pub minutes: Vec<Minute>,
}

impl TotalsView {
    pub fn of(fold: &Fold) -> Self {
        let (view, now) = (&fold.views.endpoints, fold.truth.time());
        let history = view.history(now);
        let minutes = history[history.len().saturating_sub(2)..].to_vec();
        TotalsView { endpoint: None, stats: view.stats(&fold.truth, now), minutes }
    }
}
