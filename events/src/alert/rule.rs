//! Rules: what is watched, for how long it must hold, how bad it is, and who hears of it.

use super::command::Refusal;
use super::name::{ChannelId, Pattern, RuleId, Subject};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const RULES_MAX: usize = 200;
const PATTERNS_MAX: usize = 100;
pub(super) const CHANNELS_MAX: usize = 50;
/// Thirty days.
pub(super) const SECONDS_MAX: u32 = 30 * 24 * 3600;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    #[default]
    Warning,
    Critical,
}

impl Severity {
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

macro_rules! conditions {
    ($( $(#[doc = $doc:literal])+ $name:ident $code:literal $threshold:expr; )*) => {
        /// What a rule watches. Codes are never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum When { $( $(#[doc = $doc])+ $name ),* }

        impl When {
            pub const ALL: &'static [When] = &[$(When::$name),*];
            pub fn as_str(self) -> &'static str {
                match self { $(When::$name => $code),* }
            }
            /// What it says, for people.
            pub fn meaning(self) -> &'static str {
                match self { $(When::$name => concat!($($doc),+).trim_ascii()),* }
            }
            /// Least and greatest threshold and its unit; none where it has none.
            pub fn threshold(self) -> Option<(u64, u64, &'static str)> {
                match self { $(When::$name => $threshold),* }
            }
        }
    };
}

conditions! {
    /// An account that is switched on has no terminal.
    AccountOffline "account_offline" None;
    /// A terminal is lost while its account holds copies, has orders under way, or is a master with slaves.
    TerminalLost "terminal_lost" None;
    /// An account that is switched on and has its terminal is not connected all the same.
    AccountNotConnected "account_not_connected" None;
    /// Something about an account deserves a look: a position that nobody knows, a drift, an order in doubt, a second terminal.
    AccountWarned "account_warned" None;
    /// A limit of an account is nearly used up.
    LimitNear "limit_near" None;
    /// A limit of an account was reached.
    LimitHit "limit_hit" None;
    /// STOP is pressed.
    DeskStopped "desk_stopped" None;
    /// An endpoint is offline.
    EndpointOffline "endpoint_offline" None;
    /// Too large a part of an endpoint's requests of the last five minutes failed.
    EndpointErrors "endpoint_errors" Some((1, 100, "percent"));
    /// A client asked more often than that in this hour.
    ClientRequests "client_requests" Some((1, u64::MAX, "requests an hour"));
    /// The read models are that far behind the log.
    ProjectionLag "projection_lag" Some((1, u64::MAX, "events"));
    /// A commit failed or was in doubt within the last so many seconds.
    LogFailing "log_failing" Some((1, 30 * 24 * 3600, "seconds"));
    /// Less of a disk is free than that.
    DiskLow "disk_low" Some((1, 99, "percent"));
    /// No snapshot for so long, though there is something to save.
    SnapshotOld "snapshot_old" Some((1, 30 * 24 * 60, "minutes"));
    /// No backup for so long in the directory that `alerts.backup_dir` names.
    BackupOld "backup_old" Some((1, 366 * 24, "hours"));
    /// Records of a stream are not believed.
    Quarantined "quarantined" None;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// For people.
    pub title: String,
    pub enabled: bool,
    pub when: When,
    /// In the unit that the condition says; 0 where it has none.
    pub threshold: u64,
    /// Subjects that it is about; none: all.
    pub subjects: BTreeSet<Pattern>,
    /// It must hold for so long before it is raised.
    pub hold_seconds: u32,
    /// After it was raised for a subject, it is not raised for it again for so long.
    pub cooldown_seconds: u32,
    pub severity: Severity,
    /// Who hears of it; none: every channel.
    pub channels: BTreeSet<ChannelId>,
}

impl Rule {
    pub fn covers(&self, subject: &Subject) -> bool {
        self.subjects.is_empty() || self.subjects.iter().any(|pattern| pattern.matches(subject))
    }

    pub(super) fn check(&self, known: impl Fn(&ChannelId) -> bool) -> Result<(), Refusal> {
        let invalid = |field, why: String| Err(Refusal::SettingInvalid { field, why });
        let title = self.title.trim();
        if title.is_empty() || self.title.chars().count() > 100 || self.title.chars().any(char::is_control) {
            return invalid("title", "1 to 100 characters, no control characters".into());
        }
        match self.when.threshold() {
            None if self.threshold != 0 => {
                return invalid("threshold", format!("`{}` has none; leave it 0", self.when.as_str()));
            }
            Some((min, max, unit)) if !(min..=max).contains(&self.threshold) => {
                return invalid("threshold", format!("{min} to {max} {unit}"));
            }
            _ => {}
        }
        if self.subjects.len() > PATTERNS_MAX {
            return invalid("subjects", format!("at most {PATTERNS_MAX}"));
        }
        for (field, seconds) in [("hold_seconds", self.hold_seconds), ("cooldown_seconds", self.cooldown_seconds)] {
            if seconds > SECONDS_MAX {
                return invalid(field, format!("at most {SECONDS_MAX}"));
            }
        }
        match self.channels.iter().find(|channel| !known(channel)) {
            Some(channel) => invalid("channels", format!("there is no channel `{channel}`; make it first")),
            None => Ok(()),
        }
    }
}

/// The rules of a desk that nobody has changed.
pub fn built_in() -> BTreeMap<RuleId, Rule> {
    use Severity::{Critical, Info, Warning};
    use When::*;
    let rule = |when: When, title: &str, threshold, (hold_seconds, cooldown_seconds), severity| {
        let id = RuleId::new(when.as_str().replace('_', "-"));
        let rule = Rule {
            title: title.into(),
            enabled: true,
            when,
            threshold,
            subjects: BTreeSet::new(),
            hold_seconds,
            cooldown_seconds,
            severity,
            channels: BTreeSet::new(),
        };
        id.ok().map(|id| (id, rule))
    };
    [
        rule(AccountOffline, "An account is offline", 0, (120, 300), Warning),
        rule(TerminalLost, "A terminal that is needed is lost", 0, (30, 300), Critical),
        rule(AccountNotConnected, "An account is not connected", 0, (300, 900), Info),
        rule(AccountWarned, "An account deserves a look", 0, (60, 900), Warning),
        rule(LimitNear, "A limit is nearly used up", 0, (0, 900), Warning),
        rule(LimitHit, "A limit was reached", 0, (0, 0), Critical),
        rule(DeskStopped, "STOP is pressed", 0, (0, 0), Critical),
        rule(EndpointOffline, "An endpoint is offline", 0, (30, 300), Warning),
        rule(EndpointErrors, "Requests to an endpoint fail", 20, (60, 900), Warning),
        rule(ClientRequests, "A client asks unusually often", 100_000, (0, 3600), Info),
        rule(ProjectionLag, "The pages are behind the log", 100_000, (30, 300), Warning),
        rule(LogFailing, "The log could not be written", 300, (0, 300), Critical),
        rule(DiskLow, "A disk is nearly full", 5, (60, 3600), Critical),
        rule(SnapshotOld, "Snapshots are not written", 60, (300, 3600), Warning),
        rule(BackupOld, "There is no recent backup", 48, (0, 24 * 3600), Warning),
        rule(Quarantined, "A stream is quarantined", 0, (0, 0), Critical),
    ]
    .into_iter()
    .flatten()
    .collect()
}
