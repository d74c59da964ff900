//! The status engine: a pure table from what is wanted and seen to what runs.

use crate::id::Role;
use crate::reason::{RuntimeStatus, Warning, Warnings};

/// Everything that an account's own readiness depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inputs {
    pub intent: bool,
    pub online: bool,
    /// Counts only while online.
    pub trade_allowed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evaluation {
    pub status: RuntimeStatus,
    pub warnings: Warnings,
}

/// Readiness of one account by itself: 2 or 0, with its own warnings.
pub fn own(role: Role, inputs: Inputs) -> Evaluation {
    let (disabled, offline, not_allowed) = match role {
        Role::Master => (Warning::MasterWebUiDisabled, Warning::MasterOffline, Warning::MasterAutoTradingDisabled),
        Role::Slave => (Warning::SlaveWebUiDisabled, Warning::SlaveOffline, Warning::SlaveAutoTradingDisabled),
    };
    let mut warnings = Warnings::NONE;
    if !inputs.intent {
        warnings = warnings.with(disabled);
    }
    if !inputs.online {
        warnings = warnings.with(offline);
    } else if !inputs.trade_allowed {
        warnings = warnings.with(not_allowed);
    }
    let ready = warnings == Warnings::NONE;
    Evaluation { status: if ready { RuntimeStatus::Connected } else { RuntimeStatus::Disabled }, warnings }
}

/// One link: not ready 0, ready while the master is not 1, both ready 2. The master's warnings always show.
pub fn member(slave: Inputs, master: Evaluation) -> Evaluation {
    let own = own(Role::Slave, slave);
    let status = match (own.status, master.status) {
        (RuntimeStatus::Connected, RuntimeStatus::Connected) => RuntimeStatus::Connected,
        (RuntimeStatus::Connected, _) => RuntimeStatus::Enabled,
        _ => RuntimeStatus::Disabled,
    };
    Evaluation { status, warnings: own.warnings.union(master.warnings) }
}

/// A slave over all the masters that it follows. One that is not connected keeps it on standby, unless any one is enough.
pub fn cluster(slave: Inputs, masters: impl IntoIterator<Item = Evaluation>, all_required: bool) -> Evaluation {
    let own = own(Role::Slave, slave);
    let (mut count, mut connected, mut warnings) = (0, 0, own.warnings);
    for master in masters {
        count += 1;
        connected += usize::from(master.status == RuntimeStatus::Connected);
        warnings = warnings.union(master.warnings);
    }
    if count == 0 {
        warnings = warnings.with(Warning::NoMasterAssigned);
    } else if connected < count {
        warnings = warnings.with(Warning::MasterClusterDegraded);
    }
    let enough = if all_required { connected == count } else { connected > 0 };
    let status = match own.status {
        RuntimeStatus::Connected if count > 0 && enough => RuntimeStatus::Connected,
        RuntimeStatus::Connected => RuntimeStatus::Enabled,
        _ => RuntimeStatus::Disabled,
    };
    Evaluation { status, warnings }
}
